"""`python -m training export MODEL`: a model folder as TorchScript, proven equal at f32, or in lighter forms, measured.

    python -m training export MODEL --torchscript FILE
    python -m training export MODEL --variants int8,f16 --run RUN_FOLDER --out FOLDER

The TorchScript file takes normalised pictures (batch x 3 x height x width, float) and answers scores, embedding and
features.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

from classifier.card import WEIGHTS, verify_folder
from classifier.errors import ClassifierError, ModelError
from training.contract import ConfigError, ManifestError, parse_config, variants_of
from training.labels import LabelsError
from training.pictures import PicturesError
from training.publishing.publish import EQUAL_WITHIN

_ANY = {"start": "nothing", "architecture": "any"}
"""A config has to begin somewhere; only its variants are read."""


def export_torchscript(model: Path, target: Path, *, pictures: int = 100) -> float:
    """Write the traced network and prove it equal on random pictures; returns the largest difference over 1 + size."""
    import torch

    from classifier.network import ServedNetwork, build, read_weights

    card = verify_folder(model)
    if WEIGHTS not in card.files:
        raise ModelError(f"{model} has no {WEIGHTS}: only its ONNX form exists, and that needs no export")
    served = ServedNetwork(build(card), card)
    served.network.load_state_dict(read_weights(model / WEIGHTS), strict=True)
    served.eval()
    made = torch.Generator().manual_seed(0)
    shape = (3, *card.input_size)
    with torch.inference_mode(), warnings.catch_warnings():
        # A trace warns of every shape it takes for granted; that it holds for other batches is proven below.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(served, torch.randn(2, *shape, generator=made))  # type: ignore[no-untyped-call]
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    with warnings.catch_warnings():
        # It warns that this form is old. Who asks for it knows.
        warnings.simplefilter("ignore")
        torch.jit.save(traced, beside)
        loaded = torch.jit.load(beside)  # type: ignore[no-untyped-call]
    worst = 0.0
    with torch.inference_mode():
        for start in range(0, pictures, 10):
            pixels = torch.randn(min(10, pictures - start), *shape, generator=made)
            for wanted, found in zip(served(pixels), loaded(pixels), strict=True):
                worst = max(worst, float(((found - wanted).abs() / (1 + wanted.abs())).max()))
    if not worst <= EQUAL_WITHIN:
        beside.unlink()
        raise ModelError(f"the traced network differs from the trained one by {worst:.2g}, more than {EQUAL_WITHIN}")
    beside.replace(target)
    return worst


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="a model folder")
    parser.add_argument("--torchscript", type=Path, metavar="FILE", help="where to write it")
    parser.add_argument("--variants", metavar="NAMES", help="int8, f16 or both, with a comma")
    parser.add_argument("--run", type=Path, metavar="RUN_FOLDER", help="whose pictures the variants are measured on")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the variants' model folders go")


def run(arguments: argparse.Namespace) -> int:
    if not arguments.torchscript and not arguments.variants:
        sys.stderr.write("Say --torchscript FILE, or --variants NAMES with --run and --out.\n")
        return 2
    if arguments.variants and not (arguments.run and arguments.out):
        sys.stderr.write("--variants needs --run RUN_FOLDER and --out FOLDER.\n")
        return 2
    try:
        made = _torchscript(arguments) if arguments.torchscript else {}
        made |= _lighter(arguments) if arguments.variants else {}
    except (ClassifierError, ConfigError, LabelsError, ManifestError, PicturesError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(made) + "\n")
    return 0


def _torchscript(arguments: argparse.Namespace) -> dict[str, Any]:
    worst = export_torchscript(arguments.model, arguments.torchscript)
    return {"file": arguments.torchscript.name, "difference": worst}


def _lighter(arguments: argparse.Namespace) -> dict[str, Any]:
    from training.publishing.variants_command import lighter

    names = variants_of(parse_config({**_ANY, "variants": arguments.variants}))
    return {"variants": lighter(arguments.model, arguments.run, arguments.out, names)}
