"""The main job as a person does it: drop pictures, see right answers, come back after a refresh."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
import skimage
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests import pictures
from tests.browser.conftest import Open, all_settled, chips, keep

pytestmark = [pytest.mark.browser, pytest.mark.processes]

CAT = Path(skimage.__file__).parent / "data" / "chelsea.png"


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    """A photograph that a package ships, as a camera would have written it."""
    path = tmp_path / "cat.jpg"
    Image.open(CAT).convert("RGB").save(path, quality=92)
    return path


def fresh_cat(tmp_path: Path, seed: int) -> Path:
    """The same cat in other bytes, so that no other test had it before."""
    picture = Image.open(CAT).convert("RGB").crop((seed, 0, 451, 300 - seed))
    path = tmp_path / f"cat-{seed}.jpg"
    picture.save(path, quality=91)
    return path


def card(folder: Path, *, start: int, good: int = 12) -> Path:
    """A camera's card: good pictures, twins of some, broken files of many kinds, and litter."""
    dcim = folder / "DCIM"
    dcim.mkdir(parents=True)
    for number in range(good):
        (dcim / f"IMG_{number:04}.JPG").write_bytes(pictures.jpeg(seed=start + number))
    (dcim / "IMG_0000 copy.JPG").write_bytes(pictures.jpeg(seed=start))
    (dcim / "IMG_0001 copy.JPG").write_bytes(pictures.jpeg(seed=start + 1))
    (dcim / "zero.jpg").write_bytes(pictures.zero_byte())
    (dcim / "page.jpg").write_bytes(pictures.html_named_jpg())
    (dcim / "noise.jpg").write_bytes(pictures.random_bytes())
    (dcim / "bomb.png").write_bytes(pictures.bomb_png())
    (dcim / "moving.gif").write_bytes(pictures.gif())
    (dcim / "IMG_0000.THM").write_bytes(b"thumb")
    (dcim / "IMG_0000.CR2").write_bytes(b"raw beside its JPEG")
    (folder / "Thumbs.db").write_bytes(b"litter")
    return folder


def drop(page: Page, name: str, content: bytes) -> None:
    """What the browser does when somebody lets go of a file over the page."""
    script = """([name, bytes]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/jpeg" }));
        return transfer;
    }"""
    transfer = page.evaluate_handle(script, [name, list(content)])
    page.dispatch_event("#page", "drop", {"dataTransfer": transfer})


def test_a_dropped_picture_of_a_cat_is_called_a_cat(open_page: Open, cat: Path) -> None:
    page = open_page("/p/ten-animals/recognise/", guest=True, bypass_csp=True)
    drop(page, "somewhere.jpg", cat.read_bytes())
    expect(page.locator("#answer .answer-label")).to_have_text(re.compile("^cat$", re.I))
    expect(page.locator("#answer .how-sure strong")).to_have_text(re.compile("certain|likely"))
    expect(page.locator("#answer .scores li")).to_have_count(5)
    expect(page.locator("#live")).to_contain_text("somewhere.jpg: Cat", ignore_case=True)
    keep(page, "recognise-guest")


def test_a_pasted_picture_is_recognised(open_page: Open, tmp_path: Path) -> None:
    page = open_page("/p/ten-animals/recognise/", bypass_csp=True)
    script = """(bytes) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], "image.png", { type: "image/png" }));
        dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
    }"""
    buffer = BytesIO()
    Image.open(fresh_cat(tmp_path, 3)).save(buffer, "PNG")
    page.evaluate(script, list(buffer.getvalue()))
    expect(page.locator("#answer .answer-label")).to_have_text(re.compile("^cat$", re.I))
    expect(page.locator("#files")).to_contain_text("pasted-")


