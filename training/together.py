"""One run in several processes of this machine: torchrun started, and heard out as its own status says too little."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from training.contract import EXIT_STATUS, FAILED, read_ended
from training.learning.stopping import SIGNALS
from training.run_folder import RunFolder

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node")


def train_together(root: Path, words: Sequence[str], *, processes: int) -> int:
    """The exit status of the run. torchrun says 1 for whatever any of its processes says: ended.json knows more."""
    ended = RunFolder(root).ended
    ended.unlink(missing_ok=True)
    launched = subprocess.Popen([*TORCHRUN, str(processes), "-m", "training", "train", str(root), *words])

    def ask(number: int, frame: FrameType | None) -> None:
        launched.send_signal(signal.SIGTERM)

    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        status = launched.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if not ended.exists():  # ended from outside, or before the run began: torchrun has said what it knows
        return status if status > 0 else EXIT_STATUS[FAILED]
    found = read_ended(ended.read_text(encoding="utf-8"))
    sys.stderr.write(f"ended: {found.state}: {found.reason}\n")  # once more, below what torchrun said
    return found.exit
