"""A pass over a large project: how long each step takes, and how much memory, where many pictures are nearly the same.

    ./osprey bench analysis [--images 100000] [--json]

A tenth of the pictures lies in groups of 2 to 500: half of the groups are copies of a picture, the others frames of a
still camera in which something moved. Grey copies, hashes and embeddings are made up; no picture is decoded. Three
passes, each in a process of its own: over all, once more, and after a hundredth more pictures came.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from classifier.fingerprint import HASH_SIDE, hashes_of

if TYPE_CHECKING:
    from webapp.projects.models import Label, Project, Site

ROOT = Path(__file__).resolve().parent.parent
WIDTH, LABELS, SITES, BATCH = 384, 30, 20, 2000
LARGEST, GROUPED, REVIEWED = 500, 0.1, 0.6
Floats = NDArray[np.float32]


def groups_of(count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """The group of each picture: those of one group follow each other, a camera's frames do."""
    sizes: list[int] = []
    while sum(sizes) < GROUPED * count:
        sizes.append(int(np.exp(random.uniform(np.log(2), np.log(LARGEST + 1)))))
    alone = np.ones(count - sum(sizes), dtype=np.int64)
    sizes_all = random.permutation(np.concatenate([np.array(sizes), alone]))
    return np.repeat(np.arange(len(sizes_all)), sizes_all)


def pictures(groups: NDArray[np.int64], seed: int) -> Iterator[tuple[NDArray[np.uint8], Floats]]:
    """Grey copies and embeddings in batches. Groups of an odd number are frames in which something moved."""
    waves = np.cos(np.pi * np.arange(8)[:, None] * (2 * np.arange(HASH_SIDE)[None] + 1) / (2 * HASH_SIDE))
    centres = np.random.default_rng(1).normal(size=(LABELS, WIDTH))
    for start in range(0, len(groups), BATCH):
        part = groups[start : start + BATCH]
        random, own = np.random.default_rng([seed, start]), part - part[0]
        scenes = [np.random.default_rng([seed, 7, group]) for group in range(part[0], part[-1] + 1)]
        greys = 128 + 12 * waves.T @ np.array([scene.normal(size=(8, 8)) for scene in scenes]) @ waves
        greys = greys[own] + random.normal(0, 2, (len(part), HASH_SIDE, HASH_SIDE))
        for place in np.flatnonzero(part % 2):
            down, across = random.integers(4, HASH_SIDE - 10, 2).tolist()
            greys[place, down : down + 5, across : across + 5] += 90
        rows = np.array([scene.normal(size=WIDTH) for scene in scenes])[own] + 0.6 * centres[part % LABELS]
        rows = (rows + random.normal(0, 0.15, rows.shape)).astype(np.float32)
        yield np.clip(greys, 0, 255).astype(np.uint8), rows / np.linalg.norm(rows, axis=1, keepdims=True)


def fill(count: int) -> None:
    """Add so many pictures to the project, which is made when there is none."""
    from webapp.access.actors import OPERATOR
    from webapp.images.recount import recount
    from webapp.projects.create import create_project
    from webapp.projects.models import Label, Project, Site

    project = Project.objects.filter(slug="large").first()
    project = project or create_project(actor=OPERATOR, name="Large", template_labels=False)
    labels = [
        Label.objects.get_or_create(project=project, key=f"kind-{n}", defaults={"name": f"Kind {n}"})[0]
        for n in range(LABELS)
    ]
    sites = [Site.objects.get_or_create(project=project, name=f"Site {n}")[0] for n in range(SITES)]
    seed = project.images.count()
    groups = groups_of(count, np.random.default_rng(seed))
    cache = Path(os.environ["OSPREY_DATA"]) / "cache" / "greys"
    cache.mkdir(parents=True, exist_ok=True)
    done = 0
    with (cache / f"{project.pk}.i64").open("ab") as names, (cache / f"{project.pk}.u8").open("ab") as pixels:
        for greys, vectors in pictures(groups, seed):
            ids = add(project, labels, sites, groups[done : done + len(greys)], seed + done, greys, vectors)
            np.array(ids, dtype=np.int64).tofile(names)
            greys.tofile(pixels)
            done += len(greys)
    recount(project)


