"""`./osprey activate`: let a version answer from now on, try it beside what answers, or go back.

Workers change over without a restart, whether this runs beside them or not.
"""

from __future__ import annotations

import json
import logging
from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from webapp.access.actors import OPERATOR
from webapp.errors import Invalid, OspreyError
from webapp.predictions.beside import start_beside, stop_beside
from webapp.projects.find import project_by_slug
from webapp.projects.models import Project
from webapp.runs.candidates.put_in_use import put_in_use
from webapp.versions.activate import active_pipeline, roll_back
from webapp.versions.exchange import find_version
from webapp.versions.models import Activation

EXAMPLES = """Examples:
  activate 12 --project reef --note "better on both test parts"
  activate "June, head 5" --project reef --beside
  activate --back --project reef"""


class Command(BaseCommand):
    help = "Let a version answer in a project from now on; with --beside try it, with --back undo the newest step."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class, parser.epilog = RawDescriptionHelpFormatter, EXAMPLES
        parser.add_argument("version", nargs="?", default="", metavar="V", help="id, digest or name")
        parser.add_argument("--project", required=True, metavar="SLUG")
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--beside", action="store_true", help="ask it too, and keep the answers of what is in use")
        how.add_argument("--end-beside", action="store_true", help="end what is tried beside")
        how.add_argument("--back", action="store_true", help="what answered before answers again")
        parser.add_argument("--note", default="", metavar="TEXT", help="why; it stands in the time line")
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        for name in ("webapp.queue", "webapp.events"):
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            project = project_by_slug(OPERATOR, options["project"])
            _act(project, options)
        except OspreyError as error:
            raise CommandError(error.what) from error
        live, also = _in(project, Activation.Slot.LIVE), _in(project, Activation.Slot.ALSO)
        if options["json"]:
            told = {"project": project.slug, "in_use": live, "beside": also}
            self.stdout.write(json.dumps(told, ensure_ascii=False))
            return
        for found, does in ((live, "answers"), (also, "is tried beside")):
            if found is not None:
                self.stdout.write(f"{found['name']} {does} in {project.slug}")


def _act(project: Project, options: dict[str, Any]) -> None:
    wants_version = not (options["back"] or options["end_beside"])
    if wants_version != bool(options["version"]):
        raise Invalid("Name the version to activate." if wants_version else "--back and --end-beside take no version.")
    if options["back"]:
        roll_back(actor=OPERATOR, project=project, note=options["note"])
    elif options["end_beside"]:
        stop_beside(actor=OPERATOR, project=project)
    else:
        act = start_beside if options["beside"] else put_in_use
        version = find_version(options["version"], project=project)
        act(actor=OPERATOR, project=project, version=version, note=options["note"])


def _in(project: Project, slot: str) -> dict[str, Any] | None:
    pipeline = active_pipeline(project, slot)
    speaker = (pipeline.classifier or pipeline.detector or pipeline.identifier) if pipeline is not None else None
    if pipeline is None or speaker is None:
        return None
    return {"id": speaker.pk, "name": speaker.name, "digest": speaker.digest, "pipeline": pipeline.digest}