def test_a_card_with_broken_files_ends_with_each_in_a_true_state(open_page: Open, tmp_path: Path) -> None:
    page = open_page("/p/animals/recognise/")
    page.set_input_files("#pick-folder", card(tmp_path / "Card 7", start=7000))
    all_settled(page)
    assert chips(page) == {"done": 12, "already here": 2, "rejected": 5}
    expect(page.locator("#side-files")).to_contain_text("Left out 3 side files")
    keep(page, "recognise-card")
    page.locator("#open-upload").click()
    expect(page.locator("#upload-words")).to_contain_text("19 files, all settled")
    expect(page.get_by_text("Left out 3 side files")).to_be_visible()
    page.get_by_role("button", name="rejected").click()
    expect(page.locator("#gallery li")).to_have_count(5)
    reasons = page.locator(".card-reason").all_inner_texts()
    assert len(reasons) == 5 and all(len(reason) > 15 for reason in reasons)
    keep(page, "upload-rejected")


def test_an_upload_opens_by_its_address_in_another_browser(open_page: Open, tmp_path: Path) -> None:
    page = open_page("/p/animals/recognise/")
    page.set_input_files("#pick-folder", card(tmp_path / "Card 8", start=8000, good=4))
    all_settled(page)
    address = page.locator("#open-upload").get_attribute("href")
    other = open_page(address)
    expect(other.locator("#upload-words")).to_contain_text("11 files, all settled")
    expect(other.locator("#gallery li")).to_have_count(11)
    with other.expect_download() as saved:
        other.get_by_role("link", name="CSV").click()
    lines = Path(saved.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) == 12 and lines[0].startswith("path,state,label")
    other.go_back()


def test_a_refresh_in_the_middle_loses_nothing_and_asks_for_nothing(open_page: Open, tmp_path: Path) -> None:
    page = open_page("/p/animals/recognise/")
    sent = hold_back(page, after=4)
    page.set_input_files("#pick-folder", card(tmp_path / "Card 9", start=9000, good=10))
    expect(page.locator("#progress-words")).to_contain_text("of 17 files settled")
    wait_for(page, lambda: len(sent) > 4)
    page.unroute_all(behavior="ignoreErrors")
    page.reload()
    all_settled(page)
    page.locator("#open-upload").click()
    expect(page.locator("#upload-words")).to_contain_text("17 files, all settled")
    expect(page.get_by_role("button", name="done")).to_contain_text("10")
    expect(page.get_by_role("button", name="rejected")).to_contain_text("5")


@pytest.mark.long
def test_bytes_that_are_gone_after_a_refresh_are_asked_for_once_and_only_they_are_sent(
    open_page: Open, tmp_path: Path
) -> None:
    page = open_page("/p/animals/recognise/", bypass_csp=True)
    sent = hold_back(page, after=3)
    folder = card(tmp_path / "Card 10", start=10_000, good=10)
    page.set_input_files("#pick-folder", folder)
    wait_for(page, lambda: len(sent) > 3)
    page.unroute_all(behavior="ignoreErrors")
    page.evaluate("""() => new Promise((resolve) => {
        const request = indexedDB.open("osprey", 1);
        request.onsuccess = () => {
            const transaction = request.result.transaction("blobs", "readwrite");
            transaction.objectStore("blobs").clear();
            transaction.oncomplete = resolve;
        };
    })""")
    page.reload()
    expect(page.locator("#trouble")).to_contain_text("Choose the folder “Card 10” again")
    keep(page, "recognise-asks-again")
    again: list[str] = []
    page.on("request", lambda request: again.append(request.url) if "/file?" in request.url else None)
    page.set_input_files("#pick-folder", folder)
    all_settled(page)
    assert 0 < len(again) < 17
    page.locator("#open-upload").click()
    expect(page.locator("#upload-words")).to_contain_text("17 files, all settled")
    expect(page.get_by_role("button", name="done")).to_contain_text("10")


@pytest.mark.long
def test_a_refresh_soon_after_the_drop_finds_all_bytes_kept(open_page: Open, tmp_path: Path) -> None:
    page = open_page("/p/animals/recognise/")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if "/file?" in request.url else None)
    page.set_input_files("#pick-folder", card(tmp_path / "Card 13", start=14_000, good=150))
    wait_for(page, lambda: len(sent) > 10)
    page.reload()
    expect(page.locator("#progress-words")).to_contain_text("of 157 files settled")
    expect(page.locator("#trouble")).to_be_hidden()
    all_settled(page)
    page.locator("#open-upload").click()
    expect(page.get_by_role("button", name="done")).to_contain_text("150")


