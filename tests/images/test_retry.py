"""Trying failures again, and nothing but failures."""

from __future__ import annotations

import pytest

from tests.images.conftest import Reef
from tests.predictions.rows import make_pipeline, make_waiting
from webapp.errors import Forbidden
from webapp.images import states
from webapp.images.models import FacetCount, Item, Upload
from webapp.predictions.models import Prediction
from webapp.predictions.retry import retry, retry_failed
from webapp.projects.models import Label
from webapp.reviews.rebuild import rebuild_states

pytestmark = pytest.mark.databases


def fail(*predictions: Prediction) -> None:
    for one in predictions:
        Prediction.objects.filter(pk=one.pk).update(state="failed", code="unreadable", reason="No.", attempts=3)
        Item.objects.filter(image=one.image).update(state="failed", code="unreadable", reason="No.")
        states.after_prediction({one.image_id: states.MachineSays(failure="unreadable")}, measured={})


def upload_of(prediction: Prediction) -> Upload:
    return Upload.objects.select_related("project").get(pk=prediction.image.upload_id)


def test_only_failures_of_the_upload_are_tried_again(reef: Reef) -> None:
    pipeline = make_pipeline("reef")
    failed, done, waiting = make_waiting(pipeline, 3)
    (elsewhere,) = make_waiting(pipeline, 1, start=9)
    fail(failed, elsewhere)
    Prediction.objects.filter(pk=done.pk).update(state="done")
    assert retry_failed(actor=reef.rosa, upload=upload_of(failed)) == 1
    now = {one.pk: (one.state, one.attempts) for one in Prediction.objects.all()}
    assert now[failed.pk] == ("pending", 0)
    assert (now[done.pk][0], now[waiting.pk][0], now[elsewhere.pk][0]) == ("done", "pending", "failed")
    item = Item.objects.get(image=failed.image)
    assert (item.state, item.code, item.reason) == ("received", "", "")
    assert retry_failed(actor=reef.rosa, upload=upload_of(failed)) == 0


def test_the_failure_leaves_the_state_and_the_counts(reef: Reef) -> None:
    (failed,) = make_waiting(make_pipeline("reef"), 1)
    fail(failed)
    retry(actor=reef.rosa, predictions=[failed.pk])
    failed.image.state.refresh_from_db()
    assert failed.image.state.failure == ""
    assert not FacetCount.objects.filter(facet="failure", count__gt=0).exists()
    assert rebuild_states(reef.project).states == 0


def test_an_older_answer_speaks_again_while_a_new_pipeline_is_tried_again(reef: Reef) -> None:
    (old,) = make_waiting(make_pipeline("reef"), 1)
    cod = Label.objects.create(project=reef.project, key="cod", name="Cod")
    Prediction.objects.filter(pk=old.pk).update(state="done", label=cod, score=0.9)
    version = old.pipeline.classifier
    newer = reef.project.pipelines.create(digest="b" * 64, classifier=version)
    failed = Prediction.objects.create(image=old.image, pipeline=newer)
    fail(failed)
    retry(actor=reef.rosa, predictions=[failed.pk])
    old.image.state.refresh_from_db()
    assert old.image.state.label == cod


def test_strangers_retry_nothing(reef: Reef) -> None:
    (failed,) = make_waiting(make_pipeline("reef"), 1)
    fail(failed)
    with pytest.raises(Forbidden):
        retry_failed(actor=reef.eve, upload=upload_of(failed))
    with pytest.raises(Forbidden):
        retry(actor=reef.eve, predictions=[failed.pk])
