"""The grid as a curator of many thousand frames uses it: filter, choose, one key, undo, and on to Review."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, keep
from tests.browser.savanna import Savanna, savanna

pytestmark = [pytest.mark.browser, pytest.mark.processes]
__all__ = ["savanna"]

CHOSEN = '#grid .cell[aria-selected="true"]'


def cell(page: Page, index: int) -> str:
    return f"#cell-{index}"


def loaded(page: Page) -> None:
    expect(page.locator("#grid .cell").first).to_be_visible()
    expect(page.locator("#f-label button").first).to_be_visible()


def all_saved(page: Page) -> None:
    expect(page.locator("#save-state .save-words")).to_have_text("saved")


def labels(project: Savanna) -> dict[str, int]:
    return dict(
        project.run(
            "from collections import Counter\nfrom webapp.images.models import ImageState\n"
            "rows = ImageState.objects.filter(project=project, review_state='reviewed').select_related('label')\n"
            "print(json.dumps(Counter(one.label.key if one.label else None for one in rows)))"
        )
    )


def test_a_range_is_relabelled_by_one_key_and_taken_back_as_one(
    open_page: Open, savanna: Callable[..., Savanna]
) -> None:
    project = savanna(20, 2)
    page = open_page(project.images)
    loaded(page)
    expect(page.locator("#count")).to_have_text("40 images")
    page.locator(cell(page, 2)).click()
    page.locator(cell(page, 6)).click(modifiers=["Shift"])
    page.locator(cell(page, 9)).click(modifiers=["Control"])
    page.locator(cell(page, 4)).click(modifiers=["Control"])
    expect(page.locator(CHOSEN)).to_have_count(5)
    expect(page.locator("#chosen-count")).to_have_text("5 chosen")
    name = page.locator("#quick .chip").nth(1).inner_text().split(" ", 1)[1].strip()
    keep(page, "images-chosen")
    page.keyboard.press("2")
    for index in (2, 3, 5, 6, 9):
        expect(page.locator(f"{cell(page, index)} .cell-label")).to_have_text(name)
        expect(page.locator(f"{cell(page, index)} .cell-sure")).to_contain_text("person")
    expect(page.locator("#toasts")).to_contain_text(f"{name}: 5 images.")
    all_saved(page)
    assert labels(project) == {name.lower(): 5}
    expect(page.locator("#f-review")).to_contain_text(re.compile(r"reviewed\s*5"))
    page.keyboard.press("u")
    all_saved(page)
    expect(page.locator("#f-review")).to_have_text(re.compile(r"^not reviewed\s*40$"))
    assert labels(project) == {}
    rows = project.rows()
    assert rows["changes"] == 2 and rows["reviews"] == 5


def test_any_label_is_found_by_another_of_its_names(open_page: Open, savanna: Callable[..., Savanna]) -> None:
    project = savanna(6, 2)
    page = open_page(project.images)
    loaded(page)
    page.keyboard.press("Tab")
    page.locator("#grid").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("/")
    page.get_by_role("combobox", name="What do the 2 images show?").fill("pumba")
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("Warthog: 2 images.")
    all_saved(page)
    assert labels(project) == {"warthog": 2}


def test_a_rubber_band_chooses_what_it_covers(open_page: Open, savanna: Callable[..., Savanna]) -> None:
    page = open_page(savanna(20, 2).images)
    loaded(page)
    first, last = (page.locator(cell(page, index)).bounding_box() for index in (0, 6))
    assert first and last
    page.mouse.move(first["x"] + 20, first["y"] + 20)
    page.mouse.down()
    page.mouse.move(last["x"] + 30, last["y"] + 30, steps=6)
    expect(page.locator(".band")).to_be_visible()
    page.mouse.up()
    columns = page.evaluate(
        "() => new Set([...document.querySelectorAll('.cell')].map((one) => one.style.transform.split(',')[0])).size"
    )
    expect(page.locator("#chosen-count")).to_have_text(f"{2 * (6 % columns + 1)} chosen")
    page.keyboard.press("Escape")
    expect(page.locator("#chosen-bar")).to_be_hidden()


def test_a_rubber_band_may_begin_beside_the_pictures_and_selects_no_text(
    open_page: Open, savanna: Callable[..., Savanna]
) -> None:
    page = open_page(savanna(6, 2).images)
    loaded(page)
    first = page.locator(cell(page, 0)).bounding_box()
    assert first
    page.mouse.move(first["x"] - 6, first["y"] + 20)
    page.mouse.down()
    page.mouse.move(first["x"] + 40, first["y"] + 60, steps=6)
    page.mouse.up()
    expect(page.locator("#chosen-count")).to_have_text("1 chosen")
    assert page.evaluate("() => getSelection().toString()") == ""


def test_all_that_match_are_one_change_also_those_that_are_not_loaded(
    open_page: Open, savanna: Callable[..., Savanna]
) -> None:
    project = savanna(75, 2)
    page = open_page(project.images, viewport={"width": 900, "height": 500})
    page.route("**/api/v1/images?*after=*", lambda route: route.abort())
    page.reload()
    loaded(page)
    page.keyboard.press("Control+a")
    expect(page.locator("#chosen-count")).to_have_text("120 chosen")
    page.keyboard.press("Control+a")
    expect(page.locator("#chosen-count")).to_have_text("All 150 that match")
    page.keyboard.press("b")
    all_saved(page)
    page.unroute_all(behavior="ignoreErrors")
    assert {state for states in project.rows()["states"].values() for state, _ in states} == {"bad"}
    assert project.rows()["changes"] == 1
    page.keyboard.press("u")
    expect(page.locator("#toasts")).to_contain_text("Taken back: bad image, all that match.")
    all_saved(page)
    assert {state for states in project.rows()["states"].values() for state, _ in states} != {"bad"}


def test_filters_live_in_the_address_and_go_back(open_page: Open, savanna: Callable[..., Savanna]) -> None:
    project = savanna(12, 2)
    page = open_page(f"{project.images}?label=zebra&below=0.9")
    loaded(page)
    expect(page.locator("#active")).to_contain_text("label: Zebra")
    expect(page.locator("#active")).to_contain_text("under 90 % sure")
    expect(page.locator("#count")).to_have_text("4 images")
    expect(page.locator("#f-label button[aria-pressed=true]")).to_contain_text("Zebra")
    page.get_by_role("button", name="Remove the filter label: Zebra").click()
    page.get_by_role("button", name="North waterhole").click()
    expect(page).to_have_url(re.compile(r"below=0\.9&site=|site=.*below=0\.9"))
    page.go_back()
    page.go_back()
    expect(page.locator("#active")).to_contain_text("label: Zebra")
    page.get_by_role("button", name="clear all").click()
    expect(page.locator("#count")).to_have_text("24 images")
    page.locator("#f-text").fill("IMG_0003")
    expect(page.locator("#count")).to_have_text("2 images")
    page.locator("#f-text").fill("nothing like it")
    expect(page.locator("#grid-empty")).to_contain_text("No image fits these filters")


def test_only_what_is_on_the_screen_is_drawn_and_nothing_jumps(
    open_page: Open, savanna: Callable[..., Savanna]
) -> None:
    page = open_page(savanna(160, 4).images)
    loaded(page)
    box = page.locator("#grid")
    expect(page.locator("#count")).to_have_text("640 images")
    while not page.locator("#cell-639").count():
        with page.expect_event("requestfinished"):
            box.evaluate("(one) => { one.scrollTop = one.scrollHeight; }")
    expect(page.locator("#cell-639")).to_be_visible()
    assert page.locator("#grid .cell").count() < 90
    before = page.locator("#cell-639").bounding_box()
    page.wait_for_load_state("networkidle")
    assert page.locator("#cell-639").bounding_box() == before
    expect(page.locator("#count")).to_have_text("640 images")


def test_review_opens_at_an_image_and_goes_on_in_the_grids_order(
    open_page: Open, savanna: Callable[..., Savanna]
) -> None:
    project = savanna(5, 2)
    page = open_page(project.images)
    loaded(page)
    page.locator(cell(page, 2)).dblclick()
    expect(page.locator("#unit-words")).to_contain_text("Sequence of 2 frames")
    expect(page.locator("#sentence")).to_contain_text("You opened it from the grid")
    expect(page.locator("#frame-facts")).to_contain_text("IMG_0003")
    page.keyboard.press("Enter")
    expect(page.locator("#frame-facts")).to_contain_text("IMG_0002")
    all_saved(page)
    reviewed = [states for states in project.rows()["states"].values() if states[0][0] == "reviewed"]
    assert reviewed == [[["reviewed", "giraffe"]] * 2]


def test_an_empty_project_says_what_to_do_next(open_page: Open, savanna: Callable[..., Savanna]) -> None:
    project = savanna(0)
    page = open_page(project.images)
    expect(page.get_by_role("link", name="Bring the first pictures")).to_be_visible()
    page.goto(project.review)
    expect(page.locator("#no-queue")).to_contain_text("Nothing waits for review")


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_the_grid_fits_a_desk_and_a_phone(open_page: Open, savanna: Callable[..., Savanna], colours: str) -> None:
    project = savanna(24, 3)
    for size, viewport in (("desk", {"width": 1360, "height": 850}), ("phone", {"width": 390, "height": 844})):
        touch = {"has_touch": True, "is_mobile": True} if size == "phone" else {}
        page = open_page(project.images, color_scheme=colours, viewport=viewport, **touch)
        expect(page.locator("#grid .cell").first).to_be_visible()
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        keep(page, f"images-{size}-{colours}")
        if size == "phone":
            page.get_by_role("button", name="Filters").tap()
            expect(page.locator("#f-label button").first).to_be_visible()
            keep(page, f"images-filters-{size}-{colours}")
        page.context.close()
