"""The call that programs make most: a picture in, an answer out."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from django.conf import settings

from tests import pictures
from tests.api.client import GUEST, Client, form
from tests.api.conftest import Cast, settle
from webapp.images.models import Image
from webapp.predictions.models import Prediction

CALL = "/api/v1/classify?project=savanna"


def test_a_picture_that_waits_is_a_job_with_a_reason(cast: Cast) -> None:
    reply = cast.token("ravi").post(f"{CALL}&wait=0", cast.picture())
    assert reply.status == 202
    said = reply.json()
    assert said["state"] == "pending"
    assert reply.headers["location"] == said["job"]
    assert int(reply.headers["retry-after"]) > 0
    assert "worker" in said["why"]
    job = cast.token("ravi").get(said["job"].removeprefix("http://127.0.0.1:8000"))
    assert (job.status, job.json()["state"]) == (200, "pending")


def test_the_answer_comes_in_the_same_call_once_a_worker_has_it(cast: Cast) -> None:
    async def call_and_work() -> tuple[int, dict[str, object]]:
        call = asyncio.create_task(ravi.acall("POST", f"{CALL}&wait=10", cast.picture()))
        while not (waiting := await Prediction.objects.afirst()):
            await asyncio.sleep(0.01)
        await asyncio.to_thread(settle, waiting, label="lion", score=0.75)
        reply = await call
        return reply.status, reply.json()

    ravi = cast.token("ravi")
    status, said = asyncio.run(call_and_work())
    assert status == 200
    assert (said["state"], said["label"], said["score"]) == ("done", "Lion", 0.75)
    assert said["counts"] == {"Lion": 1}
    assert said["project"] == "savanna"
    assert said["pipeline"] == cast.pipeline.digest
    assert said["image"]["sha256"] == hashlib.sha256(cast.picture()).hexdigest()  # type: ignore[index]
    assert said["version"]["name"] == "first"  # type: ignore[index]
    region = said["regions"][0]  # type: ignore[index]
    assert region["box"] is None
    assert region["detection"] is None
    assert [score["label"] for score in region["scores"]][0] == "Lion"


def test_the_same_bytes_again_are_the_same_image_and_answered_at_once(cast: Cast) -> None:
    image = cast.image()
    again = cast.token("ravi").post(CALL, cast.picture())
    assert again.status == 200
    assert again.json()["image"]["id"] == image.pk
    assert Image.objects.count() == 1
    assert Prediction.objects.count() == 1


@pytest.mark.parametrize("field", ["image", "file"])
def test_a_form_field_is_as_good_as_the_whole_body(cast: Cast, field: str) -> None:
    cast.image()
    body, content_type = form((field, "zebra.jpg", cast.picture()))
    reply = cast.token("ravi").post(CALL, body, content_type=content_type)
    assert (reply.status, reply.json()["label"]) == (200, "Zebra")


def test_curls_own_content_type_does_not_matter(cast: Cast) -> None:
    cast.image()
    reply = cast.token("ravi").post(CALL, cast.picture(), content_type="application/x-www-form-urlencoded")
    assert reply.status == 200


def test_the_usual_slips_with_curl_are_named(cast: Cast) -> None:
    ravi, as_form = cast.token("ravi"), "application/x-www-form-urlencoded"
    sent_with_d = cast.picture().translate(None, b"\r\n\0")
    for body in (sent_with_d, b"cat.jpg"):
        refused = ravi.post(CALL, body, content_type=as_form)
        assert refused.status in (415, 422)
        assert "--data-binary @" in refused.json()["detail"]
    assert "--data-binary" not in ravi.post(CALL, sent_with_d).json()["detail"]
    assert "--data-binary" not in ravi.post(CALL, cast.picture()[:20] + b"\n", content_type=as_form).json()["detail"]
    words = b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\ncat.jpg\r\n--x--\r\n'
    refused = ravi.post(CALL, words, content_type="multipart/form-data; boundary=x")
    assert (refused.status, refused.code) == (400, "bad-request")
    assert "-F image=@picture.jpg" in refused.json()["detail"]


def test_two_pictures_in_one_call_are_too_many(cast: Cast) -> None:
    body, content_type = form(("image", "a.jpg", cast.picture(1)), ("image", "b.jpg", cast.picture(2)))
    reply = cast.token("ravi").post(CALL, body, content_type=content_type)
    assert (reply.status, reply.code) == (400, "too-many-files")
    assert reply.json()["detail"] == "At most 1 file in one request here."


def test_a_longer_wait_counts_as_the_longest(cast: Cast) -> None:
    cast.image()
    ravi = cast.token("ravi")
    assert ravi.post(f"{CALL}&wait=9999", cast.picture()).status == 200
    assert "above 25 counts as that" in ravi.post(f"{CALL}&wait=-1", cast.picture()).json()["detail"]


def test_all_scores_come_when_asked_for(cast: Cast) -> None:
    cast.image()
    reply = cast.token("ravi").post(f"{CALL}&scores=all", cast.picture())
    scores = reply.json()["regions"][0]["scores"]
    assert [score["label"] for score in scores][0] == "Zebra"
    assert len(scores) == 3
    assert sum(score["score"] for score in scores) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "empty"),
        (b"<html>not a picture</html>", 415, "not-an-image"),
        (b"GIF89a" + bytes(60), 415, "unsupported-format"),
        (pictures.bomb_png(), 413, "too-many-pixels"),
        (pictures.png(20, 20)[:20], 422, None),
    ],
)
def test_each_bad_body_has_its_own_answer(cast: Cast, body: bytes, status: int, code: str | None) -> None:
    reply = cast.token("ravi").post(CALL, body)
    assert reply.status == status, reply.body
    assert code is None or reply.code == code
    assert not list(settings.INCOMING_DIR.glob("in-*"))


def test_a_body_above_the_limit_is_refused_by_its_length(cast: Cast) -> None:
    reply = cast.token("ravi").post(CALL, b"x", content_length=str(settings.MAX_IMAGE_BYTES + 1))
    assert (reply.status, reply.code) == (413, "too-large")


def test_a_picture_that_failed_says_why(cast: Cast) -> None:
    cast.token("ravi").post(f"{CALL}&wait=0", cast.picture())
    Prediction.objects.update(state="failed", code="damaged", reason="Two thirds of it are missing.")
    reply = cast.token("ravi").post(CALL, cast.picture())
    assert (reply.status, reply.code) == (422, "damaged")
    assert reply.json()["detail"] == "Two thirds of it are missing."


@pytest.mark.parametrize("query", ["wait=soon", "wait=-1", "wait=nan", "scores=some"])
def test_nonsense_in_the_query_is_named(cast: Cast, query: str) -> None:
    reply = cast.token("ravi").post(f"{CALL}&{query}", cast.picture())
    assert (reply.status, reply.code) == (400, "invalid-fields")
    assert query.split("=")[0] in reply.json()["errors"]


def test_a_session_needs_its_csrf_token_and_a_program_does_not(cast: Cast) -> None:
    cast.image()
    assert cast.session("ravi").post(CALL, cast.picture()).status == 200
    forged = cast.session("ravi", csrf=False).post(CALL, cast.picture())
    assert (forged.status, forged.code) == (403, "csrf")
    wrong = cast.session("ravi").post(CALL, cast.picture(), x_csrftoken="x" * 32)
    assert (wrong.status, wrong.code) == (403, "csrf")


def test_only_reviewers_and_above_of_the_project_may_call(cast: Cast) -> None:
    cast.image()
    statuses = {who: cast.token(who).post(CALL, cast.picture()).status for who in cast.people}
    assert statuses == {
        "tess": 200, "alice": 200, "cora": 200, "ravi": 200, "vera": 403, "olga": 404, "gus": 200,
    }  # fmt: skip
    assert cast.token("ravi", "read").post(CALL, cast.picture()).status == 403


def test_a_project_without_a_pipeline_says_so(cast: Cast) -> None:
    reply = cast.token("olga").post("/api/v1/classify?project=reef", cast.picture())
    assert (reply.status, reply.code) == (409, "no-pipeline")


def test_another_method_is_a_problem_too(cast: Cast) -> None:
    reply = cast.token("ravi").get(CALL)
    assert (reply.status, reply.code) == (405, "method-not-allowed")
    assert reply.headers["allow"] == "POST"


def test_a_guest_of_this_machine_may_call(open_mode: Cast) -> None:
    open_mode.image()
    assert GUEST.post(CALL, open_mode.picture()).status == 200


VIOLATIONS = [
    ("192.168.1.20", {}),
    ("127.0.0.1", {"host": "osprey.example.org"}),
    ("127.0.0.1", {"forwarded": "for=10.0.0.1"}),
    ("127.0.0.1", {"x_forwarded_for": "10.0.0.1"}),
    ("127.0.0.1", {"x_forwarded_host": "osprey.example.org"}),
    ("127.0.0.1", {"x_forwarded_proto": "https"}),
    ("127.0.0.1", {"x_real_ip": "10.0.0.1"}),
    ("127.0.0.1", {"via": "1.1 proxy"}),
    ("127.0.0.1", {"origin": "http://evil.example.org"}),
    ("127.0.0.1", {"origin": "null"}),
    ("127.0.0.1", {"sec_fetch_site": "cross-site"}),
    ("127.0.0.1", {"sec_fetch_site": "same-site"}),
]


def test_whoever_breaks_a_rule_of_open_mode_is_nobody(open_mode: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ALLOWED_HOSTS", ["*"])
    for peer, headers in VIOLATIONS:
        for method, path in (("POST", CALL), ("POST", "/classifyfish"), ("GET", "/api/v1/projects")):
            reply = Client({}, peer=peer).call(method, path, open_mode.picture(), **headers)
            assert (reply.status, reply.code) == (401, "not-signed-in"), (peer, headers, path)
            assert reply.headers["www-authenticate"].startswith("Bearer")
    assert Image.objects.count() == 0


def test_without_open_mode_a_guest_is_nobody(cast: Cast) -> None:
    reply = GUEST.post(CALL, cast.picture())
    assert (reply.status, reply.code) == (401, "not-signed-in")
