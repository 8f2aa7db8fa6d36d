"""How many planted label errors the first 5 % of the suspect list hold, on embeddings of the pretrained starter.

    ./osprey bench suspects [--pictures 480] [--kinds 8] [--flipped 0.03] [--seeds 10] [--model DIR] [--json]

Pictures are composed (bench/creatures.py), embedded once, and judged once for each seed, which flips other labels.
Prints each seed's share, and all of them together with a 95 % Wilson interval.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.creatures import creature
from classifier.engine import load_pipeline
from classifier.images import decode
from classifier.registry import read_active
from classifier.types import Failure, PipelineSpec
from webapp.reviews.numeric.label_errors import judge
from webapp.reviews.numeric.spaces import reduced

FIRST = 0.05


def embed(folder: Path, kinds: NDArray[np.int64]) -> NDArray[np.float16]:
    """What the network makes of one picture of each kind in the list."""
    spec = PipelineSpec(
        digest="bench",
        detector=None,
        classifier=folder,
        identifier=None,
        thresholds={},
        crop_margin=0.0,
        whole_image_when_nothing_found=True,
    )
    pipeline = load_pipeline(spec, device="cpu")
    found = []
    for place, kind in enumerate(kinds.tolist()):
        file = io.BytesIO()
        creature(kind, place).save(file, "JPEG", quality=85)
        answer = pipeline.recognise([decode(file.getvalue(), at_least=pipeline.at_least)])[0]
        if isinstance(answer, Failure) or answer.regions[0].embedding is None:
            raise SystemExit(f"{folder} gives no embedding")
        found.append(answer.regions[0].embedding)
    return np.stack(found)


def caught(vectors: NDArray[np.float32], kinds: NDArray[np.int64], flipped: float, seed: int) -> tuple[int, int]:
    """How many of how many flips are in the first 5 %."""
    random = np.random.default_rng(seed)
    wrong = random.choice(len(kinds), max(1, round(flipped * len(kinds))), replace=False)
    labels = kinds.copy()
    labels[wrong] = (labels[wrong] + random.integers(1, kinds.max() + 1, len(wrong))) % (kinds.max() + 1)
    first = judge(vectors, labels, np.arange(len(labels)), seed=seed).issues[: round(FIRST * len(labels))]
    return len(np.intersect1d(first, wrong)), len(wrong)


def wilson(hits: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share."""
    z, share = 1.96, hits / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total**2)) / (1 + z * z / total)
    return middle - half, middle + half


def measure(options: argparse.Namespace) -> dict[str, Any]:
    kinds = np.arange(options.pictures) % options.kinds
    begun = time.perf_counter()
    vectors = reduced(embed(options.model, kinds))
    embedded, begun = time.perf_counter() - begun, time.perf_counter()
    rounds = [caught(vectors, kinds, options.flipped, seed) for seed in range(options.seeds)]
    hits, total = (sum(part) for part in zip(*rounds, strict=True))
    low, high = wilson(hits, total)
    return {
        "pictures": options.pictures,
        "shares": [round(hit / all_, 3) for hit, all_ in rounds],
        "share": round(hits / total, 3),
        "interval": [round(low, 3), round(high, 3)],
        "embed_seconds": round(embedded, 1),
        "judge_seconds": round((time.perf_counter() - begun) / options.seeds, 2),
    }


def starter() -> Path:
    """The active classifier of the data folder."""
    data = Path(os.environ.get("OSPREY_DATA", "data")).resolve()
    folder = read_active(data, "animals").classifier
    return data / (folder or "")


def main() -> None:
    parser = argparse.ArgumentParser(prog="osprey bench suspects", description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", type=int, default=480)
    parser.add_argument("--kinds", type=int, default=8)
    parser.add_argument("--flipped", type=float, default=0.03)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--model", type=Path, help="a classifier's folder; the one in use without it")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.model = options.model or starter()
    found = measure(options)
    if options.json:
        print(json.dumps(found))
        return
    print(f"flips among the first 5 % of {found['pictures']} pictures, by seed: {found['shares']}")
    print(f"together {found['share']:.1%}, 95 % interval {found['interval'][0]:.1%} to {found['interval'][1]:.1%}")
    print(f"embedding took {found['embed_seconds']} s, judging {found['judge_seconds']} s a seed")


if __name__ == "__main__":
    main()
