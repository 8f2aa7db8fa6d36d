"""Reads our own Markdown: sections, tables and fenced blocks, as far as the tests need them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", *sorted(DOCS.glob("*.md")))

_CODE = re.compile(r"`([^`]+)`")


@cache
def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def sections(path: Path) -> dict[str, str]:
    """What stands below each heading of any depth, up to the next heading; headings inside fenced blocks are code."""
    found: dict[str, list[str]] = {"": []}
    heading, fenced = "", False
    for line in text(path).splitlines():
        fenced ^= line.startswith("```")
        if not fenced and re.match(r"#{1,6} ", line):
            heading = line.lstrip("#").strip()
            found[heading] = []
        else:
            found[heading].append(line)
    return {name: "\n".join(lines) for name, lines in found.items()}


def blocks(markdown: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", markdown, flags=re.MULTILINE | re.DOTALL)


def rows(markdown: str) -> list[list[str]]:
    """The rows of all tables, without their heads."""
    found: list[list[str]] = []
    lines = markdown.splitlines()
    for number, line in enumerate(lines):
        if not line.startswith("|") or set(line) <= set("|-: "):
            continue
        if number + 1 < len(lines) and lines[number + 1].startswith("|") and set(lines[number + 1]) <= set("|-: "):
            continue
        found.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return found


def code_words(markdown: str) -> list[str]:
    """What stands between single backticks."""
    return _CODE.findall(markdown)
