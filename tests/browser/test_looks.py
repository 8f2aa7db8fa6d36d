"""Light, dark, phone: the pages fit, the switch works, the keys work. The screenshots are for people to look at."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open, keep

pytestmark = [pytest.mark.browser, pytest.mark.processes]

PAGES = {
    "home": "/",
    "project": "/p/animals/",
    "models": "/p/animals/models/",
    "snapshots": "/p/animals/snapshots/",
    "projects": "/projects/",
    "account": "/account/",
    "status": "/status/",
}
PHONE = {"width": 390, "height": 844}


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_every_page_fits_a_phone_and_a_desk(open_page: Open, colours: str) -> None:
    for size, viewport in (("desk", {"width": 1360, "height": 850}), ("phone", PHONE)):
        page = open_page("/", color_scheme=colours, viewport=viewport, bypass_csp=True)
        for name, address in PAGES.items():
            page.goto(address)
            expect(page.locator("h1").first).to_be_visible()
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= viewport["width"], f"{name} is {width} pixels wide on a {size}"
            keep(page, f"{name}-{size}-{colours}")


def test_the_switch_wins_over_the_system_and_is_remembered(open_page: Open) -> None:
    page = open_page("/", color_scheme="dark")
    root = page.locator("html")
    expect(root).to_have_attribute("data-bs-theme", "dark")
    page.get_by_role("button", name="Use light colours").click()
    expect(root).to_have_attribute("data-bs-theme", "light")
    page.goto("/projects/")
    expect(root).to_have_attribute("data-bs-theme", "light")


def test_the_navigation_is_a_menu_on_a_phone(open_page: Open) -> None:
    page = open_page("/", viewport=PHONE)
    page.get_by_text("Menu", exact=True).click()
    page.get_by_role("link", name="Projects").click()
    expect(page.get_by_role("heading", name="Projects", exact=True)).to_be_visible()


def test_keys_show_themselves_and_find_puts_one_in_the_search(open_page: Open) -> None:
    page = open_page("/p/animals/")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("zebra")
    expect(page.locator("#label-list > li:visible")).to_have_count(1)


def test_times_are_in_the_readers_zone_with_the_zone_shown(open_page: Open) -> None:
    page = open_page("/p/animals/models/", timezone_id="Asia/Tokyo")
    expect(page.locator("time").first).to_contain_text("GMT+9")


def test_the_project_changes_on_the_page_and_the_curl_line_with_it(open_page: Open) -> None:
    page = open_page("/", guest=True)
    page.get_by_label("in", exact=True).select_option("fish")
    expect(page.locator("#notice")).to_be_visible()
    page.get_by_text("The same by program").click()
    expect(page.locator("#curl")).to_contain_text("project=fish")
    assert page.url.endswith("/p/fish/recognise/")


def test_the_status_page_renews_itself(open_page: Open) -> None:
    page = open_page("/status/")
    with page.expect_response(
        lambda answer: answer.url.endswith("/status/") and answer.request.is_navigation_request() is False
    ):
        pass
    expect(page.get_by_role("heading", name="Workers")).to_be_visible()
