"""One upload, reopenable in any browser: how far it is, what was seen, what went wrong."""

from __future__ import annotations

from dataclasses import asdict
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from webapp.access.actors import Actor
from webapp.access.require import allowed
from webapp.access.table import Action
from webapp.images.items import LOW_CONFIDENCE
from webapp.images.models import Upload
from webapp.images.uploads import counts, label_counts, upload_by_uid
from webapp.pages.answering import page


@page()
def upload(request: HttpRequest, actor: Actor, uid: UUID) -> HttpResponse:
    found = upload_by_uid(actor, uid)
    context = {
        "upload": found,
        "project": found.project,
        "side_files": side_file_line(found),
        "may_export": allowed(actor, Action.EXPORT, found.project) or actor.user is None,
        "script": {
            "uid": str(found.uid),
            "project": found.project.slug,
            "counts": counts(found),
            "labels": [asdict(one) for one in label_counts(found)],
            "mayRetry": allowed(actor, Action.RECOGNISE, found.project),
            "lowConfidence": LOW_CONFIDENCE,
            "isOpen": found.closed_at is None,
        },
    }
    return render(request, "pages/upload.html", context)


def side_file_line(upload: Upload) -> str:
    """What was left out, in one sentence; empty when nothing was."""
    total = sum(upload.side_files.values())
    if not total:
        return ""
    kinds = sorted(upload.side_files.items(), key=lambda pair: -pair[1])
    which = ", ".join(f"{count:,} {kind}" for kind, count in kinds)
    files = "1 side file" if total == 1 else f"{total:,} side files"
    return f"Left out {files} of cameras and computers: {which}."
