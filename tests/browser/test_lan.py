"""Plain http on a LAN, as in the field: no secure context, so the page fingerprints by its own code."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Playwright, expect

from tests import pictures
from tests.browser.conftest import FLAGS, all_settled, chips
from tests.sites import Site, copy_of

pytestmark = [pytest.mark.browser, pytest.mark.processes]

NAME = "camp.test"


@pytest.mark.long
def test_a_card_is_sent_over_plain_http_and_twins_are_known_by_their_fingerprint(
    playwright: Playwright, prepared: Path, tmp_path: Path
) -> None:
    card = tmp_path / "Card"
    card.mkdir()
    for number in range(6):
        (card / f"{number}.jpg").write_bytes(pictures.jpeg(seed=500 + number))
    data = copy_of(prepared, tmp_path / "data")
    with Site(data, settings={"OSPREY_HOSTS": NAME}, words=("--lan",)) as site:
        link = site.command("manage", "signin_link", "--base", f"http://{NAME}:{site.port}").stdout.strip()
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"),
            args=[*FLAGS, f"--host-resolver-rules=MAP {NAME} 127.0.0.1"],
        )
        page = browser.new_context(bypass_csp=True).new_page()
        page.goto(link)
        page.get_by_role("button", name="Sign me in").click()
        page.goto(f"http://{NAME}:{site.port}/p/animals/recognise/")
        assert page.evaluate("[isSecureContext, typeof crypto.subtle]") == [False, "undefined"]
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.post_data or "") if "/check" in request.url else None)
        page.set_input_files("#pick-folder", card)
        all_settled(page)
        assert chips(page) == {"done": 6}
        assert all(hashlib.sha256(path.read_bytes()).hexdigest() in "".join(asked) for path in card.iterdir())
        page.set_input_files("#pick-folder", card)
        expect(page.locator("#progress-chips")).to_contain_text("6 already here")
        browser.close()
