"""Single calls: one picture in, one answer out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.utils import timezone

from webapp.access.actors import Actor
from webapp.access.require import allowed
from webapp.access.table import Action
from webapp.api.problems import BadRequest
from webapp.errors import Conflict, Invalid, OspreyError, TooMany, Unavailable
from webapp.images.keep import Part
from webapp.images.models import Upload
from webapp.images.uploads import open_upload
from webapp.predictions.accept import accept_image
from webapp.predictions.health import queue_depth, site_health, waiting_calls
from webapp.predictions.models import WORTH_A_TRY, Prediction, Priority
from webapp.projects.find import project_by_slug
from webapp.projects.models import Project

IMAGE_FIELDS = ("", "image", "file")
SITE_FAULTS = WORTH_A_TRY - {"ended-worker"}
FORM = "application/x-www-form-urlencoded"
LOOKED_AT = 64 * 1024
KEPT_DAYS = 512
ROW_LASTS_SECONDS = 1.0


@dataclass(frozen=True)
class Taken:
    """A call that was taken in; `settled` when its answer is there already. `hint`: what to say if it fails."""

    prediction_id: int
    settled: bool
    hint: str = ""


_projects: dict[str, tuple[float, Project]] = {}
_uploads: dict[tuple[int, int | None, str], Upload] = {}


def take_call(*, actor: Actor, slug: str, parts: list[Part], fields: Mapping[str, str], name: str = "") -> Taken:
    """Accept the picture of one call, ahead of all that nobody waits for."""
    part = the_picture(parts, fields)
    if waiting_calls() >= settings.MAX_PENDING_CALLS:
        raise TooMany("As many calls wait for an answer as this site keeps waiting; call again shortly.", retry_after=5)
    project = project_of_call(actor, slug)
    hint = hint_of_sending(part)
    try:
        accepted = accept_image(
            actor=actor,
            project=project,
            received=part,
            upload=upload_of_calls(actor, project),
            name=name or part.filename,
            priority=Priority.CALL,
        )
    except OspreyError as error:
        raise with_hint(error, hint) from error
    if accepted.prediction_id is None:
        raise Conflict(
            f"The project {project.slug} has no active pipeline yet, so nothing can answer. The picture is kept; "
            "activate a pipeline on the project's Models page.",
            code="no-pipeline",
        )
    settled = accepted.prediction_state in (Prediction.State.DONE, Prediction.State.FAILED)
    return Taken(accepted.prediction_id, settled, hint)


def project_of_call(actor: Actor, slug: str) -> Project:
    """The project, from memory for a second; whether the actor may use it is asked each time."""
    read_at, known = _projects.get(slug, (0.0, None))
    now = time.monotonic()
    if known is not None and now - read_at < ROW_LASTS_SECONDS and allowed(actor, Action.RECOGNISE, known):
        return known
    project = project_by_slug(actor, slug, Action.RECOGNISE)
    _projects[slug] = (now, project)
    return project


def the_picture(parts: list[Part], fields: Mapping[str, str]) -> Part:
    """The one file of a call."""
    found = [part for part in parts if part.field in IMAGE_FIELDS]
    as_words = next((name for name in IMAGE_FIELDS if name and name in fields), None)
    if not found and as_words is not None:
        raise BadRequest(
            f"The form field `{as_words}` holds words, not a file. With curl write `-F {as_words}=@picture.jpg`, with "
            "the @ before the name."
        )
    if len(found) != 1:
        names = ", ".join(part.field for part in parts) or "none"
        raise BadRequest(f"Send one picture: as the whole body, or in the form field `image` or `file` (not {names}).")
    if found[0].size == 0:
        raise BadRequest(
            "The body is empty. With curl write `--data-binary @picture.jpg`, with the @ before the name.", code="empty"
        )
    return found[0]


def hint_of_sending(part: Part) -> str:
    """`curl -d @file` sends a file as a form and drops its line breaks; some hundred bytes of a picture have some."""
    if not part.content_type.startswith(FORM) or part.field:
        return ""
    with part.path.open("rb") as file:
        start = file.read(LOOKED_AT)
    if b"\n" in start or b"\r" in start:
        return ""
    return " Sent with `curl -d`? That changes the bytes: write `--data-binary @picture.jpg`."


def with_hint(error: OspreyError, hint: str) -> OspreyError:
    """The same refusal, and how to send the picture instead, where its bytes were not understood."""
    if not hint or error.status not in (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, HTTPStatus.UNPROCESSABLE_ENTITY):
        return error
    return OspreyError(error.what + hint, code=error.code, status=error.status, **error.extra)


def upload_of_calls(actor: Actor, project: Project) -> Upload:
    """The upload that gathers one caller's single calls of one day."""
    day = timezone.now().date().isoformat()
    key = (project.pk, actor.user.pk if actor.user else None, day)
    known = _uploads.get(key)
    if known is None:
        name = f"Calls of {day}"
        kept = Upload.objects.filter(project=project, created_by=actor.user, kind=Upload.Kind.CALL, name=name).first()
        known = kept or open_upload(actor=actor, project=project, kind=Upload.Kind.CALL, name=name)
        if len(_uploads) > KEPT_DAYS:
            _uploads.clear()
        _uploads[key] = known
    return known


def failure_of(answer: dict[str, Any], *, hint: str = "") -> OspreyError:
    """A picture that was taken in and could not be recognised."""
    code, reason = answer["code"] or "failed", answer["reason"] or "The picture could not be recognised."
    kind = Unavailable if code in SITE_FAULTS else Invalid
    return with_hint(kind(reason, code=code, image=answer["image"]["id"]), hint)


def why_waiting(prediction_id: int) -> str:
    """Why an answer takes long, in words."""
    health = site_health()
    if health.get("gpu") != "ok":
        return (
            "No worker that recognises pictures has been heard of; the picture is kept and is recognised when one is."
        )
    depth = queue_depth()
    ahead = max(0, depth["pending"] + depth["leased"] - 1)
    if Prediction.objects.filter(pk=prediction_id, state=Prediction.State.LEASED).exists():
        return "A worker has it in hand."
    return f"It waits in the queue; {ahead} other pictures wait or are being worked on."
