"""`python -m training ablate RUN_FOLDER`: train with each step of augmentation left out, and rank what helped.

Every run is a run folder of its own below RUN_FOLDER/ablation, over several seeds; what is done already is not done
again. Ranked is by the validation part: the test part stays unseen.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from training.augmentation.augment import planned
from training.augmentation.presets import Plan, plan_text
from training.config import read_config, write_config
from training.contract import (
    EXIT_STATUS,
    LOWER_IS_BETTER,
    TEST,
    VALIDATION,
    ConfigError,
    Ended,
    Interval,
    ManifestError,
    Outcome,
    ReportError,
    RunConfig,
    head_text,
    line_text,
    read_ended,
    read_manifest,
    read_outcomes,
)
from training.evaluation.metrics import FIGURES, figure
from training.evaluation.statistics import LeaveOneOut, interval, t_quantile
from training.evaluation.tables import Table, aligned
from training.pictures import Pictures
from training.run_folder import RunFolder, write_json, write_text

FOLDER = "ablation"
WHOLE = "all steps"
NONE = "no steps"
Verdict = Literal["helped", "hurt", "no evidence", "nothing learned without it"]
Trainer = Callable[[Path], int]
Results = Mapping[str, Sequence[Sequence[Outcome]]]
# Student's t at 0.975 where the expansion of training.evaluation.statistics does not reach.
_FEW_SEEDS = {1: 12.706, 2: 4.303, 3: 3.182}


class AblationError(Exception):
    """The ablation cannot go on; the text says which run ended how."""


class Cancelled(Exception):
    """A run was asked to stop, and so is all."""


@dataclass(frozen=True, slots=True)
class StepEffect:
    """What a step brought: the figure with all steps less the figure without this one, turned so that more is better.

    `interval` (95 %) counts both how validation groups vary and how seeds do; `by_seed` are the parts of the mean.
    """

    step: str
    gain: float | None
    interval: Interval | None
    verdict: Verdict
    without: float | None = None
    by_seed: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Ablation:
    """All steps, those that helped most first; `whole` is the figure with all of them."""

    metric: str
    seeds: int
    images: int
    groups: int
    whole: float
    steps: tuple[StepEffect, ...]
    together: StepEffect | None
    notes: tuple[str, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="a run folder: its config says what is trained")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="settings that go before those of the file")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each kind; fewer than 2 say nothing (3)")
    parser.add_argument("--metric", choices=sorted(FIGURES), default="balanced_accuracy", help="what is ranked by")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    try:
        found = ablate(arguments.folder, arguments.settings, seeds=arguments.seeds, metric=arguments.metric)
    except Cancelled:
        return EXIT_STATUS["cancelled"]
    except (AblationError, ConfigError, ManifestError, ReportError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(asdict(found)) + "\n" if arguments.json else table_text(found))
    return 0


def train_apart(folder: Path) -> int:
    """Train a run folder in a process of its own, which gives back device and memory when it ends."""
    child = subprocess.Popen([sys.executable, "-m", "training", "train", str(folder)], stdout=sys.stderr)
    before = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    try:
        return child.wait()
    except KeyboardInterrupt:
        return child.wait()  # the terminal told it as well: it writes its checkpoint first
    finally:
        signal.signal(signal.SIGTERM, before)


def ablate(
    root: Path,
    settings: Sequence[str] = (),
    *,
    seeds: int = 3,
    metric: str = "balanced_accuracy",
    train: Trainer = train_apart,
) -> Ablation:
    """Train all kinds with all seeds, compare them, and write `ablation.json` into the folder of the ablation."""
    if seeds < 2:
        raise AblationError("an ablation needs at least 2 seeds: one run does not tell a step from luck")
    config = read_config(RunFolder(root).config, list(settings))
    kinds = kinds_of(config)
    results = {
        kind: [run for seed in range(seeds) if (run := _trained(root, kind, one, config.seed + seed, train))]
        for kind, one in kinds.items()
    }
    if len(results[WHOLE]) < seeds:
        raise AblationError(f"with all steps nothing was learned: see {root / FOLDER / _slug(WHOLE)}")
    found = weighed(results, metric=metric)
    write_json(root / FOLDER / "ablation.json", asdict(found))
    return found


def kinds_of(config: RunConfig) -> dict[str, RunConfig]:
    """The configs to train: all steps, each left out, and none."""
    plan = planned(config)
    if config.recipe == "head":
        raise AblationError("recipe=head learns from stored embeddings and varies no pictures: ablate a fine-tune")
    if config.recipe == "sweep":
        raise AblationError("recipe=sweep tries many settings in each run: ablate one of them, with recipe=fine-tune")
    if not plan.steps:
        raise AblationError("this config varies no pictures: set augment=true and augmentation=standard, for example")
    kinds = {WHOLE: _with(config, plan)}
    kinds |= {name: _with(config, plan.without(name)) for name in plan.names}
    if len(plan.names) > 1:
        kinds[NONE] = replace(config, augment=False)
    return kinds


def _with(config: RunConfig, plan: Plan) -> RunConfig:
    return replace(config, augmentation=plan_text(plan)) if plan.steps else replace(config, augment=False)


def _trained(root: Path, kind: str, config: RunConfig, seed: int, train: Trainer) -> list[Outcome]:
    """What the run of one kind and seed says of the validation part; nothing where it learned nothing."""
    folder = RunFolder(root / FOLDER / _slug(kind) / f"seed-{seed}")
    wanted = replace(config, seed=seed)
    if not _is_done(folder, wanted):
        _make_ready(root, folder, wanted)
        sys.stderr.write(f"ablate: {kind if kind in (WHOLE, NONE) else f'without {kind}'}, seed {seed}\n")
        status = train(folder.root)
        if status == EXIT_STATUS["cancelled"]:
            raise Cancelled
        if status not in (EXIT_STATUS["done"], EXIT_STATUS["learned-nothing"]):
            reason = _ended(folder).reason if folder.ended.exists() else f"exit status {status}"
            raise AblationError(f"the run in {folder.root} failed: {reason}")
    if _ended(folder).state == "learned-nothing":
        return []
    return _outcomes(folder)


def _ended(folder: RunFolder) -> Ended:
    return read_ended(folder.ended.read_text(encoding="utf-8"))


def _is_done(folder: RunFolder, wanted: RunConfig) -> bool:
    if not folder.ended.exists() or _ended(folder).state not in ("done", "learned-nothing"):
        return False
    return read_config(folder.config) == wanted


def _make_ready(root: Path, folder: RunFolder, config: RunConfig) -> None:
    """A run folder on the same manifest and pictures; all of them share one cache of small copies."""
    folder.root.mkdir(parents=True, exist_ok=True)
    shared = root / FOLDER / "cache"
    shared.mkdir(exist_ok=True)
    given = RunFolder(root)
    manifest = _without_test_part(given.manifest, root / FOLDER)
    there = [path for path in (manifest, given.pictures, given.embeddings) if path.exists()]
    for path, name in [*((path, path.name) for path in there), (shared, "cache")]:
        link = folder.root / name
        if not link.is_symlink():
            link.symlink_to(os.path.relpath(path, folder.root))
    if folder.config.exists() and read_config(folder.config) != config and folder.checkpoint.exists():
        raise AblationError(f"{folder.root} holds a run with other settings: remove {root / FOLDER} to begin anew")
    write_config(folder.config, config)


def _without_test_part(manifest: Path, beside: Path) -> Path:
    """The manifest for all runs: what they cannot see, nobody can choose by."""
    made = beside / "manifest.jsonl"
    if not made.exists():
        head, lines = read_manifest(manifest)
        kept = (line_text(line) for line in lines if line.part != TEST)
        write_text(made, "".join([head_text(head), *kept]))
    return made


def _outcomes(folder: RunFolder) -> list[Outcome]:
    path = folder.root / f"outcomes-{VALIDATION}.jsonl.gz"
    if not path.exists():
        from training.evaluation.evaluate import evaluate

        pictures = Pictures.read(folder.pictures)
        evaluate(model=folder.model, manifest=folder.manifest, pictures=pictures, part=VALIDATION, out=folder.root)
    return read_outcomes(path)


def _slug(kind: str) -> str:
    return {WHOLE: "all", NONE: "none"}.get(kind, f"without-{kind.replace('/', '-').replace(' ', '-')}")


# ---- statistics ------------------------------------------------------------------------------------------------------


def weighed(results: Results, *, metric: str) -> Ablation:
    """Effects from the outcomes of all kinds (by WHOLE, NONE and names of steps) and seeds."""
    tables = _tables(results)
    found = {kind: [figure(metric, table) for table in of_kind] for kind, of_kind in tables.items()}
    whole = found[WHOLE]
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    effects = {kind: _effect(kind, whole, others, sign) for kind, others in found.items() if kind != WHOLE}
    steps = sorted((one for kind, one in effects.items() if kind != NONE), key=_rank)
    return Ablation(
        metric=metric,
        seeds=len(whole),
        images=len(tables[WHOLE][0]),
        groups=whole[0].groups,
        whole=float(np.mean([one.value for one in whole])),
        steps=tuple(steps),
        together=effects.get(NONE),
        notes=_notes(len(steps), interval(whole[0]) is None),
    )


def _rank(effect: StepEffect) -> tuple[bool, float]:
    """Without which nothing is learned first, then by gain."""
    return effect.gain is not None, -(effect.gain or 0.0)


def _tables(results: Results) -> dict[str, list[Table]]:
    """Outcomes as tables over the images that every run answered for."""
    common = set.intersection(*({one.image for one in run} for runs in results.values() for run in runs))
    flat = [[one for one in run if one.image in common] for runs in results.values() for run in runs]
    made = iter(aligned(*(sorted(run, key=lambda one: one.image) for run in flat)))
    return {kind: [next(made) for _ in runs] for kind, runs in results.items()}


def _effect(kind: str, whole: Sequence[LeaveOneOut], others: Sequence[LeaveOneOut], sign: float) -> StepEffect:
    if len(others) < len(whole):
        return StepEffect(kind, None, None, "nothing learned without it")
    changes = [a.minus(b) for a, b in zip(whole, others, strict=True)]
    by_seed = [sign * one.value for one in changes]
    gain = float(np.mean(by_seed))
    mean = replace(
        changes[0],
        value=float(np.mean([one.value for one in changes])),
        without=np.mean([one.without for one in changes], axis=0),
    )
    half = float(np.hypot(_half(interval(mean)), _half_over_seeds(by_seed)))
    span = (gain - half, gain + half)
    verdict: Verdict = "helped" if span[0] > 0 else "hurt" if span[1] < 0 else "no evidence"
    without = float(np.mean([one.value for one in others]))
    return StepEffect(kind, gain, span, verdict, without, tuple(by_seed))


def _half(span: Interval | None) -> float:
    return (span[1] - span[0]) / 2 if span is not None else 0.0


def _half_over_seeds(values: Sequence[float]) -> float:
    degrees = len(values) - 1
    factor = _FEW_SEEDS.get(degrees) or float(t_quantile(degrees))
    return float(factor * np.std(values, ddof=1) / np.sqrt(len(values)))


def _notes(steps: int, few_groups: bool) -> tuple[str, ...]:
    notes = [
        f"Intervals are right 19 times in 20: of {steps} steps that do nothing, {steps / 20:.1f} seem to do something."
    ]
    if few_groups:
        notes.append("The validation part has too few groups: intervals count seeds alone and are too narrow.")
    return tuple(notes)


def table_text(found: Ablation) -> str:
    """For people, best first."""
    lines = [
        f"{found.metric} with all steps: {found.whole:.4f} ({found.images} validation images, {found.seeds} seeds)"
    ]
    lines += ["", f"{'step':<18} {'gain':>8}  {'95 % interval':<20} {'without it':>10}  verdict"]
    lines += [_line(one) for one in (*found.steps, *([found.together] if found.together else []))]
    return "\n".join([*lines, "", *found.notes]) + "\n"


def _line(one: StepEffect) -> str:
    name = "all of them" if one.step == NONE else one.step
    if one.gain is None or one.interval is None or one.without is None:
        return f"{name:<18} {'':>8}  {'':<20} {'':>10}  {one.verdict}"
    span = f"{one.interval[0]:+.4f} to {one.interval[1]:+.4f}"
    return f"{name:<18} {one.gain:>+8.4f}  {span:<20} {one.without:>10.4f}  {one.verdict}"
