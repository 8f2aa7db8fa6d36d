"""What a person should know of an import, collected while it runs: each kind once, with a count and a few examples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

EXAMPLES = 10
WORDS = {
    "missing": "{count} named by the source could not be found. Put what is missing beside it, and import it again.",
    "contradiction": "{count} came twice with different labels; the first one stands. Look again.",
    "box": "{count} left the picture or had no area; the annotation was kept without a box.",
    "entry": "{count} came in although something in the entry is wrong, such as a box: the report says what.",
    "field": "New to this project and added to its fields: {count}.",
    "place": "Left out, because it could not be read: {count}.",
    "time": "Left out, because it could not be read as a time: {count}.",
    "spelling": "Taken as one of the project that differs in case alone: {count}.",
    "no-picture": "{count} of machine results could be found neither beside the file nor in this project.",
    "repeated": "{count} came twice in the source; the first line counts.",
    "clash": "{count} had other facts here already; what the project says stands.",
}
NOUNS = {
    "missing": ("file", "files"),
    "contradiction": ("picture", "pictures"),
    "box": ("box", "boxes"),
    "entry": ("picture", "pictures"),
    "field": ("field or choice", "fields or choices"),
    "place": ("coordinate or zone", "coordinates or zones"),
    "time": ("text", "texts"),
    "spelling": ("label", "labels"),
    "no-picture": ("picture", "pictures"),
    "repeated": ("file", "files"),
    "clash": ("site or visit", "sites or visits"),
}


class Notices:
    """Begins with what an earlier slice of the same import left."""

    def __init__(self, known: Iterable[dict[str, Any]] = ()) -> None:
        self._by_key: dict[tuple[str, str], dict[str, Any]] = {}
        for one in known:
            self._by_key[one["kind"], "" if one["kind"] in WORDS else one["text"]] = dict(one)

    def say(self, text: str, *, kind: str = "source", **more: Any) -> None:
        """A sentence of the source itself, or one that stands alone."""
        self._by_key[kind, text] = {"kind": kind, "text": text, "count": 1, **more}

    def count(self, kind: str, example: str) -> None:
        one = self._by_key.setdefault((kind, ""), {"kind": kind, "count": 0, "examples": []})
        one["count"] += 1
        if len(one["examples"]) < EXAMPLES and example not in one["examples"]:
            one["examples"].append(example[:200])
        singular, plural = NOUNS[kind]
        number = f"{one['count']:,} {singular if one['count'] == 1 else plural}"
        one["text"] = WORDS[kind].format(count=number)

    def replace(self, kind: str, found: Sequence[dict[str, Any]]) -> None:
        """Put these in the place of all of that kind."""
        self._by_key = {key: one for key, one in self._by_key.items() if key[0] != kind}
        for one in found:
            self._by_key[kind, one["text"]] = {"kind": kind, **one}

    def as_list(self) -> list[dict[str, Any]]:
        return list(self._by_key.values())
