"""Write what was recognised: one transaction a batch, only for rows still held under our token, then the news."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import connection, transaction
from django.utils import timezone

from classifier.types import Answer, Facts, Failure
from webapp import events
from webapp.images import states
from webapp.images.models import Image, Item
from webapp.predictions.claim import Claim, Work
from webapp.predictions.look import Measures
from webapp.predictions.models import WORTH_A_TRY, Embedding, Prediction, Region
from webapp.rows import insert_row, insert_rows, update_rows

State = Prediction.State


@dataclass(frozen=True)
class Result:
    """One prediction's outcome. `measures` is there the first time an image is decoded."""

    work: Work
    answer: Answer | Failure
    measures: Measures | None = None


@dataclass(frozen=True)
class Names:
    """What a pipeline's answers mean in rows: label ids by key, and whose embeddings they are."""

    labels: Mapping[str, int]
    version_id: int
    space: str


def record(*, held: Claim, results: Sequence[Result], names: Mapping[int, Names]) -> None:
    """Record a batch. Rows whose lease was lost meanwhile belong to somebody else and are left alone."""
    with transaction.atomic():
        mine = _still_mine(held, results)
        kept = [result for result in results if result.work.prediction_id in mine]
        _write_predictions(kept, names)
        _write_regions(kept, names)
        measured = _write_measures(kept)
        _write_states(kept, names, measured)
        news = _settle_items(kept)
    events.publish_all({events.DONE: [result.work.prediction_id for result in kept], **news})


def _still_mine(held: Claim, results: Sequence[Result]) -> set[int]:
    ids = [result.work.prediction_id for result in results]
    lock = " FOR UPDATE" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM predictions_prediction WHERE state = 'leased' AND lease_token = %s "
            f"AND id IN ({', '.join(['%s'] * len(ids))}) ORDER BY id{lock}",
            [held.token, *ids],
        )
        return {row[0] for row in cursor.fetchall()}


def _write_predictions(kept: Sequence[Result], names: Mapping[int, Names]) -> None:
    now = timezone.now()
    rows = []
    for result in kept:
        row = Prediction(pk=result.work.prediction_id, lease_token="", lease_until=None, done_at=now)
        if isinstance(result.answer, Failure):
            row.state, row.code, row.reason = State.FAILED, result.answer.code, result.answer.reason
        else:
            row.state, row.label_key, row.score = State.DONE, result.answer.label, result.answer.score
            row.label_id = names[result.work.pipeline_id].labels.get(result.answer.label)
            row.counts = dict(result.answer.counts)
        rows.append(row)
    update_rows(rows, OUTCOME_COLUMNS)


OUTCOME_COLUMNS = (
    "state", "code", "reason", "label_id", "label_key", "score", "counts", "lease_token", "lease_until", "done_at",
)  # fmt: skip


def _write_regions(kept: Sequence[Result], names: Mapping[int, Names]) -> None:
    answered = [result for result in kept if isinstance(result.answer, Answer)]
    regions: list[Region] = []
    vectors: list[tuple[Region, Result, bytes]] = []
    for result in answered:
        known = names[result.work.pipeline_id]
        for position, found in enumerate(result.answer.regions):  # type: ignore[union-attr]
            box = found.box
            region = Region(
                prediction_id=result.work.prediction_id,
                position=position,
                x=box and box.x,
                y=box and box.y,
                width=box and box.width,
                height=box and box.height,
                detection_label=found.detection.label if found.detection else "",
                detection_score=found.detection.score if found.detection else None,
                label_id=known.labels.get(found.label),
                label_key=found.label,
                score=found.score,
                scores=found.scores.astype("<f2").tobytes(),
            )
            regions.append(region)
            if found.embedding is not None:
                vectors.append((region, result, found.embedding.astype("<f2").tobytes()))
    insert_rows([region for region in regions if region.x is None])
    for region in regions:
        if region.x is not None:
            insert_row(region)  # its embedding points at it
    insert_rows(
        [
            Embedding(
                image_id=result.work.image_id,
                region=region if region.x is not None else None,
                version_id=names[result.work.pipeline_id].version_id,
                space=names[result.work.pipeline_id].space,
                vector=vector,
            )
            for region, result, vector in vectors
        ],
        skip_known=True,
    )


