"""What the web process and the command line import costs them nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"numpy", "torch", "timm", "openvino", "onnx", "PIL", "huggingface_hub", "django"}
LIGHT = ["card", "registry", "adding", "hub", "starter", "imagenet", "types", "errors", "cli.classify"]


@pytest.mark.parametrize("module", LIGHT)
def test_importing_it_loads_nothing_heavy(module: str) -> None:
    script = f"import sys, classifier.{module}; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
