"""Writes the log of acts."""

from __future__ import annotations

from typing import Any

from webapp.access.actors import Actor
from webapp.access.models import AuditEvent


def record(*, actor: Actor, action: str, project_id: int | None = None, subject: str = "", **detail: Any) -> AuditEvent:
    """Add one event, in the caller's transaction, so that act and event stand or fall together."""
    return AuditEvent.objects.create(
        user=actor.user,
        via=actor.via.value,
        token_prefix=actor.token.prefix if actor.token else "",
        action=action,
        project_id=project_id,
        subject=subject,
        detail=detail,
    )
