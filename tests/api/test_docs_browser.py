"""The page of the REST description works in a real browser under the site's own policy."""

from __future__ import annotations

import shutil

import pytest
from playwright.sync_api import sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.long
@pytest.mark.browser
def test_the_page_shows_the_call_that_its_address_names_and_breaks_no_policy(
    live_server: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Playwright runs an event loop in this thread; no query is made from it.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    assert CHROMIUM, "this test needs Debian's chromium: apt-get install chromium"
    said: list[str] = []
    hosts: set[str] = set()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: hosts.add(request.url.split("/")[2]) if "://" in request.url else None)
        page.goto(f"{live_server}/api/v1/docs/")
        page.wait_for_selector(".opblock")
        # The page draws the calls that are scrolled to, and goes to the one that its address names.
        page.goto(f"{live_server}/api/v1/docs/#/me/me.read")
        page.reload()
        page.wait_for_selector("text=Authorization: Bearer $TOKEN")
        browser.close()
    assert said == []
    assert hosts == {str(live_server).removeprefix("http://")}
