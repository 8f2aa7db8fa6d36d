"""A load of known size on loopback: n clients, each with one connection, one request at a time."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.photos import distinct


@dataclass(frozen=True)
class Load:
    """What one load came to."""

    clients: int
    requests: int
    seconds: float
    milliseconds: tuple[float, ...]

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    def percentile(self, share: float) -> float:
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def p50(self) -> float:
        return statistics.median(self.milliseconds)


class Bare:
    """Asks the bare pipeline."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, picture: bytes) -> str:
        writer.write(len(picture).to_bytes(4, "big") + picture)
        await writer.drain()
        return (await reader.readline()).decode().strip()


class Rest:
    """Asks the full site: token, stored upload, rows, all derived work done when the answer comes."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self.head = (
            "POST /api/v1/classify?project=animals&wait=25 HTTP/1.1\r\n"
            f"Host: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\nContent-Type: image/jpeg\r\nContent-Length: "
        )

    async def ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, picture: bytes) -> str:
        writer.write(f"{self.head}{len(picture)}\r\n\r\n".encode())
        writer.write(picture)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        body = await _body(reader, head.lower())
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the site answered {head.splitlines()[0].decode()}: {body[:300].decode()}")
        return str(json.loads(body)["label"])


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    if b"transfer-encoding: chunked" in head:
        whole = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            whole += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
        return whole
    length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
    return await reader.readexactly(int(length.split(b":")[1]))


class Loader:
    """Sends pictures that no server has seen before, the same number of bytes to each."""

    def __init__(self, pictures: Sequence[bytes]) -> None:
        self.pictures = pictures
        self.sent = 0

    async def run(self, target: Bare | Rest, *, clients: int, requests: int) -> Load:
        jobs = iter(range(requests))
        times: list[float] = []
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(self._client(target, jobs, times))
        return Load(clients, requests, time.perf_counter() - begun, tuple(times))

    async def _client(self, target: Bare | Rest, jobs: Iterator[int], times: list[float]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port, limit=2**20)
        try:
            for _ in jobs:
                self.sent += 1
                picture = distinct(self.pictures[self.sent % len(self.pictures)], self.sent)
                begun = time.perf_counter()
                await target.ask(reader, writer, picture)
                times.append((time.perf_counter() - begun) * 1000)
        finally:
            writer.close()
