"""SQLite reads a few bursts of a large project by their index, once it knows how many rows there are."""

from __future__ import annotations

import pytest
from django.db import connection

from tests.predictions.rows import make_pipeline, make_waiting
from webapp import planner_statistics
from webapp.images.models import ImageState

pytestmark = pytest.mark.django_db


def way_to_bursts() -> str:
    rows = ImageState.objects.select_related("image__file", "image__site", "label").filter(project_id=1)
    return rows.filter(sequence_id__in=list(range(1, 9))).order_by("sequence_id", "image_id")[:4000].explain()


def test_a_queue_finds_its_bursts_by_their_index() -> None:
    pipeline = make_pipeline()
    for number in range(30):
        sequence = pipeline.project.sequences.create()
        (waiting,) = make_waiting(pipeline, 1, start=number)
        ImageState.objects.filter(pk=waiting.image_id).update(sequence=sequence)
    assert "state_of_sequence" not in way_to_bursts(), "it needs no help: take this away"
    planner_statistics.refresh()
    assert "state_of_sequence" in way_to_bursts()


def test_nothing_is_asked_of_another_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "vendor", "postgresql")
    planner_statistics.refresh()
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM sqlite_master WHERE name = 'sqlite_stat1'")
        assert cursor.fetchone() == (0,)
