"""Write what was recognised: one transaction a batch, only for rows still held under our token, then the news."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from classifier.types import Answer, Failure
from webapp import events
from webapp.images import originals, states
from webapp.images.models import Item
from webapp.predictions.beside import ask_beside
from webapp.predictions.claim import Claim, Work
from webapp.predictions.live import ANSWERS, machine_says
from webapp.predictions.look import Measures
from webapp.predictions.measures import write_measures
from webapp.predictions.models import WORTH_A_TRY, Embedding, Prediction, Region
from webapp.rows import insert_row, insert_rows, update_rows

State = Prediction.State
Purpose = Prediction.Purpose
SETTLING = (Purpose.LIVE, Purpose.MEASURE)
"""An upload's item is settled by the answer that its image waits for, or where no model is in use, by its measures."""


@dataclass(frozen=True)
class Result:
    """One prediction's outcome. `measures` come the first time an image is decoded.

    `milliseconds`: in the networks, its share of the batch; None where they were spared."""

    work: Work
    answer: Answer | Failure
    measures: Future[Measures] | None = None
    milliseconds: float | None = None


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
        _note_missing(kept)
        _ask_beside(kept)
        news = _settle_items(kept)
        # Last, since those of a lone picture may be on their way still.
        measured = write_measures((one.work, one.measures.result()) for one in kept if one.measures is not None)
        _write_states(kept, names, measured)
    events.publish_all({events.DONE: [result.work.prediction_id for result in kept], **news})


def _ask_beside(kept: Sequence[Result]) -> None:
    answered: dict[int, list[int]] = defaultdict(list)
    live: dict[int, set[int]] = defaultdict(set)
    for result in kept:
        if result.work.purpose == Purpose.LIVE and isinstance(result.answer, Answer):
            answered[result.work.project_id].append(result.work.image_id)
            live[result.work.project_id].add(result.work.pipeline_id)
    ask_beside(answered, live)


def _note_missing(kept: Sequence[Result]) -> None:
    gone = [
        result.work.image_id
        for result in kept
        if isinstance(result.answer, Failure) and result.answer.code in (originals.MISSING, originals.CHANGED)
    ]
    if gone:
        originals.mark_missing(image_ids=gone)


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
        row.milliseconds = result.milliseconds
        if isinstance(result.answer, Failure):
            row.state, row.code, row.reason = State.FAILED, result.answer.code, result.answer.reason
        elif result.work.purpose == Purpose.MEASURE:
            row.state = State.DONE  # what the network called it means nothing in this project
        else:
            row.state, row.label_key, row.score = State.DONE, result.answer.label, result.answer.score
            row.label_id = names[result.work.pipeline_id].labels.get(result.answer.label)
            row.counts = dict(result.answer.counts)
        rows.append(row)
    update_rows(rows, OUTCOME_COLUMNS)


OUTCOME_COLUMNS = (
    "state", "code", "reason", "label_id", "label_key", "score", "counts", "lease_token", "lease_until", "done_at",
    "milliseconds",
)  # fmt: skip


def _write_regions(kept: Sequence[Result], names: Mapping[int, Names]) -> None:
    answered = [result for result in kept if isinstance(result.answer, Answer)]
    regions: list[Region] = []
    vectors: list[tuple[Region, Result, bytes]] = []
    for result in answered:
        known = names[result.work.pipeline_id]
        for position, found in enumerate(result.answer.regions):  # type: ignore[union-attr]
            box = found.box
            if result.work.purpose == Purpose.MEASURE:
                if found.embedding is not None:
                    vectors.append((Region(), result, found.embedding.astype("<f2").tobytes()))
                continue
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


def _write_states(kept: Sequence[Result], names: Mapping[int, Names], measured: Mapping[int, states.Measured]) -> None:
    said: dict[int, states.MachineSays] = {}
    only_measured = [result.work.image_id for result in kept if result.work.purpose == Purpose.MEASURE]
    if only_measured:
        # A live answer may have come first; then it stands.
        known = machine_says(only_measured)
        said = {image_id: known.get(image_id, states.MachineSays()) for image_id in only_measured}
    for result in kept:
        if result.work.purpose not in ANSWERS:
            continue
        if isinstance(result.answer, Failure):
            if result.work.purpose == Purpose.HISTORY:
                continue  # the answer before stands
            said[result.work.image_id] = states.MachineSays(failure=result.answer.code)
        else:
            label_id = names[result.work.pipeline_id].labels.get(result.answer.label)
            said[result.work.image_id] = states.MachineSays(label_id=label_id, score=result.answer.score)
    if said:
        states.after_prediction(said, measured=measured)


def _settle_items(kept: Sequence[Result]) -> dict[str, object]:
    """Final states of the upload items that waited for these images; returns the news by channel."""
    settling = {result.work.image_id: result for result in kept if result.work.purpose in SETTLING}
    now = timezone.now()
    items: list[Item] = []
    news: dict[str, list[dict[str, object]]] = {}
    for item_id, image_id, uid, state, noted in _items_of(list(settling)):
        if state == Item.State.DUPLICATE:
            twin: dict[str, object] = {"item": item_id, "image": image_id, "state": state, "code": ""}
            news.setdefault(f"{events.UPLOADS}{UUID(str(uid))}", []).append(twin)
            continue
        answer = settling[image_id].answer
        item = Item(pk=item_id, state=Item.State.DONE, code="", reason=noted, changed_at=now)
        if isinstance(answer, Failure):
            item.state = Item.State.FAILED if answer.code in WORTH_A_TRY else Item.State.REJECTED
            item.code, item.reason = answer.code, answer.reason
        items.append(item)
        told: dict[str, object] = {"item": item_id, "image": image_id, "state": item.state, "code": item.code}
        news.setdefault(f"{events.UPLOADS}{UUID(str(uid))}", []).append(told)
    update_rows(items, ("state", "code", "reason", "changed_at"))
    return dict(news)


def _items_of(image_ids: Sequence[int]) -> list[tuple[int, int, object, str, str]]:
    """Items that waited for these images, and duplicates, whose answer is news as well; last, what an import noted."""
    if not image_ids:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.id, t.image_id, u.uid, t.state, t.reason "
            "FROM images_item t JOIN images_upload u ON u.id = t.upload_id "
            f"WHERE t.state IN ('received', 'duplicate') AND t.image_id IN ({', '.join(['%s'] * len(image_ids))})",
            list(image_ids),
        )
        return list(cursor.fetchall())
