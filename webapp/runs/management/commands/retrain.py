"""`./osprey retrain`: train here and now, with the site running or stopped, and say in one JSON object what came of it.

Exit status: 0 a version was published, 3 a gate rejected it, 4 nothing was learned, 1 otherwise.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
import time
from argparse import RawDescriptionHelpFormatter
from io import StringIO
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from training.contract import LEARNED_NOTHING
from webapp import leases
from webapp.access.actors import OPERATOR
from webapp.datasets.freeze import freeze, newest_snapshot
from webapp.datasets.freeze_options import FreezeOptions
from webapp.datasets.models import Snapshot
from webapp.datasets.snapshots import snapshot_named
from webapp.errors import Conflict, Invalid, NotFound, OspreyError
from webapp.projects.find import project_by_slug
from webapp.projects.models import Project
from webapp.runs.again import Again, again, differing, report_on
from webapp.runs.cancel import cancel_run
from webapp.runs.candidates.gate import read_rule, rule_values
from webapp.runs.carry_out import carry_out
from webapp.runs.find import report_of
from webapp.runs.models import Run
from webapp.runs.settings_words import read_settings
from webapp.runs.start import RECIPES, check_choices, start_run
from webapp.versions.exchange import find_version

EXAMPLES = """Examples:
  retrain --project ten-animals
  retrain --project reef --snapshot "Snapshot 3" --recipe fine-tune epochs=10 sampler=square-root
  retrain --project whales --recipe two-stage --model 7
  retrain --project ten-animals --dataset /mnt/season-2
  retrain --project reef --again "Snapshot 3, fine-tune 12"
  retrain --project reef --gate '{"metric": "balanced_accuracy", "must_be": "better"}'"""
LOOK_SECONDS = 0.5
REJECTED, NOTHING, OTHERWISE = 3, 4, 1


class Command(BaseCommand):
    help = "Train on a snapshot and publish a version, which is not in use until somebody activates it."
    requires_system_checks: list[str] = []
    _wanted: Again | None = None

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class, parser.epilog = RawDescriptionHelpFormatter, EXAMPLES
        parser.add_argument("--project", required=True, metavar="SLUG")
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--snapshot", metavar="S", help="name, id or digest; the newest without it, or a new one")
        which.add_argument(
            "--dataset", metavar="S", help="the same; or a folder or table, which is imported and frozen first"
        )
        parser.add_argument("--model", metavar="M", help="the version to start from: id, digest or name")
        parser.add_argument(
            "--recipe", metavar="RECIPE", default="head", help=f"{', '.join(RECIPES)}; default: %(default)s"
        )
        parser.add_argument(
            "--gate", metavar="RULE", help="a JSON file, or the rule itself, that the version has to meet"
        )
        parser.add_argument(
            "--again", metavar="V", help="train this version again: the same snapshot, start, settings and seed"
        )
        parser.add_argument("overrides", nargs="*", metavar="key=value", help="see python -m training train --explain")

    def handle(self, *args: Any, **options: Any) -> None:
        # With the site stopped nobody can be told, and nobody has to be.
        for name in ("webapp.queue", "webapp.events"):
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            run = self._start_again(options) if options["again"] else self._start(options)
        except OspreyError as error:
            self._tell(refused(error))
            raise CommandError(error.what) from error
        run = self._carry_out(run)
        self._tell({**told(run), **self._repeated(run)})
        if run.state != Run.State.DONE:
            self.stderr.write(f"osprey: {run.reason}")
        sys.exit(status_of(run))

    def _start(self, options: dict[str, Any]) -> Run:
        project = project_by_slug(OPERATOR, options["project"])
        settings = read_settings(options["overrides"])
        check_choices(options["recipe"])
        snapshot = self._snapshot(project, options["snapshot"] or options["dataset"], options["dataset"])
        model = find_version(options["model"], project=project) if options["model"] else None
        self.stderr.write(f"osprey: {options['recipe']} on {snapshot.name}")
        return start_run(
            actor=OPERATOR,
            project=project,
            snapshot=snapshot,
            recipe=options["recipe"],
            config=settings,
            model=model,
            gate=read_gate(options["gate"]) if options["gate"] else None,
            here=True,
        )

    def _start_again(self, options: dict[str, Any]) -> Run:
        project = project_by_slug(OPERATOR, options["project"])
        if any(options[name] for name in ("snapshot", "dataset", "model", "overrides")):
            raise Invalid("--again takes snapshot, start and settings from the version: leave the others out.")
        version = find_version(options["again"], project=project)
        self._wanted = again(project, version)
        self.stderr.write(f"osprey: {self._wanted.recipe} on {self._wanted.snapshot.name}, as {version.name} was made")
        return start_run(
            actor=OPERATOR,
            project=project,
            snapshot=self._wanted.snapshot,
            recipe=self._wanted.recipe,
            config=self._wanted.config,
            model=self._wanted.model,
            here=True,
        )

    def _repeated(self, run: Run) -> dict[str, Any]:
        """Whether the report came out the same."""
        if self._wanted is None:
            return {}
        found = differing(self._wanted.report, report_on(run.version, run.snapshot)) if run.version else None
        same = None if found is None else not found
        return {"again": {"same_report": same, "differs": found or []}}

    def _snapshot(self, project: Project, asked: str | None, dataset: str | None = None) -> Snapshot:
        if asked:
            try:
                return snapshot_named(project, asked)
            except NotFound:
                if not dataset or not Path(dataset).exists():
                    raise
            return self._brought_in(project, Path(dataset))
        newest = newest_snapshot(project)
        if newest is not None:
            return newest
        self.stderr.write("osprey: nothing is frozen yet: freezing what is labelled now")
        return freeze(actor=OPERATOR, project=project, options=FreezeOptions())

    def _brought_in(self, project: Project, path: Path) -> Snapshot:
        """What is labelled in the project once a data set of this machine is in it; nothing new is not frozen again."""
        told = StringIO()
        try:
            call_command("import_data", str(path), project=project.slug, json=True, stdout=told, stderr=self.stderr)
        except CommandError as error:
            raise Invalid(f"{path} could not be imported: {error}", code="not-imported") from error
        counts = json.loads(told.getvalue().splitlines()[-1])
        newest = newest_snapshot(project)
        if newest is not None and not counts["added"] and not counts["reviews"]:
            self.stderr.write(f"osprey: everything in {path} was here already")
            return newest
        self.stderr.write(f"osprey: {counts['added']:,} new pictures; freezing what is labelled now")
        return freeze(actor=OPERATOR, project=project, options=FreezeOptions())

    def _carry_out(self, run: Run) -> Run:
        """Until it ended: here, or, where a worker of the site was quicker, there. Ctrl-C cancels it."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        said = ""

        def say(words: str) -> None:
            nonlocal said
            if words != said:
                self.stderr.write(f"osprey: {words}")
            said = words

        try:
            while run.state in leases.UNDER_WAY:
                if carry_out(run.pk, say=say) is None:
                    say("waiting: another run is at work on this machine")
                    time.sleep(LOOK_SECONDS)
                run.refresh_from_db()
        except KeyboardInterrupt:
            try:
                run = cancel_run(actor=OPERATOR, run=run)
            except Conflict:
                run.refresh_from_db()
        return run

    def _tell(self, found: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(found, ensure_ascii=False))


