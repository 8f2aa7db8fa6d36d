"""A person brings a data set in with the browser: a folder with its table, a zip, a table of pictures elsewhere."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import datasets_made as made
from tests import pictures
from tests.browser.conftest import Open, keep, sign_in
from tests.sites import Site

pytestmark = [pytest.mark.browser, pytest.mark.processes]

PHONE = {"width": 390, "height": 844}


@dataclass(frozen=True)
class Bay:
    """A project of its own on the running site, as REST shows it to who is signed in."""

    slug: str

    @property
    def address(self) -> str:
        return f"/p/{self.slug}/import/"

    def images(self, page: Page) -> list[Any]:
        found = page.request.get(f"/api/v1/images?project={self.slug}&limit=200")
        assert found.ok, found.text()
        return list(found.json()["results"])

    def labels(self, page: Page) -> dict[str, int]:
        return dict(Counter(one["label"] for one in self.images(page)))

    def imports(self, page: Page) -> list[Any]:
        return list(page.request.get(f"/api/v1/projects/{self.slug}/imports").json()["results"])


@pytest.fixture(scope="module")
def rosa(site: Site, chromium: Browser) -> dict[str, Any]:
    """Pages of this module are opened as Cora, who curates Bay 0 to Bay 4; she came by a one-time link."""
    site.python(
        "from webapp.access.models import User, Membership; from webapp.projects.models import Project\n"
        "cora, _ = User.objects.get_or_create(username='cora')\n"
        "cora.set_unusable_password(); cora.save()\n"
        "for number in range(5):\n"
        "    bay, _ = Project.objects.get_or_create(slug=f'bay-{number}', defaults={'name': f'Bay {number}'})\n"
        "    Membership.objects.get_or_create(user=cora, project=bay, role='curator')"
    )
    return sign_in(site, chromium, "cora")


def look(page: Page) -> None:
    page.get_by_role("button", name="Look first").click()
    expect(page.get_by_role("heading", name="What would come in")).to_be_visible()


def begin(page: Page, words: str) -> None:
    page.get_by_role("button", name=words).click()
    page.wait_for_url(re.compile(r"/import/[0-9a-f-]{36}/$"))
    expect(page.locator("#state")).to_have_text("done")


def figure(page: Page, words: str) -> Any:
    return page.locator("#figures .figure", has_text=words).locator("b")


def test_a_folder_with_its_table_comes_in_goes_and_comes_back(open_page: Open, tmp_path: Path) -> None:
    mine = Bay("bay-0")
    data = made.make_table(tmp_path / "Season 2024 (east)")
    made.put(data.root / "Site 1" / "Thumbs.db", b"x")
    made.put(data.root / "notes.docx", b"x")
    (data.root / "Site 2" / "IMG_0005.JPG").unlink()
    made.put(data.root / "Site 2" / "IMG_0008.JPG", pictures.html_named_jpg())
    page = open_page(mine.address)
    page.get_by_label("Folder", exact=True).set_input_files(data.root)
    page.get_by_label("Where is it from?").fill("autumn survey")
    page.get_by_label("Licence").fill("CC0")
    keep(page, "import-chosen")
    look(page)
    forecast = page.locator("#forecast")
    expect(forecast).to_contain_text("Read as a table (CSV)")
    expect(forecast).to_contain_text("12 pictures")
    expect(forecast.locator(".label-bars li")).to_have_count(4)
    expect(forecast).to_contain_text("1 picture is named but not beside it")
    keep(page, "import-forecast")
    assert mine.images(page) == []
    begin(page, "Import 12 pictures")
    expect(figure(page, "added")).to_have_text("10")
    expect(page.locator("#items tr")).to_have_count(12)
    keep(page, "import-done")
    labels = mine.labels(page)
    assert sum(labels.values()) == 10 and set(labels) == set(made.SPECIES)
    assert {one["site_name"] for one in mine.images(page)} == {"Site 0", "Site 1", "Site 2"}
    page.locator("#filters").get_by_role("button", name="failed").click()
    expect(page.locator("#items tr")).to_have_count(1)
    expect(page.locator("#items tr")).to_contain_text("Site 2/IMG_0005.JPG")
    page.locator("#filters").get_by_role("button", name="rejected").click()
    expect(page.locator("#items tr")).to_contain_text("Site 2/IMG_0008.JPG")
    expect(page.locator("#items .why")).not_to_be_empty()
    with page.expect_download() as begun:
        page.get_by_role("link", name="Report as CSV").click()
    assert "IMG_0008" in Path(begun.value.path()).read_text()
    there = page.url
    page.get_by_role("link", name="in the grid").click()
    expect(page.locator("#count")).to_have_text("10 images")
    page.goto(there)
    page.once("dialog", lambda dialog: dialog.accept("not ours"))
    page.get_by_role("button", name="Withdraw…").click()
    expect(page.locator("#state")).to_have_text("withdrawn")
    expect(page.locator("#withdrawn")).to_be_visible()
    keep(page, "import-withdrawn")
    assert mine.images(page) == []
    page.get_by_role("button", name="Bring back").click()
    expect(page.locator("#state")).to_have_text("done")
    assert mine.labels(page) == labels


def test_a_zip_with_spaces_capitals_and_brackets_keeps_its_four_parts(open_page: Open, tmp_path: Path) -> None:
    mine = Bay("bay-1")
    data = made.make_ten_animals(tmp_path / "Animals V2 (tiny) [1]", capitals=True)
    files = {str(path.relative_to(tmp_path)): path.read_bytes() for path in data.root.rglob("*.jpeg")}
    zipped = made.put(tmp_path / "Animals V2 (tiny) [1].zip", pictures.archive(files))
    page = open_page(mine.address, viewport=PHONE, color_scheme="dark")
    page.get_by_text("A zip on this computer").click()
    page.get_by_label("Zip", exact=True).set_input_files(zipped)
    page.get_by_label("Versions may be tested on these labels").uncheck()
    look(page)
    expect(page.locator("#forecast")).to_contain_text("Parts: train 40, validation 20, test")
    keep(page, "import-phone-dark")
    page.locator("#forecast").scroll_into_view_if_needed()
    keep(page, "import-phone-dark-forecast")
    begin(page, f"Import {data.images} pictures")
    expect(page.get_by_role("heading", name="Animals V2 (tiny) [1]", exact=True)).to_be_visible()
    expect(page.locator("#fact-trusted")).to_have_text("versions are not tested on its labels")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    keep(page, "import-phone-dark-done")
    images = mine.images(page)
    assert mine.labels(page) == data.labels
    assert Counter(one["part"] for one in images) == data.parts
    assert "Training Data/Cat/Cat-Train (1).jpeg" in {one["path"] for one in images}
    assert [one["trusted"] for one in mine.imports(page)] == [False]
    page.get_by_role("button", name="Test on them").click()
    expect(page.locator("#fact-trusted")).to_have_text("versions may be tested on its labels")
    assert [one["trusted"] for one in mine.imports(page)] == [True]


@pytest.mark.long
def test_whales_are_individuals_and_a_second_look_changes_nothing(open_page: Open, tmp_path: Path) -> None:
    mine = Bay("bay-2")
    data = made.make_whales_csv(tmp_path / "whales")
    for added, here in ((data.images, 0), (0, data.images)):
        page = open_page(mine.address)
        page.get_by_label("Folder", exact=True).set_input_files(data.root)
        look(page)
        expect(page.locator("#forecast")).to_contain_text("5individuals")
        begin(page, f"Import {data.images} pictures")
        expect(figure(page, "added")).to_have_text(str(added))
        expect(figure(page, "already here")).to_have_text(str(here))
    assert mine.labels(page) == {"Fluke": data.images}


def test_columns_of_any_table_are_mapped_and_its_pictures_lie_elsewhere(open_page: Open, tmp_path: Path) -> None:
    mine = Bay("bay-3")
    for number, name in enumerate(["a.jpg", "b.jpg", "c.jpg"]):
        made.put(tmp_path / "My card" / name, made.picture(900 + number))
    lines = [["a.jpg", "Red fox", "Pond"], ["b.jpg", "red foxes", "Pond"], ["c.jpg", "Owl", "Hill"]]
    table = made.write_csv(tmp_path / "words" / "seen.csv", ["Bildname", "Tierart", "Ort"], lines)
    page = open_page(mine.address, color_scheme="dark")
    page.get_by_text("A table or JSON").click()
    page.get_by_label("Table (.csv, .tsv) or JSON").set_input_files(table)
    page.get_by_label("Folder of its pictures").set_input_files(tmp_path / "My card")
    page.get_by_role("button", name="Look first").click()
    for column, meaning in (("Bildname", "path"), ("Tierart", "label"), ("Ort", "site")):
        page.get_by_label(f"{column} means").select_option(meaning)
        expect(page.locator("#look")).to_have_text("Look first")
    expect(page.locator("#forecast")).to_contain_text("“Red fox” and “red foxes” may be one label")
    keep(page, "import-mapping-dark")
    begin(page, "Import 3 pictures")
    assert mine.labels(page) == {"Red fox": 1, "red foxes": 1, "Owl": 1}
    assert {one["site_name"] for one in mine.images(page)} == {"Hill", "Pond"}
    page.get_by_role("button", name="red foxes → Red fox").click()
    expect(page.locator("#toasts")).to_contain_text("red foxes means Red fox from now on.")
    assert mine.labels(page) == {"Red fox": 2, "Owl": 1}


@pytest.mark.long
def test_what_cannot_be_read_says_so_and_nothing_comes_in(open_page: Open, tmp_path: Path) -> None:
    mine = Bay("bay-4")
    page = open_page(mine.address)
    page.get_by_role("button", name="Look first").click()
    expect(page.locator("#fault")).to_have_text("Choose a folder first.")
    made.put(tmp_path / "papers" / "report.docx", b"x")
    page.get_by_label("Folder", exact=True).set_input_files(tmp_path / "papers")
    page.get_by_role("button", name="Look first").click()
    expect(page.locator("#fault")).to_have_text("There are neither pictures nor tables in this folder.")
    page.get_by_text("A zip on this computer").click()
    page.get_by_label("Zip", exact=True).set_input_files(made.put(tmp_path / "cut.zip", b"PK\x03\x04 and no end"))
    page.get_by_role("button", name="Look first").click()
    expect(page.locator("#fault")).to_contain_text("zip")
    keep(page, "import-fault")
    assert mine.images(page) == []
