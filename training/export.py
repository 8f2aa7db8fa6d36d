"""`python -m training export MODEL --torchscript FILE`: a model folder as TorchScript, proven equal at f32.

The file takes normalised pictures (batch x 3 x height x width, float) and answers scores, embedding and features.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from pathlib import Path

from classifier.card import WEIGHTS, verify_folder
from classifier.errors import ClassifierError, ModelError
from training.publish import EQUAL_WITHIN


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
    beside = target.with_name(f".{target.name}.{os.getpid()}")
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
    parser.add_argument("--torchscript", type=Path, required=True, metavar="FILE", help="where to write it")


def run(arguments: argparse.Namespace) -> int:
    try:
        worst = export_torchscript(arguments.model, arguments.torchscript)
    except (ClassifierError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps({"file": arguments.torchscript.name, "difference": worst}) + "\n")
    return 0
