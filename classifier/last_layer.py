"""The last layer of a model folder by itself: with stored embeddings it answers without a picture and its network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classifier.card import ONNX, Card

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class LastLayer:
    """Outputs = vectors of length 1 @ weight.T + bias."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def __call__(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(vectors @ self.weight.T + self.bias, dtype=np.float32)


def read_last_layer(folder: Path, card: Card) -> LastLayer | None:
    """The last layer of a folder that reads embeddings as they are stored; None for any other folder."""
    if card.role != "classifier" or not card.normalised_head or not (folder / ONNX).is_file():
        return None
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(folder / ONNX).graph
    last = next((node for node in graph.node if card.outputs.scores in node.output), None)
    known = {tensor.name: tensor for tensor in graph.initializer}
    if last is None or not _is_plain(last) or not set(last.input[1:]) <= known.keys():
        return None
    weight, bias = (numpy_helper.to_array(known[name]).astype(np.float32) for name in last.input[1:])
    return LastLayer(weight, bias) if weight.ndim == 2 and weight.shape[1] == card.embedding_size else None


def _is_plain(node: Any) -> bool:
    """x @ weight.T + bias and nothing else, as we write it ourselves."""
    from onnx import helper

    said = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    plain = said.pop("transB", 0) == 1 and said.pop("alpha", 1.0) == 1.0 and said.pop("beta", 1.0) == 1.0
    return node.op_type == "Gemm" and len(node.input) == 3 and plain and not any(said.values())
