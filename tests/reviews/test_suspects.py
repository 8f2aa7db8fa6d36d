"""Suspect labels: flips in a set made from a real network's embeddings come first, what is dismissed stays away."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_django import Settings

from bench.creatures import creature
from classifier.engine import load_pipeline
from classifier.images import decode
from classifier.types import Decoded, PipelineSpec
from tests.reviews.sets import add_images, around, make_project
from webapp.reviews import findings, vectors
from webapp.reviews.models import Finding, NearDuplicate
from webapp.reviews.numeric.label_errors import folds_of, judge
from webapp.reviews.numeric.spaces import reduced
from webapp.reviews.suspects import find_disagreeing, find_suspects

KINDS, EACH = 8, 16
SHARE = 0.03


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, settings: Settings) -> None:
    settings.DATA_DIR = tmp_path


@pytest.fixture(scope="session")
def embedded(prepared: Path) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    """What the pretrained starter makes of composed pictures of eight kinds, and which kind each is."""
    folder = sorted((prepared / "versions").glob("*/card.json"))[0].parent
    spec = PipelineSpec(
        digest="starter",
        classifier=folder,
        detector=None,
        identifier=None,
        thresholds={},
        crop_margin=0.0,
        whole_image_when_nothing_found=True,
    )
    pipeline = load_pipeline(spec, device="cpu")
    kinds = np.repeat(np.arange(KINDS), EACH)
    found = []
    for places in np.array_split(np.arange(len(kinds)), 8):
        answers = pipeline.recognise([decoded(int(kinds[place]), int(place)) for place in places])
        found += [answer.regions[0].embedding for answer in answers]  # type: ignore[union-attr]
    return np.stack(found), kinds


def decoded(kind: int, seed: int) -> Decoded:
    file = io.BytesIO()
    creature(kind, seed).save(file, "JPEG", quality=85)
    return decode(file.getvalue(), at_least=224)


def flip(kinds: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """3 % of the labels turned into another; the labels, and which were flipped."""
    random = np.random.default_rng(seed)
    wrong = random.choice(len(kinds), round(SHARE * len(kinds)), replace=False)
    labels = kinds.copy()
    labels[wrong] = (labels[wrong] + random.integers(1, KINDS, len(wrong))) % KINDS
    return labels, wrong


def test_the_first_twentieth_of_the_list_holds_most_flips_of_real_embeddings(
    embedded: tuple[NDArray[np.float16], NDArray[np.int64]],
) -> None:
    found, flips = 0, 0
    for seed in range(3):
        labels, wrong = flip(embedded[1], seed)
        judged = judge(reduced(embedded[0]), labels, np.arange(len(labels)), seed=seed)
        first = judged.issues[: round(0.05 * len(labels))]
        found, flips = found + len(np.intersect1d(first, wrong)), flips + len(wrong)
    assert found >= 0.6 * flips, f"{found} of {flips}"


@pytest.mark.django_db
def test_suspects_are_rows_with_the_label_that_the_rest_of_the_data_gives(
    embedded: tuple[NDArray[np.float16], NDArray[np.int64]],
) -> None:
    project = make_project()
    labels, wrong = flip(embedded[1], 7)
    ids = add_images(project, [f"Kind {one}" for one in labels], vectors=embedded[0].astype(float))
    told = find_suspects(project, vectors.load(project))
    assert told["judged"] == len(ids)
    rows = list(Finding.objects.filter(kind="suspect").order_by("-score"))
    there = {row.image_id: row for row in rows}
    caught = [place for place in wrong.tolist() if ids[place] in there]
    assert len(caught) >= 0.6 * len(wrong)
    assert [there[ids[place]].label.name for place in caught] == [f"Kind {embedded[1][place]}" for place in caught]
    assert "looks like" in rows[0].why


@pytest.mark.django_db
def test_a_label_that_somebody_confirmed_is_not_suspected_again() -> None:
    project = make_project()
    both = np.concatenate([around(1, 20), around(2, 21)])
    ids = add_images(project, ["Cod"] * 20 + ["Hake"] * 20 + ["Cod"], vectors=both)
    assert find_suspects(project, vectors.load(project))["suspects"] == 1
    findings.settle([ids[-1]])
    assert find_suspects(project, vectors.load(project))["suspects"] == 0
    assert Finding.objects.get().settled_at is not None


@pytest.mark.django_db
def test_a_label_with_too_few_images_is_not_judged_and_does_not_judge() -> None:
    project = make_project()
    both = np.concatenate([around(1, 15), around(2, 15), around(3, 2)])
    add_images(project, ["Cod"] * 15 + ["Hake"] * 15 + ["Wrasse"] * 2, vectors=both)
    assert find_suspects(project, vectors.load(project)) == {"judged": 30, "suspects": 0}


@pytest.mark.django_db
def test_without_embeddings_nothing_is_suspected_and_nothing_breaks() -> None:
    project = make_project()
    add_images(project, ["Cod"] * 30)
    assert find_suspects(project, vectors.load(project)) == {"judged": 0, "suspects": 0}


def test_no_group_is_in_two_folds_and_each_fold_has_of_each_label() -> None:
    random = np.random.default_rng(1)
    labels = random.integers(0, 4, 400)
    groups = labels * 100 + random.integers(0, 40, 400)
    fold = folds_of(labels, groups)
    pairs = np.unique(np.stack([groups, fold], axis=1), axis=0)
    assert len(pairs) == len(np.unique(groups))
    assert {(label, one) for label, one in zip(labels, fold, strict=True)} >= {
        (a, b) for a in range(4) for b in range(5)
    }


@pytest.mark.django_db
@pytest.mark.databases
def test_near_duplicates_with_different_labels_are_shown_the_lone_one_first() -> None:
    project = make_project()
    ids = add_images(project, ["Cod", "Cod", "Hake", "Cod", "Cod", ""])
    NearDuplicate.objects.bulk_create(
        [NearDuplicate(image_id=one, project=project, cluster=ids[0] if one < ids[3] else ids[3]) for one in ids]
    )
    assert find_disagreeing(project) == 3
    first = Finding.objects.order_by("-score").first()
    assert first is not None
    assert (first.image_id, first.label.name, first.group) == (ids[2], "Cod", ids[0])  # type: ignore[union-attr]
