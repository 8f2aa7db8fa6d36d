"""Pages of a project with many images: what they show is stored or found by an index, never counted over all rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from tests.snapshots.conftest import Fjord, parts_of
from webapp.datasets import manifest, since, stored_difference
from webapp.datasets.difference import difference
from webapp.datasets.models import Difference, Snapshot
from webapp.datasets.restore import freeze_again
from webapp.datasets.tasks_freeze import count_difference, look_again
from webapp.datasets.whole_health import whole_health
from webapp.images.models import FacetCount, Image, ImageState
from webapp.images.recount import recount
from webapp.images.visits import orphans
from webapp.reviews.models import NearDuplicate
from webapp.reviews.queues import QUEUES, states_of

START = datetime(2026, 5, 1, tzinfo=UTC)
FEW, MANY = 60, 600


def browser(fjord: Fjord) -> Client:
    client = Client()
    client.force_login(fjord.actor("ada").user)  # type: ignore[arg-type]
    return client


@contextmanager
def steps_counted() -> Iterator[list[int]]:
    """How many tens of instructions SQLite takes: a count over all rows takes more of them for more rows.

    Not for PostgreSQL, which plans small tables otherwise than large ones.
    """
    counted = [0]

    def count() -> int:
        counted[0] += 1
        return 0

    connection.ensure_connection()
    connection.connection.set_progress_handler(count, 10)
    try:
        yield counted
    finally:
        connection.connection.set_progress_handler(None, 0)


def steps_of(client: Client, address: str) -> int:
    client.get(address)
    with steps_counted() as counted:
        assert client.get(address).status_code == 200
    return counted[0]


def taken(fjord: Fjord, count: int) -> list[Image]:
    """Images of a visit, a minute apart, the first of them before it began."""
    site = fjord.site("Ford")
    visit = fjord.visit("May", site)
    visit.start, visit.end = START, START + timedelta(days=30)
    visit.save()
    some = fjord.images(count, site=site, visit=visit)
    for number, image in enumerate(some):
        image.captured_at_utc = START + timedelta(minutes=number - 1)
    Image.objects.bulk_update(some, ["captured_at_utc"])
    for image in some:
        ImageState.objects.filter(pk=image.pk).update(visit=visit, captured_at_utc=image.captured_at_utc)
    recount(fjord.project)
    return some


@pytest.mark.parametrize("page", ["", "places/"])
def test_a_page_takes_the_same_steps_for_ten_times_the_images(fjord: Fjord, page: str) -> None:
    client = browser(fjord)
    taken(fjord, FEW)
    few = steps_of(client, f"/p/fjord/{page}")
    taken(fjord, MANY)
    assert steps_of(client, f"/p/fjord/{page}") < few * 1.2


def test_empties_are_counted_by_their_index_without_a_look_at_each_image(fjord: Fjord) -> None:
    nothing = fjord.label("nothing", kind="background")
    fjord.images(MANY)
    ImageState.objects.update(machine_label=nothing)
    counted = []
    asked = ImageState.objects.filter(project=fjord.project, review_state="unreviewed", machine_label=nothing)
    for rows in (states_of(fjord.project, QUEUES["empty"]).order_by(), asked):
        with steps_counted() as steps:
            assert rows[: 2 * MANY].count() == MANY
        counted.append(steps[0])
    assert counted[0] < 0.9 * counted[1]


def test_images_that_belong_nowhere_are_counted_as_they_come_and_find_their_place(fjord: Fjord) -> None:
    some = taken(fjord, 5)
    fjord.images(2)
    recount(fjord.project)
    found = orphans(fjord.project)
    assert (found.without_site, found.without_visit, found.without_time) == (2, 2, 2)
    assert found.outside_their_visit == 1
    fjord.say(some[:3], "cod")
    left = FacetCount.objects.filter(project=fjord.project, facet="left", count__gt=0)
    assert dict(left.values_list("value", "count")) == {str(fjord.site("Ford").pk): 2, "": 2}
    assert recount(fjord.project) == 0


def test_counts_that_an_older_site_did_not_keep_are_made_by_its_migration(fjord: Fjord) -> None:
    taken(fjord, 4)
    fjord.say(fjord.images(3), "cod")
    fjord.images(2)
    recount(fjord.project)
    FacetCount.objects.filter(facet__in=["time", "left"]).delete()
    migration = import_module("webapp.images.migrations.0003_counts")
    with connection.cursor() as cursor:
        cursor.execute(migration.COUNT_WHAT_IS_THERE)
        cursor.execute(migration.COUNT_WHAT_IS_LEFT)
    assert recount(fjord.project) == 0


def test_what_became_of_a_large_snapshot_is_counted_by_a_worker_and_told_when(
    fjord: Fjord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(since, "COUNTED_AT_ONCE", 10)
    some = fjord.labelled(40, "cod")
    snapshot = fjord.freeze()
    parts = parts_of(snapshot)
    joined = [next(image for image, part in parts.items() if part == wanted) for wanted in ("train", "test")]
    for image in joined:
        NearDuplicate.objects.create(image_id=image, project=fjord.project, cluster=min(joined))
    fjord.say(some[:3], "hake")
    client, address = browser(fjord), f"/p/fjord/snapshots/{snapshot.uid}/"
    assert "A worker counts what has become of its images" in client.get(address).content.decode()
    assert whole_health(fjord.project, None)["leaks_counted"] is False
    snapshot.refresh_from_db()
    asked = snapshot.since_asked_at
    assert asked is not None and not snapshot.since
    look_again(snapshot.pk)
    page = client.get(address).content.decode()
    assert "It leaks by now" in page and "3</b> of its images" not in page and "counted" in page
    told = client.get(f"/api/v1/snapshots/{snapshot.uid}/leaks").json()
    assert (told["now"]["leaks"], told["now"]["relabelled"]) == (1, 3) and told["counted_at"]
    assert [one["kind"] for one in whole_health(fjord.project, None)["leaks"]] == ["cluster"]
    snapshot.refresh_from_db()
    assert snapshot.since_asked_at == asked  # once in ten minutes, however many look


def test_the_page_of_a_large_snapshot_takes_the_same_steps_for_ten_times_the_images(
    fjord: Fjord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(since, "COUNTED_AT_ONCE", 10)
    client = browser(fjord)
    fjord.labelled(FEW, "cod")
    few = steps_of(client, f"/p/fjord/snapshots/{fjord.freeze().uid}/")
    fjord.labelled(MANY, "cod")
    assert steps_of(client, f"/p/fjord/snapshots/{fjord.freeze().uid}/") < few * 1.2


@pytest.fixture
def two(fjord: Fjord, monkeypatch: pytest.MonkeyPatch) -> tuple[Snapshot, Snapshot]:
    """Two snapshots that are too large to be compared while somebody waits; neither is the other's parent."""
    monkeypatch.setattr(stored_difference, "COUNTED_AT_ONCE", 10)
    some = fjord.labelled(40, "cod")
    first = fjord.freeze()
    fjord.say(some[:3], "hake")
    return first, fjord.freeze()


