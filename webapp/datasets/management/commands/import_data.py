"""`./osprey import`: bring pictures and labels in from a folder or file of this machine.

The work is done here, in this process, whether the site runs or not; killed half-way, the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from webapp import leases
from webapp.access.actors import OPERATOR
from webapp.datasets import forecasting, import_job, import_lease, import_report, importing, in_place, watch, withdraw
from webapp.datasets.formats.opening import READERS
from webapp.datasets.import_told import SHOWN, forecast_lines, list_lines, plain_lines, result_lines
from webapp.datasets.models import Import, JobState
from webapp.errors import NotFound, OspreyError
from webapp.images.models import Upload
from webapp.projects.create import create_project
from webapp.projects.find import project_by_slug
from webapp.projects.models import Project
from webapp.projects.names import fold, key_from

LOOK_SECONDS = 1.0

Lines = Callable[[Mapping[str, Any]], Iterable[str]]


class Command(BaseCommand):
    help = "Import pictures and labels. Example: import animals/ --project ten-animals"
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", nargs="?", type=Path, help="a folder, table, JSON, .yaml or .data file")
        parser.add_argument("--project", help="its short name or name; made when there is none of that name")
        parser.add_argument("--format", default="", choices=["", *READERS], help="default: found out")
        parser.add_argument("--dry-run", action="store_true", help="say what would come in, and write nothing")
        parser.add_argument(
            "--in-place", action="store_true", help="leave originals where they are; only thumbnails are made"
        )
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="COLUMN=MEANING",
            type=_pair,
            help="what a column of a table means, such as Species=label; give all that are to be read",
        )
        parser.add_argument(
            "--option",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            type=_pair,
            help=f"of the format's reader: {', '.join(importing.OPTIONS)}",
        )
        parser.add_argument("--source", default="", help="where the data is from, in your words")
        parser.add_argument("--licence", default="", help="under which licence it may be used")
        parser.add_argument("--untrusted", action="store_true", help="versions may not be tested on its labels")
        parser.add_argument("--watch", action="store_true", help="take in each new file of the folder, until Ctrl-C")
        parser.add_argument(
            "--quiet", type=float, default=watch.QUIET_SECONDS, metavar="SECONDS",
            help="a watched file is taken once it has not changed for so long (default: %(default)s)",
        )  # fmt: skip
        parser.add_argument("--list", action="store_true", help="the imports of a project")
        parser.add_argument("--report", metavar="UID", help="every file of an import with what became of it, as CSV")
        parser.add_argument("--withdraw", metavar="UID", help="take back an import, or any upload, as a whole")
        parser.add_argument("--bring-back", metavar="UID", help="undo a withdrawal")
        parser.add_argument("--trust", metavar="UID", help="versions may be tested on the labels of that import")
        parser.add_argument("--distrust", metavar="UID", help="versions may no longer be tested on its labels")
        parser.add_argument("--check", action="store_true", help="read all originals that lie in place, and compare")
        parser.add_argument(
            "--find-again", action="store_true", help="look under PATH for originals that are no longer in their place"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._act(options)
        except OspreyError as error:
            raise CommandError(error.what) from error

    def _act(self, asked: dict[str, Any]) -> None:
        if asked["withdraw"] or asked["bring_back"]:
            self._say(asked, _move(asked))
        elif asked["report"]:
            for text in import_report.report(importing.import_by_uid(OPERATOR, asked["report"])):
                self.stdout.write(text, ending="")
        elif asked["trust"] or asked["distrust"]:
            row = importing.import_by_uid(OPERATOR, asked["trust"] or asked["distrust"])
            row = importing.describe_import(actor=OPERATOR, row=row, trusted=bool(asked["trust"]))
            self._say(asked, importing.as_result(row), result_lines)
        elif not asked["project"]:
            raise CommandError("--project is needed: its short name, or a name for a new one")
        elif asked["list"]:
            project = _project(asked["project"])
            self._say(
                asked, {"imports": [importing.as_listed(row) for row in importing.imports_of(project)]}, list_lines
            )
        elif asked["check"]:
            with _Bar("originals") as bar:
                found = in_place.check_originals(actor=OPERATOR, project=_project(asked["project"]), progress=bar)
            self._say(asked, vars(found))
        elif asked["path"] is None:
            raise CommandError("PATH is needed: a folder or file to import")
        elif asked["find_again"]:
            project = _project(asked["project"])
            with _Bar("found") as bar:
                again = in_place.find_again(actor=OPERATOR, project=project, root=asked["path"], progress=bar)
            self._say(asked, vars(again))
        elif asked["dry_run"]:
            self._say(asked, _forecast(asked, _known_project(asked["project"])), forecast_lines)
        else:
            self._import(asked)

    def _import(self, asked: dict[str, Any]) -> None:
        path = asked["path"].expanduser().resolve()
        if not path.exists():
            raise NotFound(f"There is no file or folder {asked['path']}: look at the spelling, or mount its disk.")
        project = _known_project(asked["project"])
        self.stderr.write(f"osprey: looking at {path}")
        looked = {} if asked["watch"] else _forecast(asked, project)
        if looked.get("needs_mapping"):
            raise CommandError(f"{looked['reason']} Say which column means what with --map COLUMN=MEANING.")
        if project is None:
            project = _new_project(asked["project"])
            self.stderr.write(f"osprey: made the project {project.name} ({project.slug})")
        row = importing.start_import(
            actor=OPERATOR,
            project=project,
            root=path,
            format=asked["format"] or looked.get("format", ""),
            mapping=dict(asked["map"]),
            options=dict(asked["option"]),
            in_place=asked["in_place"],
            source=asked["source"],
            licence=asked["licence"],
            trusted=not asked["untrusted"],
            kind=Upload.Kind.WATCH if asked["watch"] else Upload.Kind.IMPORT,
            quiet_seconds=asked["quiet"],
            forecast=looked,
            here=True,
        )
        try:
            row = self._watch(row) if asked["watch"] else _work_off(row)
        except KeyboardInterrupt:
            row = importing.stop_import(actor=OPERATOR, row=row)
            self.stderr.write("osprey: stopped; the same command goes on where this one ended")
        lost = import_report.not_taken(row, SHOWN)
        self._say(asked, importing.as_result(row), lambda found: result_lines(found, lost))
        if row.state == JobState.FAILED:
            raise CommandError(row.reason)

    def _watch(self, row: Import) -> Import:
        """Look until somebody stops it; each look leases, so that the site's own worker may take turns."""
        self.stderr.write(f"osprey: watching {row.root}; Ctrl-C ends it")
        told, why = -1, ""
        while row.state in leases.UNDER_WAY:
            held = import_lease.lease(row.pk, among=watch.to_look_at())
            if held is not None:
                import_job.run(held)
            row.refresh_from_db()
            if row.counts.get("files", 0) != told:
                told = row.counts.get("files", 0)
                self.stderr.write(f"osprey: {told} files so far")
            if row.reason and row.reason != why:
                self.stderr.write(f"osprey: {row.reason} It is looked at again.")
            why = row.reason
            time.sleep(LOOK_SECONDS)
        return row

    def _say(self, asked: dict[str, Any], found: dict[str, Any], lines: Lines = plain_lines) -> None:
        if asked["json"]:
            self.stdout.write(json.dumps(found, ensure_ascii=False, default=str))
        else:
            self.stdout.write("\n".join(lines(found)))


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name, value


