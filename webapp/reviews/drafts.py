"""What a person is about to say of an image, checked with words before anything is written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from webapp.errors import Invalid
from webapp.projects.models import Field, Individual, Label, Project
from webapp.reviews.models import Annotation, Review
from webapp.rows import read_rows

Verdict = Review.Verdict

MOST_ANNOTATIONS = 1000
MOST_COUNT = 1_000_000
LONGEST_TEXT = 2000
FLAGS = ("occluded", "truncated", "group_of", "depiction", "inside")
SLACK = 1e-6


@dataclass(frozen=True)
class AnnotationDraft:
    """One animal or group, its label by row or by key. `box` is x, y, width, height relative to the upright image."""

    label_key: str = ""
    label: Label | None = None
    box: tuple[float, float, float, float] | None = None
    count: int = 1
    fields: Mapping[str, Any] = field(default_factory=dict)
    individual: Individual | None = None
    flags: Mapping[str, bool | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Words:
    """The words of a project: what drafts are checked against, read once for many images."""

    project: Project
    labels: Mapping[str, Label]
    fields: Mapping[str, Field]


def words_of(project: Project, drafts: Sequence[AnnotationDraft], values: Mapping[str, Any] | None = None) -> Words:
    """Read just the labels that the drafts name, and the project's fields where any is given a value.

    `values`: those of the verdict; None: to be checked later.
    """
    keys = {draft.label_key for draft in drafts if draft.label is None and draft.label_key}
    labels = read_rows(Label, "key", sorted(keys), project_id=project.pk)
    has_values = values is None or bool(values) or any(draft.fields for draft in drafts)
    return Words(
        project=project,
        labels={label.key: label for label in labels},
        fields={one.key: one for one in Field.objects.filter(project=project)} if has_values else {},
    )


def check_verdict(verdict: str, drafts: Sequence[AnnotationDraft]) -> None:
    """Whether the verdict is one a person gives, and goes with that many annotations."""
    given = [choice for choice in Verdict.values if choice != Verdict.WITHDRAWN]
    if verdict not in given:
        raise Invalid(f"Unknown verdict {verdict!r}: choose from {', '.join(given)}.")
    if verdict == Verdict.BAD_IMAGE and drafts:
        raise Invalid("A bad image has no annotations: leave them out, or choose another verdict.")
    if verdict == Verdict.CANNOT_TELL and len(drafts) > 1:
        raise Invalid("`Cannot tell` takes one annotation at most: the lowest label of the tree that is sure.")
    if len(drafts) > MOST_ANNOTATIONS:
        raise Invalid(f"{len(drafts):,} annotations on one image; at most {MOST_ANNOTATIONS:,} are kept.")


def ready(drafts: Sequence[AnnotationDraft], words: Words) -> list[Annotation]:
    """Annotations without a review yet, in the order given: the first names the image."""
    return [_ready(position, draft, words) for position, draft in enumerate(drafts)]


def check_fields(values: Mapping[str, Any], words: Words, *, where: str) -> dict[str, Any]:
    """The project's own fields: known keys, and values of their kind."""
    for key, value in values.items():
        known = words.fields.get(key)
        if known is None:
            have = ", ".join(words.fields) or "none yet"
            raise Invalid(f"{where} has the field {key!r}, which {words.project} does not have. It has: {have}.")
        _check_value(known, value, where)
    return dict(values)


def _ready(position: int, draft: AnnotationDraft, words: Words) -> Annotation:
    where = f"Annotation {position + 1}"
    label = _label(draft, words, where)
    individual = _individual(draft, words, where)
    if label is None and individual is not None:
        label = individual.label
    if label is None:
        raise Invalid(f"{where} has no label: name one of the project's labels.")
    if isinstance(draft.count, bool) or not isinstance(draft.count, int) or not 1 <= draft.count <= MOST_COUNT:
        raise Invalid(f"{where} counts {draft.count!r}: a count is a whole number from 1 to {MOST_COUNT:,}.")
    x, y, width, height = _box(draft, where)
    return Annotation(
        position=position,
        x=x,
        y=y,
        width=width,
        height=height,
        label=label,
        individual=individual,
        count=draft.count,
        fields=check_fields(draft.fields, words, where=where),
        **_flags(draft, where),
    )


def _label(draft: AnnotationDraft, words: Words, where: str) -> Label | None:
    """The label that is meant; one that was merged stands for the one it was merged into."""
    label = draft.label
    if label is None and draft.label_key:
        label = words.labels.get(draft.label_key)
        if label is None:
            raise Invalid(f"{where}: {words.project} has no label {draft.label_key!r}. Add it, or search its labels.")
    if label is not None and label.project_id != words.project.pk:
        raise Invalid(f"{where}: the label {label} belongs to another project.")
    return label.merged_into or label if label is not None else None


def _individual(draft: AnnotationDraft, words: Words, where: str) -> Individual | None:
    individual = draft.individual
    if individual is not None and individual.project_id != words.project.pk:
        raise Invalid(f"{where}: the individual {individual} belongs to another project.")
    return individual.merged_into or individual if individual is not None else None


def _box(draft: AnnotationDraft, where: str) -> tuple[float | None, float | None, float | None, float | None]:
    if draft.box is None:
        return None, None, None, None
    if len(draft.box) != 4 or not all(_is_number(value) for value in draft.box):
        raise Invalid(f"{where}: a box is four numbers, x, y, width and height.")
    x, y, width, height = (float(value) for value in draft.box)
    inside = x >= -SLACK and y >= -SLACK and x + width <= 1 + SLACK and y + height <= 1 + SLACK
    if not inside or width <= 0 or height <= 0:
        raise Invalid(
            f"{where}: the box {[x, y, width, height]} leaves the image. Numbers are shares of the image, from 0 to 1."
        )
    x, y = max(0.0, x), max(0.0, y)
    return x, y, min(width, 1 - x), min(height, 1 - y)


def _flags(draft: AnnotationDraft, where: str) -> dict[str, bool | None]:
    for name, value in draft.flags.items():
        if name not in FLAGS or not (value is None or isinstance(value, bool)):
            raise Invalid(f"{where} has the flag {name}={value!r}: flags are {', '.join(FLAGS)}, true, false or null.")
    return dict(draft.flags)


def _check_value(known: Field, value: Any, where: str) -> None:
    if value is None:
        return
    said = f"{where}, field {known.key}: {str(value)[:80]!r} is"
    if known.kind == Field.Kind.CHOICE and value not in known.choices:
        raise Invalid(f"{said} none of its choices: {', '.join(map(str, known.choices))}.")
    if known.kind == Field.Kind.NUMBER and not _is_number(value):
        raise Invalid(f"{said} not a number.")
    if known.kind == Field.Kind.FLAG and not isinstance(value, bool):
        raise Invalid(f"{said} neither true nor false.")
    if known.kind == Field.Kind.TEXT and not (isinstance(value, str) and len(value) <= LONGEST_TEXT):
        raise Invalid(f"{said} not a text of at most {LONGEST_TEXT:,} characters.")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
