"""Imports as people meet them: looked at beforehand, started, stopped, gone on with. `import_job` does the work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from webapp import leases, queue
from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import allowed, require
from webapp.access.table import Action
from webapp.datasets import roots, sent_source, watch
from webapp.datasets.formats_known import check_format, format_of
from webapp.datasets.import_job import TASK
from webapp.datasets.models import Import, JobState
from webapp.errors import Conflict, Forbidden, Invalid, NotFound
from webapp.images.keep import ReceivedFile
from webapp.images.models import Upload
from webapp.projects.models import Project

OPTIONS = ("images", "label", "encoding", "delimiter", "folders")
"""Options of the readers that a person may set."""
ASKS = "asks"
"""Option of an import that waits for a person to look at its forecast."""
TRUSTED = "trusted"
"""Option of an upload: False when versions may not be tested on the labels that it brought."""
NAME_LENGTH = 200


def start_import(
    *,
    actor: Actor,
    project: Project,
    root: Path,
    format: str = "",
    mapping: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    in_place: bool = False,
    source: str = "",
    licence: str = "",
    trusted: bool = True,
    kind: Upload.Kind = Upload.Kind.IMPORT,
    quiet_seconds: float = watch.QUIET_SECONDS,
    forecast: Mapping[str, Any] | None = None,
    here: bool = False,
) -> Import:
    """Import a folder or file of this machine. One of the same source that is not done yet goes on instead.

    With `here` no worker is sent for: the caller takes the lease and does the work.
    """
    require(actor, Action.IMPORT, project)
    real = roots.check_folder(actor, project, root)
    reader_options = check_options(actor, real, options or {})
    format = watch.FOLDER if kind == Upload.Kind.WATCH and not format else format_of(real, format)
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)
        row = unfinished(project, real, format, mapping or {}, in_place)
        if row is None:
            row = _add(
                actor,
                project,
                upload={"kind": kind, "name": real.name[:NAME_LENGTH], **_facts(source, licence, trusted)},
                root=str(real),
                format=format,
                in_place=in_place,
                mapping=dict(mapping or {}),
                options=_kept(reader_options, kind, in_place, real, quiet_seconds),
                forecast=dict(forecast or {}),
            )
        else:
            if not trusted:
                _describe(row.upload, trusted=False)
            if row.state in (JobState.STOPPED, JobState.FAILED):
                _set_going(row)
        if not here:
            queue.send(watch.TASK if kind == Upload.Kind.WATCH else TASK, row.pk, queue="io")
    return row


def receive_import(
    *,
    actor: Actor,
    project: Project,
    received: ReceivedFile,
    name: str,
    format: str = "",
    source: str = "",
    licence: str = "",
    trusted: bool = True,
    asks: bool = False,
) -> Import:
    """An import of a zip, a table or a JSON file that was sent. With `asks` it is looked at first, and then waits."""
    require(actor, Action.IMPORT, project)
    check_format(format)
    uid = uuid4()
    kept = sent_source.keep_sent(str(uid), received, name)
    with transaction.atomic():
        row = _add(
            actor,
            project,
            upload={
                "kind": Upload.Kind.IMPORT,
                "name": kept.removesuffix(".zip")[:NAME_LENGTH],
                **_facts(source, licence, trusted),
            },
            uid=uid,
            root=f"sent:{received.sha256}",
            format=format,
            options={sent_source.SENT: kept, **({ASKS: True} if asks else {})},
        )
        queue.send(TASK, row.pk, queue="io")
    return row


def _facts(source: str, licence: str, trusted: bool) -> dict[str, Any]:
    return {"source": source[:500], "licence": licence[:200], "options": {} if trusted else {TRUSTED: False}}


def _kept(options: Mapping[str, str], kind: str, in_place: bool, real: Path, quiet_seconds: float) -> dict[str, Any]:
    kept: dict[str, Any] = {"source": dict(options)} if options else {}
    if kind == Upload.Kind.WATCH:
        kept[watch.QUIET] = quiet_seconds
    if in_place:
        kept["roots"] = [str(root) for root in roots.allowed_roots()] or [str(real)]
    return kept


def _add(actor: Actor, project: Project, *, upload: Mapping[str, Any], **columns: Any) -> Import:
    made = Upload.objects.create(
        project=project,
        created_by=actor.user,
        state=Upload.State.WORKING,
        format=columns["format"],
        **upload,
    )
    row = Import.objects.create(project=project, upload=made, **columns)
    audit.record(
        actor=actor,
        action="start import",
        project_id=project.pk,
        subject=f"import:{row.uid}",
        root=row.root,
        format=row.format,
        in_place=row.in_place,
    )
    return row


def unfinished(project: Project, root: Path, format: str, mapping: Mapping[str, str], in_place: bool) -> Import | None:
    """An import of the very same source that still has something to do."""
    rows = Import.objects.filter(project=project, root=str(root), format=format, in_place=in_place).exclude(
        state=JobState.DONE
    )
    same = (row for row in rows.select_related("upload", "project").order_by("-pk") if row.mapping == dict(mapping))
    return next((row for row in same if row.upload.state != Upload.State.WITHDRAWN), None)


def check_options(actor: Actor, root: Path, options: Mapping[str, str]) -> dict[str, str]:
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise Invalid(f"{unknown[0]!r} is no option of an import; there are {', '.join(OPTIONS)}.")
    images = options.get("images", "")
    if Path(images).is_absolute() or ".." in Path(images).parts:
        folder = (root if root.is_dir() else root.parent) / images
        if not actor.is_trusted and not roots.is_under(folder, roots.allowed_roots()):
            raise Forbidden(f"{images} is not under a folder that may be read.", code="outside-import-roots")
    return {name: str(value) for name, value in options.items() if value}


def import_by_uid(actor: Actor, uid: UUID | str, project: Project | None = None) -> Import:
    """The import with this uid, if the actor may see its uploads."""
    try:
        wanted = UUID(str(uid))
    except ValueError:
        wanted = None
    rows = Import.objects.select_related("upload__created_by", "project", "pipeline__external")
    row = rows.filter(uid=wanted).first() if wanted else None
    hidden = row is None or not allowed(actor, Action.VIEW_UPLOAD, row.project)
    if row is None or hidden or (project is not None and row.project_id != project.pk):
        raise NotFound(f"There is no import {uid} that you may see.")
    return row


def imports_of(project: Project) -> QuerySet[Import]:
    """Those of a project, for lists, newest first."""
    return Import.objects.filter(project=project).select_related("upload__created_by", "project").order_by("-pk")


@transaction.atomic
def stop_import(*, actor: Actor, row: Import) -> Import:
    """End an import after the chunk that is being written; what came in stays, and it can go on later."""
    require(actor, Action.IMPORT, row.project)
    stopped = Import.objects.filter(pk=row.pk, state__in=leases.UNDER_WAY).update(
        state=JobState.STOPPED, lease_token="", lease_until=None
    )
    row.refresh_from_db()
    if stopped:
        audit.record(actor=actor, action="stop import", project_id=row.project_id, subject=f"import:{row.uid}")
    return row


@transaction.atomic
def resume_import(
    *,
    actor: Actor,
    row: Import,
    mapping: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    format: str = "",
    source: str | None = None,
    licence: str | None = None,
    trusted: bool | None = None,
) -> Import:
    """Go on where it was stopped or failed; one that asks is answered by this, with another mapping perhaps."""
    require(actor, Action.IMPORT, row.project)
    row = Import.objects.select_for_update().select_related("upload", "project").get(pk=row.pk)
    if row.upload.state == Upload.State.WITHDRAWN:
        raise Conflict("This import was withdrawn: bring it back first.")
    if row.state == JobState.DONE:
        raise Conflict("This import is done. To take in what has been added to its source, start it anew.")
    if row.state in leases.UNDER_WAY:
        return row
    if row.cursor and (mapping is not None or options is not None):
        raise Conflict("Part of it is in already: how it is read can no longer change. Withdraw it, then.")
    if mapping is not None:
        row.mapping = dict(mapping)
    if options is not None:
        checked = check_options(actor, Path("/nowhere"), options)
        row.options = {**row.options, "source": checked}
    if format:
        check_format(format)
        row.format = format
    _describe(row.upload, source=source, licence=licence, trusted=trusted)
    _set_going(row)
    watched = row.upload.kind == Upload.Kind.WATCH
    queue.send(watch.TASK if watched else TASK, row.pk, queue="io")
    return row


@transaction.atomic
def describe_import(
    *, actor: Actor, row: Import, source: str | None = None, licence: str | None = None, trusted: bool | None = None
) -> Import:
    """Change what is kept with an import. Snapshots that are frozen already stay as they are."""
    require(actor, Action.IMPORT, row.project)
    upload = Upload.objects.select_for_update().get(pk=row.upload_id)
    _describe(upload, source=source, licence=licence, trusted=trusted)
    row.upload = upload
    said = {"source": source, "licence": licence, TRUSTED: trusted}
    audit.record(
        actor=actor,
        action="describe import",
        project_id=row.project_id,
        subject=f"import:{row.uid}",
        **{name: value for name, value in said.items() if value is not None},
    )
    return row


def _describe(
    upload: Upload, *, source: str | None = None, licence: str | None = None, trusted: bool | None = None
) -> None:
    if source is not None:
        upload.source = source[:500]
    if licence is not None:
        upload.licence = licence[:200]
    if trusted is not None:
        others = {name: value for name, value in upload.options.items() if name != TRUSTED}
        upload.options = others if trusted else {**others, TRUSTED: False}
    upload.save(update_fields=["source", "licence", "options"])


def is_trusted(upload: Upload) -> bool:
    """Whether versions may be tested on the labels that it brought."""
    return upload.options.get(TRUSTED, True) is not False


def _set_going(row: Import) -> None:
    row.state, row.reason, row.attempts, row.done_at = JobState.WAITING, "", 0, None
    row.lease_token, row.lease_until = "", None
    row.options = {name: value for name, value in row.options.items() if name != ASKS}
    row.save()
    Upload.objects.filter(pk=row.upload_id).update(state=Upload.State.WORKING, reason="", format=row.format)


@transaction.atomic
def discard_import(*, actor: Actor, row: Import) -> None:
    """Forget an import that has brought nothing yet."""
    require(actor, Action.IMPORT, row.project)
    row = Import.objects.select_for_update().select_related("upload").get(pk=row.pk)
    if row.state in leases.UNDER_WAY or row.upload.items.filter(image__isnull=False).exists():
        raise Conflict("Something of this import is in already: withdraw it instead, so that nothing is lost.")
    audit.record(actor=actor, action="discard import", project_id=row.project_id, subject=f"import:{row.uid}")
    upload = row.upload
    transaction.on_commit(lambda: sent_source.remove(row))
    row.delete()
    upload.delete()


def as_result(row: Import) -> dict[str, Any]:
    """What the command prints and REST answers: counts of items, and what else came in."""
    names = ("added", "duplicates", "rejected", "failed", "files", "missing", "reviews", "annotations", "predictions")
    return {
        **{name: int(row.counts.get(name, 0)) for name in names},
        "import": str(row.uid),
        "project": row.project.slug,
        "format": row.format,
        "state": str(row.state),
        "reason": row.reason,
        "checksum": Upload.objects.values_list("checksum", flat=True).get(pk=row.upload_id),
        TRUSTED: is_trusted(row.upload),
        "notices": row.notices,
    }


def as_listed(row: Import) -> dict[str, Any]:
    """The same with what tells it from other imports."""
    upload = row.upload
    return {
        **as_result(row),
        "name": upload.name,
        "source": upload.source,
        "licence": upload.licence,
        "withdrawn": upload.state == Upload.State.WITHDRAWN,
        "began": row.created_at,
    }


def asks(row: Import) -> bool:
    """Whether it was looked at and waits for a person."""
    return ASKS in row.options and row.state == JobState.STOPPED


def age_of(row: Import) -> float:
    """Seconds since it was begun, or that it took."""
    return ((row.done_at or timezone.now()) - row.created_at).total_seconds()