Calls = Callable[..., AbstractContextManager[list[Callable[[], None]]]]


def test_the_difference_of_large_snapshots_is_counted_once_by_a_worker(
    fjord: Fjord, two: tuple[Snapshot, Snapshot], django_capture_on_commit_callbacks: Calls
) -> None:
    before, after = two
    client = browser(fjord)
    address = f"/p/fjord/snapshots/{after.uid}/difference/?before={before.uid}"
    rest = f"/api/v1/snapshots/{after.uid}/difference?before={before.uid}"
    with django_capture_on_commit_callbacks() as sent:
        page = client.get(address).content.decode()
        told = client.get(rest)
    row = Difference.objects.get()
    assert [one.args for one in sent] == [(stored_difference.TASK, (row.pk,), "io")]  # type: ignore[attr-defined]
    assert "A worker counts it" in page and 'hx-trigger="every 2s"' in page and "relabelled" not in page
    assert (told.status_code, told.headers["Retry-After"]) == (202, "2")
    assert told.json() == {"state": "counting", "before": str(before.uid), "after": str(after.uid)}
    count_difference(row.pk)
    wanted = difference(before, after)
    for one in (before, after):
        manifest.path_of(one).unlink()
    page = client.get(address).content.decode()
    assert "<b>3</b> relabelled" in page and "hx-trigger" not in page
    assert wanted["relabelled"] == 3 and client.get(rest).json() == wanted
    count_difference(row.pk)  # a message that came twice reads nothing


def test_the_difference_to_the_parent_is_there_as_soon_as_a_large_snapshot_is(
    fjord: Fjord, two: tuple[Snapshot, Snapshot]
) -> None:
    first, second = two
    third = fjord.freeze(parent=second, name="June")
    again = freeze_again(actor=fjord.actor("ada"), snapshot=first)
    client = browser(fjord)
    assert client.get(f"/api/v1/snapshots/{third.uid}/difference").json()["after"]["name"] == "June"
    found = client.get(f"/api/v1/snapshots/{again.uid}/difference").json()
    assert (found["relabelled"], found["after"]["name"]) == (3, again.name)
    equal = client.get(f"/api/v1/snapshots/{again.uid}/difference?before={first.uid}").json()
    assert (equal["same"], equal["relabelled"]) == (40, 0)


def test_a_manifest_that_cannot_be_read_is_told_and_tried_again_later(
    fjord: Fjord, two: tuple[Snapshot, Snapshot]
) -> None:
    before, after = two
    client, rest = browser(fjord), f"/api/v1/snapshots/{after.uid}/difference?before={before.uid}"
    path = manifest.path_of(after)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert client.get(rest).status_code == 202
    row = Difference.objects.get()
    count_difference(row.pk)
    told = client.get(rest)
    assert (told.status_code, told.json()["code"]) == (503, "manifest-damaged") and "backup" in told.json()["detail"]
    path.write_bytes(whole)
    Difference.objects.update(asked_at=timezone.now() - stored_difference.ASKED_AGAIN)
    assert client.get(rest).status_code == 202
    count_difference(row.pk)
    assert client.get(rest).json()["relabelled"] == 3
    path.unlink()
    assert client.get(f"/api/v1/snapshots/{before.uid}/difference?before={after.uid}").status_code == 503
