"""What to report: images and animals by label and visit, verified and machine-only apart.

An image counts once for each label of its newest standing verdict; where nobody looked, for the label of the machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Count, Q, Sum

from webapp.errors import Invalid
from webapp.images.models import ImageState
from webapp.projects.models import Label, Project

GROUPS: Mapping[str, tuple[str, ...]] = {
    "project": (),
    "site": ("site",),
    "visit": ("site", "visit"),
}
Source = ImageState.Source
VERIFIED = (Source.HUMAN, Source.IMPORTED)


@dataclass(frozen=True)
class ResultRow:
    """One label at one site and visit. `sequences` counts bursts in which it was verified; a lone image is one."""

    site: str
    site_uid: str
    visit: str
    visit_uid: str
    label: str
    label_key: str
    scientific_name: str
    kind: str
    verified: int
    by_rule: int
    machine_only: int
    sequences: int
    mean_score: float | None


@dataclass(frozen=True)
class Totals:
    verified: int = 0
    by_rule: int = 0
    machine_only: int = 0
    unanswered: int = 0

    @property
    def images(self) -> int:
        return self.verified + self.by_rule + self.machine_only + self.unanswered


def results(project: Project, *, by: str = "visit") -> list[ResultRow]:
    """Rows by site, visit and label name, from the derived states in one grouped query."""
    if by not in GROUPS:
        raise Invalid(f"Results go by {', '.join(GROUPS)}, not by {by!r}.")
    names = [f"{column}__{name}" for column in GROUPS[by] for name in ("name", "uid")]
    grouped = (
        ImageState.objects.filter(project=project, label__isnull=False)
        .order_by()
        .values(*names, "label")
        .annotate(
            verified=Count("pk", filter=Q(source__in=VERIFIED)),
            by_rule=Count("pk", filter=Q(source=Source.RULE)),
            machine_only=Count("pk", filter=Q(source=Source.MACHINE)),
            bursts=Count("sequence", distinct=True, filter=Q(source__in=VERIFIED)),
            alone=Count("pk", filter=Q(source__in=VERIFIED, sequence=None)),
            summed=Sum("score", filter=Q(source=Source.MACHINE)),
        )
    )
    labels = {label.pk: label for label in Label.objects.filter(project=project).select_related("merged_into")}
    rows = [_row(found, labels[found["label"]]) for found in grouped]
    return sorted(rows, key=lambda row: (row.site, row.visit, row.label))


def totals(project: Project) -> Totals:
    """Over the whole project."""
    counts = dict(ImageState.objects.filter(project=project).order_by().values_list("source").annotate(n=Count("pk")))
    return Totals(
        verified=sum(counts.get(source, 0) for source in VERIFIED),
        by_rule=counts.get(Source.RULE, 0),
        machine_only=counts.get(Source.MACHINE, 0),
        unanswered=counts.get(Source.NONE, 0),
    )


HEADING = (
    "site", "visit", "label", "scientific_name", "verified_images", "verified_sequences", "by_rule_images",
    "machine_only_images", "machine_mean_score",
)  # fmt: skip


def table(rows: Iterable[ResultRow]) -> Iterable[list[object]]:
    """Lines for a spreadsheet, under HEADING."""
    for row in rows:
        yield [
            row.site,
            row.visit,
            row.label,
            row.scientific_name,
            row.verified,
            row.sequences,
            row.by_rule,
            row.machine_only,
            "" if row.mean_score is None else round(row.mean_score, 4),
        ]


def _row(found: Mapping[str, object], label: Label) -> ResultRow:
    machine_only = int(str(found["machine_only"]))
    return ResultRow(
        site=str(found.get("site__name") or ""),
        site_uid=str(found.get("site__uid") or ""),
        visit=str(found.get("visit__name") or ""),
        visit_uid=str(found.get("visit__uid") or ""),
        label=label.name,
        label_key=label.key,
        scientific_name=label.scientific_name,
        kind=label.kind,
        verified=int(str(found["verified"])),
        by_rule=int(str(found["by_rule"])),
        machine_only=machine_only,
        sequences=int(str(found["bursts"])) + int(str(found["alone"])),
        mean_score=float(str(found["summed"])) / machine_only if machine_only and found["summed"] is not None else None,
    )
