"""The columns of an image that its first decode fills."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.utils import timezone

from webapp.images.models import Image
from webapp.images.states import Measured
from webapp.images.times import in_utc
from webapp.predictions.claim import Work
from webapp.predictions.look import Measures
from webapp.rows import update_rows

MEASURED_COLUMNS = (
    "captured_at", "utc_offset_minutes", "captured_at_utc", "camera_make", "camera_model", "camera_serial", "latitude",
    "longitude", "altitude", "damaged_share", "perceptual_hash", "brightness", "contrast", "sharpness", "measured_at",
)  # fmt: skip


def write_measures(found: Iterable[tuple[Work, Measures]]) -> dict[int, Measured]:
    """Store measures in the caller's transaction; returns, by image, what its state repeats of them."""
    images = [_measured(work, measures) for work, measures in found]
    _keep_told_times(images)
    update_rows(images, MEASURED_COLUMNS)
    return {
        image.pk: Measured(damaged=bool(image.damaged_share), captured_at_utc=image.captured_at_utc) for image in images
    }


def _keep_told_times(images: Sequence[Image]) -> None:
    """The time that an import told stands: the file has none, or one that somebody has put right since."""
    told = Image.objects.filter(pk__in=[image.pk for image in images]).exclude(captured_at="")
    columns = ("captured_at", "utc_offset_minutes", "captured_at_utc")
    by_id = {image.pk: image for image in images}
    for pk, *values in told.values_list("pk", *columns):
        for name, value in zip(columns, values, strict=True):
            setattr(by_id[pk], name, value)


def _measured(work: Work, measures: Measures) -> Image:
    """The measured columns of an image; the others are not touched."""
    facts = measures.facts
    return Image(
        pk=work.image_id,
        captured_at=facts.captured_at.isoformat() if facts.captured_at else "",
        utc_offset_minutes=facts.utc_offset_minutes,
        captured_at_utc=facts.captured_at
        and in_utc(
            facts.captured_at,
            utc_offset_minutes=facts.utc_offset_minutes,
            zone=work.time_zone,
            clock_offset_seconds=work.clock_offset_seconds,
        ),
        camera_make=facts.camera_make[:80],
        camera_model=facts.camera_model[:80],
        camera_serial=facts.camera_serial[:80],
        latitude=facts.latitude,
        longitude=facts.longitude,
        altitude=facts.altitude,
        damaged_share=measures.damaged_share,
        perceptual_hash=measures.perceptual_hash,
        brightness=measures.quality.brightness,
        contrast=measures.quality.contrast,
        sharpness=measures.quality.sharpness,
        measured_at=timezone.now(),
    )
