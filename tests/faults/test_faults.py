"""Things that go wrong in the field, done to the real processes: nothing accepted is lost or doubled."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import pictures, sites
from tests.faults.poison.sitecustomize import MARK

pytestmark = pytest.mark.processes

POISON = str(Path(__file__).with_name("poison"))


@pytest.fixture(scope="module")
def site(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sites.Site]:
    """A site whose leases are short and whose decoder crashes on marked pictures."""
    data = sites.copy_of(prepared, tmp_path_factory.mktemp("faults") / "data")
    with sites.Site(data, settings={"OSPREY_LEASE_SECONDS": "3", "OSPREY_BATCH": "8", "PYTHONPATH": POISON}) as running:
        yield running


@pytest.fixture(scope="module")
def token(site: sites.Site) -> str:
    return "Bearer " + site.command("token", "--scope", "admin").stdout.strip()


def many(count: int, start: int) -> list[bytes]:
    return [pictures.jpeg(640, 480, seed=start + number) for number in range(count)]


def send_batch(site: sites.Site, token: str, files: list[bytes]) -> str:
    """A batch by REST; gives the address of its job."""
    boundary = "osprey-test"
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{number}.jpg"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for number, content in enumerate(files)
    )
    body += f"--{boundary}--\r\n".encode()
    kind = f"multipart/form-data; boundary={boundary}"
    reply = site.ask("POST", "/api/v1/batches?project=animals", body, Authorization=token, Content_Type=kind)
    assert reply.status == 202, reply.body
    return str(reply.json()["upload"])


def counts(site: sites.Site, token: str, uid: str) -> dict[str, int]:
    found: dict[str, int] = site.ask("GET", f"/api/v1/uploads/{uid}", Authorization=token).json()["counts"]
    return found


def settled(site: sites.Site, token: str, uid: str) -> dict[str, int]:
    """The final counts of an upload, once nothing of it waits any more."""

    def final() -> dict[str, int] | None:
        now = counts(site, token, uid)
        return now if not now.get("expected") and not now.get("received") else None

    found: dict[str, int] = sites.wait_until(final, "the upload to settle")
    return {state: count for state, count in found.items() if count}


def doubled(site: sites.Site) -> str:
    """How many images have more than one region or state: nothing may."""
    return site.python(
        "from django.db.models import Count\n"
        "from webapp.predictions.models import Prediction\n"
        "from webapp.images.models import Image, ImageState\n"
        "p = Prediction.objects.filter(state='done').annotate(n=Count('regions')).exclude(n=1).count()\n"
        "print(p, Image.objects.count() - ImageState.objects.count())"
    )


def test_a_worker_killed_in_mid_batch_loses_and_doubles_nothing(site: sites.Site, token: str) -> None:
    uid = send_batch(site, token, many(120, start=1000))
    sites.wait_until(lambda: counts(site, token, uid).get("done", 0) >= 8, "the first pictures to be done")
    site.kill("gpu")
    assert settled(site, token, uid) == {"done": 120}
    assert doubled(site) == "0 0"


@pytest.mark.long
def test_a_broker_killed_and_started_again_is_not_noticed(site: sites.Site, token: str) -> None:
    uid = send_batch(site, token, many(60, start=2000))
    site.kill("broker")
    assert site.classify(pictures.jpeg(seed=2999), Authorization=token).status in (200, 202)
    assert settled(site, token, uid) == {"done": 60}
    sites.wait_until(lambda: site.ask("GET", "/healthz?workers=1").json()["broker"] == "ok", "the broker to be healthy")


def test_while_the_broker_is_dead_uploads_go_on_and_the_site_says_so(site: sites.Site, token: str) -> None:
    pid = site.pid_of("broker")
    os.kill(pid, signal.SIGSTOP)
    try:
        reply = site.classify(pictures.jpeg(seed=3000), Authorization=token)
        assert reply.status == 200, reply.body
        health = site.ask("GET", "/healthz?workers=1").json()
        assert health["broker"] != "ok"
        assert any("broker" in problem for problem in health["problems"])
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.long
def test_an_upload_cut_off_in_its_middle_stores_nothing_and_can_be_sent_again(site: sites.Site, token: str) -> None:
    picture = pictures.jpeg(1600, 1200, seed=4000)
    head = (
        "POST /api/v1/classify HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: {token}\r\nContent-Length: {len(picture)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", site.port)) as connection:
        connection.sendall(head.encode() + picture[: len(picture) // 2])
    incoming = site.data / "store" / "incoming"
    sites.wait_until(lambda: not list(incoming.glob("in-*")), "the half picture to be removed")
    assert site.classify(picture, Authorization=token).status == 200


@pytest.mark.long
def test_web_killed_while_pictures_come_in_loses_none_that_it_accepted(site: sites.Site, token: str) -> None:
    pictures_sent = many(40, start=5000)
    accepted: list[str] = []
    killed = threading.Event()

    def send(picture: bytes) -> None:
        """As a client does: again, until it is taken."""
        for _ in range(60):
            try:
                reply = site.classify(picture, "?wait=0", Authorization=token)
            except OSError:
                killed.wait(0.2)
                continue
            if reply.status in (200, 202):
                accepted.append(reply.json().get("job") or reply.json()["image"]["sha256"])
                return

    with ThreadPoolExecutor(4) as senders:
        sending = [senders.submit(send, picture) for picture in pictures_sent]
        sites.wait_until(lambda: len(accepted) >= 5, "some pictures to be accepted")
        site.kill("web")
        for job in sending:
            job.result(timeout=60)
    assert len(accepted) == 40
    waiting = "from webapp.predictions.models import Prediction as P\nprint(P.objects.exclude(state='done').count())"
    sites.wait_until(lambda: site.python(waiting) == "0", "all pictures to be recognised")
    assert doubled(site) == "0 0"


@pytest.mark.long
def test_a_picture_that_ends_the_worker_is_set_aside_and_its_neighbours_are_recognised(
    site: sites.Site, token: str
) -> None:
    files = many(6, start=6000)
    files[2] += MARK
    uid = send_batch(site, token, files)
    assert settled(site, token, uid) == {"done": 5, "failed": 1}
    items = site.ask("GET", f"/api/v1/uploads/{uid}/items?state=failed", Authorization=token).json()["results"]
    assert [item["code"] for item in items] == ["ended-worker"]
    assert "ended the worker" in items[0]["reason"]


@pytest.mark.long
def test_a_damaged_model_file_is_named_and_the_pictures_wait_until_it_is_whole(site: sites.Site, token: str) -> None:
    active = json.loads((site.data / "active" / "animals.json").read_text())
    weights = site.data / active["classifier"] / "model.onnx"
    whole = weights.read_bytes()
    weights.unlink()  # other data folders of this test run share the file by a hard link
    weights.write_bytes(whole[: len(whole) // 2])
    site.kill("gpu")
    try:
        reply = site.classify(pictures.jpeg(seed=7000), "?wait=1", Authorization=token)
        assert reply.status == 202, reply.body
        broken = sites.wait_until(
            lambda: [text for text in site.ask("GET", "/healthz?workers=1").json()["problems"] if "model.onnx" in text],
            "the site to name the damaged file",
        )
        assert broken
    finally:
        weights.write_bytes(whole)
    job = reply.json()["job"].removeprefix(site.url)
    sites.wait_until(
        lambda: site.ask("GET", job, Authorization=token).json()["state"] == "done", "the picture to be recognised"
    )


@pytest.mark.long
def test_a_full_disk_is_said_before_a_byte_is_read_and_nothing_is_stored(prepared: Path, tmp_path: Path) -> None:
    data = sites.copy_of(prepared, tmp_path / "data")
    with sites.Site(data, settings={"OSPREY_FREE_DISK_MB": str(10**9)}) as full:
        reply = full.classify(pictures.jpeg(seed=8000))
        problems = full.ask("GET", "/healthz?workers=1").json()["problems"]
        stored = full.python("from webapp.images.models import File\nprint(File.objects.count())")
    assert (reply.status, reply.json()["code"], stored) == (507, "no-space", "0")
    assert any("disk is full" in problem for problem in problems)
