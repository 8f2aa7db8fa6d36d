"""`python -m training COMMAND`: a run folder in, a run folder out. Only the module of the command is imported."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple


class Command(NamedTuple):
    """`module` has `add_arguments(parser)` and `run(arguments) -> exit status`."""

    module: str
    words: str
    example: str


COMMANDS = {
    "train": Command(
        "training.train",
        "learn from a run folder and publish a model folder in it",
        "train RUN_FOLDER recipe=fine-tune epochs=5 learning_rate=0.002",
    ),
    "evaluate": Command(
        "training.evaluation.evaluate",
        "how well a model folder does on a part of a manifest",
        "evaluate RUN_FOLDER/model --manifest RUN_FOLDER/manifest.jsonl.gz --pictures RUN_FOLDER --out FOLDER",
    ),
    "compare": Command(
        "training.evaluation.compare_command",
        "two evaluations of the same images, with statistics by group",
        "compare RUN_FOLDER_OF_A RUN_FOLDER_OF_B --json",
    ),
    "calibrate": Command(
        "training.evaluation.calibrate",
        "temperature and thresholds from the validation part",
        "calibrate RUN_FOLDER/model --manifest RUN_FOLDER/manifest.jsonl.gz --pictures RUN_FOLDER --out FOLDER",
    ),
    "export": Command(
        "training.publishing.export",
        "a model folder as TorchScript, with proof, or in lighter forms, measured",
        "export RUN_FOLDER/model --variants int8,f16 --run RUN_FOLDER --out FOLDER",
    ),
    "lr-find": Command(
        "training.lr_find",
        "try rising learning rates and suggest one",
        "lr-find RUN_FOLDER --steps 60",
    ),
    "trial": Command(
        "training.trial",
        "how long a run will take here, from a few real steps",
        "trial RUN_FOLDER recipe=fine-tune epochs=10",
    ),
    "sweep": Command(
        "training.learning.sweep",
        "many settings on one snapshot, ranked by validation",
        "sweep RUN_FOLDER start_from=MODEL_FOLDER trials=9 minutes=60",
    ),
    "working-head": Command(
        "training.learning.working_head",
        "a last layer that learns from verdicts while people work",
        "working-head learn FOLDER",
    ),
    "ablate": Command(
        "training.augmentation.ablate",
        "train with each augmentation left out, and rank what helped",
        "ablate RUN_FOLDER augmentation=standard --seeds 3",
    ),
}
PROGRAM = "python -m training"


def main(words: list[str]) -> int:
    there = {name: command for name, command in COMMANDS.items() if find_spec(command.module) is not None}
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Training without a site: everything a run reads and writes lies in its folder.",
        epilog=f"example: {PROGRAM} {COMMANDS['train'].example}",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    asked = words[0] if words else ""
    for name, command in there.items():
        example = f"example: {PROGRAM} {command.example}"
        own = commands.add_parser(name, help=command.words, description=command.words, epilog=example)
        if name == asked:
            import_module(command.module).add_arguments(own)
    arguments, late = parser.parse_known_args(words)
    # argparse takes `key=value` only before the first option.
    settings = getattr(arguments, "settings", None)
    if unknown := [word for word in late if settings is None or word.startswith("-") or "=" not in word]:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if settings is not None:
        settings += late
    status = import_module(there[arguments.command].module).run(arguments)
    return int(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
