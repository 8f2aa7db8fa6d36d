"""The menu: the pages of a project that the reader may open, in the order of the work."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse

from webapp.access.actors import Actor
from webapp.access.require import allowed_among
from webapp.access.routes import ROUTES
from webapp.access.table import Action
from webapp.projects.models import Project

MAIN = ("recognise", "project", "images", "review", "data", "snapshots", "runs", "models", "results")
MORE = ("comparisons", "imports", "exports", "places")
WORDS = {"imports": "Import", "exports": "Export", "runs": "Train", "places": "Sites", "comparisons": "Compare"}
BELONGS_TO = {
    "import": "imports",
    "snapshot": "snapshots",
    "snapshot-difference": "snapshots",
    "freezing": "snapshots",
    "run": "runs",
    "comparison": "comparisons",
    "comparison-gallery": "comparisons",
    "trainer-logs": "runs",
    "beside": "models",
    "visit": "places",
    "labels-table": "project",
    "home": "recognise",
}


@dataclass(frozen=True)
class Entry:
    """One line of the menu."""

    words: str
    link: str
    is_here: bool


def entries(actor: Actor, project: Project, here: str) -> tuple[list[Entry], list[Entry]]:
    """What always shows, and what stands behind *More*; `here` is the name of the route that is open."""
    needs = {name: need for name in (*MAIN, *MORE) if isinstance(need := ROUTES[name], Action)}
    may = allowed_among(actor, frozenset(needs.values()), project)
    open_to = {name for name, need in needs.items() if need in may}
    at = BELONGS_TO.get(here, here)
    return _entries(MAIN, project, open_to, at), _entries(MORE, project, open_to, at)


def _entries(names: tuple[str, ...], project: Project, open_to: set[str], here: str) -> list[Entry]:
    return [
        Entry(
            words=project.name if name == "project" else WORDS.get(name, name.capitalize()),
            link=reverse(name, args=[project.slug]),
            is_here=name == here,
        )
        for name in names
        if name in open_to
    ]
