"""Server-sent events: one stream a browser, for one upload or several. First what the rows say, then the news.

An event's id is the time up to which its stream is complete, so that a browser that comes back with Last-Event-ID
hears what it missed. News may be lost with the broker; then the rows are read every two seconds.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.http import HttpRequest, StreamingHttpResponse

from webapp.api.authentication import caller_of
from webapp.api.lane import in_lane
from webapp.api.problems import BadRequest, plain
from webapp.api.throttles import check
from webapp.api.uploads import is_done
from webapp.errors import NotFound
from webapp.events import UPLOADS, bus
from webapp.images.models import ImageState, Item, Upload
from webapp.images.uploads import counts, label_counts, upload_by_uid

MOST_UPLOADS = 20
TOGETHER_SECONDS = 0.25
COUNTS_EVERY = 1.0
PING_EVERY = 15.0
WITHOUT_NEWS = 2.0
LOOK_EVERY = 5.0
"""Files that are taken in and wait make no news of their own; other browsers see them by this look at the counts."""
LONGEST = 600.0
OVERLAP = timedelta(seconds=5)
MOST_MISSED = 1000


@plain("GET")
async def upload_events(request: HttpRequest, uid: UUID) -> StreamingHttpResponse:
    """GET /api/v1/uploads/<uid>/events"""
    return await _respond(request, [str(uid)])


@plain("GET")
async def events(request: HttpRequest) -> StreamingHttpResponse:
    """GET /api/v1/events?uploads=a,b"""
    wanted = [part.strip() for part in request.GET.get("uploads", "").split(",") if part.strip()]
    if not wanted or len(wanted) > MOST_UPLOADS:
        raise BadRequest(f"`uploads` names 1 to {MOST_UPLOADS} uploads by their ids, with commas between them.")
    return await _respond(request, list(dict.fromkeys(wanted)))


async def _respond(request: HttpRequest, uids: list[str]) -> StreamingHttpResponse:
    uploads = await in_lane(_admit, request, uids)
    since = read_since(request.headers.get("Last-Event-ID", ""))
    response = StreamingHttpResponse(stream(uploads, since), content_type="text/event-stream")
    response["Cache-Control"] = "no-cache"
    response["X-Accel-Buffering"] = "no"
    return response


def _admit(request: HttpRequest, uids: list[str]) -> list[Upload]:
    actor = caller_of(request)
    check(actor, request.META.get("REMOTE_ADDR"))
    return [upload_by_uid(actor, uid) for uid in uids]


def read_since(last_id: str) -> datetime | None:
    """The time in an event's id, in ms since 1970; nonsense is the same as none."""
    if not last_id.isascii() or not last_id.isdigit() or len(last_id) > 14:
        return None
    return datetime.fromtimestamp(int(last_id) / 1000, tz=UTC) - OVERLAP


@dataclass
class News:
    """What came for one upload since it was last told, by item, the newest word of each."""

    items: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    counts_are_old: bool = False
    told: dict[str, Any] = field(default_factory=dict)


async def stream(uploads: list[Upload], since: datetime | None, *, longest: float = LONGEST) -> AsyncIterator[bytes]:
    """Snapshots, then deltas at most four times a second, a ping in silence, and an end after ten minutes."""
    by_channel = {f"{UPLOADS}{upload.uid}": upload for upload in uploads}
    news = {channel: News() for channel in by_channel}
    until = time.monotonic() + longest
    counted_at = silent_since = time.monotonic()
    async with bus().stream(by_channel) as box:
        for channel, upload in by_channel.items():
            said = await in_lane(snapshot, upload, since)
            news[channel].told = {name: said[name] for name in ("state", "counts", "done")}
            yield event("snapshot", said)
        while (now := time.monotonic()) < until:
            heard = await _gather(box, news, min(_patience(news), until - now))
            now = time.monotonic()
            with_counts = now - counted_at >= COUNTS_EVERY or not heard
            if with_counts:
                counted_at = now
            for delta in await _deltas(by_channel, news, with_counts=with_counts):
                silent_since = now
                yield event("items", delta)
            if now - silent_since >= PING_EVERY:
                silent_since = now
                yield b": still here\n\n"
    yield b"retry: 500\n\n"


