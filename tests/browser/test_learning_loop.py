"""One sitting in the browser: pictures with labels the starter does not know, and a better model by a few buttons."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from bench.creatures import creature
from tests import sites
from tests.browser.conftest import Open, keep

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.long, pytest.mark.timeout(900)]

KINDS = ("Striped quoll", "Marsh hare", "Reed cat", "Dune fox", "Rock vole")
EACH = 200
PROJECT = "/p/ten-animals/"
REVIEWED = 3
MOST_SECONDS = 60.0
"""From the click to the published version, for 1,000 images on two processors that nobody else uses."""


@pytest.fixture(scope="module")
def site(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sites.Site]:
    """A site of its own: what answers in it changes."""
    with sites.Site(sites.copy_of(prepared, tmp_path_factory.mktemp("loop") / "data")) as running:
        yield running


@pytest.fixture(scope="module")
def rosa(site: sites.Site, chromium: Browser) -> dict[str, Any]:
    """Pages of this module are opened as the admin, who came by the link that `./osprey up` prints."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(site.command("manage", "signin_link").stdout.strip())
    page.get_by_role("button", name="Sign me in").click()
    expect(page.get_by_text("You have no password yet")).to_be_visible()
    state: dict[str, Any] = dict(context.storage_state())
    context.close()
    return state


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,000 drawn pictures of five kinds, a folder each; their names say what they show."""
    root = tmp_path_factory.mktemp("kinds") / "Season 1"
    for kind, name in enumerate(KINDS):
        (root / name).mkdir(parents=True)
        for number in range(EACH):
            creature(kind, number).save(root / name / f"{name} {number:03d}.jpg", quality=88)
    return root


def test_from_a_folder_of_pictures_to_a_better_version_and_back(open_page: Open, season: Path, tmp_path: Path) -> None:
    page = open_page(PROJECT + "import/")
    page.on("dialog", lambda dialog: dialog.accept())  # "Let it answer from now on?"
    bring_in(page, season)
    review_some(page)
    freeze(page)
    starter = speaker(page, number=900)
    taken = train(page)
    keep(page, "loop-run")
    compare(page)
    keep(page, "loop-compared")
    page.get_by_role("button", name="Activate B").click()
    expect(page.get_by_text("B answers now.")).to_be_visible()
    drop(page, tmp_path / "next.jpg", number=901)
    expect(page.locator("#answer .answer-label")).to_have_text(KINDS[0])
    keep(page, "loop-answered")
    assert speaker(page, number=902) != starter
    page.goto(PROJECT + "models/")
    page.get_by_role("button", name=re.compile("Roll back to")).click()
    expect(page.locator(".timeline li").first).to_contain_text("rolled back")
    keep(page, "loop-rolled-back")
    assert speaker(page, number=903) == starter
    assert taken < MOST_SECONDS, f"{taken:.0f} s from the click to the published version"


def bring_in(page: Page, folder: Path) -> None:
    """Import the folder, and wait until every picture is recognised: its embedding comes in the same pass."""
    page.get_by_label("Folder", exact=True).set_input_files(folder)
    page.get_by_role("button", name="Look first").click()
    expect(page.locator("#forecast")).to_contain_text("1,000 pictures", timeout=120_000)
    page.get_by_role("button", name="Import 1,000 pictures").click()
    page.wait_for_url(re.compile(r"/import/[0-9a-f-]{36}/$"), timeout=120_000)
    expect(page.locator("#state")).to_have_text("done", timeout=300_000)
    sites.wait_until(lambda: is_at_rest(page), "answers for all pictures", seconds=300)


def is_at_rest(page: Page) -> bool:
    """Whether nothing waits for the worker that recognises."""
    queue = page.request.get("/api/v1/status").json()["queue"]
    return bool(queue["pending"] + queue["leased"] == 0)


def review_some(page: Page) -> None:
    """A blind audit of a few pictures, by keyboard, as a person sees them."""
    page.goto(PROJECT + "review/")
    page.locator("#draws summary").click()
    page.locator("#audit-size").fill(str(REVIEWED))
    page.locator("#audit-level").select_option("image")
    page.get_by_role("button", name="Draw an audit").click()
    page.locator("[data-queue=audit]").click()
    for left in range(REVIEWED, 0, -1):
        expect(page.locator("#left")).to_have_text(str(left))
        expect(page.locator("#frame-facts")).to_contain_text(".jpg")
        shown = page.locator("#frame-facts").inner_text()
        kind = next(name for name in KINDS if name in shown)
        page.keyboard.press("/")
        page.keyboard.type(kind)
        page.keyboard.press("Enter")
        expect(page.locator("#chosen-words")).to_contain_text(kind)
        page.keyboard.press("Enter")
    expect(page.locator("#save-state")).to_contain_text("saved")


def freeze(page: Page) -> None:
    page.goto(PROJECT + "snapshots/")
    page.get_by_label("Name").fill("season 1")
    page.get_by_role("button", name="Freeze", exact=True).click()
    expect(page.get_by_role("heading", name="season 1", exact=True)).to_be_visible(timeout=120_000)


def train(page: Page) -> float:
    """Seconds from the click to the published version; a proxy refuses the run's events once, and the page goes on."""
    page.route("**/api/v1/runs/*/events", lambda route: route.fulfill(status=503), times=1)
    page.goto(PROJECT + "runs/")
    begun = time.monotonic()
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_role("heading", name="What came out")).to_be_visible(timeout=300_000)
    return time.monotonic() - begun


def compare(page: Page) -> None:
    """The candidate against what is in use, on the test part that neither has seen."""
    page.get_by_role("link", name="Compare it with what is in use").click()
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator(".headline")).to_be_visible(timeout=180_000)
    expect(page.locator(".headline .tag")).to_have_text("better")


def drawn(number: int) -> bytes:
    """Another picture of the first kind."""
    file = BytesIO()
    creature(0, number).save(file, "JPEG", quality=88)
    return file.getvalue()


def drop(page: Page, path: Path, *, number: int) -> None:
    path.write_bytes(drawn(number))
    page.goto(PROJECT + "recognise/")
    page.locator("input[type=file]").first.set_input_files(path)


def speaker(page: Page, *, number: int) -> int:
    """The version that answers a call now."""
    answer = page.request.post(
        "/api/v1/classify?project=ten-animals", data=drawn(number), headers={"Content-Type": "image/jpeg", **told(page)}
    )
    assert answer.ok, answer.text()
    found: int = answer.json()["version"]["id"]
    return found


def told(page: Page) -> dict[str, str]:
    """What the scripts of this page send along, so that a call counts as the signed-in person's own."""
    token = page.locator('meta[name="csrf-token"]').get_attribute("content")
    return {"X-CSRFToken": token or "", "Referer": page.url}