def refused(error: OspreyError) -> dict[str, Any]:
    """What a script reads where no run began: the same keys."""
    nothing = dict.fromkeys(("run", "version", "snapshot", "report", "gate"))
    return {**nothing, "state": "refused", "code": error.code, "reason": error.what}


def told(run: Run) -> dict[str, Any]:
    """What a script reads."""
    made = run.version
    return {
        "run": str(run.uid),
        "state": run.state,
        "code": run.code,
        "reason": run.reason,
        "version": {"id": made.pk, "name": made.name, "digest": made.digest} if made else None,
        "snapshot": {"id": str(run.snapshot.uid), "name": run.snapshot.name, "digest": run.snapshot.digest},
        "report": report_of(run),
        "gate": run.gate or None,
    }


def read_gate(text: str) -> dict[str, Any]:
    """A rule as JSON, or the file that holds one."""
    try:
        given = json.loads(text if text.lstrip().startswith("{") else Path(text).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Invalid(f"--gate {text!r} is neither a rule in JSON nor a file that holds one: {error}.") from error
    return rule_values(read_rule(given))


def status_of(run: Run) -> int:
    if run.state == Run.State.DONE:
        return 0
    if run.state == Run.State.REJECTED:
        return REJECTED
    return NOTHING if run.code == LEARNED_NOTHING else OTHERWISE
