"""Lighter forms of an ONNX network: 8-bit integers with measured ranges, or 16-bit weights.

int8 follows the usual recipe of static quantisation: weights symmetric by output channel, activations by tensor, as
QuantizeLinear and DequantizeLinear pairs, which the engine turns into integer kernels. The last layer stays as it is:
it is small, and its errors reach the answer undivided.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from classifier.card import Card
from classifier.errors import ModelError
from classifier.preprocessing import normalisation
from classifier.quiet_openvino import ov

_LAYERS = ("Conv", "Gemm", "MatMul")
_LEAST_WEIGHTS = 256
_BATCH = 8
_KEPT_VALUES = 2048
_CLIPS = np.linspace(0.5, 1.0, 21)
_LEVELS = 255
_LEAST = 1e-8


@dataclass(frozen=True, slots=True)
class _Layer:
    """A node whose input and weights become integers; `axis` of its weights counts the outputs."""

    node: Any
    activation: str
    weight: str
    axis: int


def to_int8(source: Path, target: Path, card: Card, pixels: NDArray[np.uint8]) -> int:
    """Write the network with integer layers, their ranges those of these pictures; returns how many layers."""
    model = onnx.load(source)
    graph = model.graph
    weights = {one.name: one for one in graph.initializer}
    layers = _layers(graph, weights, card)
    if not layers:
        raise ModelError(f"{source} has no layer that could be computed in integers")
    ranges = _ranges(source, card, sorted({layer.activation for layer in layers}), pixels)
    added: dict[str, list[Any]] = {}
    for name, (low, high) in ranges.items():
        added[name] = _quantised_activation(graph, name, low, high)
    # Each tensor is quantised right where it is made, so that the order of the nodes stays one that can be run.
    before: list[Any] = [node for name in (graph.input[0].name,) for node in added.pop(name, [])]
    for layer in layers:
        layer.node.input[0] = f"{layer.activation}_dequantised"
        before.append(_quantised_weight(graph, weights[layer.weight], layer))
        layer.node.input[1] = f"{layer.weight}_dequantised"
    nodes = [*_once(before)]
    for node in graph.node:
        nodes.append(node)
        nodes += [one for name in node.output for one in added.pop(name, [])]
    if added:
        raise ModelError(f"{source}: nothing makes the tensor {next(iter(added))!r}")
    _replace(graph.node, nodes)
    _drop_unused(graph)
    onnx.checker.check_model(model)
    onnx.save(model, target)
    return len(layers)


def to_f16(source: Path, target: Path) -> int:
    """Write the network with its large weights in 16 bits, to be widened when it is loaded; returns how many."""
    model = onnx.load(source)
    graph = model.graph
    casts = []
    for one in list(graph.initializer):
        values = numpy_helper.to_array(one)
        if one.data_type != TensorProto.FLOAT or values.size < _LEAST_WEIGHTS:
            continue
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise ModelError(f"{source}: the weight {one.name} does not fit 16 bits")
        name = one.name
        one.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_f16"))
        casts.append(helper.make_node("Cast", [f"{name}_f16"], [name], to=TensorProto.FLOAT))
    _replace(graph.node, [*casts, *graph.node])
    onnx.checker.check_model(model)
    onnx.save(model, target)
    return len(casts)


def _layers(graph: Any, weights: Mapping[str, Any], card: Card) -> list[_Layer]:
    found = []
    for node in graph.node:
        if node.op_type not in _LAYERS or len(node.input) < 2 or node.input[1] not in weights:
            continue
        if node.input[0] in weights or card.outputs.scores in node.output:
            continue
        shape = tuple(weights[node.input[1]].dims)
        if int(np.prod(shape)) < _LEAST_WEIGHTS or (node.op_type != "Conv" and len(shape) != 2):
            continue
        found.append(_Layer(node, node.input[0], node.input[1], _output_axis(node)))
    return found


def _output_axis(node: Any) -> int:
    if node.op_type == "Conv":
        return 0
    turned = any(one.name == "transB" and one.i for one in node.attribute)
    return 0 if turned else 1


# ---- ranges ----------------------------------------------------------------------------------------------------------


def _ranges(
    source: Path, card: Card, names: Sequence[str], pixels: NDArray[np.uint8]
) -> dict[str, tuple[float, float]]:
    """Where each tensor's values lie, cut so that the mean squared error of 256 steps is least."""
    least = dict.fromkeys(names, 0.0)
    most = dict.fromkeys(names, 0.0)
    kept: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
    random = np.random.default_rng(0)
    for values in _observed(source, card, names, pixels):
        for name, array in values.items():
            least[name] = min(least[name], float(array.min()))
            most[name] = max(most[name], float(array.max()))
            flat = array.reshape(-1)
            kept[name].append(flat[random.integers(0, len(flat), min(len(flat), _KEPT_VALUES))])
    return {name: _cut(np.concatenate(kept[name]), least[name], most[name]) for name in names}


