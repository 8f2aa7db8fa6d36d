"""Sites from folders and coordinates, visits by time, sequences by gaps, and clocks put right."""

from __future__ import annotations

import hashlib
import math
from datetime import UTC, datetime, timedelta

import pytest

from tests.images.conftest import Reef
from webapp.errors import Conflict, Forbidden, Invalid
from webapp.images import clock, states
from webapp.images.arrange import arrange, projects_to_arrange
from webapp.images.finding_sites import Levels, propose_from_folders, sites_from_coordinates, sites_from_folders
from webapp.images.models import FacetCount, File, Image, ImageState, Sequence, Upload
from webapp.images.recount import true_counts
from webapp.images.visits import orphans, overlaps
from webapp.projects.models import Project, Site, Visit

NOON = datetime(2026, 5, 31, 12, 0)


@pytest.fixture
def upload(reef: Reef) -> Upload:
    return Upload.objects.create(project=reef.project)


def shot(upload: Upload, path: str, at: datetime | None = None, **fields: object) -> Image:
    digest = hashlib.sha256(f"{path}{at}".encode()).hexdigest()
    file = File.objects.create(sha256=digest, size=1, storage_key=f"x/{digest}")
    image = Image(project=upload.project, upload=upload, file=file, path=path, width=4, height=3)
    if at is not None:
        image.captured_at = at.isoformat()
        image.captured_at_utc = at.replace(tzinfo=UTC)
    for name, value in fields.items():
        setattr(image, name, value)
    image.save()
    states.add_state(image)
    return image


def sequences_of(project: Project) -> list[list[str]]:
    found: dict[int, list[str]] = {}
    for image in Image.objects.filter(project=project, sequence__isnull=False).order_by("captured_at_utc", "pk"):
        found.setdefault(image.sequence_id or 0, []).append(image.path)
    return list(found.values())


def assert_consistent(project: Project) -> None:
    """States repeat what images say, and the counts are those of the states."""
    for state in ImageState.objects.filter(project=project).select_related("image"):
        for column in ("site_id", "visit_id", "sequence_id", "captured_at_utc"):
            assert getattr(state, column) == getattr(state.image, column)
    counted = {(row.facet, row.value): row.count for row in FacetCount.objects.filter(project=project) if row.count}
    assert counted == {key: count for key, count in true_counts(project).items() if count}


def test_a_gap_ends_a_sequence(reef: Reef, upload: Upload) -> None:
    for seconds in (0, 30, 89, 150):
        shot(upload, f"{seconds}.jpg", NOON + timedelta(seconds=seconds))
    arrange(reef.project)
    assert sequences_of(reef.project) == [["0.jpg", "30.jpg", "89.jpg"], ["150.jpg"]]
    assert_consistent(reef.project)


def test_a_burst_that_never_pauses_is_split_after_the_longest_time(reef: Reef, upload: Upload) -> None:
    for minute in range(0, 32):
        shot(upload, f"{minute:02}.jpg", NOON + timedelta(minutes=minute * 0.9))
    arrange(reef.project)
    spans = [len(paths) for paths in sequences_of(reef.project)]
    assert spans == [17, 15]


def test_two_cameras_at_the_same_time_are_two_sequences(reef: Reef, upload: Upload) -> None:
    here, there = (Site.objects.create(project=reef.project, name=name) for name in ("here", "there"))
    for second in (0, 10):
        shot(upload, f"h{second}.jpg", NOON + timedelta(seconds=second), site=here)
        shot(upload, f"t{second}.jpg", NOON + timedelta(seconds=second), site=there)
        shot(upload, f"a/{second}.jpg", NOON + timedelta(seconds=second), camera_serial="A")
        shot(upload, f"b/{second}.jpg", NOON + timedelta(seconds=second), camera_serial="A")
    arrange(reef.project)
    assert sorted(sequences_of(reef.project)) == [
        ["a/0.jpg", "a/10.jpg"],
        ["b/0.jpg", "b/10.jpg"],
        ["h0.jpg", "h10.jpg"],
        ["t0.jpg", "t10.jpg"],
    ]


