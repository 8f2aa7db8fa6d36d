"""Wakes imports that were forgotten, looks at watched folders, and at what was sent and waits for an answer."""

from __future__ import annotations

from webapp import leases, queue
from webapp.datasets import forecasting, import_job, import_lease, sent_source, watch, withdraw
from webapp.datasets.importing import ASKS
from webapp.datasets.models import Import, JobState
from webapp.errors import OspreyError


def sweep() -> int:
    """Messages may be lost, rows are not: send again for what still waits. Returns how many were woken."""
    waiting = list(import_lease.to_do().values_list("pk", flat=True)[:100])
    watched = list(watch.to_look_at().values_list("pk", flat=True)[:100])
    moving = list(withdraw.unfinished())
    for name, ids in ((import_job.TASK, waiting), (watch.TASK, watched), (withdraw.TASK, moving)):
        for pk in ids:
            queue.send(name, pk, queue="io")
    sent_source.remove_orphans()
    return len(waiting) + len(watched) + len(moving)


def look_or_run(import_id: int) -> bool:
    """A worker's turn: one that asks gets its forecast and then waits for a person; any other is worked on."""
    row = import_lease.lease(import_id)
    if row is None:
        return False
    if ASKS not in row.options:
        return import_job.run(row, seconds=import_job.SLICE_SECONDS)
    try:
        root = sent_source.ready(row, lambda: leases.renew(row))
        found = forecasting.forecast(project=row.project, root=root, format=row.format, mapping=row.mapping)
        row.format = found["format"]
        leases.end(row, JobState.STOPPED, forecast=sent_source.with_refused(row, found), format=row.format)
    except OspreyError as error:
        leases.end(row, JobState.FAILED, reason=sent_source.said(row, error.what))
    Import.objects.filter(pk=row.pk).update(done_at=None)
    return False
