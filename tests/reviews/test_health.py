"""The long tail of a project against pandas, on the counts of the whale file."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.datasets_made import whale_counts
from tests.reviews.sets import add_images, make_project
from webapp.images.models import ImageState
from webapp.projects.models import Individual, Label
from webapp.reviews.health import count_labels, effective, names_of, report
from webapp.rows import update_rows

pytestmark = [pytest.mark.django_db]


@pytest.mark.long
def test_counts_singletons_and_most_common_equal_pandas_on_the_whale_file() -> None:
    project = make_project("Whales")
    ids = [name for name, count in whale_counts(full=True).items() for _ in range(count)]
    images = add_images(project, ["Whale"] * len(ids))
    names = [name for name in dict.fromkeys(ids) if name != "new_whale"]
    rows = Individual.objects.bulk_create([Individual(project=project, name=name) for name in names])
    named = {row.name: row.pk for row in rows}
    states = [ImageState(pk=key, individual_id=named.get(name)) for key, name in zip(images, ids, strict=True)]
    update_rows(states, ("individual_id",))
    said = report(project)
    table = pd.Series(ids).value_counts()
    assert said["class_by"] == "individual"
    assert said["labels"] == {"Whale": 9850}
    unnamed = {"new_whale": "Whale, nobody known"}
    assert said["individuals"] == {unnamed.get(name, name): count for name, count in table.items()}
    assert (said["classes"], said["singletons"]) == (len(table), int((table == 1).sum()))
    assert [one["images"] for one in said["most_common"]] == table.head(10).tolist()
    assert [one["images"] for one in said["most_common"][:2]] == [810, 34]
    assert said["classes"] == 4251
    assert said["effective_classes"] == pytest.approx(1 / ((table / table.sum()) ** 2).sum(), abs=0.01)


def test_every_image_is_labelled_or_counted_with_the_reason_why_not() -> None:
    project = make_project()
    ids = add_images(project, ["Cod"] * 7)
    states = ImageState.ReviewState
    for at, state in enumerate((states.UNREVIEWED, states.CONFLICT, states.CONFLICT, states.CANNOT_TELL, states.BAD)):
        ImageState.objects.filter(pk=ids[at]).update(review_state=state)
    ImageState.objects.filter(pk=ids[5]).update(label=None)
    said = report(project)
    assert [said[key] for key in ("images", "labelled", "unreviewed", "conflicts")] == [7, 1, 1, 2]
    assert [said[key] for key in ("cannot_tell", "bad_images", "nothing_named")] == [1, 1, 1]


def test_nothing_is_as_varied_as_nothing() -> None:
    assert (effective([]), effective([5, 5]), effective([9, 0])) == (0.0, 2.0, 1.0)


def test_two_labels_of_one_name_are_both_counted() -> None:
    project = make_project()
    ids = add_images(project, ["Cod", "Cod", "Hake"])
    Label.objects.filter(project=project, key="hake").update(name="Cod")
    assert len(ids) == 3
    assert names_of(count_labels(project)) == {"Cod (cod)": 2, "Cod (hake)": 1}
