"""OpenVINO on the CPU: reads model.onnx, starts in half a second, never imports torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classifier.backends import OutOfMemory
from classifier.card import ONNX, Card, verify_folder
from classifier.errors import ModelError
from classifier.preprocessing import normalisation
from classifier.quiet_openvino import PrePostProcessor, ov

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A batch is cut into these sizes. On a CPU larger ones are no faster, and every new size costs a set-up of some 70 ms.
FIXED_SIZES = (8, 4, 2, 1)
_NOT_ENOUGH_MEMORY = ("bad_alloc", "allocate", "out of memory", "not enough memory")


class OpenVinoNetwork:
    """A compiled model with one request of its own."""

    device = "cpu"

    def __init__(self, compiled: Any, outputs: Sequence[str], precision: str) -> None:
        self.words = f"openvino {precision} CPU"
        self._request = compiled.create_infer_request()
        self._outputs = tuple(outputs)

    def run(self, pixels: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
        parts = []
        start = 0
        for size in FIXED_SIZES:
            while len(pixels) - start >= size:
                parts.append(self._run_part(pixels[start : start + size]))
                start += size
        return {name: np.concatenate([part[name] for part in parts]) for name in self._outputs}

    def _run_part(self, pixels: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
        try:
            self._request.infer([np.ascontiguousarray(pixels)], share_inputs=True)
        except (RuntimeError, MemoryError) as error:
            if isinstance(error, MemoryError) or any(words in str(error).lower() for words in _NOT_ENOUGH_MEMORY):
                raise OutOfMemory(f"OpenVINO had no memory for a batch of {len(pixels)}") from error
            raise
        # Copies, since the next call writes into the same tensors.
        return {
            name: np.array(self._request.get_output_tensor(index).data, dtype=np.float32)
            for index, name in enumerate(self._outputs)
        }


def load(
    folder: Path, card: Card, *, outputs: Sequence[str], device: str, threads: int | None, cache: Path | None
) -> OpenVinoNetwork:
    """Compile model.onnx for this processor at the card's precision."""
    if device != "cpu":
        raise ModelError(f"the openvino back end runs on the CPU only, not on {device!r}")
    verify_folder(folder, only=[ONNX])
    core = ov.Core()
    precision = _precision(core, card)
    model = _with_outputs(core.read_model(folder / ONNX), outputs, folder)
    config: dict[str, Any] = {
        # OpenVINO's own default is bf16 wherever the processor has it, so the hint is always set.
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
    }
    if threads:
        config["INFERENCE_NUM_THREADS"] = threads
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
        config["CACHE_DIR"] = str(cache)
    compiled = core.compile_model(_with_normalisation(model, card), "CPU", config)
    return OpenVinoNetwork(compiled, outputs, precision)


def _precision(core: Any, card: Card) -> str:
    wanted = card.precision.get("openvino", "f32")
    if wanted == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return "f32"
    return wanted


def _with_outputs(model: Any, outputs: Sequence[str], folder: Path) -> Any:
    """The model with only the outputs asked for, in that order; what nobody asked for is not computed."""
    sources = {name: result.input_value(0) for result in model.get_results() for name in result.output(0).get_names()}
    missing = [name for name in outputs if name not in sources]
    if missing:
        raise ModelError(f"{folder / ONNX} has no output {missing[0]!r}; it has {', '.join(sorted(sources))}")
    return ov.Model([sources[name] for name in outputs], model.get_parameters(), model.get_friendly_name())


def _with_normalisation(model: Any, card: Card) -> Any:
    """The model taking uint8 pixels, height x width x colour, as every back end here does."""
    mean, std = normalisation(card)
    [only] = model.inputs
    shape = list(only.partial_shape) if only.partial_shape.rank.is_static else []
    if len(shape) != 4:
        raise ModelError(f"the network's input has shape {only.partial_shape}; batch x 3 x height x width is needed")
    wanted = (3, *card.input_size)
    if any(there.is_static and there.get_length() != size for there, size in zip(shape[1:], wanted, strict=True)):
        raise ModelError(f"the network reads pictures of {shape}, the card's input_size is {list(card.input_size)}")
    model.reshape({only: [-1, *wanted]})
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(ov.Type.f32).mean(list(mean)).scale(list(std))
    for index in range(len(model.outputs)):
        steps.output(index).tensor().set_element_type(ov.Type.f32)
    return steps.build()
