"""Wait for one prediction, on the news of this process's one subscription."""

from __future__ import annotations

import time

from asgiref.sync import sync_to_async

from webapp.events import bus
from webapp.predictions.models import Prediction

WITHOUT_NEWS_SECONDS = 0.5
SETTLED = (Prediction.State.DONE, Prediction.State.FAILED)


async def wait_done(prediction_id: int, seconds: float) -> bool:
    """True when the prediction is settled within `seconds`.

    In health nothing is polled. While no news can be heard (a dead broker) the row is looked at twice a second.
    """
    news = bus()
    news.start()
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        patience = left if news.connected else min(left, WITHOUT_NEWS_SECONDS)
        if await news.done(prediction_id, patience):
            return True
        in_doubt = not news.connected or time.monotonic() >= until
        if in_doubt and await sync_to_async(is_settled)(prediction_id):
            return True
    return False


def is_settled(prediction_id: int) -> bool:
    return Prediction.objects.filter(pk=prediction_id, state__in=SETTLED).exists()