def _write_measures(kept: Sequence[Result]) -> dict[int, states.Measured]:
    images = [_measured(result.work, result.measures) for result in kept if result.measures is not None]
    update_rows(images, MEASURED_COLUMNS)
    return {
        image.pk: states.Measured(damaged=bool(image.damaged_share), captured_at_utc=image.captured_at_utc)
        for image in images
    }


MEASURED_COLUMNS = (
    "captured_at", "captured_at_utc", "camera_make", "camera_model", "camera_serial", "latitude", "longitude",
    "altitude", "damaged_share", "perceptual_hash", "brightness", "contrast", "sharpness", "measured_at",
)  # fmt: skip


def _measured(work: Work, measures: Measures) -> Image:
    """The measured columns of an image; the others are not touched."""
    facts = measures.facts
    return Image(
        pk=work.image_id,
        captured_at=facts.captured_at.isoformat() if facts.captured_at else "",
        captured_at_utc=_in_utc(work, facts),
        camera_make=facts.camera_make[:80],
        camera_model=facts.camera_model[:80],
        camera_serial=facts.camera_serial[:80],
        latitude=facts.latitude,
        longitude=facts.longitude,
        altitude=facts.altitude,
        damaged_share=measures.damaged_share,
        perceptual_hash=measures.perceptual_hash,
        brightness=measures.quality.brightness,
        contrast=measures.quality.contrast,
        sharpness=measures.quality.sharpness,
        measured_at=timezone.now(),
    )


def _in_utc(work: Work, facts: Facts) -> datetime | None:
    """The camera's naive time in UTC: by the offset in the file, else the zone of its clock."""
    naive = facts.captured_at
    if naive is None:
        return None
    try:
        if facts.utc_offset_minutes is not None:
            moment = (naive - timedelta(minutes=facts.utc_offset_minutes)).replace(tzinfo=UTC)
        else:
            moment = naive.replace(tzinfo=_zone(work.time_zone)).astimezone(UTC)
        return moment + timedelta(seconds=work.clock_offset_seconds)
    except OverflowError:
        return None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def _write_states(kept: Sequence[Result], names: Mapping[int, Names], measured: Mapping[int, states.Measured]) -> None:
    said: dict[int, states.MachineSays] = {}
    for result in kept:
        if result.work.purpose != Prediction.Purpose.LIVE:
            continue
        if isinstance(result.answer, Failure):
            said[result.work.image_id] = states.MachineSays(failure=result.answer.code)
        else:
            label_id = names[result.work.pipeline_id].labels.get(result.answer.label)
            said[result.work.image_id] = states.MachineSays(label_id=label_id, score=result.answer.score)
    if said:
        states.after_prediction(said, measured=measured)


def _settle_items(kept: Sequence[Result]) -> dict[str, object]:
    """Final states of the upload items that waited for these images; returns the news by channel."""
    live = {result.work.image_id: result for result in kept if result.work.purpose == Prediction.Purpose.LIVE}
    now = timezone.now()
    items: list[Item] = []
    news: dict[str, list[dict[str, object]]] = {}
    for item_id, image_id, uid, state in _items_of(list(live)):
        if state == Item.State.DUPLICATE:
            twin: dict[str, object] = {"item": item_id, "image": image_id, "state": state, "code": ""}
            news.setdefault(f"{events.UPLOADS}{UUID(str(uid))}", []).append(twin)
            continue
        answer = live[image_id].answer
        item = Item(pk=item_id, state=Item.State.DONE, code="", reason="", changed_at=now)
        if isinstance(answer, Failure):
            item.state = Item.State.FAILED if answer.code in WORTH_A_TRY else Item.State.REJECTED
            item.code, item.reason = answer.code, answer.reason
        items.append(item)
        told: dict[str, object] = {"item": item_id, "image": image_id, "state": item.state, "code": item.code}
        news.setdefault(f"{events.UPLOADS}{UUID(str(uid))}", []).append(told)
    update_rows(items, ("state", "code", "reason", "changed_at"))
    return dict(news)


def _items_of(image_ids: Sequence[int]) -> list[tuple[int, int, object, str]]:
    """Items that waited for these images, and duplicates, whose answer is news as well."""
    if not image_ids:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.id, t.image_id, u.uid, t.state FROM images_item t JOIN images_upload u ON u.id = t.upload_id "
            f"WHERE t.state IN ('received', 'duplicate') AND t.image_id IN ({', '.join(['%s'] * len(image_ids))})",
            list(image_ids),
        )
        return list(cursor.fetchall())
