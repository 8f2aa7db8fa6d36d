"""What the machine says of images now, read from the predictions themselves."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import F, Q

from webapp.images.states import MachineSays
from webapp.predictions.models import Prediction

State = Prediction.State
Purpose = Prediction.Purpose


def machine_says(image_ids: Sequence[int]) -> dict[int, MachineSays]:
    """By image: the live prediction that was recorded last, an answer or a failure. Images without one are left out.

    A picture that no model was asked about, since the project has none, can still have failed to be read.
    """
    rows = (
        Prediction.objects.filter(
            Q(purpose=Purpose.LIVE, state__in=[State.DONE, State.FAILED])
            | Q(purpose=Purpose.MEASURE, state=State.FAILED),
            image_id__in=image_ids,
        )
        .order_by("image_id", "-purpose", F("done_at").asc(nulls_first=True), "pk")
        .values_list("image_id", "state", "label_id", "label__merged_into_id", "score", "code")
    )
    said: dict[int, MachineSays] = {}
    for image_id, state, label_id, merged_into_id, score, code in rows.iterator(chunk_size=2000):
        label = merged_into_id or label_id
        said[image_id] = MachineSays(failure=code) if state == State.FAILED else MachineSays(label, score)
    return said
