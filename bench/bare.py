"""The bare pipeline: bytes from a loopback socket, decode, network, label back. No site around it.

The same decoder, batches, threads and precision as the gpu worker, in as many processes as it has. Each request is
four bytes of length and the picture; the answer is a line with the label.

    python -m bench.bare MODEL_FOLDER PORT
"""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from classifier.engine import LoadedPipeline, Prepared, load_pipeline
from classifier.images import decode
from classifier.types import Failure, PipelineSpec

BATCH = 16


class BarePipeline:
    """Collects what has arrived while the network was busy; threads decode meanwhile."""

    def __init__(self, folder: Path) -> None:
        spec = PipelineSpec(digest="bare", classifier=folder)
        self.pipeline: LoadedPipeline = load_pipeline(spec, cache=folder.parent.parent / "cache" / "compiled")
        self.decoders = ThreadPoolExecutor(os.cpu_count() or 2)
        self.network = ThreadPoolExecutor(1)
        self.waiting: asyncio.Queue[tuple[asyncio.Future[Prepared], asyncio.Future[str]]] = asyncio.Queue()

    def prepare(self, picture: bytes) -> Prepared:
        return self.pipeline.prepare(decode(picture, at_least=self.pipeline.at_least))

    async def serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                length = int.from_bytes(await reader.readexactly(4), "big")
                picture = await reader.readexactly(length)
                answer: asyncio.Future[str] = loop.create_future()
                prepared = loop.run_in_executor(self.decoders, self.prepare, picture)
                await self.waiting.put((prepared, answer))
                writer.write((await answer).encode() + b"\n")
                await writer.drain()
        except asyncio.IncompleteReadError:
            writer.close()

    async def work(self) -> None:
        """The network runs on one batch while the next is decoded."""
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self.waiting.get()]
            while len(batch) < BATCH and not self.waiting.empty():
                batch.append(self.waiting.get_nowait())
            prepared = [await ready for ready, _ in batch]
            answers = await loop.run_in_executor(self.network, self.pipeline.recognise_prepared, prepared)
            for (_, waiter), answer in zip(batch, answers, strict=True):
                waiter.set_result(answer.reason if isinstance(answer, Failure) else answer.label)


async def main(folder: Path, port: int) -> None:
    bare = BarePipeline(folder)
    server = await asyncio.start_server(bare.serve_one, "127.0.0.1", port, limit=2**20)
    print("ready", flush=True)
    async with server:
        await bare.work()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
