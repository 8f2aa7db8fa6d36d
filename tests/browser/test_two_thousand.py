"""A folder as it comes from the field: 2,000 files, some broken, some twice, and a page that is reloaded."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests import pictures
from tests.browser.conftest import Open, keep

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.long, pytest.mark.timeout(1500)]

GOOD, TWICE, CUT, BROKEN = 1850, 100, 10, 40
WAYS: list[Callable[[], bytes]] = [
    pictures.zero_byte,
    pictures.html_named_jpg,
    pictures.gif,
    pictures.svg,
    pictures.bomb_png,
    pictures.text_chunk_bomb_png,
    pictures.heic_header,
    lambda: pictures.random_bytes(3000),
    pictures.zeros,
    pictures.raw_tiff,
]


def season(folder: Path) -> Path:
    """The folder; broken files differ by their last byte so that none is another's twin."""
    folder.mkdir()
    for number in range(GOOD):
        (folder / f"IMG_{number:04}.JPG").write_bytes(pictures.jpeg(160, 120, seed=200_000 + number))
    for number in range(TWICE):
        os.link(folder / f"IMG_{number:04}.JPG", folder / f"COPY_{number:04}.JPG")
    for number in range(CUT):
        (folder / f"CUT_{number:04}.JPG").write_bytes(pictures.truncated_jpeg(0.6, seed=300_000 + number))
    broken = [way() for way in WAYS]
    for number in range(BROKEN):
        content = broken[number % len(broken)]
        (folder / f"BAD_{number:04}.JPG").write_bytes(content and content + bytes([number]))
    return folder


def test_two_thousand_mixed_files_all_end_in_a_true_state(open_page: Open, tmp_path: Path) -> None:
    files = GOOD + TWICE + CUT + BROKEN
    page = open_page("/p/animals/recognise/")
    page.set_input_files("#pick-folder", season(tmp_path / "Season"))
    expect(page.locator("#progress-words")).to_contain_text(f"of {files:,} files settled", timeout=120_000)
    address = page.locator("#open-upload").get_attribute("href")
    page.wait_for_function(
        "(some) => parseInt(document.querySelector('#progress-words').textContent.replace(/,/g, '')) > some",
        arg=files * 0.15,
        timeout=300_000,
    )
    page.reload()
    expect(page.locator("#progress-words")).to_contain_text("all settled", timeout=900_000)
    uid = str(address).rstrip("/").rsplit("/", 1)[-1]
    counts = page.request.get(f"/api/v1/uploads/{uid}").json()["counts"]
    settled = {state: count for state, count in counts.items() if count}
    assert settled == {"done": GOOD + CUT, "duplicate": TWICE, "rejected": BROKEN}
    told = page.locator("#progress-chips a")
    expect(told).to_have_text([f"{GOOD + CUT:,} done", f"{TWICE:,} already here", f"{BROKEN:,} rejected"])
    other = open_page(address)
    expect(other.locator("#upload-words")).to_contain_text(f"{files:,} files, all settled")
    keep(other, "upload-two-thousand")
