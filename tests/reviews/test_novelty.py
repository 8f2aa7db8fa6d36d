"""What is unlike all that is labelled, what may be rare, and clusters for a project in which nobody has looked yet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pytest_django import Settings

from tests.reviews.sets import add_images, around, make_project
from webapp.images.models import ImageState
from webapp.projects.models import Label
from webapp.reviews import vectors
from webapp.reviews.cold_start import LARGEST, SMALLEST, find_groups
from webapp.reviews.models import Finding
from webapp.reviews.novelty import find_novel

pytestmark = [pytest.mark.django_db]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, settings: Settings) -> None:
    settings.DATA_DIR = tmp_path


def test_pictures_unlike_all_labelled_ones_come_first_and_usual_ones_not_at_all() -> None:
    project = make_project()
    add_images(project, ["Cod"] * 40 + ["Hake"] * 40, vectors=np.concatenate([around(1, 40), around(2, 40)]))
    usual = add_images(project, [""] * 20, vectors=around(1, 20, seed=5))
    new = add_images(project, [""] * 3, vectors=around(7, 3))
    find_novel(project, vectors.load(project))
    rows = list(Finding.objects.filter(kind="looks-new").order_by("-score").values_list("image_id", flat=True))
    assert set(rows[:3]) == set(new)
    assert len(set(rows) & set(usual)) <= 2


def test_pictures_near_a_rare_label_or_called_so_by_the_machine_are_offered_with_that_label() -> None:
    project = make_project()
    add_images(project, ["Cod"] * 60 + ["Wrasse"] * 3, vectors=np.concatenate([around(1, 60), around(2, 3)]))
    near = add_images(project, [""] * 2, vectors=around(2, 2, seed=3))
    called = add_images(project, [""] * 2, vectors=around(1, 2, seed=4))
    other = add_images(project, [""] * 4, vectors=around(1, 4, seed=6))
    wrasse = Label.objects.get(project=project, name="Wrasse")
    ImageState.objects.filter(pk=called[0]).update(machine_label=wrasse)
    told = find_novel(project, vectors.load(project))
    rows = {row.image_id: row for row in Finding.objects.filter(kind="rare")}
    assert told["rare"] == len(rows) == 3
    assert set(rows) == {*near, called[0]} and not set(rows) & set(other)
    assert {row.label for row in rows.values()} == {wrasse}
    assert "only 3" in rows[near[0]].why


def test_a_project_nobody_looked_at_falls_into_clusters_that_one_key_can_label() -> None:
    project = make_project()
    kinds = np.repeat(np.arange(6), 40)
    ids = add_images(project, [""] * 240, vectors=np.concatenate([around(kind, 40) for kind in range(6)]))
    told = find_groups(project, vectors.load(project))
    assert told["clustered"] >= 0.7 * len(ids)
    groups: dict[int, list[int]] = {}
    for group, image_id in Finding.objects.filter(kind="cluster").values_list("group", "image_id"):
        groups.setdefault(group, []).append(image_id)
    assert told["clusters"] == len(groups)
    of = dict(zip(ids, kinds.tolist(), strict=True))
    for group, members in groups.items():
        assert SMALLEST <= len(members) <= LARGEST
        assert group == min(members)
        assert len({of[one] for one in members}) == 1, "a cluster of two kinds cannot be labelled by one key"


def test_labelled_images_are_in_no_cluster() -> None:
    project = make_project()
    add_images(project, ["Cod"] * 30, vectors=around(1, 30))
    add_images(project, [""] * 10, vectors=around(2, 10))
    find_groups(project, vectors.load(project))
    states = ImageState.objects.filter(image__findings__kind="cluster")
    assert set(states.values_list("review_state", flat=True)) == {"unreviewed"}