def add(
    project: Project,
    labels: list[Label],
    sites: list[Site],
    groups: NDArray[np.int64],
    first: int,
    greys: NDArray[np.uint8],
    vectors: Floats,
) -> list[int]:
    """The rows of one batch; returns the ids of its images."""
    from django.utils import timezone

    from webapp.images.models import File, Image, ImageState, Upload
    from webapp.predictions.models import Embedding
    from webapp.versions.models import Version

    upload = Upload.objects.get_or_create(project=project, name="made up")[0]
    version = Version.objects.get_or_create(project=project, digest="e" * 64, role="classifier", name="v")[0]
    digests = [f"{first + n:064x}" for n in range(len(groups))]
    files = File.objects.bulk_create([File(sha256=one, size=1, storage_key=f"x/{one}") for one in digests])
    hashes, now = hashes_of(greys.astype(np.float32)).tolist(), timezone.now()
    facts = {"width": 640, "height": 480, "measured_at": now, "brightness": 0.5, "contrast": 0.5, "sharpness": 0.4}
    images = Image.objects.bulk_create(
        Image(
            project=project, upload=upload, file=file, path=f"{first + n}.jpg", perceptual_hash=hashes[n],
            site=sites[int(groups[n]) // 7 % SITES], **facts,
        )
        for n, file in enumerate(files)
    )  # fmt: skip
    known = np.random.default_rng(first).random(len(images)) < REVIEWED
    ImageState.objects.bulk_create(
        ImageState(
            image=image, project=project, upload=upload, site=image.site,
            label=labels[int(group) % LABELS] if is_known else None, source="human" if is_known else "none",
            review_state="reviewed" if is_known else "unreviewed",
        )
        for image, group, is_known in zip(images, groups, known, strict=True)
    )  # fmt: skip
    Embedding.objects.bulk_create(
        Embedding(image=image, version=version, space="made-up", vector=row.astype("<f2").tobytes())
        for image, row in zip(images, vectors, strict=True)
    )
    return [image.pk for image in images]


def one_pass() -> None:
    """A pass as a worker makes it; prints the seconds of each step, those of a processor, and the peak in MB."""
    from webapp.projects.models import Project
    from webapp.reviews import analysis

    told: list[tuple[str, float, float, float]] = []

    def tell(words: str, share: float) -> None:
        scale = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 2**20
        told.append((words, time.perf_counter(), time.process_time(), peak))

    done = analysis.run(Project.objects.get(slug="large"), progress=tell)
    tell("", 1.0)
    steps = {
        words: {
            "seconds": round(after[1] - begun, 1), "processor": round(after[2] - spent, 1), "peak_mb": round(after[3]),
        }
        for (words, begun, spent, _), after in zip(told[:-1], told[1:], strict=True)
    }  # fmt: skip
    report = done.report if done else {}
    names = "images", "near_duplicates", "suspect_labels", "disagreeing", "novel", "cold_start"
    print(json.dumps({"steps": steps, "found": {name: report.get(name) for name in names}}))


def child(words: list[str], data: Path) -> dict[str, Any]:
    from webapp.reviews.analysis_process import few_threads

    settings = {"OSPREY_DATA": str(data), "DJANGO_SETTINGS_MODULE": "webapp.settings"}
    environment = {**few_threads(), **settings}
    command = [sys.executable, "-m", "bench.analysis", *words]
    begun = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**answer, "seconds": round(time.perf_counter() - begun, 1)}


def as_child(act: str, count: int) -> None:
    import django

    django.setup()
    if act == "pass":
        one_pass()
        return
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    fill(count)
    print("{}")


def told(name: str, found: dict[str, Any]) -> str:
    lines = [f"{name}: {found['seconds']} s; found {json.dumps(found['found'])}"]
    for words, one in found["steps"].items():
        lines.append(f"  {words:32} {one['seconds']:7} s ({one['processor']} s of processor)  {one['peak_mb']:6} MB")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="./osprey bench analysis", description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--child", choices=["fill", "pass"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        as_child(options.child, options.images)
        return
    with tempfile.TemporaryDirectory(prefix="osprey-bench-analysis-") as folder:
        data = Path(folder)
        child(["--child", "fill", "--images", str(options.images)], data)
        for name, more in (("all", 0), ("again", 0), ("after more came", options.images // 100)):
            if more:
                child(["--child", "fill", "--images", str(more)], data)
            found = child(["--child", "pass"], data)
            print(json.dumps({"pass": name, **found}) if options.json else told(name, found), flush=True)


if __name__ == "__main__":
    main()
