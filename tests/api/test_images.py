"""Images: lists, details, their bytes, and who sees where they were taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from tests.api.conftest import Cast
from tests.pictures import exif_block, gps_at, jpeg
from webapp.access.models import AuditEvent
from webapp.api import paging
from webapp.images.derived import name_of
from webapp.images.models import Image, ImageState
from webapp.images.store import write_derived
from webapp.projects.models import Project, Site
from webapp.reviews.models import Review

IMAGES = "/api/v1/images"


def test_images_come_in_pages_without_gaps_or_repeats(cast: Cast) -> None:
    made = [cast.image(seed, score=0.4 + seed / 10).pk for seed in range(1, 6)]
    vera = cast.token("vera")
    for order, expected in {
        "newest": made[::-1], "oldest": made, "least-sure": made, "captured": [],
    }.items():  # fmt: skip
        seen, following = [], f"{IMAGES}?project=savanna&limit=2&order={order}"
        while following:
            page = vera.get(following.removeprefix("http://127.0.0.1:8000")).json()
            seen += [row["id"] for row in page["results"]]
            following = page["next"]
        assert seen == expected, order


def test_a_search_in_paths_goes_through_the_project_piece_by_piece(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page looks through so many images and gives a `next`, so that old images are found as well."""
    made = [cast.image(number, score=number / 10).pk for number in range(1, 8)]
    wanted = [made[0], made[3], made[6]]
    Image.objects.filter(pk__in=wanted).update(path="north/lynx.jpg")
    monkeypatch.setattr(paging, "LOOKED_THROUGH", 2)
    vera = cast.token("vera")
    for order, expected in {"newest": wanted[::-1], "oldest": wanted, "least-sure": wanted}.items():
        seen, pages, following = [], 0, f"{IMAGES}?project=savanna&text=LYNX&order={order}"
        while following:
            page = vera.get(following.removeprefix("http://127.0.0.1:8000")).json()
            seen += [row["id"] for row in page["results"]]
            pages, following = pages + 1, page["next"]
        assert (seen, pages) == (expected, 4), order


def test_the_list_can_be_narrowed(cast: Cast) -> None:
    zebra, lion = cast.image(1), cast.image(2, label="lion", score=0.3)
    vera = cast.token("vera")

    def ids(query: str) -> list[int]:
        return [row["id"] for row in vera.get(f"{IMAGES}?project=savanna&{query}").json()["results"]]

    assert ids("label=zebra") == [zebra.pk]
    assert ids("label=Lion") == [lion.pk]
    assert ids("below=0.5") == [lion.pk]
    assert ids("review_state=reviewed") == []
    assert ids("failed=true") == []
    assert ids(f"upload={zebra.upload.uid}") == [lion.pk, zebra.pk]
    assert vera.get(f"{IMAGES}?project=savanna&label=dodo").code == "no-such-label"
    assert vera.get(f"{IMAGES}?project=savanna&after=nonsense").code == "bad-cursor"
    assert vera.get(IMAGES).code == "invalid-fields"


def test_an_original_is_only_ever_saved(cast: Cast) -> None:
    image = cast.image()
    Image.objects.update(path='DCIM/"ev il";\n.html')
    reply = cast.token("vera").get(f"{IMAGES}/{image.pk}/original")
    assert (reply.status, reply.body) == (200, cast.picture())
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["content-disposition"].startswith("attachment")
    assert reply.headers["content-disposition"].endswith('.jpg"') or ".jpg" in reply.headers["content-disposition"]
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in reply.headers["content-security-policy"]
    assert AuditEvent.objects.filter(action="download original", subject=f"image:{image.pk}").exists()


def test_a_picture_that_could_not_be_decoded_says_that_no_thumbnail_will_come(cast: Cast) -> None:
    image = cast.image()
    ImageState.objects.filter(pk=image.pk).update(failure="truncated")
    reply = cast.token("vera").get(f"{IMAGES}/{image.pk}/thumbnail/256")
    assert (reply.status, reply.code) == (404, "cannot-be-shown")
    assert "retry-after" not in reply.headers


def test_a_thumbnail_is_cached_for_long_and_known_by_its_tag(cast: Cast) -> None:
    image = cast.image()
    vera = cast.token("vera")
    path = f"{IMAGES}/{image.pk}/thumbnail/256"
    missing = vera.get(path)
    assert (missing.status, missing.code) == (404, "not-made-yet")
    write_derived(image.file.sha256, name_of(256), jpeg(16, 12))
    reply = vera.get(path)
    assert (reply.status, reply.headers["content-type"]) == (200, "image/jpeg")
    assert "immutable" in reply.headers["cache-control"]
    assert "private" in reply.headers["cache-control"]
    assert vera.get(path, if_none_match=reply.headers["etag"]).status == 304
    meanwhile = vera.get(f"{IMAGES}/{image.pk}/thumbnail/1024")
    assert meanwhile.body == reply.body
    assert "immutable" not in meanwhile.headers["cache-control"]
    assert vera.get(f"{IMAGES}/{image.pk}/thumbnail/77").status == 404


def test_a_missing_original_is_said_to_be_missing(cast: Cast) -> None:
    image = cast.image()
    (Path(settings.STORE_DIR) / image.file.storage_key).unlink()
    assert cast.token("vera").get(f"{IMAGES}/{image.pk}/original").code == "original-missing"