def test_a_late_image_joins_the_two_sequences_it_lies_between(reef: Reef, upload: Upload) -> None:
    shot(upload, "1.jpg", NOON)
    shot(upload, "3.jpg", NOON + timedelta(seconds=100))
    arrange(reef.project)
    first = Sequence.objects.order_by("pk").first()
    assert len(sequences_of(reef.project)) == 2
    shot(upload, "2.jpg", NOON + timedelta(seconds=50))
    assert list(projects_to_arrange()) == [reef.project]
    arrange(reef.project)
    assert sequences_of(reef.project) == [["1.jpg", "2.jpg", "3.jpg"]]
    assert list(Sequence.objects.all()) == [first]
    assert not projects_to_arrange().exists()
    assert_consistent(reef.project)


def test_arranging_twice_changes_nothing(reef: Reef, upload: Upload) -> None:
    for second in (0, 10, 500):
        shot(upload, f"{second}.jpg", NOON + timedelta(seconds=second))
    arrange(reef.project)
    before = list(Image.objects.order_by("pk").values_list("pk", "sequence_id"))
    assert arrange(reef.project).sequences == 0
    assert list(Image.objects.order_by("pk").values_list("pk", "sequence_id")) == before


def test_sequences_that_were_imported_stay_as_they_are(reef: Reef, upload: Upload) -> None:
    named = Sequence.objects.create(project=reef.project, name="seq-7")
    shot(upload, "1.jpg", NOON, sequence=named)
    shot(upload, "2.jpg", NOON + timedelta(seconds=5))
    arrange(reef.project)
    assert sorted(sequences_of(reef.project)) == [["1.jpg"], ["2.jpg"]]


def test_an_image_finds_its_visit_by_site_and_time(reef: Reef, upload: Upload) -> None:
    site = Site.objects.create(project=reef.project, name="ford")
    span = {"start": NOON.replace(tzinfo=UTC), "end": (NOON + timedelta(days=1)).replace(tzinfo=UTC)}
    visit = Visit.objects.create(project=reef.project, site=site, name="May", **span)
    inside = shot(upload, "in.jpg", NOON + timedelta(hours=3), site=site)
    outside = shot(upload, "out.jpg", NOON + timedelta(days=3), site=site)
    arrange(reef.project)
    inside.refresh_from_db()
    outside.refresh_from_db()
    assert (inside.visit, outside.visit) == (visit, None)
    assert orphans(reef.project).without_visit == 1
    assert_consistent(reef.project)


def test_a_visit_known_by_its_camera_gives_its_images_their_site(reef: Reef, upload: Upload) -> None:
    site = Site.objects.create(project=reef.project, name="ford")
    span = {"start": NOON.replace(tzinfo=UTC), "end": (NOON + timedelta(days=1)).replace(tzinfo=UTC)}
    Visit.objects.create(project=reef.project, site=site, name="May", device="SN-4", **span)
    image = shot(upload, "1.jpg", NOON, camera_serial="sn-4")
    arrange(reef.project)
    image.refresh_from_db()
    assert image.site == site
    assert_consistent(reef.project)


def test_overlapping_visits_are_listed_even_inside_a_long_one(reef: Reef, upload: Upload) -> None:
    site = Site.objects.create(project=reef.project, name="ford")
    for name, start, end in (("long", 0, 30), ("early", 1, 2), ("late", 20, 25), ("after", 31, 40)):
        first, last = ((NOON + timedelta(days=day)).replace(tzinfo=UTC) for day in (start, end))
        Visit.objects.create(project=reef.project, site=site, name=name, start=first, end=last)
    shot(upload, "1.jpg", NOON + timedelta(days=1, hours=2), site=site)
    found = [(overlap.first.name, overlap.second.name, overlap.images) for overlap in overlaps(reef.project)]
    assert found == [("long", "early", 1), ("long", "late", 0)]


