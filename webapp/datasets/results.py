"""What to report: images and animals by label and visit, verified and machine-only apart.

An image counts once for each label of its newest standing verdict; where nobody looked, for the label of the machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Count, Q, Sum

from webapp.errors import Invalid
from webapp.images.models import FacetCount, ImageState
from webapp.projects.models import Label, Project, Site, Visit

GROUPS: Mapping[str, tuple[str, ...]] = {
    "project": (),
    "site": ("site_id",),
    "visit": ("site_id", "visit_id"),
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
    """Rows by site, visit and label name, from the derived states in two grouped queries."""
    if by not in GROUPS:
        raise Invalid(f"Results go by {', '.join(GROUPS)}, not by {by!r}.")
    group = (*GROUPS[by], "label_id")
    grouped = (
        ImageState.objects.filter(project=project, label__isnull=False)
        .order_by()
        .values(*group)
        .annotate(
            verified=Count("pk", filter=Q(source__in=VERIFIED)),
            by_rule=Count("pk", filter=Q(source=Source.RULE)),
            machine_only=Count("pk", filter=Q(source=Source.MACHINE)),
            alone=Count("pk", filter=Q(source__in=VERIFIED, sequence=None)),
            summed=Sum("score", filter=Q(source=Source.MACHINE)),
        )
    )
    bursts = _bursts(project, group)
    labels = {label.pk: label for label in Label.objects.filter(project=project)}
    sites, visits = Site.objects.in_bulk(_keys(grouped, "site_id")), Visit.objects.in_bulk(_keys(grouped, "visit_id"))
    rows = [
        _row(
            found,
            labels[found["label_id"]],
            sites.get(found.get("site_id")),
            visits.get(found.get("visit_id")),
            bursts.get(tuple(found[column] for column in group), 0),
        )
        for found in grouped
    ]
    return sorted(rows, key=lambda row: (row.site, row.visit, row.label))


def _bursts(project: Project, group: Sequence[str]) -> dict[tuple[int | None, ...], int]:
    """How many sequences of each group were verified. Grouped twice: counting distinct ones would sort all images."""
    columns = ", ".join(group)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {columns}, COUNT(*) FROM (SELECT DISTINCT {columns}, sequence_id FROM {ImageState._meta.db_table} "
            "WHERE project_id = %s AND label_id IS NOT NULL AND sequence_id IS NOT NULL AND source IN (%s, %s)) "
            f"AS each GROUP BY {columns}",
            [project.pk, *VERIFIED],
        )
        return {tuple(row[:-1]): row[-1] for row in cursor.fetchall()}


def _keys(grouped: Iterable[Mapping[str, Any]], name: str) -> set[int]:
    return {found[name] for found in grouped if found.get(name) is not None}


def totals(project: Project) -> Totals:
    """Over the whole project, from the stored counts."""
    counts = dict(FacetCount.objects.filter(project=project, facet="source").values_list("value", "count"))
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


def _row(found: Mapping[str, Any], label: Label, site: Site | None, visit: Visit | None, bursts: int) -> ResultRow:
    machine_only = found["machine_only"]
    return ResultRow(
        site=site.name if site else "",
        site_uid=str(site.uid) if site else "",
        visit=visit.name if visit else "",
        visit_uid=str(visit.uid) if visit else "",
        label=label.name,
        label_key=label.key,
        scientific_name=label.scientific_name,
        kind=label.kind,
        verified=found["verified"],
        by_rule=found["by_rule"],
        machine_only=machine_only,
        sequences=bursts + found["alone"],
        mean_score=found["summed"] / machine_only if machine_only and found["summed"] is not None else None,
    )
