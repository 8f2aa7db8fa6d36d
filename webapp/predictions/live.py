"""What the machine says of images now, read from the predictions themselves."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Case, F, Q, Value, When

from webapp.images.states import MachineSays
from webapp.predictions.models import Prediction

State = Prediction.State
Purpose = Prediction.Purpose


ANSWERS = (Purpose.LIVE, Purpose.HISTORY)
"""What counts as the machine's answer: given when the image came, or when the pipeline in use was asked again."""


def machine_says(image_ids: Sequence[int]) -> dict[int, MachineSays]:
    """By image: what was recorded last, an answer or, where none came after it, a failure. Others are left out.

    A picture that no model was asked about, since the project has none, can still have failed to be read. That a
    pipeline failed when it was asked again says nothing: the answer before stands.
    """
    rows = (
        Prediction.objects.filter(
            Q(purpose=Purpose.LIVE, state__in=[State.DONE, State.FAILED])
            | Q(purpose=Purpose.HISTORY, state=State.DONE)
            | Q(purpose=Purpose.MEASURE, state=State.FAILED),
            image_id__in=image_ids,
        )
        .annotate(turn=Case(When(purpose=Purpose.MEASURE, then=Value(0)), default=Value(1)))
        .order_by("image_id", "turn", F("done_at").asc(nulls_first=True), "pk")
        .values_list("image_id", "state", "label_id", "label__merged_into_id", "score", "code")
    )
    said: dict[int, MachineSays] = {}
    for image_id, state, label_id, merged_into_id, score, code in rows.iterator(chunk_size=2000):
        label = merged_into_id or label_id
        said[image_id] = MachineSays(failure=code) if state == State.FAILED else MachineSays(label, score)
    return said


def answers(image_ids: Sequence[int]) -> dict[int, Prediction]:
    """By image, the answer that was recorded last; images without one are left out."""
    rows = Prediction.objects.filter(image_id__in=image_ids, purpose__in=ANSWERS, state=State.DONE)
    return {row.image_id: row for row in rows.order_by("done_at", "pk")}
