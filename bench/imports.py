"""Full-count imports by the command itself: counts, pace, peak memory, and that a second one brings nothing new.

    ./osprey bench imports [--sets coco,coco-ct,darknet,megadetector,imagefolder,csv] [--shares 0.1,1] [--json]

Each set is made in a temporary folder, with tiny pictures of its own, and imported twice into a data folder of its own
by a process of its own, whose peak memory is taken; no site has to run. A count that is not the set's own ends it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from tests import datasets_made as made

ROOT = Path(__file__).resolve().parent.parent
COUNTS = {"imagefolder": 22_967, "csv": 9_850, "coco": 26_000, "coco-ct": 10_000, "darknet": 10_000,
          "megadetector": 10_000}  # fmt: skip
MAKERS: Mapping[str, Callable[[Path, int], made.Made]] = {
    "coco": lambda folder, images: made.make_coco(folder, images=images),
    "coco-ct": lambda folder, images: made.make_coco_ct(folder, images=images),
    "darknet": lambda folder, images: made.make_darknet(folder, images=images),
    "megadetector": lambda folder, images: made.make_megadetector(folder, images=images),
}
WHOLE: Mapping[str, Callable[[Path, bool], made.Made]] = {
    "imagefolder": lambda folder, full: made.make_ten_animals(folder, full=full),
    "csv": lambda folder, full: made.make_whales_csv(folder, full=full),
}
BOXES = {
    "people": "SELECT COUNT(*) FROM reviews_annotation WHERE x IS NOT NULL",
    "machine": "SELECT COUNT(*) FROM predictions_region WHERE x IS NOT NULL",
}
LABELS = """SELECT l.name, COUNT(DISTINCT r.image_id) FROM reviews_annotation a
JOIN reviews_review r ON r.id = a.review_id JOIN projects_label l ON l.id = a.label_id GROUP BY l.name"""
WHALES = """SELECT COALESCE(i.name, 'new_whale'), COUNT(*) FROM reviews_annotation a
LEFT JOIN projects_individual i ON i.id = a.individual_id GROUP BY i.name"""


class Wrong(SystemExit):
    """What came in is not what the set holds."""


def make(name: str, folder: Path, share: float) -> made.Made:
    """The whole set at share 1; of the two that have whole counts only, the small one otherwise."""
    if name in WHOLE:
        return WHOLE[name](folder, share == 1)
    return MAKERS[name](folder, max(24, round(COUNTS[name] * share)))


@dataclass(frozen=True)
class Ran:
    """What a management command printed, how long it took, its processor time in seconds, its peak memory in MB."""

    said: str
    seconds: float
    processor: float
    peak: float


def run(words: list[str], data: Path) -> Ran:
    environment = {**os.environ, "OSPREY_DATA": str(data), "PYTHONPATH": str(ROOT)}
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as beside:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), *words], env=environment, stdout=out, stderr=beside
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read()
        if process.returncode:
            beside.seek(0)
            raise Wrong(f"{' '.join(words)} ended with {process.returncode}: {said}{beside.read()[-2000:]}")
    scale = 1 if sys.platform == "darwin" else 1024  # what a unit of ru_maxrss is, in bytes
    seconds = time.perf_counter() - begun
    return Ran(said, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * scale / 2**20)


def same(what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise Wrong(f"{what}: {found} came in, {wanted} are in the set")


def check(name: str, data: Path, wanted: made.Made) -> None:
    """The rows of the database against the set's own counts."""
    with sqlite3.connect(f"file:{data / 'osprey.sqlite3'}?mode=ro", uri=True) as rows:
        same("images", rows.execute("SELECT COUNT(*) FROM images_image").fetchone()[0], wanted.images)
        boxes = BOXES["machine" if name == "megadetector" else "people"]
        same("boxes", rows.execute(boxes).fetchone()[0], wanted.boxes)
        if wanted.labels:
            labels = rows.execute(WHALES if name == "csv" else LABELS).fetchall()
            same("images by label", dict(labels), {key: count for key, count in wanted.labels.items() if count})
        if wanted.parts:
            parts = rows.execute("SELECT part, COUNT(*) FROM images_image GROUP BY part").fetchall()
            same("images by part", dict(parts), dict(wanted.parts))


def measure(name: str, share: float, folder: Path, empty: Path) -> dict[str, Any]:
    """One set, from its making to the second import; `empty` is a data folder to begin with a copy of."""
    data, sources = folder / "data", folder / "set"
    shutil.copytree(empty, data)
    begun = time.perf_counter()
    wanted = make(name, sources, share)
    making = time.perf_counter() - begun
    words = ["import_data", str(wanted.root), "--project", name, "--json"]
    ran = run(words, data)
    first = json.loads(ran.said)
    same("added", (first["added"], first["failed"], first["rejected"]), (wanted.images, 0, 0))
    check(name, data, wanted)
    again = run(words, data)
    second = json.loads(again.said)
    news = [second[word] for word in ("added", "reviews", "annotations", "predictions", "failed")]
    same("news of the second import", (second["duplicates"], *news), (wanted.images, 0, 0, 0, 0, 0))
    check(name, data, wanted)
    return {
        "set": name,
        "images": wanted.images,
        "boxes": wanted.boxes,
        "labels": len(wanted.labels),
        "making_seconds": round(making, 1),
        "seconds": round(ran.seconds, 1),
        "processor_seconds": round(ran.processor, 1),
        "images_a_second": round(wanted.images / ran.seconds),
        "peak_mb": round(ran.peak),
        "again_seconds": round(again.seconds, 1),
        "again_processor_seconds": round(again.processor, 1),
        "again_peak_mb": round(again.peak),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="osprey bench imports", description=__doc__.split("\n")[0])
    parser.add_argument("--sets", default=",".join(COUNTS), help=f"of {', '.join(COUNTS)}")
    parser.add_argument("--shares", default="0.1,1", help="of the full count, to see whether memory grows with it")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    unknown = set(options.sets.split(",")) - set(COUNTS)
    if unknown:
        parser.error(f"there is no set {', '.join(sorted(unknown))}; there are {', '.join(COUNTS)}")
    with tempfile.TemporaryDirectory(prefix="osprey-bench-imports-") as folder:
        empty = Path(folder) / "empty"
        empty.mkdir()
        run(["migrate", "-v0"], empty)
        for name, share in product(options.sets.split(","), map(float, options.shares.split(","))):
            with tempfile.TemporaryDirectory(dir=folder) as place:
                found = measure(name, share, Path(place), empty)
            print(json.dumps(found) if options.json else told(found), flush=True)


def told(found: Mapping[str, Any]) -> str:
    return (
        f"{found['set']}: {found['images']:,} images, {found['boxes']:,} boxes in {found['seconds']} s "
        f"({found['images_a_second']}/s, {found['processor_seconds']} s of processor), peak {found['peak_mb']} MB; "
        f"again {found['again_seconds']} s ({found['again_processor_seconds']} s of processor), "
        f"peak {found['again_peak_mb']} MB, nothing new"
    )


if __name__ == "__main__":
    main()
