"""The Export and Results pages."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.urls import reverse

from tests.pages.conftest import Cast
from webapp.access.actors import Actor, Via
from webapp.api.shapes.images import SelectionShape
from webapp.datasets import selection
from webapp.datasets.models import Export
from webapp.reviews.decide import AnnotationDraft, decide


def test_an_export_is_asked_for_and_shown(cast: Cast) -> None:
    cora = cast.browser("curator")
    address = reverse("exports", args=["savanna"])
    assert "Camtrap DP" in cora.get(address).content.decode()
    answer = cora.post(address, {"format": "coco", "whose": "verified"}, follow=True)
    assert "waiting" in answer.content.decode()
    row = Export.objects.get()
    assert (row.format, row.options) == ("coco", {"whose": "verified", "with_images": False})
    cora.post(reverse("export-stop", args=["savanna", row.pk]))
    row.refresh_from_db()
    assert row.state == "stopped"


def test_filters_of_the_grid_become_the_selection(cast: Cast) -> None:
    cora = cast.browser("curator")
    page = cora.get(reverse("exports", args=["savanna"]), {"source": "machine"})
    assert 'name="source" value="machine"' in page.content.decode()


def test_results_show_verified_and_machine_apart(cast: Cast) -> None:
    lion = cast.project.labels.get(name="Lion")
    actor = Actor(Via.SESSION, user=cast.people["curator"])
    decide(actor=actor, image=cast.image, verdict="labelled", annotations=[AnnotationDraft(label=lion)], how="blind")
    page = cast.browser("viewer").get(reverse("results", args=["savanna"])).content.decode()
    assert "Lion" in page
    assert "source=verified" in page


@pytest.mark.parametrize("by", ["visit", "site", "project"])
def test_every_number_of_the_results_leads_to_as_many_images_of_the_grid(cast: Cast, by: str) -> None:
    lion = cast.project.labels.get(name="Lion")
    actor = Actor(Via.SESSION, user=cast.people["curator"])
    decide(actor=actor, image=cast.image, verdict="labelled", annotations=[AnnotationDraft(label=lion)], how="blind")
    viewer = cast.browser("viewer")
    page = viewer.get(reverse("results", args=["savanna"]), {"by": by}).content.decode()
    links = re.findall(r'<a href="(/p/savanna/images/[^"]*)"[^>]*>(?:<b>)?([\d,]+)', page)
    assert any("source=verified" in link for link, _ in links)
    for link, count in links:
        filters = dict(parse_qsl(urlsplit(unescape(link)).query))
        found = viewer.get("/api/v1/images", {"project": "savanna", **filters})
        assert (found.status_code, len(found.json().get("results", []))) == (200, int(count)), link


def test_rest_takes_every_choice_that_a_filter_of_the_grid_knows() -> None:
    declared = SelectionShape().fields
    assert set(declared) == set(selection.NAMES)
    for name, choices in selection.CHOICES.items():
        assert set(choices) <= set(declared[name].choices), name


def test_strangers_see_no_results(cast: Cast) -> None:
    assert cast.browser("stranger").get(reverse("results", args=["savanna"])).status_code == 404
