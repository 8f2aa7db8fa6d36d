"""One pass over a project's data, as an io worker starts it; people use `./osprey health`."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from webapp.projects.models import Project
from webapp.reviews import analysis


class Command(BaseCommand):
    help = "Do the analysis of a project that waits. Example: analyse 3"
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", type=int, help="the project's id")

    def handle(self, *args: Any, **options: Any) -> None:
        os.nice(10)
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
        analysis.run(Project.objects.get(pk=options["project"]), add_one=False)


def _end_with(parent: int) -> None:
    """The worker that started this may be ended without a word."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)