@pytest.mark.long
def test_missing_files_are_told_at_once_and_given_again_while_the_others_go_on(open_page: Open, tmp_path: Path) -> None:
    page = open_page("/p/animals/recognise/", bypass_csp=True)
    sent = hold_back(page, after=3)
    folder = card(tmp_path / "Card 14", start=15_000, good=20)
    page.set_input_files("#pick-folder", folder)
    wait_for(page, lambda: len(sent) > 3)
    page.unroute_all(behavior="ignoreErrors")
    page.evaluate("""() => new Promise((resolve) => {
        const request = indexedDB.open("osprey", 1);
        request.onsuccess = () => {
            const transaction = request.result.transaction("blobs", "readwrite");
            const store = transaction.objectStore("blobs");
            store.getAllKeys().onsuccess = ({ target }) => target.result
                .filter(([, path]) => /IMG_000[5-9]/.test(path)).forEach((key) => store.delete(key));
            transaction.oncomplete = resolve;
        };
    })""")
    held: list[Route] = []
    may_go = False
    page.route("**/file?*", lambda route: route.continue_() if may_go else held.append(route))
    page.reload()
    wait_for(page, lambda: len(held) > 0)
    expect(page.locator("#trouble")).to_contain_text("5 files are still missing")
    expect(page.locator("#trouble")).to_contain_text("The others go on meanwhile")
    expect(page.locator("#progress-words")).to_contain_text("5 must be given again")
    page.set_input_files("#pick-folder", folder)
    expect(page.locator("#trouble")).to_be_hidden()
    may_go = True
    for route in held:
        route.continue_()
    all_settled(page)
    page.locator("#open-upload").click()
    expect(page.get_by_role("button", name="done")).to_contain_text("20")


def test_a_picture_that_cannot_be_had_is_told_in_words_and_square_ones_fit_their_cards(
    open_page: Open, tmp_path: Path
) -> None:
    page = open_page("/p/animals/recognise/", viewport={"width": 1360, "height": 850})
    folder = tmp_path / "Squares"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(pictures.jpeg(300, 300, seed=16_000 + number))
    page.set_input_files("#pick-folder", folder)
    all_settled(page)
    page.locator("#open-upload").click()
    expect(page.locator("#gallery li")).to_have_count(3)
    expect(page.locator("#gallery .card-path").first).to_be_visible()
    frame, path, item = (page.locator(f"#gallery {one}").first.bounding_box() for one in (".thumb", ".card-path", "li"))
    assert frame and path and item
    assert frame["width"] / frame["height"] == pytest.approx(4 / 3, rel=0.02)
    assert path["y"] + path["height"] <= item["y"] + item["height"]
    keep(page, "upload-squares")
    page.route("**/thumbnail/*", lambda route: route.fulfill(status=404, body="{}"))
    page.reload()
    expect(page.locator("#gallery .thumb").first).to_have_text("no picture")
    page.locator("#gallery a").first.click()
    expect(page.locator("#answer .picture")).to_have_text("no picture")
    expect(page.locator("#answer .picture img")).to_have_count(0)
    keep(page, "image-without-picture")


def test_a_server_that_is_away_for_a_moment_costs_only_time(open_page: Open, tmp_path: Path) -> None:
    page = open_page("/p/animals/recognise/")
    tries: dict[str, int] = {}

    def flaky(route: Route) -> None:
        tries[route.request.url] = tries.get(route.request.url, 0) + 1
        if tries[route.request.url] == 1:
            route.fulfill(status=503, headers={"Retry-After": "0.2"}, body="{}")
        elif tries[route.request.url] == 2:
            route.abort()
        else:
            route.continue_()

    page.route("**/file?*", flaky)
    page.set_input_files("#pick-folder", card(tmp_path / "Card 11", start=11_000, good=6))
    all_settled(page)
    assert chips(page) == {"done": 6, "already here": 2, "rejected": 5}


