"""Makes a small picture from an original; runs in io workers only, since it decodes."""

from __future__ import annotations

import logging

from classifier.errors import ImageRejected
from webapp.images.derived import name_of
from webapp.images.models import File
from webapp.images.store import derived_path, open_original, write_derived

log = logging.getLogger(__name__)


def make_preview(file_id: int, side: int) -> bool:
    """Make the picture of that side unless it is there. False when the original is gone or cannot be decoded."""
    from classifier.images import decode
    from classifier.thumbnails import thumbnail

    file = File.objects.get(pk=file_id)
    if derived_path(file.sha256, name_of(side)).exists():
        return True
    try:
        decoded = decode(open_original(file), at_least=side)
    except (ImageRejected, OSError) as error:
        log.warning("no preview of %s: %s", file, error)
        return False
    write_derived(file.sha256, name_of(side), thumbnail(decoded, side))
    return True