def _patience(news: Mapping[str, News]) -> float:
    if any(one.counts_are_old for one in news.values()):
        return COUNTS_EVERY
    return LOOK_EVERY if bus().connected else WITHOUT_NEWS


async def _gather(box: asyncio.Queue[tuple[str, Any]], news: Mapping[str, News], patience: float) -> bool:
    """Wait for a first piece of news, then take what comes within a quarter of a second. False: silence."""
    try:
        first = await asyncio.wait_for(box.get(), patience)
    except TimeoutError:
        for one in news.values():
            one.counts_are_old = True
        return False
    await asyncio.sleep(TOGETHER_SECONDS)
    pieces = [first]
    while not box.empty():
        pieces.append(box.get_nowait())
    for channel, items in pieces:
        news[channel].counts_are_old = True
        news[channel].items.update({item["item"]: item for item in items if "item" in item})
    return True


async def _deltas(
    by_channel: Mapping[str, Upload], news: Mapping[str, News], *, with_counts: bool
) -> list[dict[str, Any]]:
    found = []
    for channel, one in news.items():
        if not one.items and not (with_counts and one.counts_are_old):
            continue
        items = await in_lane(with_answers, list(one.items.values())) if one.items else []
        delta: dict[str, Any] = {"upload": str(by_channel[channel].uid), "items": items}
        one.items = {}
        if with_counts:
            stands = await in_lane(standing, by_channel[channel].pk)
            is_new, one.told, one.counts_are_old = stands != one.told, stands, False
            if not is_new and not items:
                continue
            delta |= stands
        found.append(delta)
    return found


def with_answers(items: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Items with the label and score that their images show now."""
    images = [item["image"] for item in items if item.get("image")]
    states = ImageState.objects.filter(pk__in=images).values_list("pk", "label__name", "score")
    answers = {pk: {"label": label, "score": score} for pk, label, score in states}
    nothing = {"label": None, "score": None}
    return [nothing | answers.get(item.get("image") or 0, {}) | dict(item) for item in items]


def standing(upload_pk: int) -> dict[str, Any]:
    """How far an upload is now."""
    upload = Upload.objects.filter(pk=upload_pk).first()
    if upload is None:
        raise NotFound("The upload is gone.")
    counted = counts(upload)
    return {"state": upload.state, "counts": counted, "done": is_done(upload, counted)}


def snapshot(upload: Upload, since: datetime | None) -> dict[str, Any]:
    """Counts of everything and, for a browser that comes back, the files that changed while it was away."""
    labels = [{"key": label.key, "name": label.name, "count": label.count} for label in label_counts(upload)]
    said = {"upload": str(upload.uid), **standing(upload.pk), "labels": labels, "items": [], "reload": since is None}
    if since is None:
        return said
    changed = upload.items.filter(changed_at__gte=since).select_related("image__state__label").order_by("pk")
    missed = list(changed[: MOST_MISSED + 1])
    if len(missed) > MOST_MISSED:
        return said | {"reload": True}
    return said | {"items": [_word_of(item) for item in missed]}


def _word_of(item: Item) -> dict[str, Any]:
    """The same words as the worker's news of an item."""
    state = getattr(item.image, "state", None)
    return {
        "item": item.pk,
        "state": item.state,
        "code": item.code,
        "image": item.image_id,
        "label": state.label.name if state is not None and state.label is not None else None,
        "score": state.score if state is not None else None,
    }


def event(name: str, data: Mapping[str, Any]) -> bytes:
    number = int(time.time() * 1000)
    return f"id: {number}\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode()