def test_pause_holds_and_go_on_goes_on(open_page: Open, tmp_path: Path) -> None:
    page = open_page("/p/animals/recognise/")
    hold_back(page, after=2)
    page.set_input_files("#pick-folder", card(tmp_path / "Card 12", start=12_000, good=6))
    page.get_by_role("button", name="Pause").click()
    page.unroute_all(behavior="ignoreErrors")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if "/file?" in request.url else None)
    page.wait_for_timeout(800)
    assert sent == []
    page.get_by_role("button", name="Go on").click()
    all_settled(page)


def test_a_zip_is_unpacked_and_each_picture_answered(open_page: Open, tmp_path: Path) -> None:
    path = tmp_path / "trip.zip"
    members = {f"trip/{number}.jpg": pictures.jpeg(seed=13_000 + number) for number in range(5)}
    path.write_bytes(pictures.archive({**members, "trip/bad.jpg": b"nothing"}))
    page = open_page("/p/animals/recognise/")
    page.set_input_files("#pick-files", path)
    expect(page.locator("#files")).to_contain_text("trip/4.jpg", timeout=60_000)
    expect(page.locator("#files")).to_contain_text("unpacked")
    all_settled(page)
    expect(page.locator("#progress-words")).to_contain_text("6 files")
    assert chips(page) == {"done": 5, "rejected": 1}
    page.locator("#open-upload").click()
    expect(page.locator("#upload-words")).to_contain_text("6 files, all settled")
    expect(page.locator("#gallery li")).to_have_count(6)
    expect(page.locator("#gallery li").last).to_contain_text("bad.jpg")
    expect(page.get_by_role("button", name="rejected")).to_contain_text("1")
    expect(page.get_by_role("button", name="done")).to_contain_text("5")


def test_a_wrong_answer_is_put_right_in_place_and_taken_back(open_page: Open, tmp_path: Path) -> None:
    page = open_page("/p/ten-animals/recognise/")
    page.set_input_files("#pick-files", fresh_cat(tmp_path, 5))
    expect(page.locator("#answer .answer-label")).to_have_text(re.compile("^cat$", re.I))
    page.keyboard.press("f")
    box = page.get_by_role("combobox", name="What is it?")
    expect(box).to_be_focused()
    box.fill("zeb")
    expect(page.get_by_role("option", name="Zebra")).to_have_count(1)
    box.press("Enter")
    expect(page.locator("#answer")).to_contain_text("You said: Zebra")
    expect(page.locator("#files")).to_contain_text("Zebra (you)")
    expect(page.locator("#answer .answer-label")).to_have_text("Zebra")
    keep(page, "recognise-fixed")
    page.locator("#answer").get_by_role("link", name="details and history").click()
    history = page.locator("table").first
    expect(history).to_contain_text("rosa")
    expect(history).to_contain_text("Zebra")
    expect(page.locator("#answer .answer-label")).to_have_text("Zebra")
    expect(page.locator("#answer .machine-said")).to_have_text(re.compile("The machine said: cat", re.I))
    keep(page, "image-verdict")
    page.go_back()
    expect(page.locator("#answer .answer-label")).to_have_text("Zebra")
    expect(page.locator("#answer .machine-said")).to_have_text(re.compile("The machine said: cat", re.I))


def test_undo_takes_the_review_back(open_page: Open, tmp_path: Path) -> None:
    page = open_page("/p/ten-animals/recognise/")
    page.set_input_files("#pick-files", fresh_cat(tmp_path, 7))
    page.get_by_role("button", name="Wrong? Fix it").click()
    page.get_by_role("button", name="Nothing there").click()
    page.locator("#answer").get_by_role("button", name="Undo").click()
    expect(page.locator("#toasts")).to_contain_text("Taken back.")
    expect(page.get_by_role("button", name="Wrong? Fix it")).to_be_visible()


def wait_for(page: Page, met: Callable[[], bool], seconds: float = 30) -> None:
    """Playwright's own events are only handled while it waits, so wait in small steps."""
    until = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < until, "waited in vain"
        page.wait_for_timeout(50)


def hold_back(page: Page, *, after: int) -> list[str]:
    """Let the first `after` files through and hold the rest, so that there is a middle to be in."""
    seen: list[str] = []

    def held(route: Route) -> None:
        seen.append(route.request.url)
        if len(seen) <= after:
            route.continue_()

    page.route("**/file?*", held)
    return seen
