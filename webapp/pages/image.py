"""One image: the picture large, what the machine and people said of it over time, and the camera's facts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from webapp.access.actors import Actor
from webapp.access.require import allowed
from webapp.access.table import Action
from webapp.api.lookup import image_for
from webapp.api.picture_files import hides_place
from webapp.images.models import Image, Item
from webapp.images.times import clock_zone
from webapp.pages.answering import page
from webapp.pages.verdict import Verdict, verdict_of
from webapp.predictions.answer import answer_json
from webapp.predictions.models import Prediction
from webapp.projects.place_rule import PlaceRule


@page()
def image(request: HttpRequest, actor: Actor, pk: int) -> HttpResponse:
    found = image_for(actor, pk)
    said = predictions_of(found)
    live = answer_in_force(said)
    answer = answer_json(live, list(live.regions.order_by("position"))) if live else None
    verdict = verdict_of(found)
    context = {
        "image": found,
        "name": name_of(found),
        "verdict": verdict,
        "project": found.project,
        "answer": answer,
        "predictions": said,
        "reviews": found.reviews.select_related("reviewer").prefetch_related("annotations__label").order_by("-pk"),
        "facts": facts(actor, found),
        "may_download": may_download(actor, found),
        **neighbours(found, request.GET.get("upload", "")),
        "script": _script(request, actor, found, answer, verdict),
    }
    return render(request, "pages/image.html", context)


def answer_in_force(said: Sequence[Prediction]) -> Prediction | None:
    """What was recorded last, an answer or a failure; before there is any, the row that waits for one."""
    again, live = Prediction.Purpose.HISTORY, [one for one in said if one.purpose == Prediction.Purpose.LIVE]
    done = [one for one in said if one.purpose == again and one.state == Prediction.State.DONE]
    settled = [one for one in [*live, *done] if one.state in (Prediction.State.DONE, Prediction.State.FAILED)]
    newest = max(settled, key=lambda one: (one.done_at or one.created_at, one.pk), default=None)
    return newest or (live[0] if live else None)


def may_download(actor: Actor, image: Image) -> bool:
    """Whether the original would be given: not where its file tells more of the place than the actor may see."""
    if not allowed(actor, Action.VIEW_ORIGINALS, image.project):
        return False
    if PlaceRule(actor, image.project).sees_all:
        return True
    return image.measured_at is not None and not hides_place(actor, image, Path())


def name_of(image: Image) -> str:
    """Its file's name, or the name a later sender gave the same bytes; pictures sent without one have a number."""
    named = image.path or image.items.exclude(path="").order_by("pk").values_list("path", flat=True).first()
    return named.rsplit("/", 1)[-1] if named else f"Image {image.pk}"


def predictions_of(image: Image) -> list[Prediction]:
    """Newest first, with what the table shows."""
    rows = image.predictions.exclude(purpose=Prediction.Purpose.MEASURE)
    rows = rows.select_related("label", "pipeline__classifier", "pipeline__detector", "image__file")
    return list(rows.order_by("-pk"))


def facts(actor: Actor, image: Image) -> list[tuple[str, str]]:
    """What is known of the picture, in words, coordinates as far as the actor may see them."""
    # Capture times stay in the zone of their site; a camera's clock is taken to be set to it.
    zone = clock_zone(image.visit, image.site, image.project)
    camera = " ".join(part for part in (image.camera_make, image.camera_model) if part)
    known = [
        ("File", image.path),
        ("Size", f"{image.width:,} × {image.height:,} pixels"),
        ("Taken", f"{image.captured_at.replace('T', ' ')} ({zone})" if image.captured_at else ""),
        ("Camera", camera),
        ("Serial number", image.camera_serial),
        ("Site", image.site.name if image.site else ""),
        ("Visit", image.visit.name if image.visit else ""),
        ("Place", place_words(actor, image)),
        ("Type", image.file.media_type),
        ("SHA-256", image.file.sha256),
    ]
    return [(name, value) for name, value in known if value]


def place_words(actor: Actor, image: Image) -> str:
    sensitive = bool(image.site and image.site.sensitive)
    place = PlaceRule(actor, image.project).shown(image, sensitive=sensitive)
    if place.coordinates == "withheld":
        return "known, withheld from your role"
    if place.latitude is None or place.longitude is None:
        return ""
    coarse = " (coarse)" if place.coordinates == "coarse" else ""
    return f"{place.latitude:g}, {place.longitude:g}{coarse}"


def neighbours(image: Image, upload: str) -> dict[str, Any]:
    """The pictures before and after, within the upload one came from, else within the project."""
    rows = Image.objects.filter(project=image.project, withdrawn_at=None)
    before = rows.filter(pk__gt=image.pk).order_by("pk").values_list("pk", flat=True).first()
    after = rows.filter(pk__lt=image.pk).order_by("-pk").values_list("pk", flat=True).first()
    tail = ""
    if _is_uid(upload):
        items = Item.objects.filter(upload__uid=upload, image__project=image.project)
        here = items.filter(image=image).order_by("pk").values_list("pk", flat=True).first() or 0
        others = items.exclude(image=image)
        before = others.filter(pk__lt=here).order_by("-pk").values_list("image", flat=True).first()
        after = others.filter(pk__gt=here).order_by("pk").values_list("image", flat=True).first()
        tail = f"?{urlencode({'upload': upload})}"
    return {
        "previous": reverse("image", args=[before]) + tail if before else None,
        "next": reverse("image", args=[after]) + tail if after else None,
        "from_upload": upload if tail else None,
    }


def _is_uid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _script(
    request: HttpRequest, actor: Actor, image: Image, answer: dict[str, Any] | None, verdict: Verdict | None
) -> dict[str, Any]:
    sign_in = f"{reverse('sign-in')}?{urlencode({'next': request.get_full_path()})}"
    return {
        "id": image.pk,
        "prediction": answer["prediction"] if answer else None,
        "hasAnswer": bool(answer and answer["state"] == Prediction.State.DONE),
        "path": name_of(image),
        "verdict": {"words": verdict.words, "who": verdict.who, "others": verdict.others} if verdict else None,
        "project": image.project.slug,
        "picture": reverse("api-image-thumbnail", args=[image.pk, 1024]),
        "rights": {"review": allowed(actor, Action.REVIEW, image.project)},
        "signIn": "" if actor.user else sign_in,
    }
