"""Note that a version's folder is damaged, or whole again, where people and health can see it."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from webapp.access import audit
from webapp.access.actors import SYSTEM, Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.versions.models import Version


@transaction.atomic
def mark_broken(*, version: Version, reason: str, actor: Actor = SYSTEM) -> None:
    """Say why a version cannot be loaded; every row of the same folder is as broken as this one."""
    require(actor, Action.ADD_VERSION, version.project)
    twins = Version.objects.filter(digest=version.digest, broken_at=None)
    if twins.update(broken_at=timezone.now(), broken_reason=reason):
        _record(actor, "version broken", version, reason=reason)
    version.refresh_from_db(fields=["broken_at", "broken_reason"])


@transaction.atomic
def mark_whole(*, version: Version, actor: Actor = SYSTEM) -> None:
    """A folder that was broken is as it should be again."""
    require(actor, Action.ADD_VERSION, version.project)
    twins = Version.objects.filter(digest=version.digest, broken_at__isnull=False)
    if twins.update(broken_at=None, broken_reason=""):
        _record(actor, "version whole again", version)
    version.refresh_from_db(fields=["broken_at", "broken_reason"])


def _record(actor: Actor, action: str, version: Version, **detail: str) -> None:
    audit.record(
        actor=actor,
        action=action,
        project_id=version.project_id,
        subject=f"version:{version.pk}",
        digest=version.digest,
        **detail,
    )
