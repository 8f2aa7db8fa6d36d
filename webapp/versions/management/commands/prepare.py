"""`manage.py prepare`: make the data folder ready; words on standard error."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from classifier.errors import ClassifierError
from webapp.errors import OspreyError
from webapp.versions.prepare import is_prepared, prepare, restore_active_files


class Command(BaseCommand):
    help = "Make the data folder ready: database, first admin, first projects with their starter versions."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--quick", action="store_true", help="do nothing, not even check files, if the stamp fits")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if not is_prepared():
                prepare(self._say)
            elif not options["quick"]:
                restore_active_files(self._say)
        except (OspreyError, ClassifierError) as error:
            raise CommandError(str(error)) from error

    def _say(self, line: str) -> None:
        self.stderr.write(f"osprey: {line}")