def test_folders_name_sites_and_visits(reef: Reef, upload: Upload) -> None:
    for path in ("Season/Ford/May/1.jpg", "Season/Ford/June/2.jpg", "Season/Hill/May/3.jpg", "4.jpg"):
        shot(upload, path)
    levels = Levels(site=2, visit=-1)
    proposal = propose_from_folders(reef.project, levels)
    assert (proposal.sites, proposal.without) == ({"Ford": 2, "Hill": 1}, 1)
    assert not Site.objects.exists()
    sites_from_folders(actor=reef.cora, project=reef.project, levels=levels, also_later=True)
    assert list(Image.objects.order_by("pk").values_list("site__name", "visit__name")) == [
        ("Ford", "May"),
        ("Ford", "June"),
        ("Hill", "May"),
        (None, None),
    ]
    shot(upload, "Season/Hill/July/5.jpg")
    reef.project.refresh_from_db()
    arrange(reef.project)
    assert Image.objects.get(path="Season/Hill/July/5.jpg").site.name == "Hill"  # type: ignore[union-attr]
    assert_consistent(reef.project)


def test_images_near_each_other_share_a_site(reef: Reef, upload: Upload) -> None:
    known = Site.objects.create(project=reef.project, name="known", latitude=10.0, longitude=179.9999)
    near = shot(upload, "near.jpg", latitude=10.0005, longitude=179.9999)
    pair = [shot(upload, f"{n}.jpg", latitude=-3.0 + n * 0.0002, longitude=40.0) for n in range(2)]
    sites_from_coordinates(actor=reef.cora, project=reef.project, metres=100)
    for image in (near, *pair):
        image.refresh_from_db()
    assert near.site == known
    assert pair[0].site == pair[1].site != known
    assert_consistent(reef.project)


def test_a_reviewer_makes_no_sites(reef: Reef, upload: Upload) -> None:
    with pytest.raises(Forbidden):
        sites_from_folders(actor=reef.rosa, project=reef.project, levels=Levels(1))


def test_a_clock_is_put_right_and_back_without_touching_what_the_camera_wrote(reef: Reef, upload: Upload) -> None:
    site = Site.objects.create(project=reef.project, name="ford", time_zone="Africa/Nairobi")
    visit = Visit.objects.create(project=reef.project, site=site, name="May")
    image = shot(upload, "1.jpg", NOON, site=site, visit=visit)
    arrange(reef.project)
    repair = clock.repair_clock(actor=reef.cora, visit=visit, offset_seconds=3600)
    image.refresh_from_db()
    assert image.captured_at == NOON.isoformat()
    assert image.captured_at_utc == datetime(2026, 5, 31, 10, 0, tzinfo=UTC)  # 12:00 in Nairobi, and an hour
    assert (repair.images, Sequence.objects.get().start) == (1, image.captured_at_utc)
    clock.undo_repair(actor=reef.cora, repair=repair)
    image.refresh_from_db()
    assert image.captured_at_utc == datetime(2026, 5, 31, 9, 0, tzinfo=UTC)
    assert_consistent(reef.project)


