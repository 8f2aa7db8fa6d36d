"""`manage.py signin_link`: a link that signs a person in once; the address alone on standard output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from webapp import runstate
from webapp.access import audit
from webapp.access.actors import OPERATOR
from webapp.access.models import User
from webapp.access.tokens import LINK_LIFETIME, make_sign_in_link


class Command(BaseCommand):
    help = "Make a link that signs a person in once, such as the first admin. Example: signin_link --user ana"
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", help="whom it signs in (default: the first admin)")
        parser.add_argument("--base", help="address of the site (default: that of the running site)")

    def handle(self, *args: Any, **options: Any) -> None:
        user = find_person(options["user"])
        secret = make_sign_in_link(actor=OPERATOR, user=user)
        audit.record(actor=OPERATOR, action="make sign-in link", subject=f"user:{user.pk}")
        hours = LINK_LIFETIME.total_seconds() / 3600
        self.stderr.write(f"osprey: signs in {user.username}, once, within {hours:.0f} hours")
        self.stdout.write(f"{(options['base'] or site_address()).rstrip('/')}/sign-in/{secret}/")


def find_person(username: str | None) -> User:
    """The active person of this name, or the first admin of the site."""
    people = User.objects.filter(is_active=True).order_by("pk")
    user = people.filter(username=username).first() if username else people.filter(is_superuser=True).first()
    if user is None:
        known = ", ".join(people.values_list("username", flat=True)[:12])
        missing = f"there is nobody called {username!r}" if username else "there is no admin"
        raise CommandError(f"{missing}. There are: {known or 'no people'}. Make one: ./osprey manage createsuperuser")
    return user


def site_address() -> str:
    """Where the site runs now, else where it would."""
    data = Path(settings.DATA_DIR)
    state = runstate.read(data) if runstate.is_held(data) else None
    return state.url if state else f"http://127.0.0.1:{settings.PORT}"
