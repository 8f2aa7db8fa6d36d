"""How much one person, and all together, may store. Sums are kept for seconds, so a quota may be passed by a little."""

from __future__ import annotations

import time

from django.conf import settings
from django.db.models import Sum

from webapp.access.models import User
from webapp.errors import NoSpace
from webapp.images.models import File

SUMS_LAST_SECONDS = 5.0

_sums: dict[int | None, tuple[float, int]] = {}


class OverQuota(NoSpace):
    """The caller, or the site, has stored what it may."""

    code = "over-quota"


def check_quota(*, user: User | None, more: int) -> None:
    """Raise OverQuota when `more` bytes would not fit."""
    if settings.SITE_QUOTA_BYTES and _stored(None) + more > settings.SITE_QUOTA_BYTES:
        raise OverQuota("This site has stored as much as its admin allows (OSPREY_SITE_QUOTA_MB). Nothing was stored.")
    if user is not None and settings.USER_QUOTA_BYTES and _stored(user.pk) + more > settings.USER_QUOTA_BYTES:
        raise OverQuota(
            f"You have stored as much as one person may here ({settings.USER_QUOTA_BYTES:,} bytes). "
            "Nothing was stored; ask the site's admin for more room."
        )


def _stored(user_id: int | None) -> int:
    known = _sums.get(user_id)
    if known is None or time.monotonic() - known[0] > SUMS_LAST_SECONDS:
        files = File.objects.exclude(storage_key="")
        if user_id is not None:
            files = files.filter(images__upload__created_by=user_id)
        known = _sums[user_id] = (time.monotonic(), files.aggregate(bytes=Sum("size"))["bytes"] or 0)
    return known[1]
