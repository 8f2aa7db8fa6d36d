"""Queues and decisions over REST."""

from __future__ import annotations

import uuid
from typing import Any

from tests.api.conftest import Cast
from webapp.images.models import Image, ImageState, Sequence
from webapp.images.states import MachineSays, after_prediction, take_over
from webapp.projects.models import Label
from webapp.reviews.models import Finding, Review

P = "/api/v1/projects/savanna"


def seen(cast: Cast, seed: int, *, label: str = "zebra", score: float = 0.9, sequence: Sequence | None = None) -> Image:
    """An image that was recognised, with state and counts as a worker leaves them."""
    image = cast.image(seed, label=label, score=score)
    if sequence is not None:
        Image.objects.filter(pk=image.pk).update(sequence=sequence)
        take_over([image.pk])
    row = Label.objects.get(project=cast.project, key=label)
    ImageState.objects.filter(pk=image.pk).update(label=None, machine_label=None, score=None, source="none")
    after_prediction({image.pk: MachineSays(row.pk, score)}, measured={})
    return image


def decision(*images: Image, label: str | None = "zebra", **more: Any) -> dict[str, Any]:
    annotations = [{"label_key": label}] if label else []
    ids = [image.pk for image in images]
    return {"client_id": str(uuid.uuid4()), "images": ids, "annotations": annotations, **more}


def test_a_sequence_is_one_unit_with_one_suggestion_and_says_why(cast: Cast) -> None:
    burst = Sequence.objects.create(project=cast.project)
    first, second = (seen(cast, seed, label="lion", score=0.5 + seed / 10, sequence=burst) for seed in (1, 2))
    lone = seen(cast, 3, score=0.8)
    ravi = cast.token("ravi")
    said = ravi.post(f"{P}/queues/uncertain/next", {"limit": 8})
    assert said.status == 200, said.body
    one, two = said.json()["units"]
    assert (one["unit"], two["unit"]) == (f"s{burst.pk}", f"i{lone.pk}")
    assert [image["id"] for image in one["images"]] == [first.pk, second.pk]
    assert one["suggestion"]["label_key"] == "lion"
    assert abs(one["suggestion"]["score"] - 0.65) < 1e-3
    assert one["telling"] == second.pk
    assert one["why"].startswith("The model is 65 % sure of Lion, pooled over 2 of 2 frames")
    assert len(one["guesses"]) == 3 and one["images"][0]["prediction"]
    assert said.json()["left"] == 3


def test_a_decision_is_saved_once_and_undone_as_one_change(cast: Cast) -> None:
    images = [seen(cast, seed) for seed in (1, 2, 3)]
    ravi = cast.token("ravi")
    sent = decision(
        *images,
        label="lion",
        queue="uncertain",
        seconds=1.5,
        predictions={str(images[0].pk): images[0].predictions.get().pk},
    )
    for _ in range(2):
        (result,) = ravi.post(f"{P}/decisions", {"decisions": [sent]}).json()["results"]
        assert (result["state"], result["change"], result["images"]) == ("saved", sent["client_id"], 3), result
    assert Review.objects.count() == 3
    assert set(ImageState.objects.values_list("label__key", "review_state")) == {("lion", "reviewed")}
    (change,) = ravi.get(f"{P}/changes?mine=1").json()["results"]
    assert (change["what"], change["images"], change["by"]) == ("Lion on 3 images", 3, "ravi")
    undone = ravi.post(f"/api/v1/changes/{sent['client_id']}/undo", {})
    assert (undone.status, undone.json()["images"]) == (200, 3), undone.body
    assert set(ImageState.objects.values_list("label__key", "review_state")) == {("zebra", "unreviewed")}


