"""How the site says that it is well, and that it is not."""

from __future__ import annotations

import logging
from pathlib import Path

from django.utils import timezone
from pytest_django import Settings

from tests.api.client import Client
from tests.api.conftest import Cast
from webapp.predictions.models import Worker


def test_a_site_without_workers_can_take_pictures_but_not_work(cast: Cast) -> None:
    anybody = Client({})
    alone = anybody.get("/healthz")
    assert (alone.status, alone.json()["database"], alone.json()["gpu"]) == (200, "ok", "down")
    assert any("gpu" in line for line in alone.json()["problems"])
    assert anybody.get("/healthz?workers=1").status == 503
    for queue in ("gpu", "io"):
        Worker.objects.create(name=queue, queue=queue, host="h", pid=1, seen_at=timezone.now())
    assert anybody.get("/healthz?workers=1").status == 200


def test_the_whole_state_is_for_people_who_signed_in(cast: Cast) -> None:
    assert Client({}).get("/api/v1/status").status == 401
    said = cast.token("vera").get("/api/v1/status").json()
    assert said["queue"]["pending"] == 0
    assert said["problems"]
    for scope in ("read", "upload", "train"):
        assert cast.token("gus", scope).get("/api/v1/status").status == 403, "a boat's token is not for looking around"


def test_a_site_that_is_not_up_yet_leaves_no_error_in_the_log() -> None:
    def record(status: int, path: str) -> logging.LogRecord:
        made = logging.LogRecord("django.request", logging.ERROR, "", 0, "%s: %s", ("words", path), None)
        made.status_code = status
        return made

    logger = logging.getLogger("django.request")
    assert not logger.filter(record(503, "/healthz"))
    assert logger.filter(record(503, "/api/v1/images")) and logger.filter(record(500, "/healthz"))


def test_a_store_whose_disk_is_gone_is_said_and_not_a_crash(cast: Cast, settings: Settings, tmp_path: Path) -> None:
    settings.STORE_DIR = tmp_path / "unplugged"
    reply = Client({}).get("/healthz")
    assert reply.status == 200
    assert any("store cannot be reached" in words for words in reply.json()["problems"])
