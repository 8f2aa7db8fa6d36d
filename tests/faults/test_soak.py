"""A minute of everything at once: no fault, nothing left over, no process that grows."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests import pictures, sites

pytestmark = [pytest.mark.processes, pytest.mark.long]

SECONDS = 60
CLIENTS = 6
GROWTH = 1.25


def memory(site: sites.Site, name: str) -> int:
    """Resident bytes of a child of the supervisor and all below it."""
    process = psutil.Process(site.pid_of(name))
    return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)])


def mixed(number: int) -> bytes:
    """Half of them good; a cut, a repeated, a hostile and a rare one among each ten."""
    rare = {
        0: lambda: pictures.truncated_jpeg(0.7, 320, 240, seed=number),
        1: lambda: pictures.jpeg(320, 240, seed=1),
        2: pictures.html_named_jpg,
        3: pictures.bomb_png,
        4: lambda: pictures.tiff(64, 48, seed=number),
    }
    return rare.get(number % 10, lambda: pictures.jpeg(320, 240, seed=number))()


def traffic(site: sites.Site, seconds: float, numbers: itertools.count[int]) -> Counter[int]:
    """Pictures good, cut, repeated and hostile from several clients; how often each status was answered."""
    until = time.monotonic() + seconds

    def client(_: int) -> Counter[int]:
        seen: Counter[int] = Counter()
        while time.monotonic() < until:
            seen[site.classify(mixed(next(numbers))).status] += 1
        return seen

    with ThreadPoolExecutor(CLIENTS) as clients:
        return sum(clients.map(client, range(CLIENTS)), Counter())


def test_a_minute_of_mixed_traffic_leaves_no_fault_and_no_growth(prepared: Path, tmp_path: Path) -> None:
    numbers = itertools.count(400_000)
    with sites.Site(sites.copy_of(prepared, tmp_path / "data")) as site:
        traffic(site, SECONDS / 3, numbers)
        before = {name: memory(site, name) for name in ("web", "gpu", "broker")}
        statuses = traffic(site, SECONDS, numbers)
        after = {name: memory(site, name) for name in before}
        waiting = site.python(
            "from webapp.predictions.models import Prediction as P\n"
            "print(P.objects.filter(state__in=['pending', 'leased']).count())"
        )
        left = [path.name for path in (site.data / "store" / "incoming").iterdir()]
    assert set(statuses) <= {200, 413, 415}, statuses
    assert statuses[200] > 60
    assert (waiting, left) == ("0", [])
    grown = {name: after[name] / before[name] for name in before}
    assert max(grown.values()) < GROWTH, grown
