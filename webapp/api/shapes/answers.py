"""The answer to a picture, the job of one that is still waiting, and problems."""

from __future__ import annotations

import math
from typing import Any

from rest_framework import serializers as s

from webapp.predictions.models import Prediction


class Number(s.FloatField):
    """A finite number: `float` would also read "nan", which passes every bound."""

    def to_internal_value(self, data: Any) -> float:
        number = super().to_internal_value(data)
        if not math.isfinite(number):
            self.fail("invalid")
        return number


class Problem(s.Serializer[Any]):
    """RFC 9457. `code` is stable; `detail` says what was wrong and what to do."""

    type = s.CharField()
    title = s.CharField()
    status = s.IntegerField()
    code = s.CharField()
    detail = s.CharField()
    instance = s.CharField()
    errors = s.DictField(child=s.ListField(child=s.CharField()), required=False, help_text="Field -> what is wrong")  # type: ignore[assignment]
    retry_after = s.IntegerField(required=False, help_text="Seconds")


class Score(s.Serializer[Any]):
    label = s.CharField()  # type: ignore[assignment]
    score = s.FloatField(min_value=0, max_value=1)


class Box(s.ListField):
    """x, y, width, height, relative to the image."""

    def __init__(self, **kwargs: Any) -> None:
        bounded = Number(min_value=0, max_value=1)
        kwargs.setdefault("help_text", "x, y, width, height in shares of the image; null: the whole image")
        super().__init__(child=bounded, min_length=4, max_length=4, **kwargs)


class LabelScore(Score):
    key = s.CharField()


class RegionShape(s.Serializer[Any]):
    box = Box(allow_null=True)
    detection = Score(allow_null=True)
    label = s.CharField(allow_null=True)  # type: ignore[assignment]
    key = s.CharField(allow_null=True)
    score = s.FloatField(allow_null=True)
    scores = LabelScore(many=True, help_text="Sorted; the best five, or all with `?scores=all`")


class AnswerImage(s.Serializer[Any]):
    id = s.IntegerField()
    sha256 = s.CharField()
    width = s.IntegerField()
    height = s.IntegerField()
    damaged = s.BooleanField()
    damaged_share = s.FloatField(allow_null=True, help_text="Share of the picture that cannot be read; null: none")


class AnswerVersion(s.Serializer[Any]):
    id = s.IntegerField()
    name = s.CharField()
    role = s.CharField()


class Answer(s.Serializer[Any]):
    """What a pipeline says of an image."""

    state = s.ChoiceField(choices=Prediction.State.choices)
    prediction = s.IntegerField()
    label = s.CharField(allow_null=True)  # type: ignore[assignment]
    key = s.CharField(allow_null=True, help_text="The label's key, which never changes")
    kind = s.CharField(allow_null=True, help_text="normal, background, unknown or ignore")
    score = s.FloatField(allow_null=True)
    reason = s.CharField(allow_null=True, help_text="Why it failed")
    code = s.CharField(allow_null=True)
    counts = s.DictField(child=s.IntegerField(), help_text="Label -> how many regions")
    image = AnswerImage()
    regions = RegionShape(many=True)
    version = AnswerVersion(help_text="The version that named the label")
    versions = AnswerVersion(many=True)
    pipeline = s.CharField()
    project = s.CharField()
    notice = s.CharField(allow_null=True, help_text="What to know of this project's answers")


class Pending(s.Serializer[Any]):
    """The answer is not there yet: ask `job` again."""

    state = s.CharField()
    job = s.URLField()
    why = s.CharField()


class Health(s.Serializer[Any]):
    web = s.CharField()
    database = s.CharField()
    broker = s.CharField()
    gpu = s.CharField()
    io = s.CharField()
    train = s.CharField()
    problems = s.ListField(child=s.CharField())


class WorkerShape(s.Serializer[Any]):
    name = s.CharField()
    queue = s.CharField()
    device = s.CharField()
    pipelines = s.ListField()
    doing = s.CharField()
    seen_at = s.DateTimeField()


class QueueShape(s.Serializer[Any]):
    pending = s.IntegerField()
    leased = s.IntegerField()
    background = s.IntegerField(help_text="What nobody waits for: candidates tried beside, and history")
    oldest_seconds = s.FloatField()


class Status(Health):
    ok = s.BooleanField()
    disk_free_bytes = s.IntegerField()
    workers = WorkerShape(many=True, required=False)
    queue = QueueShape(required=False)
    lost_wakeups = s.DictField(child=s.IntegerField())
    unthrottled_calls = s.IntegerField()
