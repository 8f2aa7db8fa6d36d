"""Names that senders give their files, made safe to keep: they are shown and compared, never opened."""

from __future__ import annotations

import hashlib
import re
import unicodedata

LONGEST = 1000
UNNAMED = "unnamed"
_DRIVE = re.compile(r"^[A-Za-z]:")
# Marks that turn the reading direction can make `gpj.exe` read `exe.jpg`.
_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def normalise_path(raw: str) -> str:
    """One spelling for one file: `/` between folders, no drive, no `.` or `..`, NFC, at most LONGEST characters."""
    text = raw.encode("utf-8", "replace").decode("utf-8").replace("\\", "/")
    text = _DRIVE.sub("", unicodedata.normalize("NFC", text))
    text = "".join(_visible(character) for character in text)
    parts = [part.strip() for part in text.split("/")]
    return shorten("/".join(part for part in parts if part not in ("", ".", ".."))) or UNNAMED


def shorten(path: str, longest: int = LONGEST) -> str:
    """Keep the end, which tells files apart; a digest of the whole keeps two long paths two."""
    if len(path) <= longest:
        return path
    mark = hashlib.sha256(path.encode()).hexdigest()[:12]
    return f"{mark}…{path[-(longest - len(mark) - 1) :]}"


def _visible(character: str) -> str:
    control = unicodedata.category(character) == "Cc"
    return "\N{REPLACEMENT CHARACTER}" if control or character in _TURNING else character
