"""All pages of documentation: links lead somewhere, nothing is empty, nothing belongs to one machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs import reading

ROOT = reading.ROOT
EXPECTED = ("architecture", "operations", "api", "command-line", "decisions", "measured")
LOCAL = re.compile(r"/(?:work|home|Users|root)/\w+|/tmp/(?!beat)\w+")


def test_the_pages_are_there() -> None:
    assert {page.stem for page in reading.PAGES} >= {"README", *EXPECTED}


@pytest.mark.parametrize("page", reading.PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", reading.text(page)):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in {_anchor(heading) for heading in reading.sections(file)}, f"{page.name} links to {target}"


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", reading.PAGES, ids=lambda page: page.name)
def test_no_section_is_empty(page: Path) -> None:
    headings = re.findall(r"^(#{1,6}) (.+)$", re.sub(r"^```.*?^```", "", reading.text(page), flags=re.M | re.S), re.M)
    found = reading.sections(page)
    for (depth, heading), following in zip(headings, [*headings[1:], ("#", "")], strict=True):
        has_parts = len(following[0]) > len(depth)
        assert has_parts or found[heading.strip()].strip(), f"{page.name}: {heading} says nothing"


@pytest.mark.parametrize("page", reading.PAGES, ids=lambda page: page.name)
def test_no_path_of_somebodys_machine_is_told(page: Path) -> None:
    assert LOCAL.findall(reading.text(page)) == []


def test_the_readme_names_the_two_commands_and_shows_one_picture() -> None:
    readme = reading.text(ROOT / "README.md")
    examples = "\n".join(reading.blocks(readme, "sh"))
    assert "./osprey up" in examples
    assert "./osprey test" in examples
    assert "./osprey classify" in examples
    assert re.search(r"curl .*--data-binary @\S+ .*/api/v1/classify", examples)
    (picture,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", readme)
    assert (ROOT / picture).stat().st_size < 1_000_000


def test_modules_that_are_named_exist() -> None:
    """A path in backticks that looks like one of ours is one of ours."""
    pattern = re.compile(r"(?:webapp|classifier|training|bench|tests|static|templates|docs)/[\w./-]+\.\w+")
    for page in reading.PAGES:
        for word in reading.code_words(reading.text(page)):
            if pattern.fullmatch(word):
                assert (ROOT / word).exists(), f"{page.name} names {word}"
