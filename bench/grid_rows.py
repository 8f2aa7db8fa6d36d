"""Fills a database with a project of many images by a few statements of SQL, for `bench grid`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from webapp.access.actors import OPERATOR
from webapp.access.models import Membership, Role, User
from webapp.access.tokens import issue_token
from webapp.images.models import Upload
from webapp.images.recount import recount
from webapp.projects.models import Label, Project, Site, Visit
from webapp.versions.models import Pipeline, Version

LABELS, SITES, VISITS, UPLOADS, BURST = 30, 20, 50, 20, 5
SLUG = "grid"
TABLES = (
    "images_sequence", "images_file", "images_image", "images_imagestate", "predictions_prediction",
    "predictions_region", "reviews_review", "reviews_annotation",
)  # fmt: skip
SCORES = "0034" + "0018" * (LABELS - 1)


OF_BURST = f"(n - 1) / {BURST} + 1"


@dataclass(frozen=True)
class Dialect:
    """What the two databases spell differently; `n` counts the rows from 1."""

    series: str
    digits: str
    hash: str
    uuid: str
    moment: str
    share: str
    scores: str
    now: str
    empty_json: str


POSTGRES = Dialect(
    series="(SELECT n FROM generate_series(1, {rows}) AS n) AS series",
    digits="lpad(n::text, 64, '0')",
    hash="('x' || substr(md5(n::text), 1, 16))::bit(64)::bigint",
    uuid="lpad(n::text, 32, '0')::uuid",
    moment="timestamptz '2024-01-01 00:00Z' + n * interval '1 minute'",
    share="(n * 2654435761 % 4294967296) / 4294967296.0",
    scores=f"decode('{SCORES}', 'hex')",
    now="now()",
    empty_json="'{}'::jsonb",
)
SQLITE = Dialect(
    series="(WITH RECURSIVE counter(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < {rows}) "
    "SELECT n FROM counter) AS series",
    digits="printf('%064d', n)",
    hash="random()",
    uuid="printf('%032d', n)",
    moment="datetime('2024-01-01', '+' || n || ' minutes')",
    share="(n * 2654435761 % 4294967296) / 4294967296.0",
    scores=f"X'{SCORES}'",
    now="datetime('now')",
    empty_json="'{}'",
)


@dataclass(frozen=True)
class Filled:
    """What a caller of the filled site needs to know."""

    project: Project
    token: str
    sites: list[str]
    visits: list[str]
    uploads: list[str]
    version: int


def fill(rows: int, *, reviewed_each: int = 5) -> Filled:
    """A project of `rows` images: bursts of five, a fifth reviewed, one in a hundred failed or damaged.

    The first visit of each site has dates, and lasts a thousandth too short for its images.
    """
    project = Project.objects.create(slug=SLUG, name="Grid")
    user = User.objects.create_user("bench", password=None)
    Membership.objects.create(user=user, project=project, role=Role.CURATOR)
    labels = [
        Label.objects.create(
            project=project, key=f"label-{n}", name=f"Label {n}", kind="background" if n == 0 else "normal"
        )
        for n in range(LABELS)
    ]
    sites = [Site.objects.create(project=project, name=f"Site {n}") for n in range(SITES)]
    visits = [
        Visit(project=project, name=f"Visit {n}", site=sites[n % SITES], **(_dates(rows) if n < SITES else {}))
        for n in range(VISITS)
    ]
    for visit in visits:
        visit.save()
    uploads = [Upload.objects.create(project=project, created_by=user, name=f"Upload {n}") for n in range(UPLOADS)]
    card: dict[str, Any] = {"labels": [{"key": label.key} for label in labels]}
    version = Version.objects.create(project=project, name="v1", role="classifier", digest="a" * 64, card=card)
    pipeline = Pipeline.objects.create(project=project, classifier=version, digest="b" * 64)
    first = {
        "project": project.pk,
        "user": user.pk,
        "label": labels[0].pk,
        "site": sites[0].pk,
        "visit": visits[0].pk,
        "upload": uploads[0].pk,
        "pipeline": pipeline.pk,
    }
    with without_indexes():
        _fill_tables(rows, first, f"n % {reviewed_each} = 0")
    recount(project)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("VACUUM ANALYZE")
            cursor.execute("CHECKPOINT")  # else the server writes the fill to disk while it is measured
    _, secret = issue_token(actor=OPERATOR, user=user, name="bench", scopes=["admin"])
    return Filled(
        project,
        secret,
        [str(site.uid) for site in sites],
        [str(visit.uid) for visit in visits],
        [str(upload.uid) for upload in uploads],
        version.pk,
    )


@contextmanager
def without_indexes() -> Iterator[None]:
    """Indexes that no constraint needs are made after the rows, which takes a third of the time."""
    is_postgres = connection.vendor == "postgresql"
    tables = ", ".join(f"'{name}'" for name in TABLES)
    find = (
        f"SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ({tables}) AND indexname NOT IN "
        "(SELECT conname FROM pg_constraint) AND indexdef NOT LIKE 'CREATE UNIQUE%'"
        if is_postgres
        else f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name IN ({tables}) "
        "AND sql NOT LIKE 'CREATE UNIQUE%'"
    )
    with connection.cursor() as cursor:
        cursor.execute(find)
        found = cursor.fetchall()
        cursor.execute("SET session_replication_role = replica" if is_postgres else "PRAGMA foreign_keys = OFF")
        for name, _ in found:
            cursor.execute(f'DROP INDEX "{name}"')
        yield
        if is_postgres:
            cursor.execute("SET maintenance_work_mem = '256MB'")
        for _, statement in found:
            cursor.execute(statement)
        cursor.execute("SET session_replication_role = DEFAULT" if is_postgres else "PRAGMA foreign_keys = ON")


Columns = dict[str, str]


def _dates(rows: int) -> dict[str, datetime]:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    return {"start": start, "end": start + timedelta(minutes=rows * 0.999)}


def _fill_tables(rows: int, first: dict[str, int], reviewed: str) -> None:
    d = POSTGRES if connection.vendor == "postgresql" else SQLITE
    images, bursts = d.series.format(rows=rows), d.series.format(rows=rows // BURST + 1)
    _insert("images_sequence", bursts, {"project_id": str(first["project"]), "uid": d.uuid, "name": "''"})
    for table, columns in {**_pictures(d, first, reviewed), **_answers(d, first)}.items():
        _insert(table, images, columns)
    _insert("reviews_review", f"{images} WHERE {reviewed}", _reviews(d, first))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO reviews_annotation (review_id, position, label_id, count, fields) "
            f"SELECT r.id, 0, s.label_id, 1, {d.empty_json} FROM reviews_review r "
            "JOIN images_imagestate s ON s.image_id = r.image_id"
        )


def _said(first: dict[str, int]) -> str:
    return f"{first['label']} + ({OF_BURST}) % {LABELS}"


def _pictures(d: Dialect, first: dict[str, int], reviewed: str) -> dict[str, Columns]:
    place = f"(({OF_BURST}) % {VISITS})"
    shared = {
        "project_id": str(first["project"]),
        "site_id": f"{first['site']} + {place} % {SITES}",
        "visit_id": f"{first['visit']} + {place}",
        "sequence_id": OF_BURST,
        "upload_id": f"{first['upload']} + n % {UPLOADS}",
        "captured_at_utc": d.moment,
    }
    return {
        "images_file": {
            "sha256": d.digits, "size": "1000", "media_type": "'image/jpeg'", "storage_key": "'x'",
            "in_place_path": "''", "created_at": d.now,
        },
        "images_image": {
            **shared, "file_id": "n", "path": "'DCIM/IMG_' || n || '.JPG'", "part": "''", "width": "640",
            "height": "480", "captured_at": "''", "camera_make": "''", "camera_model": "''", "camera_serial": "''",
            "measured_at": d.now, "damaged_share": "0", "perceptual_hash": d.hash, "brightness": d.share,
            "contrast": "0.5", "sharpness": "0.5", "created_at": d.now,
        },
        "images_imagestate": {
            **shared, "image_id": "n", "label_id": _said(first), "machine_label_id": _said(first),
            "source": f"CASE WHEN {reviewed} THEN 'human' ELSE 'machine' END", "score": d.share,
            "review_state": f"CASE WHEN {reviewed} THEN 'reviewed' ELSE 'unreviewed' END",
            "queue_priority": f"CASE WHEN {reviewed} THEN 0 ELSE 1 - {d.share} END",
            "queue_reason": f"CASE WHEN {reviewed} THEN '' ELSE 'uncertain' END",
            "failure": "CASE WHEN n % 100 = 7 THEN 'unreadable' ELSE '' END",
            "damaged": "CASE WHEN n % 100 = 9 THEN TRUE ELSE FALSE END", "changed_at": d.now,
        },
    }  # fmt: skip


def _answers(d: Dialect, first: dict[str, int]) -> dict[str, Columns]:
    key = f"'label-' || (({OF_BURST}) % {LABELS})"
    return {
        "predictions_prediction": {
            "image_id": "n", "pipeline_id": str(first["pipeline"]), "purpose": "'live'", "state": "'done'",
            "priority": "50", "lease_token": "''", "attempts": "0", "code": "''", "reason": "''",
            "label_id": _said(first), "label_key": key, "score": d.share, "counts": d.empty_json, "worker": "''",
            "created_at": d.now, "done_at": d.now,
        },
        "predictions_region": {
            "prediction_id": "n", "position": "0", "detection_label": "''", "label_id": _said(first),
            "label_key": key, "score": d.share, "scores": d.scores,
        },
    }  # fmt: skip


def _reviews(d: Dialect, first: dict[str, int]) -> Columns:
    return {
        "uid": d.uuid, "image_id": "n", "reviewer_id": str(first["user"]), "at": d.now, "verdict": "'labelled'",
        "how": "'suggested'", "queue": "''", "second_reading": "FALSE", "settles": "FALSE", "seconds": "2",
        "fields": d.empty_json, "note": "''",
    }  # fmt: skip


def _insert(table: str, series: str, columns: dict[str, str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns.values())} FROM {series}")
