"""OpenVINO without its model converter, which at each import sends a message to its makers and writes into HOME.

Nothing here converts models with it. Import `ov` from this module, nowhere else; a test watches HOME.
"""

from __future__ import annotations

import sys

# OpenVINO catches the ImportError that None means and goes on; its import is a third shorter, too.
for _name in ("openvino.tools.ovc", "openvino_telemetry"):
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]

import openvino as ov  # noqa: E402  (after the lines above)
from openvino.preprocess import PrePostProcessor  # noqa: E402

__all__ = ["PrePostProcessor", "ov"]
