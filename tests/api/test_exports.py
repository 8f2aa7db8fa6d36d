"""Exports and results by REST."""

from __future__ import annotations

from tests.api.conftest import Cast
from webapp.datasets import export_job
from webapp.datasets.models import Export

PROJECT = "/api/v1/projects/savanna"


def test_an_export_is_asked_for_followed_and_downloaded(cast: Cast) -> None:
    cast.image()
    cora = cast.token("cora")
    asked = cora.post(f"{PROJECT}/exports", {"format": "csv", "options": {"with_images": False}})
    assert (asked.status, asked.json()["state"], asked.json()["file"]) == (202, "waiting", None)
    address = asked.headers["location"].partition("127.0.0.1:8000")[2]
    assert cora.get(f"{address}/file").code == "no-file"
    export_job.run(Export.objects.get().pk)
    done = cora.get(address).json()
    assert (done["state"], done["done"]) == ("done", 1)
    file = cora.get(f"{address}/file")
    assert (file.status, file.body[:4]) == (200, b"PK\x03\x04")
    assert file.headers["content-disposition"].startswith("attachment")


def test_what_a_curator_asked_for_is_not_for_others(cast: Cast) -> None:
    cast.token("cora").post(f"{PROJECT}/exports", {"format": "csv"})
    uid = Export.objects.get().uid
    assert cast.token("vera").get(f"/api/v1/exports/{uid}").status == 403


def test_a_format_that_is_none_is_refused(cast: Cast) -> None:
    assert cast.token("cora").post(f"{PROJECT}/exports", {"format": "docx"}).status == 400


def test_an_export_under_way_is_stopped_once(cast: Cast) -> None:
    cora = cast.token("cora")
    cora.post(f"{PROJECT}/exports", {"format": "csv"})
    uid = Export.objects.get().uid
    assert cora.call("DELETE", f"/api/v1/exports/{uid}").json()["state"] == "stopped"
    assert cora.call("DELETE", f"/api/v1/exports/{uid}").status == 409


def test_results_come_as_json_and_as_a_table(cast: Cast) -> None:
    cast.image()
    vera = cast.token("vera")
    found = vera.get(f"{PROJECT}/results?by=site").json()
    assert found["totals"]["images"] == 1
    table = vera.get(f"{PROJECT}/results?format=csv")
    assert table.headers["content-type"].startswith("text/csv")
    assert table.body.startswith(b"site,visit,label,")
