"""The child that reads TIFF and AVIF may die, stall or run out of memory; its parent may not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from classifier import isolated
from classifier.errors import ImageRejected
from classifier.images import decode
from tests import pictures


def _child_of(spares: isolated._Spares) -> isolated._Child:
    child = spares.take()
    spares.give_back(child)
    return child


def test_one_child_serves_one_picture_after_another() -> None:
    decode(pictures.tiff(), at_least=0)
    first = _child_of(isolated._spares).process.pid
    decode(pictures.avif(), at_least=0)
    assert _child_of(isolated._spares).process.pid == first


def test_a_child_that_died_is_replaced_after_one_refusal() -> None:
    isolated._spares.end_all()
    child = isolated._Child()
    isolated._spares.give_back(child)
    os.kill(child.process.pid, signal.SIGKILL)
    child.process.wait()
    with pytest.raises(ImageRejected) as refused:
        decode(pictures.tiff(), at_least=0)
    assert refused.value.code == "decoder-died"
    assert decode(pictures.tiff(), at_least=0).width == 320


def test_a_picture_that_takes_too_long_is_refused() -> None:
    with pytest.raises(ImageRejected) as refused:
        isolated.decode(pictures.avif(), format_name="AVIF", at_least=0, seconds=0.0)
    assert refused.value.code == "decoder-died"
    assert "Save it as JPEG" in refused.value.reason


def test_a_picture_that_takes_too_much_memory_is_refused() -> None:
    program = (
        "import sys; from classifier import isolated; isolated.MEMORY_BYTES = 400 << 20;"
        "isolated._limit_this_process(); isolated._serve(sys.stdin.buffer, sys.stdout.buffer)"
    )
    data = pictures.encoded(Image.new("1", (9000, 9000)), "TIFF", compression="group4")
    request = b'{"format": "TIFF", "at_least": 224, "bytes": %d}\n' % len(data)
    answer = subprocess.run([sys.executable, "-c", program], input=request + data, capture_output=True, check=True)
    assert b'"code": "too-many-pixels"' in answer.stdout


def test_a_child_ends_when_its_parent_is_gone() -> None:
    program = (
        "from classifier import isolated; import os;"
        "child = isolated._spares.take(); print(child.process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    parent = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    # The child keeps standard error shut and holds no other pipe of ours, so the run above ends with its parent.
    status = Path(f"/proc/{int(parent.stdout)}/cmdline")
    reader = os.pidfd_open(int(parent.stdout)) if status.exists() else None
    if reader is not None:
        import select

        assert select.select([reader], [], [], 20)[0]
        os.close(reader)


def test_a_child_sees_none_of_its_parents_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "do-not-tell")
    child = isolated._Child()
    try:
        assert b"do-not-tell" not in Path(f"/proc/{child.process.pid}/environ").read_bytes()
    finally:
        child.end()
