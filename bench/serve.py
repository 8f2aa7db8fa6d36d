"""The full REST path against the bare pipeline, in one run on the machine at hand.

    ./osprey bench serve [--json] [--rounds 2] [--requests 240] [--clients 1,8,32]

Both get the same pictures through loopback sockets from the same load generator, turn and turn about, so that its work
and the machine's moods are charged to both. The full path ends when all derived work of an image is done: rows, the
small thumbnail, the perceptual hash, the embedding. Prints requests per second, the ratio, p50 and p99, and where the
processor's time went.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from bench.load import Bare, Load, Loader, Rest
from bench.photos import photos

ROOT = Path(__file__).resolve().parent.parent
PICTURES = 60
WARM_UP = 48


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def site(data: Path) -> Iterator[tuple[int, str, int]]:
    """A whole site of its own; gives port, token and the supervisor's pid."""
    port = free_port()
    environment = {**os.environ, "OSPREY_DATA": str(data), "OSPREY_CALLS_PER_MINUTE": "1000000"}
    command = [str(ROOT / "osprey"), "up", "--port", str(port), "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=sys.stderr, text=True, env=environment) as up:
        try:
            for line in up.stdout or ():
                if line.startswith("Osprey is ready"):
                    break
            else:
                raise RuntimeError("the site did not become ready; its words are above")
            token = subprocess.run(
                [str(ROOT / "osprey"), "token", "--scope", "upload"],
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            ).stdout.strip()
            yield port, token, up.pid
        finally:
            up.terminate()
            up.wait(30)


@contextlib.contextmanager
def bare_pipeline(folder: Path) -> Iterator[tuple[int, int]]:
    port = free_port()
    command = [sys.executable, "-m", "bench.bare", str(folder), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        try:
            line = server.stdout.readline() if server.stdout else ""
            if line.strip() != "ready":
                raise RuntimeError("the bare pipeline did not start")
            yield port, server.pid
        finally:
            server.terminate()


def seconds_by_process(pid: int) -> dict[str, float]:
    """Processor seconds of a process and all below it, by what they are."""
    spent: dict[str, float] = {}
    root = psutil.Process(pid)
    for process in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            words = " ".join(process.cmdline())
            times = process.cpu_times()
            kind = _kind(words)
            spent[kind] = spent.get(kind, 0.0) + times.user + times.system
    return spent


def _kind(words: str) -> str:
    for kind, pattern in {
        "web": r"gunicorn",
        "broker": r"valkey|redis",
        "beat": r" beat",
        "bare": r"bench\.bare",
    }.items():
        if re.search(pattern, words):
            return kind
    found = re.search(r"--queues (\w+)", words)
    return f"{found[1]} worker" if found else "supervisor"


async def measure(arguments: argparse.Namespace, bare: tuple[int, int], full: tuple[int, str, int]) -> dict[str, Any]:
    loader = Loader(photos(PICTURES))
    targets: dict[str, Bare | Rest] = {"bare": Bare(bare[0]), "full": Rest(full[0], full[1])}
    pids = {"bare": bare[1], "full": full[2]}
    result: dict[str, Any] = {"clients": {}}
    for target in targets.values():
        await loader.run(target, clients=8, requests=WARM_UP)
    for clients in arguments.clients:
        requests = max(arguments.requests // (4 if clients == 1 else 1), clients * 2)
        loads: dict[str, list[Load]] = {"bare": [], "full": []}
        spent: dict[str, dict[str, float]] = {"bare": {}, "full": {}}
        for _ in range(arguments.rounds):
            for name, target in targets.items():
                before = seconds_by_process(pids[name])
                loads[name].append(await loader.run(target, clients=clients, requests=requests))
                for kind, after in seconds_by_process(pids[name]).items():
                    spent[name][kind] = spent[name].get(kind, 0.0) + after - before.get(kind, 0.0)
        result["clients"][str(clients)] = summarise(loads, spent)
        show(clients, result["clients"][str(clients)])
    return result


def summarise(loads: dict[str, list[Load]], spent: dict[str, dict[str, float]]) -> dict[str, Any]:
    rates = {name: statistics.median(load.rate for load in runs) for name, runs in loads.items()}
    requests = sum(load.requests for load in loads["full"])
    return {
        "ratio": round(rates["full"] / rates["bare"], 3),
        "ratios": [round(full.rate / bare.rate, 3) for bare, full in zip(loads["bare"], loads["full"], strict=True)],
        "bare_per_s": round(rates["bare"], 1),
        "full_per_s": round(rates["full"], 1),
        "p50_ms": round(statistics.median(load.p50 for load in loads["full"]), 1),
        "p99_ms": round(max(load.percentile(0.99) for load in loads["full"]), 1),
        "bare_p50_ms": round(statistics.median(load.p50 for load in loads["bare"]), 1),
        "cpu_ms": {
            f"{name}: {kind}": round(1000 * seconds / requests, 2)
            for name, kinds in spent.items()
            for kind, seconds in kinds.items()
            if seconds > 0.0005 * requests
        },
    }


def show(clients: int, row: dict[str, Any]) -> None:
    rates = (
        f"bare {row['bare_per_s']:6.1f}/s  full {row['full_per_s']:6.1f}/s  ratio {row['ratio']:.2f} {row['ratios']}"
    )
    times = f"p50 {row['p50_ms']:.0f} ms (bare {row['bare_p50_ms']:.0f})  p99 {row['p99_ms']:.0f} ms"
    print(f"{clients:3} clients: {rates}  {times}", file=sys.stderr)
    parts = ", ".join(f"{kind} {milliseconds}" for kind, milliseconds in row["cpu_ms"].items())
    print(f"            processor ms per image: {parts}", file=sys.stderr)


def active_folder(data: Path) -> Path:
    active = json.loads((data / "active" / "animals.json").read_text(encoding="utf-8"))
    return data / str(active["classifier"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="./osprey bench serve", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--requests", type=int, default=240)
    parser.add_argument("--clients", type=lambda text: [int(part) for part in text.split(",")], default=[1, 8, 32])
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="osprey-bench-"))
    try:
        with site(folder) as full, bare_pipeline(active_folder(folder)) as bare:
            result = asyncio.run(measure(arguments, bare, full))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if arguments.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
