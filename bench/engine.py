"""The engine alone on a device: pictures per second decoded, through the network, and overlapped; and agreement.

    ./osprey bench engine [--device auto|cpu|cuda] [--backend torch|openvino] [--model DIR] [--pictures 512] [--json]

Rates are of one process. `whole` is decode and network overlapped as the gpu worker overlaps them; its ratio is to the
slower of the two parts, which is all that a perfect overlap could reach.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.photos import photos
from classifier.engine import LoadedPipeline, Prepared, load_pipeline
from classifier.images import decode
from classifier.registry import read_active
from classifier.types import Answer, PipelineSpec

DISTINCT = 32


def seconds_of(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


class EngineBench:
    def __init__(self, pipeline: LoadedPipeline, count: int, batch: int) -> None:
        self.pipeline = pipeline
        self.batch = batch
        made = photos(min(DISTINCT, count), os.cpu_count() or 2)
        self.files = [made[number % len(made)] for number in range(count)]
        self.threads = ThreadPoolExecutor(os.cpu_count() or 2)

    def prepare(self, picture: bytes) -> Prepared:
        return self.pipeline.prepare(decode(picture, at_least=self.pipeline.at_least))

    def decode_all(self) -> list[Prepared]:
        return list(self.threads.map(self.prepare, self.files))

    def network_all(self, prepared: Sequence[Prepared]) -> None:
        for start in range(0, len(prepared), self.batch):
            self.pipeline.recognise_prepared(prepared[start : start + self.batch])

    def whole(self) -> None:
        """Threads decode the next batch while the network runs on this one."""
        begun = [self.threads.submit(self.prepare, picture) for picture in self.files]
        for start in range(0, len(begun), self.batch):
            self.pipeline.recognise_prepared([job.result() for job in begun[start : start + self.batch]])

    def measure(self) -> dict[str, Any]:
        prepared = self.decode_all()
        self.network_all(prepared[: 4 * self.batch])
        count = len(self.files)
        rates = {
            "decode": count / seconds_of(self.decode_all),
            "network": count / seconds_of(lambda: self.network_all(prepared)),
            "whole": count / seconds_of(self.whole),
        }
        bound = min(rates["decode"], rates["network"])
        return {name: round(rate, 1) for name, rate in rates.items()} | {"ratio": round(rates["whole"] / bound, 3)}

    def labels(self) -> list[str]:
        answers = self.pipeline.recognise_prepared(self.decode_all()[:DISTINCT])
        return [answer.label if isinstance(answer, Answer) else "" for answer in answers]


def main() -> None:
    parser = argparse.ArgumentParser(prog="./osprey bench engine", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--backend", default=None)
    parser.add_argument("--model", type=Path, default=None, help="a model folder; the active one of animals otherwise")
    parser.add_argument("--pictures", type=int, default=512)
    parser.add_argument("--batches", type=lambda text: [int(part) for part in text.split(",")], default=[1, 8, 16, 64])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    spec = active_spec() if arguments.model is None else PipelineSpec(digest="bench", classifier=arguments.model)
    pipeline = load_pipeline(spec, device=arguments.device, backend=arguments.backend)
    result: dict[str, Any] = {"backend": pipeline.backend, "device": pipeline.device, "batches": {}}
    for batch in arguments.batches:
        bench = EngineBench(pipeline, arguments.pictures, batch)
        result["batches"][str(batch)] = bench.measure()
        print(f"{pipeline.backend}, batches of {batch}: {result['batches'][str(batch)]}")
    if arguments.json:
        print(json.dumps(result))


def active_spec() -> PipelineSpec:
    data = Path(os.environ["OSPREY_DATA"])
    return read_active(data, "animals").spec(data)


if __name__ == "__main__":
    main()
