"""`./osprey rebuild-state`: derive every image's current state and all counts anew; the site may go on working."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from webapp.access import audit
from webapp.access.actors import OPERATOR
from webapp.errors import OspreyError
from webapp.projects.find import project_by_slug
from webapp.projects.labels import refresh_search
from webapp.projects.models import Label, Project
from webapp.reviews.rebuild import rebuild_states


class Command(BaseCommand):
    help = "Derive the state of every image, and all counts, anew. Example: rebuild_state --project animals"
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", help="only this one, by its short name (default: all)")
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        project: Project | None = None
        if options["project"]:
            try:
                project = project_by_slug(OPERATOR, options["project"])
            except OspreyError as error:
                raise CommandError(str(error)) from error
        started = time.monotonic()
        labels = Label.objects.filter(project=project) if project else Label.objects.all()
        names = sum(refresh_search(label) for label in labels.iterator())
        rebuilt = rebuild_states(project)
        found = {**asdict(rebuilt), "labels": names}
        audit.record(actor=OPERATOR, action="rebuild state", project_id=project.pk if project else None, **found)
        if options["json"]:
            self.stdout.write(json.dumps(found))
            return
        self.stdout.write(
            f"{rebuilt.images} images looked at in {time.monotonic() - started:.1f} s; put right: "
            f"{rebuilt.states} states, {rebuilt.counts} counts, {names} labels' names"
        )
