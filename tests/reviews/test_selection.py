"""The filters of the grid: read loudly, applied to the right images, in an order that pages can follow."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.reviews.conftest import Reef
from tests.reviews.test_decide import say
from webapp.datasets import selection
from webapp.datasets.models import Snapshot, SnapshotEntry
from webapp.errors import Invalid, NotFound
from webapp.images.models import Image
from webapp.images.states import take_over
from webapp.projects.models import Label
from webapp.reviews.models import Finding, NearDuplicate

pytestmark = pytest.mark.databases


def found(reef: Reef, **params: Any) -> list[int]:
    chosen = selection.read(params)
    assert selection.read(selection.as_params(chosen)) == chosen
    return list(selection.apply(reef.project, chosen).values_list("pk", flat=True))


def test_each_filter_finds_its_images_and_no_others(reef: Reef) -> None:
    one, two, three = (reef.image(name) for name in ("north/a.jpg", "north/b.jpg", "south/c.jpg"))
    reef.predict(one, "cod", 0.9)
    reef.predict(two, "hake", 0.3)
    reef.predict(three, None)
    say(reef, "rosa", one, "hake")
    site = reef.project.sites.create(name="North")
    Image.objects.filter(pk=two.pk).update(
        site=site, part="test", damaged_share=0.5, captured_at_utc=datetime(2026, 5, 1, 23, tzinfo=UTC)
    )
    take_over([two.pk])
    Finding.objects.create(project=reef.project, kind="suspect", image=one, score=1, group=4)
    NearDuplicate.objects.create(project=reef.project, image=three, cluster=9)
    snapshot = Snapshot.objects.create(project=reef.project, name="s", digest="d", manifest_key="k")
    SnapshotEntry.objects.create(snapshot=snapshot, image=two, part="train")
    version = reef.pipelines[0].classifier_id
    expected: list[tuple[dict[str, Any], list[Image]]] = [
        ({}, [three, two, one]),
        ({"order": "oldest"}, [one, two, three]),
        ({"order": "least-sure"}, [two, one]),
        ({"order": "captured"}, [two]),
        ({"order": "priority"}, [two, three]),
        ({"label": "hake"}, [two, one]),
        ({"label": "-"}, [three]),
        ({"label": "none"}, [three]),
        ({"machine_label": "cod"}, [one]),
        ({"source": "human"}, [one]),
        ({"review_state": "unreviewed"}, [three, two]),
        ({"site": str(site.uid)}, [two]),
        ({"site": "-"}, [three, one]),
        ({"upload": str(reef.upload.uid)}, [three, two, one]),
        ({"part": "test"}, [two]),
        ({"above": "0.9"}, [one]),
        ({"below": "0.9"}, [two]),
        ({"captured_from": "2026-05-01", "captured_to": "2026-05-01"}, [two]),
        ({"captured_from": "2026-05-02"}, []),
        ({"version": version}, [two, one]),
        ({"failed": "1"}, [three]),
        ({"failed": False}, [two, one]),
        ({"damaged": True}, [two]),
        ({"finding": "suspect"}, [one]),
        ({"finding": "suspect", "group": 5}, []),
        ({"cluster": 9}, [three]),
        ({"cluster": "any"}, []),
        ({"timed": "0"}, [three, one]),
        ({"timed": True}, [two]),
        ({"quality": "tiny"}, [three, two, one]),
        ({"snapshot": str(snapshot.uid)}, [two]),
        ({"snapshot": str(snapshot.uid), "snapshot_part": "test"}, []),
        ({"text": "NORTH/"}, [two, one]),
        ({"text": "north", "label": "hake", "below": "0.5"}, [two]),
    ]
    for params, images in expected:
        assert found(reef, **params) == [image.pk for image in images], params


def test_a_label_whose_key_is_none_is_meant_by_it(reef: Reef) -> None:
    image = reef.image()
    none = Label.objects.create(project=reef.project, key="none", name="None of these")
    say(reef, "rosa", image, "none")
    assert reef.state(image).label == none
    assert found(reef, label="none") == [image.pk]
    assert found(reef, label="-") == []


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"lable": "cod"}, "no filter 'lable'"),
        ({"source": "dog"}, "one of none, machine"),
        ({"above": "2"}, "a score from 0 to 1"),
        ({"above": "nan"}, "a score from 0 to 1"),
        ({"site": "north"}, "an id such as"),
        ({"captured_from": "May"}, "a day"),
        ({"failed": "perhaps"}, "1 or 0"),
        ({"cluster": "-1"}, "a whole number"),
        ({"text": "x" * 201}, "at most 200"),
        ({"group": "3"}, "name it with `finding`"),
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused(reef: Reef, params: dict[str, str], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        found(reef, **params)


def test_rows_of_other_projects_are_not_found(reef: Reef) -> None:
    other = Reef(slug="other")
    other.image("elsewhere")
    with pytest.raises(NotFound):
        found(reef, upload=str(other.upload.uid))
    with pytest.raises(NotFound):
        found(reef, site=str(uuid.uuid4()))
    assert found(reef) == []


def test_a_bulk_act_takes_no_more_than_it_may(reef: Reef) -> None:
    images = [reef.image(str(place)) for place in range(3)]
    everything = selection.Selection()
    assert selection.image_ids(reef.project, everything, at_most=3) == [image.pk for image in reversed(images)]
    with pytest.raises(Invalid, match="more than 2 images"):
        selection.image_ids(reef.project, everything, at_most=2)
