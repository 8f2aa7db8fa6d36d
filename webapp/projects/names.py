"""Keys made of names, and names folded for search."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container
from itertools import count

KEY_LENGTH = 110


def fold(text: str) -> str:
    """Lower case without accents, runs of blanks as one: what search compares."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return " ".join(plain.split())


def key_from(name: str, taken: Container[str], *, otherwise: str = "label", length: int = KEY_LENGTH) -> str:
    """A key of lower-case letters, digits and hyphens that is not in `taken`: the name's slug, numbered if need be."""
    letters = re.sub(r"[^\w]+", "-", fold(name), flags=re.ASCII).replace("_", "-")
    base = re.sub(r"-+", "-", letters).strip("-")[:length].strip("-") or otherwise
    if base not in taken:
        return base
    return next(key for number in count(2) if (key := f"{base}-{number}") not in taken)