def test_a_decision_on_a_selection_is_bulk_whatever_it_says(cast: Cast) -> None:
    images = [seen(cast, seed) for seed in (1, 2)]
    sent = decision(label="lion", how="suggested") | {"images": "selection", "selection": {"label": "zebra"}}
    (result,) = cast.token("ravi").post(f"{P}/decisions", {"decisions": [sent]}).json()["results"]
    assert (result["state"], result["images"]) == ("saved", 2), result
    assert list(Review.objects.values_list("image_id", "how").order_by("image_id")) == [
        (image.pk, "bulk") for image in images
    ]


def test_one_bad_decision_stops_none_of_the_others(cast: Cast) -> None:
    image = seen(cast, 1)
    bad = [
        decision(image, label="dodo"),
        {"client_id": "no uuid", "images": [image.pk]},
        decision(image) | {"images": [10**9]},
        decision(image) | {"verdict": "bad-image"},
        {},
    ]
    good = decision(image, label="gnu")
    said = cast.token("ravi").post(f"{P}/decisions", {"decisions": [*bad, good]}).json()["results"]
    assert [one["state"] for one in said] == ["refused"] * 5 + ["saved"]
    assert [one["code"] for one in said[:5]] == [
        "invalid",
        "invalid-fields",
        "images-gone",
        "invalid",
        "invalid-fields",
    ]
    assert all(one["detail"] for one in said[:5])
    assert ImageState.objects.get().label.key == "gnu"


def test_a_blind_audit_shows_nothing_and_stores_its_probability(cast: Cast) -> None:
    images = [seen(cast, seed) for seed in range(1, 5)]
    cora, ravi = cast.token("cora"), cast.token("ravi")
    assert ravi.post(f"{P}/audits", {"size": 1}).status == 403
    draw = cora.post(f"{P}/audits", {"size": 2, "seed": 7, "selection": {"label": "zebra"}})
    assert draw.status == 201, draw.body
    assert (draw.json()["sampling_probability"], draw.json()["frame"]) == (0.5, 4)
    units = ravi.post(f"{P}/queues/audit/next", {}).json()["units"]
    assert len(units) == 2
    for unit in units:
        (image,) = unit["images"]
        assert (unit["blind"], unit["suggestion"], unit["guesses"]) == (True, None, [])
        assert [image[name] for name in ("label", "label_key", "score", "prediction", "current")] == [None] * 5
        assert "Drawn at random, 1 in 2" in unit["why"]
    audited = Image.objects.get(pk=units[0]["images"][0]["id"])
    other = next(image for image in images if image.pk not in {unit["images"][0]["id"] for unit in units})
    sent = [
        decision(audited, queue="audit", how="suggested", sampling_probability=1),
        decision(other, queue="audit", how="blind"),
    ]
    said = ravi.post(f"{P}/decisions", {"decisions": sent}).json()["results"]
    assert [one["state"] for one in said] == ["saved", "saved"], said
    review = Review.objects.get(image=audited)
    assert (review.how, review.sampling_probability, review.queue) == ("blind", 0.5, "audit")
    assert Review.objects.get(image=other).how == "suggested", "nobody drew it"
    assert Finding.objects.filter(settled_at=None).count() == 1


def test_facets_count_without_reading_images(cast: Cast) -> None:
    seen(cast, 1)
    seen(cast, 2, label="lion")
    said = cast.token("vera").get(f"{P}/facets").json()
    assert said["all"] == 2
    assert {(one["key"], one["count"]) for one in said["label"]} == {("zebra", 1), ("lion", 1)}
    assert said["site"] == [{"key": "-", "name": "no site", "count": 2}]


def test_queues_are_listed_in_the_projects_order_with_their_counts(cast: Cast) -> None:
    seen(cast, 1)
    said = cast.token("ravi").get(f"{P}/queues").json()["results"]
    assert said[0]["key"] == "uncertain" and said[0]["count"] == 1
    assert {one["key"] for one in said if one["blind"]} == {"audit", "second"}
    assert cast.token("ravi").post(f"{P}/queues/nope/next", {}).code == "no-such-queue"
