"""`python -m training COMMAND`: a run folder in, a run folder out. Only the module of the command is imported."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from importlib.util import find_spec

# Command -> module with `add_arguments(parser)` and `run(arguments) -> exit status`, and what it does.
COMMANDS = {
    "train": ("training.train", "learn from a run folder and publish a model folder in it"),
    "evaluate": ("training.evaluation.evaluate", "how well a model folder does on a part of a manifest"),
    "compare": ("training.evaluation.compare_command", "two evaluations of the same images, with statistics by group"),
    "calibrate": ("training.evaluation.calibrate", "temperature and thresholds from the validation part"),
    "export": (
        "training.publishing.export",
        "a model folder as TorchScript, with proof, or in lighter forms, measured",
    ),
    "lr-find": ("training.lr_find", "try rising learning rates and suggest one"),
    "trial": ("training.trial", "how long a run will take here, from a few real steps"),
    "sweep": ("training.learning.sweep", "many settings on one snapshot, ranked by validation"),
    "working-head": ("training.learning.working_head", "a last layer that learns from verdicts while people work"),
    "ablate": ("training.augmentation.ablate", "train with each augmentation left out, and rank what helped"),
}


def main(words: list[str]) -> int:
    there = {name: command for name, command in COMMANDS.items() if find_spec(command[0]) is not None}
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Training without a site: everything a run reads and writes lies in its folder.",
        epilog="example: python -m training train RUN_FOLDER epochs=5 learning_rate=0.002",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    asked = words[0] if words else ""
    for name, (module, words_of) in there.items():
        own = commands.add_parser(name, help=words_of, description=words_of)
        if name == asked:
            import_module(module).add_arguments(own)
    arguments = parser.parse_args(words)
    status = import_module(there[arguments.command][0]).run(arguments)
    return int(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
