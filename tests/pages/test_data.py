"""The Data page: every number is a link whose images are as many, and nothing is scanned to show it."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from tests.reviews.sets import add_images, around, make_project
from webapp.access.models import Membership, Role, User
from webapp.datasets import selection
from webapp.datasets.models import Snapshot, SnapshotEntry
from webapp.images.models import Image, ImageState, Sequence
from webapp.projects.models import Project
from webapp.reviews import analysis
from webapp.reviews.minimums import minimums_of
from webapp.reviews.models import Analysis

pytestmark = [pytest.mark.django_db]


@pytest.fixture
def reef(tmp_path: Path, settings: Settings) -> Project:
    settings.DATA_DIR, settings.LEASE_SECONDS = tmp_path, 3600
    project = make_project()
    both = np.concatenate([around(1, 30), around(2, 30), around(1, 1, seed=4), around(3, 1)])
    hashes = [7777, 7777, *range(10**15, 10**15 + 60 * 10**13, 10**13)]
    sites = ["North"] * 20 + ["South"] * 42
    labels = ["Cod"] * 30 + ["Hake"] * 30 + ["Hake", "Wrasse & Co"]
    ids = add_images(project, labels, vectors=both, hashes=hashes, sites=sites)
    add_images(project, [""] * 5, vectors=around(6, 5))
    Image.objects.filter(pk=ids[3]).update(brightness=0.01)
    return project


def client_of(project: Project, role: Role | None) -> Client:
    user = User.objects.create(username=f"{role}")
    if role is not None:
        Membership.objects.create(user=user, project=project, role=role)
    client = Client()
    client.force_login(user)
    return client


def test_before_the_first_look_the_page_says_what_will_come(reef: Project) -> None:
    page = client_of(reef, Role.VIEWER).get(f"/p/{reef.slug}/data/")
    assert page.status_code == 200
    assert "Nobody has looked at this data yet" in page.content.decode()


def test_every_number_links_to_as_many_images(reef: Project) -> None:
    analysis.run(reef)
    page = client_of(reef, Role.CURATOR).get(f"/p/{reef.slug}/data/").content.decode()
    assert len(checked_links(reef, page)) >= 15


def checked_links(project: Project, page: str) -> list[str]:
    """The links under numbers; each leads to as many images."""
    grid = re.escape(f"/p/{project.slug}/images/")
    links = re.findall(rf'<a href="({grid}[^"]*)"[^>]*>(?:<b>)?([\d,]+)(?:</b>)?', page)
    links += re.findall(rf'<a href="({grid}[^"]*)" aria-label="[^"]*: ([\d,]+)"', page)
    for link, count in links:
        chosen = selection.read(dict(parse_qsl(urlsplit(unescape(link)).query)))
        assert selection.apply(project, chosen).count() == int(count.replace(",", "")), link
    return [unescape(link) for link, _ in links]


def test_what_lies_in_several_parts_leads_to_its_images_part_by_part(tmp_path: Path, settings: Settings) -> None:
    settings.DATA_DIR, settings.LEASE_SECONDS = tmp_path, 3600
    project = make_project()
    ids = add_images(
        project, ["Cod"] * 5, hashes=[5, 5, 5, 9**17, 4**25], parts=["train", "train", "test", "train", "test"]
    )
    burst = Sequence.objects.create(project=project, name="night 3")
    for rows in (Image.objects.filter(pk__in=ids[3:]), ImageState.objects.filter(image_id__in=ids[3:])):
        rows.update(sequence=burst)
    snapshot = Snapshot.objects.create(project=project, name="first", digest="d", manifest_key="m")
    for image_id, part in zip(ids, ["train", "test", "test", "test", "test"], strict=True):
        SnapshotEntry.objects.create(snapshot=snapshot, image_id=image_id, part=part)
    analysis.run(project)
    page = client_of(project, Role.VIEWER).get(f"/p/{project.slug}/data/").content.decode()
    links = checked_links(project, page)
    assert any(f"sequence={burst.uid}&part=test" in link for link in links)
    assert any(f"snapshot={snapshot.uid}&snapshot_part=test" in link for link in links)
    burst.delete()
    again = client_of(project, Role.REVIEWER).get(f"/p/{project.slug}/data/").content.decode()
    assert f"{burst.uid}" not in again and len(checked_links(project, again)) < len(links)


def test_what_was_found_is_shown_with_pictures(reef: Project) -> None:
    analysis.run(reef)
    page = client_of(reef, Role.REVIEWER).get(f"/p/{reef.slug}/data/").content.decode()
    assert "<s>Hake</s> Cod?" in page
    assert "?queue=suspect" in page
    assert "Wrasse &amp; Co" in page
    assert "7777" not in page and "2 images</span>" in page


def test_the_page_reads_reports_and_counts_and_no_images(reef: Project) -> None:
    analysis.run(reef)
    client = client_of(reef, Role.VIEWER)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        client.get(f"/p/{reef.slug}/data/")
    scans = [one["sql"] for one in asked if "COUNT(" in one["sql"] and '"images_imagestate"' in one["sql"]]
    assert scans == []
    assert len(asked) < 30


def test_a_viewer_looks_and_a_reviewer_has_it_looked_at_again(reef: Project) -> None:
    viewer, reviewer = client_of(reef, Role.VIEWER), client_of(reef, Role.REVIEWER)
    assert viewer.post(f"/p/{reef.slug}/data/look/").status_code == 403
    assert reviewer.post(f"/p/{reef.slug}/data/look/").status_code == 302
    assert Analysis.objects.get().state == "waiting"
    assert "about to be looked at" in reviewer.get(f"/p/{reef.slug}/data/").content.decode()


def test_a_curator_says_what_is_enough(reef: Project) -> None:
    curator = client_of(reef, Role.CURATOR)
    curator.post(f"/p/{reef.slug}/data/minimums/", {"images": "12", "sites": "many"})
    assert minimums_of(reef).images == 30
    curator.post(f"/p/{reef.slug}/data/minimums/", {"images": "12", "sites": "1"})
    reef.refresh_from_db()
    assert (minimums_of(reef).images, minimums_of(reef).sites) == (12, 1)


def test_strangers_do_not_see_it(reef: Project) -> None:
    assert client_of(reef, None).get(f"/p/{reef.slug}/data/").status_code == 404


def test_rest_tells_the_same_and_lists_the_suspects(reef: Project) -> None:
    client = client_of(reef, Role.REVIEWER)
    assert client.get(f"/api/v1/projects/{reef.slug}/health").json()["report"] == {}
    analysis.run(reef)
    told = client.get(f"/api/v1/projects/{reef.slug}/health").json()
    assert (told["report"]["labels"], told["analysis"]["state"]) == ({"Hake": 31, "Cod": 30, "Wrasse & Co": 1}, "done")
    found = client.get(f"/api/v1/projects/{reef.slug}/findings?kind=suspect&limit=5").json()["results"]
    assert [(one["proposed"], one["kind"]) for one in found] == [("cod", "suspect")]
    twins = client.get(f"/api/v1/projects/{reef.slug}/near-duplicates").json()["results"]
    assert [one["count"] for one in twins] == [2]
    assert [(one["id"], one["label"]) for one in twins[0]["images"]] == [
        (twins[0]["cluster"] + n, "cod") for n in (0, 1)
    ]
    client.post(f"/p/{reef.slug}/data/look/")
    assert [one["state"] for one in client.get(f"/api/v1/projects/{reef.slug}/analyses").json()["results"]] == [
        "waiting",
        "done",
    ]
