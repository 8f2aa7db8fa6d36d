"""`./osprey export`: a project, a selection or a snapshot, written into a folder or a zip."""

from __future__ import annotations

import json
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from webapp.access.actors import OPERATOR
from webapp.datasets import selection as selecting
from webapp.datasets.export_records import WHOSE
from webapp.datasets.exporting import FORMATS, Asked, left_out_rows, write_export
from webapp.datasets.formats.job import Written
from webapp.datasets.formats.output import FolderOutput, OutputError, ZipOutput
from webapp.datasets.models import Snapshot
from webapp.datasets.snapshots import snapshot_named
from webapp.errors import NotFound, OspreyError
from webapp.projects.find import project_by_slug, visible_projects

EXAMPLES = """Examples:
  export out/ --project ten-animals --format imagefolder
  export season.zip --project serengeti --format camtrapdp --filter site=5c6f0f54-6f0c-4a64-9d0e-6a1f7f0e8a11
  export frozen/ --snapshot v3 --project ten-animals --format yolo
  export labels/ --project fish --format csv --no-images --json"""


class Command(BaseCommand):
    help = "Write images, labels, boxes and answers in a format that other tools read."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class, parser.epilog = RawDescriptionHelpFormatter, EXAMPLES
        parser.add_argument("out", type=Path, metavar="OUT", help="a folder that does not exist yet, or a file.zip")
        parser.add_argument("--project", default="", metavar="SLUG")
        parser.add_argument(
            "--snapshot",
            default="",
            metavar="NAME",
            help="as it was frozen: name, uid or digest; with or without --project",
        )
        parser.add_argument("--format", required=True, choices=FORMATS)
        parser.add_argument("--whose", default="verified", choices=WHOSE, help="whose labels (default: verified)")
        parser.add_argument("--no-images", action="store_true", help="entries only, without the pictures")
        parser.add_argument(
            "--filter", action="append", default=[], metavar="NAME=VALUE", help="as in the address of the grid"
        )
        parser.add_argument(
            "--option", action="append", default=[], metavar="NAME=VALUE", help="what the format knows, as style=whales"
        )
        parser.add_argument("--json", action="store_true", help="one line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            written = self._write(options)
        except (OspreyError, OutputError, OSError) as error:
            raise CommandError(getattr(error, "what", None) or str(error)) from error
        left_out = left_out_rows(written)
        if options["json"]:
            self.stdout.write(json.dumps({"out": str(options["out"]), **written.counts, "left_out": left_out}))
            return
        counted = ", ".join(f"{count:,} {name}" for name, count in written.counts.items()) or "nothing"
        self.stdout.write(f"{options['out']}: {counted}")
        for row in left_out:
            first = f" First: {', '.join(row['examples'][:3])}" if row["examples"] else ""
            self.stderr.write(f"{row['count']:,} left out: {row['reason']}{first}")

    def _write(self, options: dict[str, Any]) -> Written:
        asked = _asked(options)
        out: Path = options["out"]
        with tqdm(total=asked.total, unit="image", disable=None) as bar:

            def progress(done: int, total: int) -> None:
                bar.update(done - bar.n)

            if out.suffix.lower() != ".zip":
                with FolderOutput(out) as folder:
                    return write_export(actor=OPERATOR, asked=asked, out=folder, progress=progress)
            beside = out.with_name(f".{out.name}.part")
            try:
                with beside.open("wb") as file, ZipOutput(file) as packed:
                    written = write_export(actor=OPERATOR, asked=asked, out=packed, progress=progress)
                beside.replace(out)
            finally:
                beside.unlink(missing_ok=True)
            return written


def _asked(options: dict[str, Any]) -> Asked:
    snapshot = None
    if options["project"]:
        project = project_by_slug(OPERATOR, options["project"])
        snapshot = snapshot_named(project, options["snapshot"]) if options["snapshot"] else None
    elif options["snapshot"]:
        snapshot = _of_any_project(options["snapshot"])
        project = snapshot.project
    else:
        raise CommandError("Say what to export: --project SLUG, --snapshot NAME, or both.")
    more: dict[str, Any] = _pairs(options["option"])
    if options["no_images"]:
        more["with_images"] = False
    selection = selecting.read(_pairs(options["filter"]))
    return Asked(project, options["format"], selection, snapshot, options["whose"], more)


def _of_any_project(text: str) -> Snapshot:
    found = []
    for project in visible_projects(OPERATOR).filter(snapshots__isnull=False).distinct():
        with suppress(NotFound):
            found.append(snapshot_named(project, text))
    if len(found) != 1:
        said = ", ".join(f"{one.name} of {one.project.slug}" for one in found) or "none"
        raise CommandError(f"{text!r} should name one snapshot; it names {said}. Say its --project.")
    return found[0]


def _pairs(words: Sequence[str]) -> dict[str, str]:
    pairs = dict(word.partition("=")[::2] for word in words)
    wrong = next((word for word in words if "=" not in word), None)
    if wrong is not None:
        raise CommandError(f"{wrong!r} is not NAME=VALUE.")
    return pairs
