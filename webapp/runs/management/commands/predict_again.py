"""`./osprey predict-again`: ask a pipeline about every image of a project that it has not answered, here and now.

Safe beside running workers and without any. Ctrl-C stops it: what is answered by then stays.
"""

from __future__ import annotations

import json
import logging
import signal
from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from webapp.access.actors import OPERATOR
from webapp.errors import Conflict, OspreyError
from webapp.predictions.finish import Stuck, finish_background
from webapp.projects.find import project_by_slug
from webapp.runs.backfills import queue_up as queuing
from webapp.runs.backfills.ask import predict_again, progress_of, stop_backfill, words_of
from webapp.runs.models import Backfill
from webapp.versions.exchange import find_version

EXAMPLES = """Examples:
  predict_again --project ten-animals
  predict_again --project reef --model 7"""


class Command(BaseCommand):
    help = (
        "Have the version in use answer for images that another one answered; verdicts stay. With --model another "
        "version says beside what it would answer."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class, parser.epilog = RawDescriptionHelpFormatter, EXAMPLES
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument("--model", metavar="M", help="another version: id, digest or name")
        parser.add_argument("--json", action="store_true", help="one JSON object on the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        for name in ("webapp.queue", "webapp.events"):
            logging.getLogger(name).setLevel(logging.ERROR)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            project = project_by_slug(OPERATOR, options["project"])
            model = find_version(options["model"], project=project) if options["model"] else None
            row = predict_again(actor=OPERATOR, project=project, version=model)
        except OspreyError as error:
            raise CommandError(error.what) from error
        row = self._carry_out(row)
        told = progress_of(row)
        if options["json"]:
            self.stdout.write(json.dumps(words_of(row), default=str, ensure_ascii=False))
            return
        self.stdout.write(f"{told.done:,} of {told.asked:,} images answered again; {told.failed:,} failed")

    def _carry_out(self, row: Backfill) -> Backfill:
        try:
            queuing.queue_up(row.pk)
            finish_background(project=row.project, progress=self._say)
        except KeyboardInterrupt:
            try:
                stop_backfill(actor=OPERATOR, backfill=row)
            except Conflict:
                self.stderr.write("osprey: it had ended already")
        except Stuck as error:
            raise CommandError(f"{error} The questions stay queued.") from error
        queuing.look()
        row.refresh_from_db()
        return row

    def _say(self, done: int, of: int) -> None:
        self.stderr.write(f"\rosprey: {done:,} of {of:,} ", ending="")
        self.stderr.flush()
