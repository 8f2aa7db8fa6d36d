"""Wait for one prediction, on the news of this process's one subscription."""

from __future__ import annotations

import time

from asgiref.sync import sync_to_async
from django.db import close_old_connections

from webapp.events import bus
from webapp.predictions.models import Prediction

WITHOUT_NEWS_SECONDS = 0.5
SETTLED = (Prediction.State.DONE, Prediction.State.FAILED)


async def wait_done(prediction_id: int, seconds: float) -> bool:
    """True when the prediction is settled within `seconds`.

    In health nothing is polled. While no news can be heard (a dead broker) the row is looked at twice a second, and
    once more when that begins or ends, since news of the moment between is lost.
    """
    news = bus()
    news.start()
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        patience = left if news.connected else min(left, WITHOUT_NEWS_SECONDS)
        if await news.done(prediction_id, patience) or await sync_to_async(is_settled)(prediction_id):
            return True
    return False


def is_settled(prediction_id: int) -> bool:
    """Asked in a thread that no request cleans up after: a connection kept there would outlive its database."""
    try:
        return Prediction.objects.filter(pk=prediction_id, state__in=SETTLED).exists()
    finally:
        close_old_connections()