def test_whoever_belongs_to_another_project_sees_nothing_of_an_image(cast: Cast) -> None:
    image = cast.image()
    review = cast.token("ravi").post(f"{IMAGES}/{image.pk}/reviews", {"annotations": [{"label": "zebra"}]}).json()
    olga = cast.token("olga")
    for part in ("", "/original", "/thumbnail/256", "/predictions", "/reviews", "/history"):
        reply = olga.get(f"{IMAGES}/{image.pk}{part}")
        assert (reply.status, reply.code) == (404, "not-found"), part
    assert olga.get(f"/api/v1/predictions/{image.predictions.get().pk}").status == 404
    assert olga.post(f"/api/v1/reviews/{review['id']}/undo").status == 404
    assert olga.get(f"{IMAGES}?project=savanna").status == 404
    narrow = cast.token("gus", project=Project.objects.get(slug="reef"))
    assert narrow.get(f"{IMAGES}/{image.pk}").status == 404


def test_coordinates_are_coarser_for_those_who_may_not_see_them_exactly(cast: Cast) -> None:
    image = cast.image()
    site = Site.objects.create(project=cast.project, name="Waterhole", latitude=-2.33333, longitude=34.83333)
    Image.objects.update(latitude=-2.33333, longitude=34.83333, site=site)
    Project.objects.filter(pk=cast.project.pk).update(coordinates_decimals=1)

    def seen_by(who: str) -> tuple[float | None, str]:
        client = cast.token(who)
        said = client.get(f"{IMAGES}/{image.pk}").json()
        place = client.get("/api/v1/projects/savanna/sites").json()["results"][0]
        assert (place["latitude"], place["coordinates"]) == (said["latitude"], said["coordinates"])
        return said["latitude"], said["coordinates"]

    assert seen_by("cora") == (-2.33333, "exact")
    assert seen_by("ravi") == (-2.3, "coarse")
    Project.objects.filter(pk=cast.project.pk).update(coordinates_decimals=-1)
    assert seen_by("ravi") == (None, "withheld")
    Project.objects.filter(pk=cast.project.pk).update(coordinates_decimals=None)
    assert seen_by("vera") == (-2.33333, "exact")
    Site.objects.update(sensitive=True)
    assert seen_by("vera") == (None, "withheld")
    assert seen_by("alice") == (-2.33333, "exact")


def test_an_original_that_holds_a_hidden_place_is_for_those_who_may_see_it(cast: Cast) -> None:
    picture = jpeg(40, 30, exif=exif_block(gps=gps_at(-2.33333, 34.83333)))
    assert cast.token("ravi").post("/api/v1/classify?project=savanna&wait=0", picture).status == 202
    path = f"{IMAGES}/{Image.objects.get().pk}/original"
    refused = cast.token("vera").get(path)
    assert (refused.status, refused.code) == (403, "place-withheld"), "it was not measured yet, and its EXIF tells"
    Image.objects.update(latitude=-2.33333, longitude=34.83333, measured_at=timezone.now())
    assert cast.token("vera").get(path).code == "place-withheld"
    assert cast.token("cora").get(path).status == 200
    Project.objects.filter(pk=cast.project.pk).update(coordinates_decimals=None)
    assert cast.token("vera").get(path).status == 200


def test_a_review_is_said_read_and_taken_back(cast: Cast) -> None:
    image = cast.image(label="lion")
    ravi = cast.token("ravi")
    verdict = {
        "annotations": [{"label": "Zebra", "count": 3, "box": [0.1, 0.1, 0.5, 0.5], "flags": {"occluded": True}}],
        "prediction": image.predictions.get().pk,
        "client_id": "11111111-2222-3333-4444-555555555555",
    }
    said = ravi.post(f"{IMAGES}/{image.pk}/reviews", verdict)
    assert said.status == 201, said.body
    assert said.json()["annotations"][0] == {
        "box": [0.1, 0.1, 0.5, 0.5], "label": "zebra", "individual": None, "count": 3, "values": {},
        "flags": {"occluded": True},
    }  # fmt: skip
    assert ravi.post(f"{IMAGES}/{image.pk}/reviews", verdict).json()["id"] == said.json()["id"]
    assert Review.objects.count() == 1
    now = ravi.get(f"{IMAGES}/{image.pk}").json()
    assert (now["label"], now["source"], now["review_state"]) == ("Zebra", "human", "reviewed")

    undone = ravi.post(f"/api/v1/reviews/{said.json()['id']}/undo")
    assert (undone.status, undone.json()["verdict"]) == (200, "withdrawn")
    assert ravi.get(f"{IMAGES}/{image.pk}").json()["label"] == "Lion"
    history = ravi.get(f"{IMAGES}/{image.pk}/history").json()["results"]
    assert [bool(line["review"]) for line in history].count(True) == 2
    assert len(ravi.get(f"{IMAGES}/{image.pk}/reviews").json()["results"]) == 2


def test_a_review_that_cannot_be_meant_is_refused_with_words(cast: Cast) -> None:
    image, other = cast.image(1), cast.image(2)
    ravi = cast.token("ravi")
    path = f"{IMAGES}/{image.pk}/reviews"
    assert ravi.post(path, {"annotations": [{"label": "dodo"}]}).code == "no-such-label"
    assert ravi.post(path, {"annotations": [{"label": "zebra", "box": [0.5, 0.5, 0.9, 0.9]}]}).status == 422
    assert ravi.post(path, {"prediction": other.predictions.get().pk}).status == 422
    assert ravi.post(path, {"verdict": "withdrawn"}).code == "invalid-fields"
    assert cast.token("vera").post(path, {}).status == 403
    assert not Review.objects.exists()


def test_all_that_machines_said_is_listed(cast: Cast) -> None:
    image = cast.image()
    vera = cast.token("vera")
    (row,) = vera.get(f"{IMAGES}/{image.pk}/predictions").json()["results"]
    assert (row["label"], row["purpose"], row["state"]) == ("Zebra", "live", "done")
    assert vera.get(f"/api/v1/predictions/{row['id']}?scores=all").json()["id"] == row["id"]
    assert vera.get("/api/v1/predictions/99999999999999999999").status == 404
