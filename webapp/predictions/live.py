"""What the machine says of images now, read from the predictions themselves."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import F

from webapp.images.states import MachineSays
from webapp.predictions.models import Prediction

State = Prediction.State


def machine_says(image_ids: Sequence[int]) -> dict[int, MachineSays]:
    """By image: the live prediction that was recorded last, an answer or a failure. Images without one are left out."""
    rows = (
        Prediction.objects.filter(
            image_id__in=image_ids, purpose=Prediction.Purpose.LIVE, state__in=[State.DONE, State.FAILED]
        )
        .order_by("image_id", F("done_at").asc(nulls_first=True), "pk")
        .values_list("image_id", "state", "label_id", "score", "code")
    )
    said: dict[int, MachineSays] = {}
    for image_id, state, label_id, score, code in rows.iterator(chunk_size=2000):
        said[image_id] = MachineSays(failure=code) if state == State.FAILED else MachineSays(label_id, score)
    return said
