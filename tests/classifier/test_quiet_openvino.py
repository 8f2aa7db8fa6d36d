"""Recognising tells nobody and leaves nothing in anybody's home folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_importing_the_back_end_writes_nothing_into_home(tmp_path: Path) -> None:
    code = (
        "import sys; from classifier.quiet_openvino import ov; ov.Core()\n"
        "print('openvino_telemetry.main' in sys.modules)"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    environment.pop("CI", None)  # its telemetry keeps quiet there
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), list(tmp_path.iterdir())) == ("False", [])


def test_only_the_quiet_module_imports_openvino() -> None:
    quiet = ROOT / "classifier" / "quiet_openvino.py"
    others = [path for room in ("classifier", "webapp", "training", "bench") for path in (ROOT / room).rglob("*.py")]
    loud = [
        str(path.relative_to(ROOT))
        for path in others
        if path != quiet and ("import openvino" in (text := path.read_text()) or "from openvino" in text)
    ]
    assert loud == []
