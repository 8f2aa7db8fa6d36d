"""`./osprey token`: make an API token; the secret alone on standard output, words on standard error."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from webapp.access.actors import OPERATOR
from webapp.access.management.commands.signin_link import find_person
from webapp.access.table import Scope
from webapp.access.tokens import issue_token
from webapp.errors import OspreyError
from webapp.projects.find import project_by_slug


class Command(BaseCommand):
    help = "Make an API token. Example: token --scope upload --name boat-7 --project fish --days 90"
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        scopes = [scope.value for scope in Scope]
        parser.add_argument(
            "--scope", action="append", required=True, choices=scopes, help="what it may do; each includes those before"
        )
        parser.add_argument("--name", default="", help="what it is for (default: command line)")
        parser.add_argument("--user", help="whose it is (default: the first admin)")
        parser.add_argument(
            "--project", help="the only project it opens, by its short name (default: all of its owner)"
        )
        parser.add_argument("--days", type=int, help="until it expires (default: never)")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["days"] is not None and not 0 < options["days"] <= 36_500:
            raise CommandError("--days is a number of days from 1 to 36500")
        user = find_person(options["user"])
        expires_at = timezone.now() + timedelta(days=options["days"]) if options["days"] else None
        try:
            project = project_by_slug(OPERATOR, options["project"]) if options["project"] else None
            token, secret = issue_token(
                actor=OPERATOR,
                user=user,
                name=options["name"] or "command line",
                scopes=options["scope"],
                project_id=project.pk if project else None,
                expires_at=expires_at,
            )
        except OspreyError as error:
            raise CommandError(str(error)) from error
        until = f"until {expires_at:%Y-%m-%d}" if expires_at else "without end"
        where = f"in {project.slug}" if project else "in every project"
        self.stderr.write(
            f"osprey: token {token.name!r} of {user.username}: {', '.join(token.scopes)} {where}, {until}. "
            "It is shown this once:"
        )
        self.stdout.write(secret)
