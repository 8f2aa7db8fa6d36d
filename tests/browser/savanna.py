"""A project of sequences for the browser tests, and what its rows say afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from tests.sites import Site

NUMBER = count(1)
STATES = """
from webapp.reviews.models import Change, Review
from webapp.images.models import ImageState
said = {}
for one in ImageState.objects.filter(project=project).select_related("label").order_by("pk"):
    said.setdefault(f"s{one.sequence_id}", []).append([one.review_state, one.label.key if one.label else None])
reviews = Review.objects.filter(image__project=project)
print(json.dumps({
    "states": said,
    "reviews": reviews.exclude(verdict="withdrawn").count(),
    "changes": Change.objects.filter(project=project).count(),
}))
"""
VERDICTS = """
from webapp.reviews.models import Review
rows = Review.objects.filter(image__project=project, undone_by=None).exclude(verdict="withdrawn").order_by("image_id")
print(json.dumps([{
    "verdict": one.verdict, "how": one.how, "queue": one.queue, "note": one.note, "seen": one.prediction_id is not None,
    "said": [[a.label.key, a.count, a.fields, a.x is not None] for a in one.annotations.order_by("position")],
} for one in rows]))
"""


@dataclass
class Savanna:
    """One project on a running site."""

    site: Site
    slug: str
    frames: int

    def run(self, code: str) -> Any:
        """What code printed as JSON, with `project` at hand."""
        found = f"project = Project.objects.get(slug={self.slug!r})"
        head = f"import json\nfrom webapp.projects.models import Project\n{found}\n"
        return json.loads(self.site.python(head + code).splitlines()[-1])

    def rows(self) -> Any:
        return self.run(STATES)

    def verdicts(self) -> Any:
        return self.run(VERDICTS)

    @property
    def review(self) -> str:
        return f"/p/{self.slug}/review/"

    @property
    def images(self) -> str:
        return f"/p/{self.slug}/images/"


@pytest.fixture
def savanna(site: Site, rosa: dict[str, Any]) -> Callable[..., Savanna]:
    """Makes a project of sequences that Rosa and Sam review."""

    def made(sequences: int, frames: int = 2) -> Savanna:
        name = f"Savanna {next(NUMBER)}"
        code = (
            "from tests.browser.bursts import make\n"
            f"print(make({name!r}, sequences={sequences}, frames={frames}, reviewers=('rosa', 'sam')))"
        )
        return Savanna(site, site.python(code).splitlines()[-1], frames)

    return made
