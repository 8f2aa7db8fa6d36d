"""Tiny real versions for tests: networks written as ONNX by hand that answer the colour of a picture.

They are made in milliseconds, need no torch, and give answers a test can foresee: a red picture is `red`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from classifier.card import FORMAT_VERSION, ONNX, Card, DetectorHead, Label, seal_folder, write_card
from training.learning.head_onnx import with_new_head

COLOURS = ("red", "green", "blue")
SIDE = 32


def colour_labels(*, background: str = "grey") -> tuple[Label, ...]:
    """The labels of a colour version; grey is what none of the colours wins by far."""
    colours = tuple(Label(colour, colour.title()) for colour in COLOURS)
    return (*colours, Label(background, f"nothing but {background}", kind="background")) if background else colours


def make_colour_version(
    folder: Path, *, background: str = "grey", role: str = "classifier", turned: int = 0, **card: object
) -> Path:
    """A classifier (or identifier) whose embedding is the mean colour and whose logits are twenty times that.

    `turned` by one it calls red green, green blue and blue red.
    """
    making = folder.with_name(f".making-{folder.name}")
    making.mkdir(parents=True)
    labels = colour_labels(background=background)
    weights = np.zeros((3, len(labels)), dtype=np.float32)
    weights[:, :3] = 20 * np.roll(np.eye(3), turned, axis=1)
    bias = np.array([0.0, 0.0, 0.0, 12.0][: len(labels)], dtype=np.float32)
    nodes = [
        helper.make_node("Relu", ["pixels"], ["features"]),
        helper.make_node("GlobalAveragePool", ["features"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["embedding"], axis=1),
        helper.make_node("Gemm", ["embedding", "weights", "bias"], ["logits"]),
    ]
    outputs = {"logits": ["batch", len(labels)], "embedding": ["batch", 3], "features": ["batch", 3, SIDE, SIDE]}
    _save(making / ONNX, nodes, outputs, {"weights": weights, "bias": bias})
    write_card(making, _card(role=role, labels=labels, output_count=len(labels), embedding_size=3, **card))
    seal_folder(making, folder)
    return folder


def make_head_version(folder: Path, start: Path, *, turned: int = 0, **card: object) -> Path:
    """The same network with a last layer that reads embeddings of length 1, as recipe head makes it."""
    making = folder.with_name(f".making-{folder.name}")
    making.mkdir(parents=True)
    labels = colour_labels(background="")
    whole = _card(role="classifier", labels=labels, output_count=3, embedding_size=3, normalised_head=True, **card)
    weight = (10 * np.roll(np.eye(3), turned, axis=1).T).astype(np.float32)
    with_new_head(start / ONNX, making / ONNX, whole, weight=weight, bias=np.zeros(3, dtype=np.float32))
    write_card(making, whole)
    seal_folder(making, folder)
    return folder


def make_colour_detector(folder: Path, *, boxes: list[list[float]]) -> Path:
    """A detector that reports fixed rows (centre x, centre y, width, height, objectness, score) for every picture."""
    making = folder.with_name(f".making-{folder.name}")
    making.mkdir(parents=True)
    rows = np.array(boxes, dtype=np.float32).reshape(1, -1, 6)
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixels"], ["pooled"]),
        helper.make_node("ReduceSum", ["pooled", "axes"], ["total"], keepdims=1),
        helper.make_node("Squeeze", ["total", "last"], ["column"]),
        helper.make_node("Mul", ["column", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "rows"], ["found"]),
    ]
    constants = {
        "axes": np.array([1], dtype=np.int64),
        "last": np.array([3], dtype=np.int64),
        "zero": np.zeros(1, dtype=np.float32),
        "rows": rows,
    }
    _save(making / ONNX, nodes, {"found": ["batch", rows.shape[1], 6]}, constants)
    labels = (Label("animal", "animal"), Label("nothing-found", "nothing found", kind="background"))
    head = DetectorHead(layout="rows", boxes="found", score_threshold=0.3)
    write_card(making, _card(role="detector", labels=labels, detector=head, crop_mode="border"))
    seal_folder(making, folder)
    return folder


def _card(**fields: object) -> Card:
    plain: dict[str, object] = {
        "format_version": FORMAT_VERSION,
        "name": "Colours",
        "architecture": "onnx",
        "input_size": (SIDE, SIDE),
        "mean": (0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0),
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "crop_mode": "center",
        "precision": {"openvino": "f32"},
        "embedding_space": "mean colour",
    }
    return Card(**{**plain, **fields})  # type: ignore[arg-type]


def _save(
    path: Path, nodes: list[onnx.NodeProto], outputs: dict[str, list[object]], constants: dict[str, np.ndarray]
) -> None:
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
