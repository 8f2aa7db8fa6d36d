"""A new last layer in an ONNX file: cuts off the old one at the embedding and needs no exporter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from classifier.card import Card
from classifier.errors import ModelError

_PREFIX = "new_head_"
_SHORTEST = 1e-12
_AXES_ARE_INPUTS_FROM = 18


def with_new_head(
    source: Path, target: Path, card: Card, *, weight: NDArray[np.float32], bias: NDArray[np.float32]
) -> None:
    """Write `source` with scores made of its embedding, brought to length 1, by this weight and bias."""
    model = onnx.load(source)
    graph = model.graph
    outputs = {value.name: value for value in graph.output}
    if card.outputs.embedding not in outputs:
        raise ModelError(f"{source} has no output {card.outputs.embedding!r}: only fine-tuning can learn on it")
    kept = [value for name, value in outputs.items() if name != card.outputs.scores]
    _prune(graph, {value.name for value in kept})
    rows = outputs[card.outputs.embedding].type.tensor_type.shape.dim[0].dim_param or "batch"
    scores = helper.make_tensor_value_info(card.outputs.scores, TensorProto.FLOAT, [rows, len(bias)])
    graph.node.extend(_head(card, _opset(model)))
    constants = {"weight": weight, "bias": bias, "shortest": np.array(_SHORTEST, dtype=np.float32)}
    if _opset(model) >= _AXES_ARE_INPUTS_FROM:
        constants["axes"] = np.array([1], dtype=np.int64)
    graph.initializer.extend(numpy_helper.from_array(value, _PREFIX + name) for name, value in constants.items())
    del graph.output[:]
    graph.output.extend([scores, *kept])
    onnx.checker.check_model(model)
    onnx.save(model, target)


def _opset(model: Any) -> int:
    return int(next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx")))


def _head(card: Card, opset: int) -> list[Any]:
    inner = {name: _PREFIX + name for name in ("flat", "length", "safe", "unit", "weight", "bias", "shortest", "axes")}
    length = (
        helper.make_node("ReduceL2", [inner["flat"], inner["axes"]], [inner["length"]], keepdims=1)
        if opset >= _AXES_ARE_INPUTS_FROM
        else helper.make_node("ReduceL2", [inner["flat"]], [inner["length"]], axes=[1], keepdims=1)
    )
    return [
        helper.make_node("Flatten", [card.outputs.embedding], [inner["flat"]], axis=1),
        length,
        helper.make_node("Max", [inner["length"], inner["shortest"]], [inner["safe"]]),
        helper.make_node("Div", [inner["flat"], inner["safe"]], [inner["unit"]]),
        helper.make_node("Gemm", [inner["unit"], inner["weight"], inner["bias"]], [card.outputs.scores], transB=1),
    ]


def _prune(graph: Any, wanted: set[str]) -> None:
    """Keep only what the wanted outputs are made of."""
    needed = set(wanted)
    kept: list[Any] = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed.update(node.input)
    for values, own in (
        (graph.node, kept[::-1]),
        (graph.initializer, [i for i in graph.initializer if i.name in needed]),
    ):
        del values[:]
        values.extend(own)
    infos = [info for info in graph.value_info if info.name in needed]
    del graph.value_info[:]
    graph.value_info.extend(infos)
