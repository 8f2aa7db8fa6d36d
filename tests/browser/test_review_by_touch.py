"""Review with a finger on a phone, and clusters of look-alikes labelled by one key. Screenshots are kept."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, keep
from tests.browser.savanna import Savanna, savanna
from tests.browser.test_review_page import all_saved, unit_of

pytestmark = [pytest.mark.browser, pytest.mark.processes]
__all__ = ["savanna"]

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
CLUSTERS = """
from webapp.images.models import Image
from webapp.reviews.models import Finding
images = list(Image.objects.filter(project=project).order_by("pk"))
Finding.objects.bulk_create(
    Finding(project=project, kind="cluster", image=image, group=1 + place // 14, score=2 - place // 14, why="Alike")
    for place, image in enumerate(images)
)
print("null")
"""


def swipe(page: Page, by: int) -> None:
    """A finger across the picture, as the browser's own input: what it means is for the page to find out.

    It rests before it lifts; else the browser takes the next tap for the end of a fling, as it does in a hand.
    """
    box = page.locator("#stage").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2 - by / 2, box["y"] + box["height"] / 2
    devices, began = page.context.new_cdp_session(page), time.time() - 1

    def touch(kind: str, after: float, *points: dict[str, float]) -> None:
        what = {"type": kind, "touchPoints": list(points), "timestamp": began + after}
        devices.send("Input.dispatchTouchEvent", what)

    touch("touchStart", 0, {"x": x, "y": y})
    for step in range(1, 6):
        touch("touchMove", 0.03 * step, {"x": x + by * step / 5, "y": y})
    touch("touchMove", 0.6, {"x": x + by, "y": y})
    touch("touchEnd", 0.7)
    devices.detach()


def expect_frame(page: Page, words: str) -> None:
    expect(page.locator(".film[aria-current=true]")).to_have_attribute("aria-label", words)


def test_a_phone_reviews_by_taps_and_swipes(open_page: Open, savanna: Callable[..., Savanna]) -> None:
    project = savanna(4, 3)
    page = open_page(f"{project.review}?queue=unreviewed", **PHONE)
    first = unit_of(page)
    page.locator(".film").first.tap()
    expect(page.locator(".film").first).to_have_attribute("aria-current", "true")
    swipe(page, -160)
    expect_frame(page, "Frame 2")
    swipe(page, -160)
    expect_frame(page, "Frame 3")
    swipe(page, 160)
    expect_frame(page, "Frame 2")
    slot = page.locator("#slots .slot").nth(1)
    wanted = slot.get_attribute("data-key")
    slot.tap()
    expect(slot).to_have_attribute("aria-pressed", "true")
    keep(page, "review-touch-chosen")
    page.locator("#accept").tap()
    second = unit_of(page, first)
    page.locator("#empty").tap()
    third = unit_of(page, second)
    page.locator("#undo").tap()
    expect(page.locator("#review-body")).to_have_attribute("data-unit", second)
    page.locator("#bad").tap()
    unit_of(page, second)
    page.locator("#skip").tap()
    unit_of(page, third)
    all_saved(page)
    states = project.rows()["states"]
    assert states[first] == [["reviewed", wanted]] * 3
    assert [state for state, _ in states[second]] == ["bad"] * 3
    assert [state for state, _ in states[third]] == ["unreviewed"] * 3


def test_a_finger_that_rests_zooms_and_one_that_scrolls_walks_no_frames(
    open_page: Open, savanna: Callable[..., Savanna]
) -> None:
    project = savanna(1, 3)
    page = open_page(f"{project.review}?queue=unreviewed", **PHONE)
    unit_of(page)
    page.locator(".film").first.tap()
    box = page.locator("#stage").bounding_box()
    assert box is not None
    point = {"x": box["x"] + 60, "y": box["y"] + 60}
    devices = page.context.new_cdp_session(page)
    devices.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
    expect(page.locator("#stage-frame")).to_have_class("stage-frame is-zoomed")
    devices.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(page.locator("#stage-frame")).not_to_have_class("stage-frame is-zoomed")
    devices.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
    for step in range(1, 5):
        moved = {"x": point["x"] + 4 * step, "y": point["y"] + 40 * step}
        devices.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [moved]})
    devices.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect_frame(page, "Frame 1")


def test_one_key_labels_a_cluster_of_look_alikes_but_for_the_odd_one(
    open_page: Open, savanna: Callable[..., Savanna]
) -> None:
    project = savanna(28, 1)
    project.run(CLUSTERS)
    page = open_page(f"{project.review}?queue=cold-start")
    first = unit_of(page)
    assert first == "g1"
    expect(page.locator("#unit-words")).to_contain_text("14 pictures that look alike")
    expect(page.locator(".film")).to_have_count(14)
    page.locator(".film").nth(3).click()
    page.keyboard.press("Shift+b")
    expect(page.locator(".film").nth(3)).to_contain_text("bad", ignore_case=True)
    page.locator("#slots .slot").nth(1).wait_for()
    wanted = page.locator("#slots .slot").nth(1).get_attribute("data-key")
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    assert unit_of(page, first) == "g2"
    all_saved(page)
    rows = project.rows()
    said = [state for states in rows["states"].values() for state in states]
    assert rows["changes"] == 1
    assert said[3][0] == "bad"
    assert [one for place, one in enumerate(said[:14]) if place != 3] == [["reviewed", wanted]] * 13
    assert {state for state, _ in said[14:]} == {"unreviewed"}


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_a_cluster_fits_a_desk_and_a_phone(open_page: Open, savanna: Callable[..., Savanna], colours: str) -> None:
    project = savanna(28, 1)
    project.run(CLUSTERS)
    for size, options in (("desk", {"viewport": {"width": 1360, "height": 850}}), ("phone", PHONE)):
        page = open_page(f"{project.review}?queue=cold-start", color_scheme=colours, **options)
        unit_of(page)
        expect(page.locator("#stage-frame img")).to_be_visible()
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= options["viewport"]["width"]
        keep(page, f"review-cluster-{size}-{colours}")
        page.context.close()
