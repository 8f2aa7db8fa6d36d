"""The derived state: whatever happened, in whatever order, it is what a rebuild would make of it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.reviews.conftest import Reef
from tests.reviews.test_decide import say
from webapp.images.models import FacetCount, ImageState
from webapp.reviews.models import Review
from webapp.reviews.rebuild import rebuild_states
from webapp.reviews.undo import undo_review

pytestmark = pytest.mark.databases

IMAGES = 2
KEYS = st.sampled_from(["cod", "hake", "nothing"])
WHO = st.sampled_from(["rosa", "sam", "cora"])
PLACE = st.integers(0, IMAGES - 1)
number = itertools.count()

PREDICTS = st.tuples(st.just("predict"), PLACE, st.none() | KEYS, st.sampled_from([0.25, 0.75]), st.integers(0, 1))
LABELS = st.tuples(st.just("label"), PLACE, WHO, st.lists(KEYS, max_size=2), st.booleans())
DOUBTS = st.tuples(st.just("doubt"), PLACE, WHO, st.sampled_from(["cannot-tell", "bad-image"]))
IMPORTS = st.tuples(st.just("import"), PLACE, KEYS, st.sampled_from(["rule", "imported"]))
UNDOES = st.tuples(st.just("undo"), st.integers(0, 100))


def act(reef: Reef, images: list, step: tuple) -> None:  # type: ignore[type-arg]
    match step:
        case ("predict", place, key, score, pipeline):
            reef.predict(images[place], key, score, pipeline)
        case ("label", place, who, keys, is_second):
            say(reef, who, images[place], *keys, second_reading=is_second)
        case ("doubt", place, who, verdict):
            say(reef, who, images[place], verdict=verdict)
        case ("import", place, key, how):
            say(reef, "cora", images[place], key, how=how)
        case ("undo", chosen):
            standing = list(Review.objects.filter(image__in=images, undone_by=None).exclude(verdict="withdrawn"))
            if standing:
                undo_review(actor=reef.actor("cora"), review=standing[chosen % len(standing)])


@pytest.mark.django_db
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(PREDICTS, LABELS, DOUBTS, IMPORTS, UNDOES), max_size=10))
def test_every_series_of_facts_leaves_the_state_that_a_rebuild_makes(steps: list[tuple[object, ...]]) -> None:
    reef = Reef(slug=f"reef-{next(number)}")
    images = [reef.image(str(place)) for place in range(IMAGES)]
    for step in steps:
        act(reef, images, step)
    reef.check_counts()
    before = list(ImageState.objects.filter(project=reef.project).order_by("pk").values())
    rebuilt = rebuild_states(reef.project)
    assert (rebuilt.images, rebuilt.states, rebuilt.counts) == (IMAGES, 0, 0)
    assert list(ImageState.objects.filter(project=reef.project).order_by("pk").values()) == before


def test_a_rebuild_repairs_states_and_counts_that_are_wrong(reef: Reef) -> None:
    right, wrong, missing = (reef.image(name) for name in "abc")
    for image in (right, wrong, missing):
        reef.predict(image, "cod")
        say(reef, "rosa", image, "hake")
    ImageState.objects.filter(pk=wrong.pk).update(label=reef.labels["cod"], review_state="unreviewed")
    ImageState.objects.filter(pk=missing.pk).delete()
    FacetCount.objects.filter(facet="all").update(count=77)
    FacetCount.objects.create(project=reef.project, facet="label", value="99999", count=5)
    rebuilt = rebuild_states()
    assert (rebuilt.images, rebuilt.states) == (3, 2)
    assert rebuilt.counts > 0
    assert [reef.state(image).label for image in (right, wrong, missing)] == [reef.labels["hake"]] * 3
    reef.check_counts()
    assert rebuild_states(reef.project).counts == 0


def test_a_rebuild_takes_over_what_the_state_repeats_of_its_image(reef: Reef) -> None:
    image = reef.image()
    site = reef.project.sites.create(name="North")
    image.site, image.damaged_share = site, 0.25
    image.save()
    rebuild_states(reef.project)
    assert (reef.state(image).site, reef.state(image).damaged) == (site, True)
    assert reef.counts()[("site", str(site.pk))] == 1
    reef.check_counts()
