"""Pictures that may be of little use: dark, bright, blurred, tiny, oddly shaped, damaged. Columns only, no pixels."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Count, F, FloatField, Q, QuerySet
from django.db.models.functions import Cast

from webapp.errors import Invalid
from webapp.images.models import Image
from webapp.projects.models import Project
from webapp.reviews.models import Analysis

KINDS = ("dark", "bright", "blurred", "tiny", "odd-shape", "damaged")
WORDS = {
    "dark": "too dark",
    "bright": "too bright",
    "blurred": "blurred",
    "tiny": "tiny",
    "odd-shape": "oddly shaped",
    "damaged": "damaged",
}

DEFAULTS: Mapping[str, float] = {"dark": 0.10, "bright": 0.90, "blurred": 0.02}
"""Mean brightness in 0..1; strength of edges (a sharp photograph has 0.3 and more, one out of focus below 0.02)."""
FURTHEST: Mapping[str, float] = {"dark": 0.03, "bright": 0.97, "blurred": 0.005}
"""How far a limit gives way where many pictures of a project are beyond the usual one."""
ODD_SHARE = 10
TINY_SIDE = 96
WIDEST = 4.0


def conditions(kind: str, *, project: Project | None = None, prefix: str = "image__") -> Q:
    """The filter of one kind, for rows that reach the image by `prefix`; the limits are those of the last analysis."""
    if kind not in KINDS:
        raise Invalid(f"quality is one of {', '.join(KINDS)}, not {kind[:40]!r}.")
    return condition(kind, limits_of(project) if project is not None else DEFAULTS, prefix=prefix)


def condition(kind: str, limits: Mapping[str, float], *, prefix: str = "image__") -> Q:
    """The same with given limits."""
    column = f"{prefix}brightness", f"{prefix}sharpness", f"{prefix}width", f"{prefix}height"
    brightness, sharpness, width, height = column
    if kind == "dark":
        return Q(**{f"{brightness}__lt": limits["dark"]})
    if kind == "bright":
        return Q(**{f"{brightness}__gt": limits["bright"]})
    if kind == "blurred":
        # A dark picture has weak edges however sharp it is: it is dark, not blurred.
        return Q(**{f"{sharpness}__lt": limits["blurred"], f"{brightness}__gte": limits["dark"]})
    if kind == "tiny":
        return Q(**{f"{width}__lt": TINY_SIDE}) | Q(**{f"{height}__lt": TINY_SIDE})
    if kind == "odd-shape":
        wide = Cast(F(width), FloatField()) / WIDEST
        tall = Cast(F(height), FloatField()) / WIDEST
        return Q(**{f"{height}__lt": wide}) | Q(**{f"{width}__lt": tall})
    return Q(**{f"{prefix}damaged_share__gt": 0})


def limits_of(project: Project) -> Mapping[str, float]:
    """The limits that the newest finished analysis found fit for this project's pictures."""
    newest = Analysis.objects.filter(project=project, state=Analysis.State.DONE).order_by("-pk").values_list("report")
    report = newest.first()
    found = report[0].get("quality_limits", {}) if report else {}
    return {**DEFAULTS, **found}


def fit_limits(images: QuerySet[Image]) -> dict[str, float]:
    """The usual limits; one that more than a tenth of the project's pictures are beyond gives way, as far as it may.

    Pictures of a night camera are all dark to a person: only the darkest tenth of them is worth a look.
    """
    measured = images.filter(measured_at__isnull=False).order_by()
    total = measured.count()
    if total < 100:
        return dict(DEFAULTS)
    limits = {}
    for kind, order in (("dark", "brightness"), ("bright", "-brightness"), ("blurred", "sharpness")):
        tenth = measured.order_by(order).values_list(order.lstrip("-"), flat=True)[total // ODD_SHARE]
        usual, furthest = DEFAULTS[kind], FURTHEST[kind]
        odd = usual if tenth is None else tenth
        limits[kind] = round(min(furthest, max(usual, odd)) if kind == "bright" else max(furthest, min(usual, odd)), 4)
    return limits


def count_all(images: QuerySet[Image], limits: Mapping[str, float]) -> dict[str, int]:
    """How many images have each fault, in one pass."""
    counts = {kind: Count("pk", filter=condition(kind, limits, prefix="")) for kind in KINDS}
    names = {kind: kind.replace("-", "_") for kind in KINDS}
    found = images.order_by().aggregate(**{names[kind]: count for kind, count in counts.items()})
    return {kind: found[names[kind]] for kind in KINDS}
