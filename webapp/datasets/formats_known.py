"""Which format a source is in, in words for people where that is not clear."""

from __future__ import annotations

from pathlib import Path

from webapp.datasets.formats.detect import detect
from webapp.datasets.formats.opening import READERS
from webapp.datasets.formats.records import SourceError
from webapp.errors import Invalid


def check_format(asked: str) -> None:
    if asked and asked not in READERS:
        raise Invalid(f"There is no format {asked!r}: choose from {', '.join(READERS)}.")


def format_of(root: Path, asked: str) -> str:
    """The format that was asked for, else the one that is found."""
    check_format(asked)
    try:
        return asked or detect(root)
    except SourceError as error:
        raise Invalid(str(error), code="bad-source") from error