def _project(asked: str) -> Project:
    """One that is there; the error lists those that are."""
    return _known_project(asked) or project_by_slug(OPERATOR, asked)


def _known_project(asked: str) -> Project | None:
    """By its short name, else by its name."""
    live = Project.objects.filter(archived_at=None)
    found = live.filter(slug=asked).first()
    if found is None:
        named = [project for project in live.order_by("pk") if fold(project.name) == fold(asked)]
        found = named[0] if named else live.filter(slug=key_from(asked, ())).first()
    return found


def _new_project(asked: str) -> Project:
    return create_project(actor=OPERATOR, name=asked)


def _forecast(asked: dict[str, Any], project: Project | None) -> dict[str, Any]:
    return forecasting.forecast(
        project=project,
        root=asked["path"].expanduser().resolve(),
        format=asked["format"],
        mapping=dict(asked["map"]),
        options=dict(asked["option"]),
        in_place=asked["in_place"],
    )


def _move(asked: dict[str, Any]) -> dict[str, Any]:
    uid = asked["withdraw"] or asked["bring_back"]
    row = Import.objects.filter(uid=uid).select_related("upload").first() if _is_uid(uid) else None
    upload = row.upload if row is not None else Upload.objects.filter(uid=uid).first() if _is_uid(uid) else None
    if upload is None:
        raise NotFound(f"There is no import or upload {uid}: ./osprey import --list --project P lists them.")
    act = withdraw.withdraw_upload if asked["withdraw"] else withdraw.bring_back
    upload = act(actor=OPERATOR, upload=upload)
    return {"upload": str(upload.uid), "state": upload.state, "images": withdraw.move(upload.pk)}


def _is_uid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _work_off(row: Import) -> Import:
    """Do the work here, or, where another process is at it already, follow it to its end."""
    leases.take_from_the_dead(row)
    with _Bar("files", total=int(row.forecast.get("files", 0))) as bar:
        while row.state in leases.UNDER_WAY:
            held = import_lease.lease(row.pk)
            if held is not None:
                import_job.run(held, progress=bar)
            else:
                time.sleep(LOOK_SECONDS)
            row.refresh_from_db()
            bar(row.cursor, int(row.forecast.get("files", 0)))
    return row


class _Bar:
    """Progress on standard error, as a callable of (done, total)."""

    def __init__(self, unit: str, total: int = 0) -> None:
        self._unit, self._total = unit, total

    def __enter__(self) -> Callable[[int, int], None]:
        self._line = tqdm(unit=f" {self._unit}", total=self._total or None, dynamic_ncols=True)
        return self._show

    def __exit__(self, *raised: object) -> None:
        self._line.close()

    def _show(self, done: int, total: int) -> None:
        if total and self._line.total != total:
            self._line.total = total
        self._line.update(done - self._line.n)
