"""docs/formats.md against the code: which formats there are, what columns mean, why something stays out."""

from __future__ import annotations

import re

from tests.docs import reading
from webapp.datasets.formats.columns import MEANINGS
from webapp.datasets.formats.opening import READERS
from webapp.datasets.formats.writing import FORMATS

PAGE = reading.DOCS / "formats.md"
FOLDER = reading.ROOT / "webapp" / "datasets" / "formats"


def test_every_format_is_described() -> None:
    rows = reading.rows(reading.sections(PAGE)["Read and written"])
    told = {reading.code_words(row[0])[0]: row[2].strip() == "yes" for row in rows}
    assert sorted(told) == sorted(READERS)
    assert sorted(name for name, written in told.items() if written) == sorted(FORMATS)


def test_every_meaning_of_a_column_is_described() -> None:
    rows = reading.rows(reading.sections(PAGE)["Tables"])
    told = {word for row in rows for word in reading.code_words(row[0])}
    assert told == {*MEANINGS, "field:NAME", "flag:NAME"}


def test_every_reason_for_staying_out_is_described() -> None:
    rows = reading.rows(reading.sections(PAGE)["What stays out"])
    told = {word for row in rows for word in reading.code_words(row[0])}
    code = "\n".join(file.read_text(encoding="utf-8") for file in FOLDER.glob("*.py"))
    used = set(re.findall(r'leave_out\(\s*[\w.]+,\s*"([a-z-]+)"', code))
    used |= set(re.findall(r'return "", "([a-z-]+)", "', code))
    used |= set(re.findall(r'LeftOut\("([a-z-]+)"', code))
    assert told == used
