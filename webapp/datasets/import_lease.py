"""Which imports nobody is at work on, and how one is taken; the lease itself is that of `webapp.leases`."""

from __future__ import annotations

from django.db.models import QuerySet

from webapp import leases
from webapp.datasets.models import Import, JobState
from webapp.images.models import Upload


def to_do() -> QuerySet[Import]:
    """Imports that nobody is at work on; a watched folder is looked at by the clock instead."""
    return leases.free(Import.objects.exclude(upload__kind=Upload.Kind.WATCH))


def lease(import_id: int, *, among: QuerySet[Import] | None = None) -> Import | None:
    """Take an import, or None when it is not to be had. One that ended three workers fails."""
    if not leases.take(to_do() if among is None else among, import_id, reason=""):
        return None
    row = Import.objects.select_related("upload__project", "upload__created_by", "project", "pipeline").get(
        pk=import_id
    )
    if leases.is_worn_out(row):
        leases.end(
            row,
            JobState.FAILED,
            reason="It ended its worker three times at the same place. Look at the last file of its report, take that "
            "file away, and go on.",
        )
        return None
    return row
