"""Whether starting from the starter, and lifting rare labels, helps on a long tail: over seeds, with intervals.

    ./osprey bench learning [--seeds 3] [--epochs 6] [--only head|fine-tune] [--json]

Each seed draws its own pictures of invented animals, grey, small and noisy, with far fewer training pictures of the
last kinds than of the first, and trains by `python -m training train` as a run of the site does. `fine-tune` from the
starter stands against the same network from nothing; `head` with balanced sampling and with logit adjustment against
neither. Test pictures are as many of each kind. Intervals are those of `training compare`, over the pictures of all
seeds.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.creatures import creature
from classifier.starter import make_starter
from training.contract import TEST, TRAIN, VALIDATION, Difference, Outcome, read_outcomes
from training.contract.manifest import ManifestHead, ManifestLabel, ManifestLine, head_text, line_text
from training.evaluation.changes import scope_of
from training.evaluation.evaluate import outcomes_name
from training.evaluation.tables import aligned

KINDS = 12
MOST, FEWEST = 60, 3
WATCHED, TESTED = 6, 25
SMALL = 28
"""Pixels of a picture's side before it is enlarged again: what is left of a far animal."""
FINE_TUNE = ("batch_size=16", "learning_rate=0.002", "crop_least=0.6", "ema_decay=0", "input_size=128")


@dataclass(frozen=True)
class Trial:
    """One way of training, by its settings."""

    name: str
    settings: tuple[str, ...]


def counts() -> tuple[int, ...]:
    """Training pictures of each kind, falling geometrically."""
    return tuple(round(MOST * (FEWEST / MOST) ** (kind / (KINDS - 1))) for kind in range(KINDS))


