"""What is written of a batch, and for whom it is too late."""

from __future__ import annotations

from concurrent.futures import Future
from datetime import UTC, datetime

import numpy as np
import pytest

from classifier.types import Answer, Facts, Failure, Quality, RegionAnswer
from tests.predictions.rows import make_pipeline, make_waiting
from webapp.images.models import FacetCount, Image, ImageState, Item
from webapp.predictions.claim import Claim, claim
from webapp.predictions.look import Measures
from webapp.predictions.models import Embedding, Prediction, Region
from webapp.predictions.record import Names, Result, record
from webapp.projects.models import Label
from webapp.versions.models import Pipeline

pytestmark = [pytest.mark.django_db, pytest.mark.databases]


@pytest.fixture
def pipeline() -> Pipeline:
    return make_pipeline()


def names(pipeline: Pipeline) -> dict[int, Names]:
    crab, _ = Label.objects.get_or_create(project=pipeline.project, key="crab", defaults={"name": "crab"})
    return {pipeline.pk: Names({"crab": crab.pk}, pipeline.classifier_id or 0, "space-1")}


def held(pipeline: Pipeline, count: int = 1) -> Claim:
    make_waiting(pipeline, count)
    return claim(limit=count, worker="w", pipelines=[pipeline.pk])


def crab(score: float = 0.9) -> Answer:
    vector = np.ones(4, dtype=np.float16) / 2
    region = RegionAnswer(None, None, "crab", score, np.array([score, 1 - score], dtype=np.float32), vector)
    return Answer("crab", score, (region,), {"crab": 1})


MEASURES = Measures(Facts(captured_at=datetime(2026, 5, 1, 12, 0)), Quality(0.5, 0.2, 3.0), 77, 0.25)


def measured() -> Future[Measures]:
    taken: Future[Measures] = Future()
    taken.set_result(MEASURES)
    return taken


def test_an_answer_settles_prediction_region_embedding_state_item_and_counts(pipeline: Pipeline) -> None:
    work = held(pipeline)
    record(held=work, results=[Result(work.works[0], crab(), measured())], names=names(pipeline))
    prediction = Prediction.objects.get()
    state = ImageState.objects.get()
    assert (prediction.state, prediction.label_key, prediction.counts) == ("done", "crab", {"crab": 1})
    assert np.frombuffer(bytes(Region.objects.get().scores), "<f2").tolist() == pytest.approx([0.9, 0.1], abs=1e-3)
    assert (Embedding.objects.get().space, len(bytes(Embedding.objects.get().vector))) == ("space-1", 8)
    assert (state.label_id, state.source, state.damaged) == (prediction.label_id, "machine", True)
    assert Item.objects.get().state == Item.State.DONE
    assert FacetCount.objects.get(facet="label", value=str(prediction.label_id)).count == 1


def test_what_the_first_decode_measured_is_kept_with_its_time_in_utc(pipeline: Pipeline) -> None:
    pipeline.project.time_zone = "Africa/Nairobi"
    pipeline.project.save()
    work = held(pipeline)
    record(held=work, results=[Result(work.works[0], crab(), measured())], names=names(pipeline))
    image = Image.objects.get()
    assert (image.captured_at, image.perceptual_hash, image.damaged_share) == ("2026-05-01T12:00:00", 77, 0.25)
    assert image.captured_at_utc == datetime(2026, 5, 1, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(("code", "state"), [("damaged", "rejected"), ("unreadable", "failed")])
def test_a_failure_is_rejected_for_good_unless_another_try_may_help(pipeline: Pipeline, code: str, state: str) -> None:
    work = held(pipeline)
    record(held=work, results=[Result(work.works[0], Failure(code, "it says why"))], names=names(pipeline))
    item = Item.objects.get()
    assert (item.state, item.code, item.reason) == (state, code, "it says why")
    assert ImageState.objects.get().failure == code


def test_a_failure_leaves_its_neighbours_alone(pipeline: Pipeline) -> None:
    work = held(pipeline, 3)
    results = [
        Result(work.works[0], crab()),
        Result(work.works[1], Failure("damaged", "x")),
        Result(work.works[2], crab()),
    ]
    record(held=work, results=results, names=names(pipeline))
    assert list(Prediction.objects.order_by("pk").values_list("state", flat=True)) == ["done", "failed", "done"]


def test_who_lost_the_lease_changes_nothing(pipeline: Pipeline) -> None:
    late = held(pipeline)
    Prediction.objects.update(lease_token="somebody else")
    record(held=late, results=[Result(late.works[0], crab(), measured())], names=names(pipeline))
    assert Prediction.objects.get().state == Prediction.State.LEASED
    assert (Region.objects.count(), Item.objects.get().state) == (0, Item.State.RECEIVED)
