"""What the pages of an image, of the site's state and of the admin show of the facts."""

from __future__ import annotations

import re

from django.test import Client

from tests.pages.conftest import Cast
from webapp.images.models import Image, Item
from webapp.projects.models import Label
from webapp.reviews.models import Annotation, Review


def shown(browser: Client, address: str) -> str:
    """The words of a page as one line."""
    content = re.sub(r"<script.*?</script>", "", browser.get(address).content.decode(), flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", content).split())


def headline(page: str) -> str:
    found = re.search(r'<h2 class="answer-label[^>]*>(.*?)</h2>', page)
    assert found
    return found[1]


def said(cast: Cast, who: str, key: str, count: int = 1) -> Review:
    review = Review.objects.create(image=cast.image, reviewer=cast.people[who], how="suggested")
    label = Label.objects.get(project=cast.project, key=key)
    Annotation.objects.create(review=review, label=label, count=count)
    return review


def test_the_verdict_of_a_person_comes_before_what_the_machine_said(cast: Cast) -> None:
    browser, address = cast.browser("viewer"), f"/i/{cast.image.pk}/"
    assert headline(browser.get(address).content.decode()) == "Zebra"
    review = said(cast, "reviewer", "lion", 2)
    assert headline(browser.get(address).content.decode()) == "Lion × 2"
    words = shown(browser, address)
    assert "said by reviewer" in words and "The machine said: Zebra" in words
    Review.objects.create(
        image=cast.image, reviewer=cast.people["reviewer"], how="suggested", verdict="withdrawn", undoes=review
    )
    assert headline(browser.get(address).content.decode()) == "Zebra"


def test_people_who_disagree_are_both_shown(cast: Cast) -> None:
    said(cast, "curator", "zebra")
    said(cast, "reviewer", "lion")
    words = shown(cast.browser("viewer"), f"/i/{cast.image.pk}/")
    assert "Others disagree. curator: Zebra" in words


def test_looked_and_found_nothing_is_a_verdict(cast: Cast) -> None:
    Review.objects.create(image=cast.image, reviewer=cast.people["reviewer"], how="suggested")
    page = cast.browser("viewer").get(f"/i/{cast.image.pk}/").content.decode()
    assert headline(page) == "nothing there"


def test_an_image_is_headed_by_the_name_of_its_file(cast: Cast) -> None:
    Image.objects.filter(pk=cast.image.pk).update(path="DCIM/100/IMG_7.JPG")
    assert "IMG_7.JPG</h1>" in cast.browser("viewer").get(f"/i/{cast.image.pk}/").content.decode()
    Image.objects.filter(pk=cast.image.pk).update(path="")
    Item.objects.filter(image=cast.image).delete()
    assert f"Image {cast.image.pk}</h1>" in cast.browser("viewer").get(f"/i/{cast.image.pk}/").content.decode()


def test_the_status_page_does_not_say_nothing_above_failures(cast: Cast) -> None:
    words = shown(cast.browser("viewer"), "/status/")
    assert "1 upload has files that failed" in words
    assert "Nothing: every part answers" not in words


def test_an_unpacked_zip_is_not_counted_as_a_file(cast: Cast) -> None:
    Item.objects.filter(state="failed").update(state="done")
    Item.objects.create(upload=cast.upload, path="trip.zip", state="done", code="archive")
    files = cast.upload.items.exclude(code="archive").count()
    assert f"Savanna, {files} files" in shown(cast.browser("viewer"), "/status/")


def test_the_admin_has_an_icon_of_its_own(cast: Cast) -> None:
    assert 'rel="icon"' in cast.browser("gus").get("/admin/").content.decode()
