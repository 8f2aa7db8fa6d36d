"""Makes a data folder ready: places, database, first admin, first projects. Repeatable, resumable, one at a time."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

import classifier.imagenet
import classifier.starter
from webapp.access import audit
from webapp.access.actors import SYSTEM
from webapp.access.models import User
from webapp.errors import NoSpace
from webapp.projects.models import Project
from webapp.versions.activate import write_active_file
from webapp.versions.locks import file_lock
from webapp.versions.publish import INCOMING
from webapp.versions.starter import install_starter

FIRST_ADMIN = "admin"
PRIVATE = 0o700
POSTGRES_LOCK = 0x6F737072  # any number, the same in every process: "ospr"
STALE_SECONDS = 24 * 3600
STARTER_MODULES = (classifier.starter, classifier.imagenet)

Say = Callable[[str], None]


def stamp_path() -> Path:
    return Path(settings.DATA_DIR) / "prepared.json"


def is_prepared() -> bool:
    """Whether the stamp fits this code and this database, and the database is still there."""
    if _read_stamp() != _stamp():
        return False
    try:
        return User.objects.exists() and _missing_folders() == []
    except DatabaseError:
        return False


def prepare(say: Say) -> None:
    """Do whatever is still to be done; `say` gets a line for each step."""
    lay_out()
    lock = Path(settings.RUN_DIR) / "prepare.lock"
    with file_lock(lock, waiting=lambda: say("another process is preparing this data folder: waiting for it")):
        if is_prepared():
            return
        with _database_lock(say):
            _check_space()
            _migrate(say)
            _first_admin(say)
            before = _read_stamp().get("starter")
            if before != _stamp()["starter"] or not Project.objects.exists():
                install_starter(say)
            restore_active_files(say)
            sweep()
        _write_stamp()
        say(f"{settings.DATA_DIR} is ready")


def lay_out() -> None:
    """The folders of a data folder; those that hold secrets or pictures only for this user."""
    for folder in _folders():
        folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
    Path(settings.RUN_DIR).chmod(PRIVATE)
    if connection.vendor == "sqlite":
        # Made here because SQLite would let everybody read it.
        descriptor = os.open(str(settings.DATABASES["default"]["NAME"]), os.O_RDWR | os.O_CREAT, 0o600)
        os.close(descriptor)


def _folders() -> list[Path]:
    data = Path(settings.DATA_DIR)
    inside = [data / name for name in ("run", "logs", "active", "cache", "broker")]
    return [*inside, Path(settings.STORE_DIR), Path(settings.INCOMING_DIR), Path(settings.VERSIONS_DIR)]


def _missing_folders() -> list[Path]:
    return [folder for folder in _folders() if not folder.is_dir()]


def _check_space() -> None:
    free = shutil.disk_usage(settings.DATA_DIR).free
    if free < settings.FREE_DISK_FLOOR_BYTES:
        raise NoSpace(
            f"{free / 1e6:.0f} MB are free where {settings.DATA_DIR} is, at least "
            f"{settings.FREE_DISK_FLOOR_BYTES / 1e6:.0f} MB are needed. Make room, or choose another folder: --data DIR"
        )


def _migrate(say: Say) -> None:
    started = time.monotonic()
    behind = _is_behind()
    call_command("migrate", interactive=False, verbosity=0)
    say(f"database: {connection.vendor}, up to date ({time.monotonic() - started:.1f} s)")
    if behind and Project.objects.filter(images__isnull=False).exists():
        # A newer version may derive more of what is stored, and counts more of it.
        said = io.StringIO()
        call_command("rebuild_state", stdout=said)
        say(f"states and counts: {said.getvalue().strip()}")


def _is_behind() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _first_admin(say: Say) -> None:
    """Somebody must be able to come in; by a one-time link, as no password is set."""
    if User.objects.filter(is_superuser=True).exists():
        return
    user = User(username=FIRST_ADMIN, is_staff=True, is_superuser=True)
    user.set_unusable_password()
    user.save()
    audit.record(actor=SYSTEM, action="make first admin", subject=f"user:{user.pk}")
    say(f"first admin: {FIRST_ADMIN} (signs in by link: ./osprey manage signin_link)")


def restore_active_files(say: Say = lambda line: None) -> None:
    """Write what the command line reads of each project, where it is missing, damaged or old."""
    for project in Project.objects.filter(activations__isnull=False).distinct():
        if write_active_file(project):
            say(f"active/{project.slug}.json written")


def sweep() -> None:
    """Remove copies of model folders that a process left when it was ended half-way."""
    for folder in Path(settings.VERSIONS_DIR).glob(f"{INCOMING}*"):
        if time.time() - folder.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(folder)


@contextmanager
def _database_lock(say: Say) -> Iterator[None]:
    """On PostgreSQL several machines may start at once with data folders of their own."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [POSTGRES_LOCK])
        if not cursor.fetchone()[0]:
            say("another machine is preparing this database: waiting for it")
            cursor.execute("SELECT pg_advisory_lock(%s)", [POSTGRES_LOCK])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [POSTGRES_LOCK])


def _stamp() -> dict[str, str]:
    """What was prepared: changes with a migration, with the starter, with the database."""
    migrations = sorted(Path(settings.BASE_DIR).glob("webapp/*/migrations/*.py"))
    return {
        "migrations": _digest_of(migrations),
        "starter": _digest_of([Path(str(module.__file__)) for module in STARTER_MODULES]),
        "database": hashlib.sha256(settings.DATABASE_URL.encode()).hexdigest(),
    }


def _digest_of(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _read_stamp() -> dict[str, str]:
    try:
        stamp = json.loads(stamp_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # never prepared, or cut off: prepare does everything again
    return stamp if isinstance(stamp, dict) else {}


def _write_stamp() -> None:
    beside = stamp_path().with_suffix(f".{os.getpid()}")
    beside.write_text(json.dumps(_stamp(), indent=1) + "\n", encoding="utf-8")
    beside.replace(stamp_path())
