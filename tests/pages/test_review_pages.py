"""What the Images and Review pages hand their scripts, and which downloads and next steps pages offer."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

from django.utils import timezone

from tests.pages.conftest import Cast
from webapp.images.models import Image
from webapp.pages.review import quick_labels
from webapp.projects.models import Label, Project
from webapp.reviews.models import Change


def script(cast: Cast, who: str, address: str, name: str) -> dict[str, Any]:
    page = cast.browser(who).get(address).content.decode()
    found = re.search(rf'<script id="{name}" type="application/json">(.*?)</script>', page, re.S)
    assert found
    return dict(json.loads(found[1]))


def test_the_number_keys_are_pinned_labels_then_the_most_frequent(cast: Cast) -> None:
    assert [one["key"] for one in quick_labels(cast.project)][:2] == ["zebra", "lion"]
    Label.objects.filter(project=cast.project, key="lion").update(pinned=True)
    keys = [one["key"] for one in quick_labels(cast.project)]
    assert keys[:2] == ["lion", "zebra"] and len(keys) == len(set(keys))


def test_review_is_told_its_queue_and_what_narrows_it(cast: Cast) -> None:
    told = script(cast, "reviewer", "/p/savanna/review/?queue=uncertain&label=zebra", "review")
    assert (told["queue"], told["selection"], told["image"]) == ("uncertain", {"label": "zebra"}, None)
    assert told["person"] == "reviewer" and told["rights"] == {"curate": False}
    assert "sex" in [one["key"] for one in told["fields"]]
    told = script(cast, "curator", f"/p/savanna/review/?image={cast.image.pk}", "review")
    assert (told["image"], told["rights"]) == (cast.image.pk, {"curate": True})


def test_a_queue_that_is_none_is_said_so(cast: Cast) -> None:
    answer = cast.browser("reviewer").get("/p/savanna/review/?queue=nonsense")
    assert answer.status_code == 404 and "no queue" in answer.content.decode()


def test_a_viewer_sees_the_grid_and_has_no_keys_that_change_it(cast: Cast) -> None:
    told = script(cast, "viewer", "/p/savanna/images/", "images")
    assert told["rights"] == {"review": False, "curate": False} and told["pinned"] == []


def test_done_today_counts_own_decisions_that_were_not_taken_back(cast: Cast) -> None:
    rosa = cast.people["reviewer"]
    made = [Change.objects.create(project=cast.project, by=rosa) for _ in range(3)]
    Change.objects.create(project=cast.project, by=rosa, undoes=made[0])
    Change.objects.create(project=cast.project, by=cast.people["curator"])
    Change.objects.create(project=cast.project, by=rosa, at=timezone.now() - timedelta(days=2))
    told = script(cast, "reviewer", "/p/savanna/review/", "review")
    assert told["doneToday"] == 2


def test_the_original_is_offered_only_to_whom_it_would_be_given(cast: Cast) -> None:
    Image.objects.filter(pk=cast.image.pk).update(latitude=-2.33, longitude=34.83, measured_at=timezone.now())
    address = f"/i/{cast.image.pk}/"
    assert "Download the original" not in cast.browser("viewer").get(address).content.decode()
    assert "Download the original" in cast.browser("curator").get(address).content.decode()
    Project.objects.filter(pk=cast.project.pk).update(coordinates_decimals=None)
    assert "Download the original" in cast.browser("viewer").get(address).content.decode()


def test_the_project_page_leads_to_the_queue_that_helps_most(cast: Cast) -> None:
    cast.upload.items.update(state="done")
    page = cast.browser("reviewer").get("/p/savanna/").content.decode()
    assert 'href="/p/savanna/review/?queue=uncertain"' in page
    assert 'href="/p/savanna/images/?review_state=unreviewed"' in page