def picture(kind: int, number: int) -> bytes:
    """A grey, small, noisy picture of a kind."""
    random = np.random.default_rng([7, kind, number])
    small = creature(kind, number, side=160).convert("L").resize((SMALL, SMALL), Image.Resampling.BOX)
    noisy = np.asarray(small, np.float32) + random.normal(0, 14, (SMALL, SMALL))
    grey = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).resize((192, 192), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    grey.convert("RGB").save(file, "JPEG", quality=90)
    return file.getvalue()


def season(root: Path, seed: int) -> tuple[list[ManifestLine], dict[str, str]]:
    """One seed's pictures, and where they lie."""
    lines: list[ManifestLine] = []
    files: dict[str, str] = {}
    for kind, trained in enumerate(counts()):
        for part, count in ((TRAIN, trained), (VALIDATION, WATCHED), (TEST, TESTED)):
            for _ in range(count):
                number = seed * 100_000 + len(lines)
                data = picture(kind, number)
                sha256 = hashlib.sha256(data).hexdigest()
                path = root / f"{number}.jpg"
                path.write_bytes(data)
                files[sha256] = str(path)
                lines.append(ManifestLine(image=number, sha256=sha256, part=part, label=label(kind), group=f"{number}"))
    return lines, files


def label(kind: int) -> str:
    return f"kind-{kind:02d}"


def train(folder: Path, made: tuple[list[ManifestLine], dict[str, str]], trial: Trial, seed: int) -> list[Outcome]:
    """Train in a run folder of its own; what the version says of each test picture."""
    lines, files = made
    folder.mkdir()
    names = tuple(label(kind) for kind in range(KINDS))
    head = ManifestHead(
        project="bench", seed=seed, labels=tuple(ManifestLabel(one, one) for one in names), classes=names
    )
    (folder / "manifest.jsonl").write_text(head_text(head) + "".join(map(line_text, lines)), encoding="utf-8")
    (folder / "pictures.json").write_text(json.dumps({"files": files}), encoding="utf-8")
    words = [f"seed={seed}", "lower_precision=false", *trial.settings]
    command = [sys.executable, "-m", "training", "train", str(folder), *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{trial.name}, seed {seed}: {ended.stderr[-2000:]}")
    return list(read_outcomes(folder / outcomes_name(TEST)))


def told(b: Sequence[Sequence[Outcome]], a: Sequence[Sequence[Outcome]], figure: str) -> dict[str, Any]:
    """b against a in one figure: of all seeds together, and of each."""
    together = _difference([one for seed in a for one in seed], [one for seed in b for one in seed], figure)
    each = [_difference(list(one), list(other), figure).difference for one, other in zip(a, b, strict=True)]
    return {
        "figure": figure,
        "a": together.a,
        "b": together.b,
        "difference": together.difference,
        "interval": together.interval,
        "seeds": each,
        "verdict": together.verdict,
    }


def _difference(a: list[Outcome], b: list[Outcome], figure: str) -> Difference:
    """Outcomes of both, brought into one order."""
    order = {one.image: one for one in b}
    table_a, table_b = aligned(a, [order[one.image] for one in a])
    trained = {label(kind): count for kind, count in enumerate(counts())}
    return scope_of(table_a, table_b, "accuracy", trained).metrics[figure]


def measure(root: Path, seeds: int, epochs: int, only: str) -> list[dict[str, Any]]:
    start = make_starter(root / "starter")[0].folder
    head = ("recipe=head", "start=version", f"start_from={start}")
    fine = ("recipe=fine-tune", f"epochs={epochs}", *FINE_TUNE)
    trials = {
        "neither": Trial("head, neither", (*head, "imbalance=plain")),
        "balanced": Trial("head, balanced sampling", (*head, "imbalance=balanced")),
        "adjusted": Trial("head, logit adjustment", (*head, "imbalance=logit-adjustment")),
        "starter": Trial("fine-tune from the starter", (*fine, "start=version", f"start_from={start}")),
        "nothing": Trial("the same from nothing", (*fine, "start=nothing", f"architecture={architecture(start)}")),
    }
    wanted = [name for name in trials if not only or (only == "head") == trials[name].name.startswith("head")]
    found: dict[str, list[list[Outcome]]] = {name: [] for name in wanted}
    for seed in range(seeds):
        (root / f"pictures-{seed}").mkdir()
        made = season(root / f"pictures-{seed}", seed)
        for name in wanted:
            found[name].append(train(root / f"{name}-{seed}", made, trials[name], seed))
            right = np.mean([one.answer == one.truth for one in found[name][-1]])
            sys.stderr.write(f"seed {seed}, {trials[name].name}: {right:.1%} right\n")
    pairs = [
        ("starter", "nothing", "accuracy"),
        ("balanced", "neither", "few_shot_recall"),
        ("adjusted", "neither", "few_shot_recall"),
        ("balanced", "neither", "accuracy"),
        ("adjusted", "neither", "accuracy"),
    ]
    return [
        {"b_name": trials[b].name, "a_name": trials[a].name, **told(found[b], found[a], figure)}
        for b, a, figure in pairs
        if a in found and b in found
    ]


def architecture(start: Path) -> str:
    found: str = json.loads((start / "card.json").read_text(encoding="utf-8"))["architecture"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="./osprey bench learning", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6, help="of fine-tuning")
    parser.add_argument("--only", choices=("head", "fine-tune"), default="")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="osprey-bench-") as root:
        found = measure(Path(root), arguments.seeds, arguments.epochs, arguments.only)
    if arguments.json:
        sys.stdout.write(json.dumps({"comparisons": found}) + "\n")
        return
    for one in found:
        low, high = one["interval"] or (float("nan"), float("nan"))
        seeds = ", ".join(f"{value:+.3f}" for value in one["seeds"])
        sys.stdout.write(
            f"{one['b_name']} against {one['a_name']}, {one['figure']}: {one['b']:.3f} against {one['a']:.3f}, "
            f"{one['difference']:+.3f} (95 %: {low:+.3f} to {high:+.3f}); by seed {seeds}: {one['verdict']}\n"
        )


if __name__ == "__main__":
    main()