def test_a_zone_that_is_said_later_counts_for_the_pictures_that_are_there(reef: Reef, upload: Upload) -> None:
    ford, bay = (Site.objects.create(project=reef.project, name=name) for name in ("ford", "bay"))
    told = {"site": ford, "utc_offset_minutes": 0}
    images = [shot(upload, "1.jpg", NOON, site=ford), shot(upload, "2.jpg", NOON, site=bay)]
    images += [shot(upload, "3.jpg", NOON + timedelta(seconds=9), **told)]
    arrange(reef.project)
    assert not projects_to_arrange().exists()
    Site.objects.filter(pk=ford.pk).update(time_zone="Africa/Nairobi")
    Project.objects.filter(pk=reef.project.pk).update(time_zone="Asia/Tokyo")
    may = Visit.objects.create(
        project=reef.project,
        site=ford,
        name="May",
        start=datetime(2026, 5, 31, 8, tzinfo=UTC),
        end=datetime(2026, 5, 31, 11, tzinfo=UTC),
    )
    assert list(projects_to_arrange()) == [reef.project]
    arrange(reef.project)
    assert not projects_to_arrange().exists()
    for image in images:
        image.refresh_from_db()
    hours = [image.captured_at_utc.hour if image.captured_at_utc else None for image in images]
    assert hours == [9, 3, 12], "by the site's zone, by the project's, by what the file itself says"
    assert [image.visit for image in images] == [may, None, None]
    Visit.objects.filter(pk=may.pk).update(clock_offset_seconds=60)
    arrange(reef.project)
    images[0].refresh_from_db()
    assert images[0].captured_at_utc == datetime(2026, 5, 31, 9, 1, tzinfo=UTC)
    assert_consistent(reef.project)


def test_the_offset_in_the_file_counts_until_somebody_names_the_zone(reef: Reef, upload: Upload) -> None:
    visit = Visit.objects.create(project=reef.project, name="May")
    image = shot(upload, "1.jpg", NOON, visit=visit, utc_offset_minutes=120)
    clock.repair_clock(actor=reef.cora, visit=visit, offset_seconds=0)
    image.refresh_from_db()
    assert image.captured_at_utc == datetime(2026, 5, 31, 10, 0, tzinfo=UTC)
    clock.repair_clock(actor=reef.cora, visit=visit, time_zone="Asia/Tokyo")
    image.refresh_from_db()
    assert image.captured_at_utc == datetime(2026, 5, 31, 3, 0, tzinfo=UTC)


def test_only_the_newest_repair_can_be_taken_back(reef: Reef, upload: Upload) -> None:
    visit = Visit.objects.create(project=reef.project, name="May")
    first = clock.repair_clock(actor=reef.cora, visit=visit, offset_seconds=10)
    second = clock.repair_clock(actor=reef.cora, visit=visit, offset_seconds=20)
    with pytest.raises(Conflict):
        clock.undo_repair(actor=reef.cora, repair=first)
    assert clock.undo_repair(actor=reef.cora, repair=second) == clock.undo_repair(actor=reef.cora, repair=second)
    clock.undo_repair(actor=reef.cora, repair=first)
    visit.refresh_from_db()
    assert visit.clock_offset_seconds == 0


def test_a_clock_is_not_moved_by_a_century(reef: Reef, upload: Upload) -> None:
    visit = Visit.objects.create(project=reef.project, name="May")
    with pytest.raises(Invalid):
        clock.repair_clock(actor=reef.cora, visit=visit, offset_seconds=10**10)


@pytest.mark.parametrize(("hours_off", "expected"), [(0, None), (11, 11.0), (-6, -6.0)])
def test_dark_noons_say_that_the_clock_is_wrong(
    reef: Reef, upload: Upload, hours_off: int, expected: float | None
) -> None:
    visit = Visit.objects.create(project=reef.project, name="May")
    for number in range(96):
        true = NOON + timedelta(hours=number * 7)
        light = 90 + 70 * math.cos((true.hour - 12.5) / 24 * 2 * math.pi)
        shot(upload, f"{number}.jpg", true + timedelta(hours=hours_off), visit=visit, brightness=light)
    hint = clock.clock_hint(visit)
    assert (hint and hint.hours_off) == (expected and pytest.approx(expected, abs=1))


def test_a_deck_with_lamps_gives_no_hint(reef: Reef, upload: Upload) -> None:
    visit = Visit.objects.create(project=reef.project, name="trip")
    for number in range(96):
        shot(upload, f"{number}.jpg", NOON + timedelta(hours=number * 7), visit=visit, brightness=100 + number % 9)
    assert clock.clock_hint(visit) is None
