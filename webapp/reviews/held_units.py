"""Which held units a decision ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection

from webapp.access.models import User
from webapp.images.models import ImageState
from webapp.projects.models import Project
from webapp.reviews.models import Finding, Hold

AT_ONCE = 500


def let_go(project: Project, person: User, rows: Sequence[ImageState]) -> None:
    """Release the units that hold these images, whose states are written. A sequence of which frames are left
    undecided stays held."""
    for start in range(0, len(rows), AT_ONCE):
        _let_go(project, person, rows[start : start + AT_ONCE])


def _let_go(project: Project, person: User, rows: Sequence[ImageState]) -> None:
    """One statement, since each decision passes here."""
    ids = [row.pk for row in rows]
    units = [f"i{key}" for key in ids] + [f"s{key}" for key in {row.sequence_id for row in rows if row.sequence_id}]
    quoted = connection.ops.quote_name("group")
    number = "CAST(substr(unit, 2) AS BIGINT)"
    values: list[Any] = [project.pk, person.pk, *units, project.pk, Finding.Kind.CLUSTER.value, *ids]
    values.append(ImageState.ReviewState.UNREVIEWED.value)
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {Hold._meta.db_table} WHERE project_id = %s AND reviewer_id = %s AND NOT is_skipped AND ("
            f"unit IN ({_places(units)}) OR unit IN (SELECT 'g' || {quoted} FROM {Finding._meta.db_table} "
            f"WHERE project_id = %s AND kind = %s AND image_id IN ({_places(ids)}) AND {quoted} IS NOT NULL)) "
            f"AND NOT (unit LIKE 's%%' AND EXISTS (SELECT 1 FROM {ImageState._meta.db_table} "
            f"WHERE sequence_id = {number} AND review_state = %s))",
            values,
        )


def _places(values: Sequence[object]) -> str:
    return ", ".join(["%s"] * len(values))
