"""Uploads and batches: announced, sent, followed, finished, and taken home."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
import zipfile
from typing import Any

import pytest
from django.utils import timezone

from tests.api.client import Client, form
from tests.api.conftest import Cast, settle
from webapp import events
from webapp.api import events as sse
from webapp.api.results import disarmed
from webapp.images.models import Image, Item, Upload
from webapp.predictions.models import Prediction

UPLOADS = "/api/v1/uploads"


def begin(client: Client, *paths: str) -> str:
    made = client.post(UPLOADS, {"project": "savanna", "name": "May", "manifest": [{"path": path} for path in paths]})
    assert made.status == 201, made.body
    assert made.headers["location"].endswith(made.json()["id"])
    return f"{UPLOADS}/{made.json()['id']}"


def test_an_upload_from_its_list_to_its_results(cast: Cast) -> None:
    ravi = cast.token("ravi")
    upload = begin(ravi, "a.jpg", "b.jpg")
    more = ravi.post(f"{upload}/manifest", {"manifest": [{"path": "c.jpg", "size": 5}, {"path": "Thumbs.db"}]})
    assert (more.json()["added"], more.json()["left_out"]) == (1, ["Thumbs.db"])

    sent = ravi.call("PUT", f"{upload}/file?path=a.jpg", cast.picture(1))
    assert (sent.status, sent.json()["state"]) == (202, "new")
    assert ravi.call("PUT", f"{upload}/file?path=b.jpg", cast.picture(1)).json()["state"] == "duplicate"
    refused = ravi.call("PUT", f"{upload}/file?path=c.jpg", b"no picture")
    assert (refused.status, refused.code) == (415, "not-an-image")

    far = ravi.get(upload).json()
    assert far["done"] is False
    assert {state: n for state, n in far["counts"].items() if n} == {"received": 1, "duplicate": 1, "rejected": 1}
    settle(Prediction.objects.get())
    Item.objects.filter(state="received").update(state="done", changed_at=timezone.now())
    closed = ravi.call("PATCH", upload, {"state": "closed"}).json()
    assert (closed["state"], closed["done"]) == ("closed", True)
    assert closed["labels"] == [{"key": "zebra", "name": "Zebra", "count": 2}]

    rows = list(csv.DictReader(io.StringIO(ravi.get(f"{upload}/results").body.decode())))
    assert [(row["path"], row["state"], row["label"]) for row in rows] == [
        ("a.jpg", "done", "Zebra"), ("b.jpg", "duplicate", "Zebra"), ("c.jpg", "rejected", ""),
    ]  # fmt: skip
    assert [row["path"] for row in ravi.get(f"{upload}/results?format=json").json()] == ["a.jpg", "b.jpg", "c.jpg"]


def test_sending_a_file_again_changes_nothing(cast: Cast) -> None:
    ravi = cast.token("ravi")
    upload = begin(ravi, "a.jpg")
    first = ravi.call("PUT", f"{upload}/file?path=a.jpg", cast.picture()).json()
    again = ravi.call("PUT", f"{upload}/file?path=a.jpg", cast.picture()).json()
    assert (again["item"], again["state"]) == (first["item"], "new"), "a file is not its own duplicate"
    assert Item.objects.count() == 1
    assert Item.objects.get().state == Item.State.RECEIVED


def test_files_that_are_here_need_not_be_sent(cast: Cast) -> None:
    image = cast.image()
    ravi = cast.token("ravi")
    upload = begin(ravi, "a.jpg", "b.jpg")
    digest, other = hashlib.sha256(cast.picture()).hexdigest(), "0" * 64
    assert ravi.post(f"{upload}/check", {"sha256": [digest, other]}).json() == {"here": {digest: image.pk}}
    assert ravi.post(f"{upload}/check", {"files": {"a.jpg": digest}}).json() == {"here": {digest: image.pk}}
    assert ravi.get(upload).json()["counts"]["duplicate"] == 1


def test_items_come_in_pages_and_by_state(cast: Cast) -> None:
    ravi = cast.token("ravi")
    upload = begin(ravi, *(f"{n:02}.jpg" for n in range(5)))
    seen, following = [], f"{upload}/items?limit=2&state=expected"
    while following:
        page = ravi.get(following.removeprefix("http://127.0.0.1:8000")).json()
        seen += [item["path"] for item in page["results"]]
        following = page["next"]
    assert seen == [f"{n:02}.jpg" for n in range(5)]
    assert ravi.get(f"{upload}/items?state=nonsense").code == "invalid-fields"


def test_a_batch_of_files_is_a_job_in_which_bad_files_fail_alone(cast: Cast) -> None:
    ravi = cast.token("ravi")
    files = [("files", "a.jpg", cast.picture(1)), ("files", "a.jpg", cast.picture(2)), ("files", "n.txt", b"words")]
    body, content_type = form(*files, project="savanna", name="three")
    reply = ravi.post("/api/v1/batches", body, content_type=content_type)
    assert reply.status == 202, reply.body
    said = reply.json()
    assert reply.headers["location"] == said["job"]
    assert (said["counts"]["received"], said["counts"]["rejected"]) == (2, 1)
    items = {item.path: item for item in Item.objects.all()}
    assert items["n.txt"].code == "not-an-image"
    assert ravi.get(f"{UPLOADS}/{said['upload']}").json()["state"] == "closed"


def test_a_zip_as_the_whole_body_is_a_batch(cast: Cast) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("one.jpg", cast.picture())
    reply = cast.token("ravi").post("/api/v1/batches?project=savanna", file.getvalue())
    assert reply.status == 202, reply.body
    assert Upload.objects.get(uid=reply.json()["upload"]).state == "working"


def test_an_empty_batch_is_refused(cast: Cast) -> None:
    assert cast.token("ravi").post("/api/v1/batches?project=savanna", b"").code == "empty"
    assert not Upload.objects.exists()


def test_only_failures_are_tried_again(cast: Cast) -> None:
    ravi = cast.token("ravi")
    upload = begin(ravi, "a.jpg")
    prediction = ravi.call("PUT", f"{upload}/file?path=a.jpg", cast.picture()).json()["prediction"]
    assert ravi.post(f"{upload}/retry").json() == {"retried": 0}
    Prediction.objects.update(state="failed", code="internal", reason="three times")
    Item.objects.update(state="failed")
    assert ravi.post(f"{upload}/retry").json() == {"retried": 1}
    Prediction.objects.update(state="failed")
    assert ravi.post(f"/api/v1/predictions/{prediction}/retry").json() == {"retried": 1}


def test_each_role_does_with_uploads_what_it_may(cast: Cast) -> None:
    upload = begin(cast.token("ravi"), "a.jpg")
    reads = {who: cast.token(who).get(upload).status for who in cast.people}
    assert reads == {"tess": 200, "alice": 200, "cora": 200, "ravi": 200, "vera": 200, "olga": 404, "gus": 200}
    vera, olga = cast.token("vera"), cast.token("olga")
    assert vera.call("PUT", f"{upload}/file?path=a.jpg", cast.picture()).status == 403
    assert vera.post(f"{upload}/check", {"sha256": []}).status == 403
    assert vera.post(f"{upload}/manifest", {"manifest": [{"path": "z.jpg"}]}).status == 403
    assert vera.call("PATCH", upload, {"state": "closed"}).status == 403
    assert vera.post(UPLOADS, {"project": "savanna"}).status == 403
    assert olga.get(f"{upload}/results").status == 404
    assert olga.get(f"{upload}/events").status == 404
    assert [row["id"] for row in vera.get(f"{UPLOADS}?project=savanna").json()["results"]] == [upload.split("/")[-1]]


def test_cells_that_a_spreadsheet_would_run_are_disarmed() -> None:
    assert disarmed('=HYPERLINK("http://x")') == '\'=HYPERLINK("http://x")'
    assert [disarmed(cell) for cell in ("+1", "-1", "@x", "\tx", "\rx")] == ["'+1", "'-1", "'@x", "'\tx", "'\rx"]
    assert [disarmed(cell) for cell in ("a=1", -1.5, None)] == ["a=1", -1.5, ""]


def parsed(stream: bytes) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in stream.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and not line.startswith(":"))
        if "event" in lines:
            assert lines["id"].isdigit()
            found.append((lines["event"], json.loads(lines["data"])))
    return found


async def listen(uploads: list[Upload], since: Any, *, longest: float) -> bytes:
    return b"".join([piece async for piece in sse.stream(uploads, since, longest=longest)])


def test_a_stream_begins_with_what_the_rows_say(cast: Cast) -> None:
    begin(cast.token("ravi"), "a.jpg")
    upload = Upload.objects.get()
    (name, said), *_ = parsed(asyncio.run(listen([upload], None, longest=0.05)))
    assert name == "snapshot"
    assert (said["upload"], said["counts"]["expected"], said["done"]) == (str(upload.uid), 1, False)
    assert said["reload"] is True


def test_a_browser_that_comes_back_hears_what_it_missed(cast: Cast) -> None:
    ravi = cast.token("ravi")
    path = begin(ravi, "a.jpg", "b.jpg")
    before = int(timezone.now().timestamp() * 1000)
    Item.objects.filter(path="b.jpg").update(changed_at=timezone.now() - timezone.timedelta(minutes=5))  # type: ignore[attr-defined]
    ravi.call("PUT", f"{path}/file?path=a.jpg", cast.picture())
    stream = asyncio.run(listen([Upload.objects.get()], sse.read_since(str(before)), longest=0.05))
    (_, said), *_ = parsed(stream)
    assert [(item["state"], item["image"] is not None) for item in said["items"]] == [("received", True)]
    assert said["reload"] is False


def test_news_of_many_files_come_together(cast: Cast) -> None:
    image = cast.image()
    begin(cast.token("ravi"), "a.jpg", "b.jpg")
    upload = Upload.objects.get(name="May")

    async def news() -> bytes:
        async def speak() -> None:
            for item in (1, 2, 1):
                await asyncio.sleep(0.02)
                said = {"item": item, "state": "done", "image": image.pk}
                sse.bus()._spread(f"{sse.UPLOADS}{upload.uid}", [said])

        speaker = asyncio.create_task(speak())
        heard = await listen([upload], None, longest=0.6)
        await speaker
        return heard

    told = [said for name, said in parsed(asyncio.run(news())) if name == "items" and said["items"]]
    assert len(told) == 1
    assert sorted(item["item"] for item in told[0]["items"]) == [1, 2]
    assert told[0]["items"][0]["label"] == "Zebra"


def test_a_stream_of_nothing_or_of_too_much_is_refused(cast: Cast) -> None:
    ravi = cast.token("ravi")
    assert ravi.get("/api/v1/events").status == 400
    assert ravi.get("/api/v1/events?uploads=" + ",".join("x" * 30)).status in (400, 404)
    assert ravi.get("/api/v1/events?uploads=nonsense").status == 404


def test_a_look_at_the_rows_tells_what_made_no_news(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "WITHOUT_NEWS", 0.05)
    begin(cast.token("ravi"), "a.jpg")
    upload = Upload.objects.get()

    async def change_meanwhile() -> bytes:
        listening = asyncio.create_task(listen([upload], None, longest=0.6))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(Item.objects.update, state="rejected")
        return await listening

    told = [said for name, said in parsed(asyncio.run(change_meanwhile())) if name == "items"]
    assert [said["counts"]["rejected"] for said in told] == [1]


def test_files_of_one_name_in_a_batch_are_told_apart_from_all_others(cast: Cast) -> None:
    names = ["a-3.jpg", "a.jpg", "a.jpg"]
    body, content_type = form(*(("files", name, cast.picture(seed)) for seed, name in enumerate(names)))
    cast.token("ravi").post("/api/v1/batches?project=savanna", body, content_type=content_type)
    assert set(Item.objects.values_list("path", "state")) == {
        ("a-3.jpg", "received"), ("a.jpg", "received"), ("a-4.jpg", "received"),
    }  # fmt: skip


def test_a_closed_upload_takes_again_only_what_it_has(cast: Cast) -> None:
    ravi = cast.token("ravi")
    upload = begin(ravi, "a.jpg")
    assert ravi.call("PUT", f"{upload}/file?path=a.jpg", cast.picture(1)).status == 202
    ravi.call("PATCH", upload, {"state": "closed"})
    assert ravi.call("PUT", f"{upload}/file?path=a.jpg", cast.picture(1)).status == 202
    for path, seed in (("late.jpg", 1), ("late.jpg", 2), ("a.jpg", 2)):
        late = ravi.call("PUT", f"{upload}/file?path={path}", cast.picture(seed))
        assert (late.status, late.code) == (409, "closed")
    assert Item.objects.count() == 1
    ravi.call("PATCH", upload, {"state": "open"})
    assert ravi.call("PUT", f"{upload}/file?path=late.jpg", cast.picture(2)).status == 202


def test_what_settles_at_once_is_told_to_all_who_follow(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, str]] = []

    def hear(messages: dict[str, Any]) -> None:
        for channel, words in messages.items():
            if channel.startswith(events.UPLOADS):
                told.extend((Item.objects.get(pk=word["item"]).path, word["code"] or word["state"]) for word in words)

    monkeypatch.setattr(events, "publish_all", hear)
    ravi = cast.token("ravi")
    upload = begin(ravi, "new.jpg", "same.jpg", "hashed.jpg", "words.jpg", "never.jpg")
    ravi.call("PUT", f"{upload}/file?path=new.jpg", cast.picture(1))
    assert told == [], "the worker tells of recognised pictures"
    ravi.call("PUT", f"{upload}/file?path=same.jpg", cast.picture(1))
    ravi.post(f"{upload}/check", {"files": {"hashed.jpg": hashlib.sha256(cast.picture(1)).hexdigest()}})
    ravi.call("PUT", f"{upload}/file?path=words.jpg", b"no picture")
    ravi.call("PATCH", upload, {"state": "closed"})
    assert told == [
        ("same.jpg", "duplicate"),
        ("hashed.jpg", "duplicate"),
        ("words.jpg", "not-an-image"),
        ("never.jpg", "never-came"),
    ]


def test_damage_is_told_of_items_and_in_results(cast: Cast) -> None:
    ravi = cast.token("ravi")
    upload = begin(ravi, "a.jpg", "b.jpg")
    ravi.call("PUT", f"{upload}/file?path=a.jpg", cast.picture(1))
    Image.objects.update(damaged_share=0.95)
    items = ravi.get(f"{upload}/items").json()["results"]
    assert [(item["damaged"], item["damaged_share"]) for item in items] == [(True, 0.95), (False, None)]
    rows = csv.DictReader(io.StringIO(ravi.get(f"{upload}/results").body.decode()))
    assert [(row["damaged"], row["damaged_share"]) for row in rows] == [("yes", "0.95"), ("no", "")]
    assert [row["damaged"] for row in ravi.get(f"{upload}/results?format=json").json()] == [True, False]
