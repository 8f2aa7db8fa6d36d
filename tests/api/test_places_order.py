"""Sites, visits and clocks by REST."""

from __future__ import annotations

from tests.api.conftest import Cast
from webapp.projects.models import Label, Site, Visit

PROJECT = "/api/v1/projects/savanna"


def test_a_table_of_visits_is_checked_then_taken(cast: Cast) -> None:
    cora = cast.token("cora")
    text = "site,visit,start,end\nFord,May,2026-05-01,2026-05-31\n"
    dry = cora.post(f"{PROJECT}/visits/table", {"text": text, "dry_run": True})
    assert (dry.status, dry.json()["rows"], Site.objects.count()) == (200, 1, 0)
    assert cora.post(f"{PROJECT}/visits/table", {"text": text}).status == 200
    assert Visit.objects.get().name == "May"


def test_a_label_tree_is_taken(cast: Cast) -> None:
    reply = cast.token("cora").post(f"{PROJECT}/labels-table", {"text": "name,parent\nCat,\nLynx,Cat\n"})
    assert (reply.status, reply.json()["rows"]) == (200, 2)
    assert Label.objects.get(name="Lynx").parent is not None


def test_a_clock_is_repaired_and_taken_back(cast: Cast) -> None:
    visit = Visit.objects.create(project=cast.project, name="May")
    cora = cast.token("cora")
    made = cora.post(f"/api/v1/visits/{visit.uid}/clock", {"offset_seconds": 60})
    assert (made.status, made.json()["offset_after"]) == (201, 60)
    assert len(cora.get(f"/api/v1/visits/{visit.uid}/clock").json()["repairs"]) == 1
    assert cora.post(f"/api/v1/clock-repairs/{made.json()['id']}/undo", {}).json()["offset_after"] == 0


def test_what_belongs_nowhere_is_counted(cast: Cast) -> None:
    cast.image()
    reply = cast.token("vera").get(f"{PROJECT}/places")
    assert reply.json()["orphans"]["without_site"] == 1
    assert cast.token("vera").post(f"{PROJECT}/sites/from-folders", {"site": 1}).status == 403
