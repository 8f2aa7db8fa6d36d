"""One digest for all that an import brought: its files, their parts and what it said of them."""

from __future__ import annotations

import hashlib

from webapp.datasets.models import Import

BATCH = 5000


def checksum_of(row: Import) -> str:
    """SHA-256 over `path NUL part NUL label NUL digest LF` of each file, in the order of the paths."""
    digest = hashlib.sha256()
    after = ""
    while rows := list(
        row.upload.items.filter(path__gt=after)
        .order_by("path")
        .values_list("path", "part", "claimed_label", "sha256")[:BATCH]
    ):
        for line in rows:
            digest.update("\0".join(line).encode() + b"\n")
        after = rows[-1][0]
    return digest.hexdigest()
