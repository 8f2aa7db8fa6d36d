"""`./osprey evaluate`: how well a version does on a part of a snapshot, by the engine that serves, here and now."""

from __future__ import annotations

import json
import logging
from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from training.contract import PARTS, TEST
from webapp.access.actors import OPERATOR
from webapp.datasets.freeze import newest_snapshot
from webapp.datasets.snapshots import snapshot_named
from webapp.errors import Invalid, OspreyError
from webapp.projects.find import project_by_slug
from webapp.runs.comparing.evaluate import start_evaluation
from webapp.runs.comparing.here import chosen_version, evaluated_here
from webapp.runs.models import Evaluation

EXAMPLES = """Examples:
  evaluate active --project ten-animals
  evaluate 7 --project reef --snapshot "Snapshot 3" --json"""


class Command(BaseCommand):
    help = "Evaluate a version on a part of a snapshot; what was evaluated before is answered at once."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class, parser.epilog = RawDescriptionHelpFormatter, EXAMPLES
        parser.add_argument("model", metavar="VERSION", help="id, name, digest, or `active`: what answers now")
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument("--snapshot", metavar="S", help="name, id or digest; the newest without it")
        parser.add_argument("--part", choices=PARTS, default=TEST, help="default: %(default)s")
        parser.add_argument("--json", action="store_true", help="one JSON object with the whole report")

    def handle(self, *args: Any, **options: Any) -> None:
        for name in ("webapp.queue", "webapp.events"):
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            row = evaluated_here(self._start(options), self._say)
        except OspreyError as error:
            raise CommandError(error.what) from error
        if options["json"]:
            self.stdout.write(json.dumps(told(row), ensure_ascii=False))
        elif row.state == Evaluation.State.DONE:
            self.stdout.write("\n".join(in_words(row)))
        if row.state != Evaluation.State.DONE:
            raise CommandError(row.reason or f"It is {row.get_state_display()}.")

    def _start(self, options: dict[str, Any]) -> Evaluation:
        project = project_by_slug(OPERATOR, options["project"])
        asked = options["snapshot"]
        snapshot = snapshot_named(project, asked) if asked else newest_snapshot(project)
        if snapshot is None:
            raise Invalid(f"Nothing is frozen yet: ./osprey freeze --project {project.slug}", code="no-snapshot")
        version = chosen_version(options["model"], project)
        return start_evaluation(actor=OPERATOR, version=version, snapshot=snapshot, part=options["part"], here=True)

    def _say(self, words: str) -> None:
        self.stderr.write(f"osprey: {words}")


def told(row: Evaluation) -> dict[str, Any]:
    """What a script reads."""
    return {
        "evaluation": row.pk,
        "state": row.state,
        "code": row.code,
        "reason": row.reason,
        "version": {"id": row.version_id, "name": row.version.name, "digest": row.version.digest},
        "snapshot": {"id": str(row.snapshot.uid), "name": row.snapshot.name, "digest": row.snapshot.digest},
        "part": row.part,
        "seen": row.seen,
        "report": row.report or None,
    }


def in_words(row: Evaluation) -> list[str]:
    """The main figures, one a line."""
    report = row.report
    lines = [
        f"{row.version} on {report['images']:,} {row.part} images in {report['groups']:,} groups of {row.snapshot}"
    ]
    for name, one in report["metrics"].items():
        span = one["interval"]
        words = f"{span[0]:.4f} to {span[1]:.4f}" if span else "too few groups for an interval"
        lines.append(f"{name:<20}{one['value']:9.4f}   {words}")
    return [*lines, *report.get("notes", ())]
