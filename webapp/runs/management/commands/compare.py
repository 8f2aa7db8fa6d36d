"""`./osprey compare`: is the candidate better than what is in use? Evaluates what is missing, then says so.

Exit status: 0 compared, whatever the verdict; 1 refused or failed.
"""

from __future__ import annotations

import json
import logging
from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from training.contract import PARTS, TEST
from webapp.access.actors import OPERATOR
from webapp.datasets.snapshots import snapshot_named
from webapp.errors import Invalid, OspreyError
from webapp.projects.find import project_by_slug
from webapp.projects.models import Project
from webapp.runs.comparing.compare import start_comparison
from webapp.runs.comparing.find import found_of
from webapp.runs.comparing.here import ACTIVE, chosen_version, compared_here
from webapp.runs.models import Comparison
from webapp.versions.exchange import find_version
from webapp.versions.models import Version

EXAMPLES = """Examples:
  compare active 12
  compare "May, head 3" "June, head 5" --project reef --snapshot June --json"""


class Command(BaseCommand):
    help = "Compare version B, the candidate, with version A on the same frozen images that neither has seen."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class, parser.epilog = RawDescriptionHelpFormatter, EXAMPLES
        parser.add_argument("a", metavar="A", help="id, name, digest, or `active`: what answers now")
        parser.add_argument("b", metavar="B", help="the candidate, the same way")
        parser.add_argument("--project", metavar="SLUG", help="whose; that of the versions without it")
        parser.add_argument("--snapshot", metavar="S", help="name, id or digest; the newest that B knows without it")
        parser.add_argument("--part", choices=PARTS, default=TEST, help="default: %(default)s")
        parser.add_argument("--json", action="store_true", help="one JSON object with everything")

    def handle(self, *args: Any, **options: Any) -> None:
        for name in ("webapp.queue", "webapp.events"):
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            row = compared_here(self._start(options), self._say)
        except OspreyError as error:
            if options["json"]:
                self.stdout.write(json.dumps({"comparison": None, "state": "refused", "code": error.code}))
            raise CommandError(error.what) from error
        if options["json"]:
            self.stdout.write(json.dumps(told(row), ensure_ascii=False))
        elif row.state == Comparison.State.DONE:
            self.stdout.write("\n".join(in_words(row.result)))
        if row.state != Comparison.State.DONE:
            raise CommandError(row.reason or f"It is {row.get_state_display()}.")

    def _start(self, options: dict[str, Any]) -> Comparison:
        project = _project(options["project"], options["a"], options["b"])
        asked = options["snapshot"]
        return start_comparison(
            actor=OPERATOR,
            project=project,
            a=chosen_version(options["a"], project),
            b=chosen_version(options["b"], project),
            snapshot=snapshot_named(project, asked) if asked else None,
            part=options["part"],
            here=True,
        )

    def _say(self, words: str) -> None:
        self.stderr.write(f"osprey: {words}")


def _project(slug: str | None, *words: str) -> Project:
    """The one that was named, else that of the versions."""
    if slug:
        return project_by_slug(OPERATOR, slug)
    named = [find_version(word) for word in words if word != ACTIVE]
    found = {one.project_id: one.project for one in named if one.project is not None}
    if len(found) != 1:
        raise Invalid("The versions do not say whose project it is: add --project SLUG.")
    (project,) = found.values()
    return project_by_slug(OPERATOR, project.slug)


def told(row: Comparison) -> dict[str, Any]:
    """What a script reads: how it stands, and everything that was found."""
    return {
        "comparison": str(row.uid),
        "state": row.state,
        "code": row.code,
        "reason": row.reason,
        "offer": row.offer,
        "version_a": _version(row.version_a),
        "version_b": _version(row.version_b),
        "snapshot": {"id": str(row.snapshot.uid), "name": row.snapshot.name, "digest": row.snapshot.digest},
        "part": row.part,
        **found_of(row),
    }


def _version(version: Version) -> dict[str, Any]:
    return {"id": version.pk, "name": version.name, "digest": version.digest}


def in_words(found: dict[str, Any]) -> list[str]:
    """The sentence, then the figures, one a line."""
    lines = [found["sentence"], f"fixed {found['fixed']}, broken {found['broken']}, both wrong {found['both_wrong']}"]
    for name, one in found["metrics"].items():
        span = one["interval"]
        words = f"{span[0]:+.4f} to {span[1]:+.4f}" if span else "too few groups"
        lines.append(
            f"{name:<20}{one['a']:9.4f}{one['b']:9.4f}{one['difference']:+9.4f}   {words:<22} {one['verdict']}"
        )
    lines.append(f"McNemar {found['mcnemar_p']:.4f} ({found['mcnemar_note']})")
    return [*lines, *found["notes"]]
