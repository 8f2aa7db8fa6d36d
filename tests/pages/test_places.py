"""The Sites page: what belongs nowhere, tables pasted in, clocks put right."""

from __future__ import annotations

from datetime import UTC, datetime

from django.urls import reverse

from tests.pages.conftest import Cast
from webapp.images.models import ClockRepair, Image
from webapp.projects.models import Label, Site, Visit

TABLE = "site,visit,start,end\nFord,May,2026-05-01 08:00,2026-05-31 10:00\n"


def places(name: str, *more: object) -> str:
    return reverse(name, args=["savanna", *more])


def test_a_table_is_checked_before_it_is_taken(cast: Cast) -> None:
    cora = cast.browser("curator")
    checked = cora.post(places("places-table"), {"text": TABLE})
    assert "1 line can be taken" in checked.content.decode()
    assert not Site.objects.exists()
    cora.post(places("places-table"), {"text": TABLE, "make": "1"})
    assert Visit.objects.get().site == Site.objects.get(name="Ford")
    assert "Ford" in cora.get(places("places")).content.decode()


def test_problems_of_a_table_are_listed_and_nothing_is_taken(cast: Cast) -> None:
    wrong = TABLE.replace("2026-05-31", "2026-04-01")
    answer = cast.browser("curator").post(places("places-table"), {"text": wrong, "make": "1"})
    assert "line 2: it ends before it starts" in answer.content.decode()
    assert not Site.objects.exists()


def test_folders_are_shown_before_sites_are_made(cast: Cast) -> None:
    Image.objects.filter(pk=cast.image.pk).update(path="Season/Ford/1.jpg")
    cora = cast.browser("curator")
    shown = cora.post(places("places-folders"), {"site": "2"})
    assert "Make 1 site" in shown.content.decode()
    cora.post(places("places-folders"), {"site": "2", "make": "1"})
    cast.image.refresh_from_db()
    assert cast.image.site is not None
    assert cast.image.site.name == "Ford"


def test_dates_of_visits_are_told_in_the_zone_of_their_site(cast: Cast) -> None:
    ford = Site.objects.create(project=cast.project, name="Ford", time_zone="Africa/Nairobi")
    start = datetime(2026, 5, 1, 22, 30, tzinfo=UTC)
    visit = Visit.objects.create(project=cast.project, site=ford, name="May", start=start)
    rosa = cast.browser("reviewer")
    for page in (places("places"), places("visit", visit.uid), places("project")):
        text = rosa.get(page).content.decode()
        assert "data-as-is>2 May 2026, 01:30</time>" in text
        assert "Africa/Nairobi" in text


def test_a_clock_is_put_right_by_what_it_showed(cast: Cast) -> None:
    visit = Visit.objects.create(project=cast.project, name="May")
    cora = cast.browser("curator")
    at = {"shown": "2026-05-31T11:00", "true": "2026-05-31T12:30"}
    cora.post(places("visit-clock", visit.uid), at)
    visit.refresh_from_db()
    assert visit.clock_offset_seconds == 5400
    repair = ClockRepair.objects.get()
    assert "Take back" in cora.get(places("visit", visit.uid)).content.decode()
    cora.post(places("visit-clock-undo", visit.uid, repair.pk))
    visit.refresh_from_db()
    assert visit.clock_offset_seconds == 0


def test_a_reviewer_sees_sites_and_changes_none(cast: Cast) -> None:
    rosa = cast.browser("reviewer")
    page = rosa.get(places("places"))
    assert page.status_code == 200
    assert "Paste a table" not in page.content.decode()
    assert rosa.post(places("places-table"), {"text": TABLE, "make": "1"}).status_code == 403


def test_labels_come_from_a_table(cast: Cast) -> None:
    text = "name,parent\nCat,\nLeopard,Cat\n"
    cora = cast.browser("curator")
    assert "Take 2 labels" in cora.post(places("labels-table"), {"text": text}).content.decode()
    cora.post(places("labels-table"), {"text": text, "make": "1"})
    assert Label.objects.get(project=cast.project, name="Leopard").parent == Label.objects.get(name="Cat")
