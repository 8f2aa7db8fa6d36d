"""The Project page: where it stands, what to do next, and the words and people one changes there."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.pages.conftest import Cast
from webapp.access.actors import OPERATOR
from webapp.access.models import Membership
from webapp.images.models import FacetCount, Image, Item
from webapp.images.recount import recount
from webapp.pages import progress
from webapp.projects.models import Label, Project, Site
from webapp.reviews.models import Finding, Review
from webapp.versions.models import Activation

PAGE = "/p/savanna/"


def text(browser: Client, address: str = PAGE) -> str:
    return " ".join(browser.get(address).content.decode().split())


def test_it_says_how_much_is_done_and_left(cast: Cast) -> None:
    assert '<b>0</b> of <a href="/p/savanna/images/">2 images</a> looked at' in text(cast.browser("viewer"))


def test_minutes_left_come_from_the_readers_own_reviews(cast: Cast) -> None:
    reviewer = cast.people["reviewer"]
    for seconds in (20, 30, 90):
        Review.objects.create(image=cast.image, reviewer=reviewer, how="suggested", seconds=seconds)
    assert "about 1 minute at your pace (30 s an image)" in text(cast.browser("reviewer"))
    assert "your pace shows after your first reviews" in text(cast.browser("viewer"))


def test_pace_is_guessed_from_gaps_when_pages_sent_no_seconds(cast: Cast) -> None:
    now, reviewer = timezone.now(), cast.people["reviewer"]
    for minutes in (0, 60, 60.2, 60.4):
        Review.objects.create(
            image=cast.image, reviewer=reviewer, how="suggested", at=now - timedelta(minutes=120 - minutes)
        )
    actor = OPERATOR.__class__(OPERATOR.via, user=reviewer)
    assert progress.seconds_a_review(actor, cast.project) == pytest.approx(12)


def test_next_is_failures_then_suspects_then_unsure_answers_then_more_pictures(cast: Cast) -> None:
    browser = cast.browser("reviewer")
    assert "Put failures right" in text(browser)
    Item.objects.filter(state="failed").delete()
    finding = Finding.objects.create(project=cast.project, image=cast.image, kind=Finding.Kind.SUSPECT, score=1)
    assert "One label looks wrong" in text(browser)
    finding.delete()
    assert "Check unsure answers" in text(browser)
    cast.image.state.queue_priority = 0.01
    cast.image.state.save()
    assert "Review what came" in text(browser)
    FacetCount.objects.filter(facet="review").delete()
    assert "Bring more pictures" in text(browser)


def test_a_project_without_a_model_says_what_to_do(cast: Cast) -> None:
    Activation.objects.all().delete()
    assert "Activate a model" in text(cast.browser("viewer"))
    assert "No model answers here" in text(cast.browser("viewer"), "/p/savanna/models/")


def test_a_backup_is_not_claimed(cast: Cast) -> None:
    assert "not known: this site keeps no record of backups" in text(cast.browser("viewer"))


def test_the_newest_backlog_comes_first_by_site(cast: Cast) -> None:
    site = Site.objects.create(project=cast.project, name="River")
    cast.image.state.site = site
    cast.image.state.review_state = "reviewed"
    cast.image.state.save()
    recount(cast.project)
    assert [(one.name, one.total, one.left) for one in progress.by_site(cast.project)] == [("", 1, 1), ("River", 1, 0)]


def test_a_label_is_added_renamed_and_merged(cast: Cast) -> None:
    browser = cast.browser("curator")
    browser.post(f"{PAGE}labels/add/", {"name": "Gnu", "synonyms": "wildebeest, blue gnu", "kind": "normal"})
    gnu = Label.objects.get(name="Gnu")
    assert set(gnu.names.values_list("name", flat=True)) == {"wildebeest", "blue gnu"}
    browser.post(f"{PAGE}labels/{gnu.pk}/rename/", {"name": "Wildebeest"})
    gnu.refresh_from_db()
    assert (gnu.key, gnu.name) == ("gnu", "Wildebeest")
    merged = browser.post(f"{PAGE}labels/{gnu.pk}/merge/", {"into": "Zebra"}, follow=True)
    gnu.refresh_from_db()
    assert gnu.merged_into is not None and gnu.merged_into.key == "zebra"
    assert "means Zebra from now on" in merged.content.decode()


def test_what_an_act_refuses_is_said_on_the_page(cast: Cast) -> None:
    answer = cast.browser("curator").post(f"{PAGE}labels/add/", {"name": "zebra"}, follow=True)
    assert "already has the label Zebra" in answer.content.decode()
    answer = cast.browser("curator").post(f"{PAGE}sites/add/", {"name": "X", "latitude": "north"}, follow=True)
    assert "is not a number" in answer.content.decode()


def test_bringing_in_somebody_new_shows_a_link_that_signs_them_in(cast: Cast) -> None:
    answer = cast.browser("admin").post(f"{PAGE}people/add/", {"username": "nina", "role": "curator"}, follow=True)
    page = answer.content.decode()
    link = page[page.index("/sign-in/osp_") :].split("<")[0].strip()
    newcomer = Client()
    newcomer.post(link)
    assert newcomer.get(PAGE).status_code == 200
    assert Membership.objects.get(user__username="nina").role == "curator"


def test_the_last_admin_stays(cast: Cast) -> None:
    admin = cast.people["admin"]
    form = f"{PAGE}people/{admin.pk}/"
    assert "last admin" in cast.browser("gus").post(form, {"role": "remove"}, follow=True).content.decode()
    cast.browser("admin").post(f"{PAGE}people/{cast.people['viewer'].pk}/", {"role": "curator"})
    assert Membership.objects.get(user=cast.people["viewer"]).role == "curator"


def test_a_new_project_takes_its_template_labels_and_people(cast: Cast) -> None:
    body = {
        "name": "Night river",
        "pictures": "deck",
        "labels": "Tuna, Shark\nTuna",
        "people": "viewer:curator\nreviewer",
    }
    answer = cast.browser("gus").post("/projects/new/", body)
    project = Project.objects.get(slug="night-river")
    assert answer.url == reverse("project", args=["night-river"])
    assert set(project.labels.filter(kind="normal").values_list("name", flat=True)) == {"Tuna", "Shark"}
    assert project.fields.filter(key="disposition").exists()
    roles = dict(project.memberships.values_list("user__username", "role"))
    assert roles == {"gus": "admin", "viewer": "curator", "reviewer": "reviewer"}


def test_a_new_project_that_cannot_be_says_why_and_keeps_what_was_typed(cast: Cast) -> None:
    body = {"name": "Savanna", "slug": "savanna", "pictures": "other", "labels": "Gnu", "people": "ghost:curator"}
    page = cast.browser("gus").post("/projects/new/", body).content.decode()
    assert "Nobody here is called ghost" in page
    assert "Gnu</textarea>" in page
    page = cast.browser("gus").post("/projects/new/", {**body, "people": ""}).content.decode()
    assert "There is a project &#x27;savanna&#x27; already" in page


def test_the_image_page_tells_what_was_said_and_keeps_places_from_viewers(cast: Cast) -> None:
    Image.objects.filter(pk=cast.image.pk).update(
        latitude=-3.123456, longitude=35.5, captured_at="2024-05-06T07:08:09", camera_make="Trail", camera_model="X1"
    )
    Project.objects.filter(pk=cast.project.pk).update(coordinates_decimals=1, time_zone="Africa/Nairobi")
    address = reverse("image", args=[cast.image.pk])
    seen = text(cast.browser("viewer"), address)
    assert "-3.1, 35.5 (coarse)" in seen and "-3.123" not in seen
    assert "2024-05-06 07:08:09 (Africa/Nairobi)" in seen
    assert "<strong>unsure</strong> 40 %" in seen
    assert '<rect class="box"' in seen
    assert "-3.12346, 35.5" in text(cast.browser("curator"), address)


def test_a_hostile_name_is_only_text(cast: Cast) -> None:
    name = "<script>alert(1)</script>.jpg"
    Image.objects.filter(pk=cast.image.pk).update(path=name)
    cast.upload.name = name
    cast.upload.save()
    for address in (reverse("image", args=[cast.image.pk]), reverse("upload", args=[cast.upload.uid]), PAGE):
        assert "<script>alert" not in text(cast.browser("viewer"), address)


def test_no_page_carries_inline_scripts_styles_or_outside_addresses(cast: Cast) -> None:
    browser = cast.browser("gus")
    pages = ["/", PAGE, f"{PAGE}models/", "/status/", "/account/", "/projects/", "/projects/new/"]
    pages += [reverse("upload", args=[cast.upload.uid]), reverse("image", args=[cast.image.pk])]
    for address in pages:
        answer = browser.get(address)
        page = answer.content.decode()
        assert "unsafe" not in answer["Content-Security-Policy"]
        assert " style=" not in page and "<style" not in page and " onclick=" not in page, address
        scripts = [tag.split(">")[0] for tag in page.split("<script")[1:]]
        assert all('src="/static/' in tag or "application/json" in tag for tag in scripts), address
        assert "https://" not in page.replace("http://www.w3.org", ""), address


def test_going_back_to_the_pipeline_before_works_from_the_page(cast: Cast) -> None:
    refused = cast.browser("admin").post(f"{PAGE}models/back/", follow=True)
    assert refused.status_code == 200
    assert 'class="note bad"' in refused.content.decode()
