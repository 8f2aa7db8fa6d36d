"""What to report: images and bursts by label and visit, verified and machine-only apart.

An image counts once for each label of its newest standing verdict; where nobody looked, for the label of the machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db import connection

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
    """Rows by site, visit and label name, from the derived states in one query."""
    if by not in GROUPS:
        raise Invalid(f"Results go by {', '.join(GROUPS)}, not by {by!r}.")
    found = _grouped(project, GROUPS[by])
    labels = {label.pk: label for label in Label.objects.filter(project=project)}
    sites = Site.objects.in_bulk({one.site_id for one in found if one.site_id is not None})
    visits = Visit.objects.in_bulk({one.visit_id for one in found if one.visit_id is not None})
    rows = [
        _row(one, labels[one.label_id], sites.get(one.site_id or 0), visits.get(one.visit_id or 0)) for one in found
    ]
    return sorted(rows, key=lambda row: (row.site, row.visit, row.label))


@dataclass(frozen=True)
class _Group:
    """What was counted of one group; `alone` are verified images without a sequence, `summed` is of machine scores."""

    label_id: int
    site_id: int | None
    visit_id: int | None
    verified: int
    by_rule: int
    machine_only: int
    alone: int
    bursts: int
    summed: float | None


def _grouped(project: Project, places: Sequence[str]) -> list[_Group]:
    """Grouped twice. The inner grouping has the order and all columns of the index `state_results`, so that neither
    the table is read nor all images are sorted; the outer one has a row for each burst.
    """
    groups = ("label_id", *places)
    wanted = ["label_id", *(name if name in places else "NULL" for name in ("site_id", "visit_id"))]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(wanted)}, SUM(verified), SUM(by_rule), SUM(machine_only), "
            "SUM(CASE WHEN sequence_id IS NULL THEN verified ELSE 0 END), "
            "COUNT(DISTINCT CASE WHEN verified > 0 THEN sequence_id END), SUM(summed) FROM ("
            "SELECT label_id, site_id, visit_id, sequence_id, "
            "COUNT(CASE WHEN source IN (%s, %s) THEN 1 END) AS verified, "
            "COUNT(CASE WHEN source = %s THEN 1 END) AS by_rule, "
            "COUNT(CASE WHEN source = %s THEN 1 END) AS machine_only, "
            "SUM(CASE WHEN source = %s THEN score END) AS summed "
            f"FROM {ImageState._meta.db_table} WHERE project_id = %s AND label_id IS NOT NULL "
            f"GROUP BY label_id, site_id, visit_id, sequence_id) AS burst GROUP BY {', '.join(groups)}",
            [*VERIFIED, Source.RULE, Source.MACHINE, Source.MACHINE, project.pk],
        )
        return [_Group(*row) for row in cursor.fetchall()]


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


def _row(found: _Group, label: Label, site: Site | None, visit: Visit | None) -> ResultRow:
    machine_only = int(found.machine_only)
    return ResultRow(
        site=site.name if site else "",
        site_uid=str(site.uid) if site else "",
        visit=visit.name if visit else "",
        visit_uid=str(visit.uid) if visit else "",
        label=label.name,
        label_key=label.key,
        scientific_name=label.scientific_name,
        kind=label.kind,
        verified=int(found.verified),  # PostgreSQL's sums of whole numbers come as decimals
        by_rule=int(found.by_rule),
        machine_only=machine_only,
        sequences=int(found.bursts + found.alone),
        mean_score=found.summed / machine_only if machine_only and found.summed is not None else None,
    )
