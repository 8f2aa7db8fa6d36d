"""`python -m training train RUN_FOLDER [key=value ...]`: learn from a run folder and publish a model folder in it.

Started again on the same folder it goes on from its checkpoint. Exit status: 0 done, 4 learned nothing, 5 cancelled,
1 otherwise; ended.json says the same in words.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from classifier.errors import ClassifierError
from classifier.strict_json import to_json
from training.augmentation.augment import AugmentationError, settled
from training.config import explained, read_config, write_config
from training.contract import (
    CANCELLED,
    DONE,
    FAILED,
    LEARNED_NOTHING,
    TEST,
    VALIDATION,
    ConfigError,
    ManifestError,
    Report,
    ReportError,
    RunConfig,
    VariantReport,
    report_values,
    variants_of,
    with_imbalance,
)
from training.labels import LabelsError
from training.learning.stopping import Cancelled, LearnedNothing, Stop, stop_on_signals
from training.pictures import Pictures, PicturesError
from training.run_folder import RunFolder, write_json
from training.together import train_together

if TYPE_CHECKING:
    from training.learning.fine_tune import Task
    from training.learning.recipes import Outcome

_SAID = (
    AugmentationError,
    ClassifierError,
    ConfigError,
    LabelsError,
    ManifestError,
    PicturesError,
    ReportError,
    OSError,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", type=Path, help="the run folder, with manifest and pictures.json")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="settings that go before those of the file")
    parser.add_argument("--config", type=Path, help="a YAML file with settings (default: config.yaml of the folder)")
    parser.add_argument(
        "--processes", type=int, default=1, metavar="N", help="learn in N processes of this machine, one for each GPU"
    )
    parser.add_argument("--explain", action="store_true", help="print every setting with its meaning")


def run(arguments: argparse.Namespace) -> int:
    if arguments.explain:
        sys.stdout.write(explained())
        return 0
    if arguments.folder is None:
        sys.stderr.write("Name a run folder, or --explain.\n")
        return 2
    if arguments.processes > 1:
        words = [*arguments.settings, *(["--config", str(arguments.config)] if arguments.config else [])]
        return train_together(arguments.folder, words, processes=arguments.processes)
    return train(arguments.folder, arguments.settings, config_file=arguments.config)


def train(root: Path, settings: list[str], *, config_file: Path | None = None) -> int:
    """One run from its config to its end; every way out is written to ended.json."""
    import os

    folder = RunFolder(root, quiet=os.environ.get("RANK", "0") != "0")
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        try:
            if not folder.quiet:
                folder.ended.unlink(missing_ok=True)
                folder.mend_progress()
            if config_file is not None and not config_file.is_file():
                raise ConfigError(f"--config {config_file}: there is no such file")
            config = settled(read_config(config_file or folder.config, settings))
            if not folder.quiet:
                write_config(folder.config, config)
            words = learn(folder, config, stop)
        except Cancelled as reason:
            return _ended(folder, CANCELLED, str(reason))
        except LearnedNothing as reason:
            return _ended(folder, LEARNED_NOTHING, str(reason))
        except _SAID as error:
            return _ended(folder, FAILED, str(error))
        except Exception as error:
            # Written down for whoever waits, then shown whole: this one is a bug.
            _ended(folder, FAILED, f"{type(error).__name__}: {error}")
            raise
    return _ended(folder, DONE, words)


def learn(folder: RunFolder, config: RunConfig, stop: Stop) -> str:
    """Learn, publish, evaluate; returns what came out in words."""
    from training.learning.examples import gather
    from training.learning.fine_tune import Task
    from training.learning.machine import machine_of
    from training.learning.recipes import RECIPES
    from training.learning.start import find_start

    folder.stage("reading", "manifest and starting weights")
    pictures = Pictures.read(folder.pictures)
    data = gather(folder.manifest, pictures, config)
    folder.log(f"{len(data.labels)} labels, {len(data.train)} training and {len(data.validation)} validation images")
    start = find_start(config)
    if config.recipe != "sweep":  # each of its trials has its own way
        config = with_imbalance(config, config.imbalance)
    with machine_of(config) as machine:
        task = Task(config, folder, machine, data, start, stop)
        outcome = RECIPES[config.recipe](task)
        if outcome is None:
            machine.wait()
            return "the leading process published"
        stop.check()
        words = _published(task, outcome)
        machine.wait()
    return words


def _published(task: Task, outcome: Outcome) -> str:
    """Seal the model folder, then report on it by the engine that serves."""
    from training.evaluation.evaluate import evaluate, report_name
    from training.publishing.publish import lighter_forms

    folder, data = task.folder, task.data
    write_json(folder.root / "learned.json", to_json(dict(outcome.facts)))
    digest = outcome.draft.seal()
    folder.log(f"published {outcome.draft.card.name} as {digest[:12]}")
    names = variants_of(task.config)
    variants = lighter_forms(task, outcome.draft.card, names) if names else ()
    validation, words = None, f"published {outcome.draft.card.name}"
    for part, there in ((VALIDATION, len(data.validation) > 0), (TEST, data.has_test)):
        if not there:
            folder.log(f"there is no {part} part to report on")
            continue
        folder.stage("evaluating", f"the {part} part")
        report = evaluate(
            model=folder.model,
            manifest=folder.manifest,
            pictures=data.pictures,
            part=part,
            out=folder.root,
            device=task.config.device,
            threads=task.config.threads or None,
            validation=validation,
            notes=[outcome.facts["start"], *outcome.facts.get("notes", ())],
        )
        report = _with_tables(report, outcome, variants, folder.root / report_name(part))
        validation = report if part == VALIDATION else validation
        words = f"published {outcome.draft.card.name}: {report.metrics['accuracy'].value:.1%} of {part} right"
    return words


def _with_tables(report: Report, outcome: Outcome, variants: tuple[VariantReport, ...], path: Path) -> Report:
    """The report with what was tried on the way, and with the lighter forms that were made."""
    trials = outcome.facts.get("trials", ())
    if trials or variants:
        report = replace(report, trials=tuple(trials), variants=variants)
        write_json(path, report_values(report))
    return report


def _ended(folder: RunFolder, state: str, reason: str) -> int:
    if not folder.quiet:
        folder.stage("ended", f"{state}: {reason}")
    return folder.end(state, reason)
