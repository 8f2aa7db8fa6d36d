"""The network of a card in PyTorch: built by timm, its weights read and written as data, exported to ONNX.

Training and serving build through here, so both mean the same by logits, embedding and features.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from classifier.card import Card
from classifier.errors import ModelError

EQUAL_WITHIN = 1e-3


def build(card: Card) -> nn.Module:
    """The card's architecture with random weights and as many outputs as the card says."""
    outputs = card.output_count or len(card.labels)
    return create(card.architecture, outputs=outputs, input_size=card.input_size)


def create(architecture: str, *, outputs: int, input_size: tuple[int, int] | None = None) -> nn.Module:
    """A timm network by name; networks made for one input size are told the size."""
    if not timm.is_model(architecture.split(".")[0]):
        near = ", ".join(timm.list_models(f"*{architecture.split('_')[0]}*")[:5]) or "none"
        raise ModelError(f"timm knows no architecture {architecture!r}. Similar names: {near}")
    try:
        return timm.create_model(architecture, num_classes=outputs, img_size=input_size)
    except TypeError:
        return timm.create_model(architecture, num_classes=outputs)


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a safetensors file; of a .pth file only if it holds nothing but tensors."""
    if path.suffix == ".safetensors":
        return load_file(path)
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ModelError(
            f"{path} cannot be read as plain weights ({type(error).__name__}). Files that hold code are refused; "
            "save the state_dict alone, best as .safetensors."
        ) from error
    for key in ("state_dict", "model", "state_dict_ema"):
        if isinstance(data, Mapping) and isinstance(data.get(key), Mapping):
            data = data[key]
    if not isinstance(data, Mapping) or not all(isinstance(value, torch.Tensor) for value in data.values()):
        raise ModelError(f"{path} holds no state_dict (a mapping of names to tensors)")
    return {str(name): value for name, value in data.items()}


def write_weights(path: Path, network: nn.Module) -> None:
    """Write a network's tensors, shared ones once each."""
    save_file({name: value.detach().contiguous().clone() for name, value in network.state_dict().items()}, path)


def embedding_space(network: nn.Module, card: Card) -> str:
    """Names what makes embeddings comparable: every tensor before the last layer, and how pictures are prepared."""
    heads = network.pretrained_cfg.get("classifier") or "classifier"  # type: ignore[union-attr, operator]
    prefixes = tuple(f"{head}." for head in ([heads] if isinstance(heads, str) else heads))
    digest = hashlib.sha256()
    how = (card.architecture, card.input_size, card.mean, card.std, card.interpolation, card.crop_pct, card.crop_mode)
    digest.update(repr(how).encode())
    for name, value in sorted(network.state_dict().items()):
        if not name.startswith(prefixes):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class ServedNetwork(nn.Module):
    """A timm classifier that answers scores, embedding (before the last layer) and features (before pooling)."""

    def __init__(self, network: nn.Module, card: Card) -> None:
        super().__init__()
        self.network = network
        self.names = (card.outputs.scores, card.outputs.embedding, card.outputs.features)
        self.normalised = card.normalised_head

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        network: Any = self.network
        features = network.forward_features(pixels)
        embedding = network.forward_head(features, pre_logits=True)
        read = nn.functional.normalize(embedding.float(), dim=1) if self.normalised else embedding
        return network.get_classifier()(read), embedding, features

    def named(
        self, pixels: torch.Tensor, wanted: Sequence[str], *, autocast: AbstractContextManager[object]
    ) -> dict[str, torch.Tensor]:
        """The wanted outputs by name."""
        with autocast:
            answers = dict(zip(self.names, self(pixels), strict=True))
        missing = [name for name in wanted if name not in answers]
        if missing:
            raise ModelError(f"the network has no output {missing[0]!r}; it has {', '.join(self.names)}")
        return answers


def export_onnx(network: nn.Module, card: Card, path: Path) -> float:
    """Write one ONNX file with a free batch size and prove it equal at f32; returns the largest difference."""
    served = ServedNetwork(network, card).eval()
    torch.manual_seed(0)
    example = torch.randn(2, 3, *card.input_size)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            served,
            (example,),
            str(path),
            input_names=["pixels"],
            output_names=list(served.names),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            external_data=False,
            verbose=False,
        )
    _drop_traces(path)
    return prove_equal(served, path, torch.randn(3, 3, *card.input_size))


def _drop_traces(path: Path) -> None:
    """Remove the exporter's notes: they hold the paths of the machine that exported."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.save(model, path)


def prove_equal(served: ServedNetwork, path: Path, pixels: torch.Tensor) -> float:
    """Largest difference of the exported network from the original at f32, over 1 + size; raises if too large."""
    import numpy as np

    from classifier.quiet_openvino import ov

    compiled = ov.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled([pixels.numpy()])
    with torch.no_grad():
        expected = served(pixels)
    worst = 0.0
    for name, tensor in zip(served.names, expected, strict=True):
        want = tensor.numpy()
        worst = max(worst, float((np.abs(found[name] - want) / (1 + np.abs(want))).max()))
    if not worst <= EQUAL_WITHIN:
        raise ModelError(f"{path} differs from the trained network by {worst:.2g}, more than {EQUAL_WITHIN}")
    return worst