def _cut(values: NDArray[np.float32], low: float, high: float) -> tuple[float, float]:
    best, chosen = np.inf, (low, high)
    for clip in _CLIPS:
        ends = (low * clip, high * clip)
        step = max((ends[1] - ends[0]) / _LEVELS, _LEAST)
        rounded = np.clip(np.round((values - ends[0]) / step), 0, _LEVELS) * step + ends[0]
        error = float(np.square(values - rounded).mean())
        if error < best:
            best, chosen = error, ends
    return chosen


def _observed(
    source: Path, card: Card, names: Sequence[str], pixels: NDArray[np.uint8]
) -> Iterator[dict[str, NDArray[np.float32]]]:
    """What the tensors hold for each few pictures, at f32."""
    core = ov.Core()
    model = core.read_model(source)
    own = model.inputs[0].get_any_name()
    inside = [name for name in names if name != own]
    if inside:
        model.add_outputs(inside)
    config = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled = core.compile_model(model, "CPU", config)
    mean, std = (np.array(one, dtype=np.float32) for one in normalisation(card))
    for start in range(0, len(pixels), _BATCH):
        batch = (pixels[start : start + _BATCH].astype(np.float32) - mean) / std
        given = np.ascontiguousarray(batch.transpose(0, 3, 1, 2))
        found = compiled([given])
        values = {name: np.asarray(found[compiled.output(name)]) for name in inside}
        yield {**values, **({own: given} if own in names else {})}


# ---- nodes -----------------------------------------------------------------------------------------------------------


def _quantised_activation(graph: Any, name: str, low: float, high: float) -> list[Any]:
    """Zero itself is one of the 256 steps, since padding is made of it."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max((high - low) / _LEVELS, _LEAST)
    zero = int(np.clip(round(-low / scale), 0, _LEVELS))
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.array(scale, dtype=np.float32), f"{name}_scale"),
            numpy_helper.from_array(np.array(zero, dtype=np.uint8), f"{name}_zero"),
        ]
    )
    ends = [f"{name}_scale", f"{name}_zero"]
    return [
        helper.make_node("QuantizeLinear", [name, *ends], [f"{name}_quantised"]),
        helper.make_node("DequantizeLinear", [f"{name}_quantised", *ends], [f"{name}_dequantised"]),
    ]


def _quantised_weight(graph: Any, weight: Any, layer: _Layer) -> Any:
    values = numpy_helper.to_array(weight).astype(np.float32)
    others = tuple(axis for axis in range(values.ndim) if axis != layer.axis)
    largest = np.maximum(np.abs(values).max(axis=others), _LEAST)
    scale = (largest / 127).astype(np.float32)
    shape = [1] * values.ndim
    shape[layer.axis] = -1
    whole = np.clip(np.round(values / scale.reshape(shape)), -127, 127).astype(np.int8)
    name = layer.weight
    graph.initializer.extend(
        [
            numpy_helper.from_array(whole, f"{name}_quantised"),
            numpy_helper.from_array(scale, f"{name}_scale"),
            numpy_helper.from_array(np.zeros(len(scale), dtype=np.int8), f"{name}_zero"),
        ]
    )
    given = [f"{name}_quantised", f"{name}_scale", f"{name}_zero"]
    return helper.make_node("DequantizeLinear", given, [f"{name}_dequantised"], axis=layer.axis)


def _once(nodes: Sequence[Any]) -> list[Any]:
    """Layers may share a weight."""
    return list({node.output[0]: node for node in nodes}.values())


def _replace(there: Any, wanted: Sequence[Any]) -> None:
    copies = list(wanted)
    del there[:]
    there.extend(copies)


def _drop_unused(graph: Any) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = {one.name: one for one in graph.initializer if one.name in used}
    _replace(graph.initializer, list(kept.values()))
