"""A real Chromium before the real site. Screenshots are kept in artifacts/ for people to look at."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from tests.sites import ROOT, Site

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
ARTIFACTS = ROOT / "artifacts"
# What the browser itself says of answers that a test provokes; everything else on the console is a fault.
EXPECTED_NOISE = (
    "the server responded with a status of",
    "Failed to load resource: net::ERR",
    "Cross-Origin-Opener-Policy",
)
expect.set_options(timeout=30_000)

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """For one file: while it runs, Django takes this thread for an event loop's and refuses tests the database."""
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert found, "no Chromium: apt-get install chromium"
    browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def site(shared_site: Site) -> Site:
    return shared_site


@pytest.fixture(scope="session")
def signed_in() -> dict[str, Any]:
    """What Rosa's browser holds, once she has signed in."""
    return {}


@pytest.fixture(scope="module")
def rosa(site: Site, chromium: Browser, signed_in: dict[str, Any]) -> dict[str, Any]:
    """The signed-in browser of Rosa, who reviews Animals and Ten animals; came by a one-time link."""
    if signed_in:
        return signed_in
    site.python(
        "from webapp.access.models import User, Membership; from webapp.projects.models import Project\n"
        "rosa, _ = User.objects.get_or_create(username='rosa')\n"
        "rosa.set_unusable_password(); rosa.save()\n"
        "for slug in ('animals', 'ten-animals'):\n"
        "    Membership.objects.get_or_create(user=rosa, project=Project.objects.get(slug=slug), role='reviewer')"
    )
    signed_in.update(sign_in(site, chromium, "rosa"))
    return signed_in


@pytest.fixture
def open_page(site: Site, chromium: Browser, rosa: dict[str, Any]) -> Iterator[Open]:
    """Opens pages as Rosa or as a guest; fails the test if a page had an error nobody foresaw."""
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def opened(path: str = "/", *, guest: bool = False, **options: Any) -> Page:
        options.setdefault("viewport", {"width": 1360, "height": 850})
        context = chromium.new_context(storage_state=None if guest else rosa, base_url=site.url, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [fault for fault in faults if not any(noise in fault for noise in EXPECTED_NOISE)] == []


def sign_in(site: Site, chromium: Browser, username: str) -> dict[str, Any]:
    """What somebody's browser holds after a one-time link."""
    link = site.command("manage", "signin_link", "--user", username).stdout.strip()
    context = chromium.new_context()
    page = context.new_page()
    page.goto(link)
    page.get_by_role("button", name="Sign me in").click()
    page.wait_for_url(lambda address: "/sign-in/" not in address)
    state = dict(context.storage_state())
    context.close()
    return state


def keep(page: Page, name: str) -> Path:
    """A screenshot among the artefacts."""
    ARTIFACTS.mkdir(exist_ok=True)
    path = ARTIFACTS / f"{name}.png"
    page.screenshot(path=path)
    return path


def all_settled(page: Page) -> None:
    expect(page.locator("#progress-words")).to_contain_text("all settled", timeout=60_000)


def chips(page: Page) -> dict[str, int]:
    """State -> how many, as the strip says."""
    expect(page.locator("#progress-chips a").first).to_be_visible()
    texts = page.locator("#progress-chips a").all_inner_texts()
    return {text.split(" ", 1)[1]: int(text.split(" ", 1)[0].replace(",", "")) for text in texts}
