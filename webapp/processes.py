"""Which processes the embedded site consists of, in the order they start, and how each shows that it is ready."""

from __future__ import annotations

import http.client
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from webapp import broker

ROOT = Path(__file__).resolve().parent.parent

# glibc gives freed memory back to the kernel eagerly; keeping it made inference on CPU 1.6 to 2 times as fast.
# 32 MiB is the largest threshold it accepts.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(512 * 2**20)}
MAY_BE_SAID_AGAIN = {"OSPREY_SYNC_COMMITS": "0"}
"""Answers that a loss of power takes back are found waiting and given once more."""
FEW_ARENAS = {"MALLOC_ARENA_MAX": "2"}


@dataclass(frozen=True)
class Site:
    """Where a site runs; `listener` is the bound socket that every generation of the web process inherits."""

    data: Path
    port: int
    listener: int
    lan_hosts: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log_folder(self) -> Path:
        return self.data / "logs"


@dataclass(frozen=True)
class Process:
    """`waits_for` gives None once the process does its work, else what is still missing.

    One that starts `beside_previous` does not wait for the one before it, so that both load at the same time.
    """

    name: str
    command: tuple[str, ...]
    waits_for: Callable[[], str | None]
    grace: float = 10.0  # seconds between asking it to stop and ending it
    environment: dict[str, str] = field(default_factory=dict)
    inherits: tuple[int, ...] = ()
    beside_previous: bool = False


def all_processes(site: Site) -> list[Process]:
    found = [_web(site), _gpu(site), _io(site), _train(site), _beat(site)]
    if broker.is_embedded(site.data):
        return [_broker(site), *found]
    broker.make_file_folders(site.data)
    return found


def site_environment(site: Site) -> dict[str, str]:
    """What all processes of the site are told. Only a site that nobody but this machine can reach is open."""
    told = {"OSPREY_DATA": str(site.data), "OSPREY_PORT": str(site.port), "PYTHONUNBUFFERED": "1"}
    told["DJANGO_SETTINGS_MODULE"] = "webapp.settings"
    told["OSPREY_OPEN"] = "0" if site.lan_hosts else "1"
    if site.lan_hosts:
        named = [name for name in os.environ.get("OSPREY_HOSTS", "").split(",") if name]
        told["OSPREY_HOSTS"] = ",".join(["127.0.0.1", "localhost", "[::1]", *site.lan_hosts, *named])
    return told


def _broker(site: Site) -> Process:
    return Process(
        name="broker",
        command=tuple(broker.server_command(site.data)),
        waits_for=lambda: None if broker.answers(site.data) else "PING is not answered",
        grace=5.0,
    )


def _web(site: Site) -> Process:
    command = [sys.executable, "-m", "gunicorn", "--config", "python:webapp.serving"]
    command += ["--bind", f"fd://{site.listener}", "--worker-tmp-dir", str(site.data / "run")]
    return Process(
        name="web",
        command=tuple(command),
        waits_for=lambda: None if health(site) is not None else "/healthz does not answer",
        environment=FEW_ARENAS,
        inherits=(site.listener,),
    )


def _gpu(site: Site) -> Process:
    # Solo: CUDA cannot be used again in a forked child.
    return Process(
        name="gpu",
        command=_worker("gpu", "solo"),
        waits_for=lambda: worker_waits_for(site, "gpu"),
        environment={**KEEP_MEMORY, **MAY_BE_SAID_AGAIN},
        beside_previous=True,
    )


def _io(site: Site) -> Process:
    return Process("io", _worker("io", "threads", 2), lambda: None, environment=FEW_ARENAS)


def _train(site: Site) -> Process:
    # A thread is enough: it looks after a training process of its own, and nothing is forked beside the heartbeat.
    # The grace is for that process's checkpoint.
    return Process("train", _worker("train", "threads", 1), lambda: None, grace=25.0, environment=FEW_ARENAS)


def _beat(site: Site) -> Process:
    schedule = str(site.data / "run" / "beat")
    command = [*_celery(), "beat", "--schedule", schedule, "--pidfile=", "--loglevel", "WARNING"]
    return Process("beat", tuple(command), lambda: None, environment=FEW_ARENAS)


def _celery() -> list[str]:
    return [sys.executable, "-m", "celery", "--app", "webapp.celery"]


def _worker(queue: str, pool: str, concurrency: int = 1) -> tuple[str, ...]:
    """Workers find each other and their health in the database, so Celery's own chatter is off."""
    command = [*_celery(), "worker", "--queues", queue, "--pool", pool, "--concurrency", str(concurrency)]
    command += ["--hostname", f"{queue}@%h", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    return (*command, "--loglevel", "INFO")


def health(site: Site, *, workers: bool = False, timeout: float = 2.0) -> dict[str, str] | None:
    """What /healthz says, None while it does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=timeout)
    try:
        connection.request("GET", "/healthz?workers=1" if workers else "/healthz")
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200 and not workers:
            return None
        found = json.loads(body)
    except (OSError, http.client.HTTPException, json.JSONDecodeError):
        return None
    finally:
        connection.close()
    return {str(name): str(state) for name, state in found.items()} if isinstance(found, dict) else None


def worker_waits_for(site: Site, queue: str) -> str | None:
    """A worker is ready when its heartbeat is; it loads its pipelines before the first one."""
    said = health(site, workers=True)
    if said is None:
        return "/healthz does not answer"
    return None if said.get(queue) == "ok" else f"/healthz says {queue}: {said.get(queue, 'nothing')}"
