"""Where a run starts: a model folder, pretrained weights, a file, another run, nothing; and the network made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.adding import load_pretrained
from classifier.card import (
    FORMAT_VERSION,
    WEIGHTS,
    Card,
    Label,
    Origin,
    Thresholds,
    folder_digest,
    read_card,
    verify_folder,
)
from classifier.errors import ModelError
from training.contract import RunConfig
from training.labels import LabelSet

if TYPE_CHECKING:
    import torch
    from torch import nn

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Start:
    """What a run begins with. `folder` is a model folder that the engine can run, `tensors` are weights by name.

    `new_head`: its last layer is not taken over even where the labels are the same.
    """

    words: str
    card: Card
    folder: Path | None = None
    tensors: Mapping[str, torch.Tensor] | None = None
    parent: str = ""
    new_head: bool = False


@dataclass(frozen=True, slots=True)
class Built:
    """A network about to learn, its card, and what was taken over from the start."""

    network: nn.Module
    card: Card
    backbone_tensors: int
    equal_tensors: int
    head: str

    @property
    def words(self) -> str:
        return (
            f"{self.equal_tensors} of {self.backbone_tensors} tensors before the last layer equal those of the start, "
            f"the last layer is {self.head}"
        )


def find_start(config: RunConfig) -> Start:
    """What the config says to begin with; nothing starts from scratch unless it says so in so many words."""
    if config.start in ("version", "run"):
        folder = Path(config.start_from)
        return _from_folder(folder / "model" if config.start == "run" else folder, config)
    if config.start == "nothing":
        return Start(f"random weights of {config.architecture}", _blank_card(config.architecture))
    file = Path(config.start_from) if config.start == "weights" else None
    found = load_pretrained(config.architecture, weights=file, revision=config.revision or None)
    source = found.card.origin.source
    return Start(
        f"pretrained: yes, {config.architecture} from {source}", found.card, tensors=found.network.state_dict()
    )


def _from_folder(folder: Path, config: RunConfig) -> Start:
    card = read_card(folder)
    if card.role != "classifier":
        raise ModelError(f"{folder} is a {card.role}; training starts from a classifier")
    if config.architecture and config.architecture != card.architecture:
        raise ModelError(
            f"{folder} is a {card.architecture}, not a {config.architecture}. Leave architecture empty, or start "
            "with start=pretrained or start=weights."
        )
    verify_folder(folder)
    return Start(f"{card.name} ({card.architecture})", card, folder=folder, parent=folder_digest(folder))


def _blank_card(architecture: str) -> Card:
    import timm

    from classifier.network import create

    create(architecture, outputs=1)
    known = timm.get_pretrained_cfg(architecture)
    facts: dict[str, Any] = asdict(known) if known is not None else {}
    return Card(
        format_version=FORMAT_VERSION,
        role="classifier",
        name=architecture,
        architecture=architecture,
        input_size=tuple(facts.get("input_size", (3, 224, 224))[1:]),
        mean=facts.get("mean", _IMAGENET_MEAN),
        std=facts.get("std", _IMAGENET_STD),
        interpolation=facts.get("interpolation", "bicubic"),
        crop_pct=facts.get("crop_pct", 0.875),
        crop_mode=facts.get("crop_mode", "center"),
        labels=(Label("nothing", "nothing"),),
        origin=Origin(source="random weights"),
    )


def card_for(start: Start, labels: LabelSet, config: RunConfig) -> Card:
    """The start's card for other labels, without anything that was measured of the start."""
    side = config.input_size
    return replace(
        start.card,
        input_size=(side, side) if side else start.card.input_size,
        labels=labels.labels,
        ancestors=labels.ancestors,
        label_groups={},
        output_count=len(labels),
        outputs=replace(start.card.outputs, scores_are="logits"),
        temperature=1.0,
        thresholds=Thresholds(),
        precision={"openvino": "f32", "torch": "f32"},
        precision_evidence="",
        parent_version=start.parent,
        notice="",
        files={},
    )


def build_network(start: Start, labels: LabelSet, config: RunConfig) -> Built:
    """The network of a run: the start's tensors before the last layer; that layer too if the labels are the same."""
    import torch

    from classifier.network import build, read_weights

    if start.folder is not None and not (start.folder / WEIGHTS).is_file():
        raise ModelError(f"{start.folder} has no {WEIGHTS}: only recipe=head can learn on it.")
    torch.manual_seed(config.seed)
    card = card_for(start, labels, config)
    same = not start.new_head and _same_labels(start.card, labels)
    card = replace(card, normalised_head=start.card.normalised_head and same)
    network = build(card)
    tensors = read_weights(start.folder / WEIGHTS) if start.folder is not None else start.tensors
    own = network.state_dict()
    backbone = [name for name in own if not name.startswith(head_prefixes(network))]
    if tensors is None:
        return Built(network, card, len(backbone), 0, "new")
    _refuse_other_shapes(backbone, own, tensors, start, card)
    wanted = own if same else backbone
    network.load_state_dict({**own, **{name: tensors[name] for name in wanted}}, strict=True)
    now = network.state_dict()
    equal = sum(torch.equal(now[name], tensors[name]) for name in backbone)
    return Built(network, card, len(backbone), equal, "that of the start" if same else "new")


def head_prefixes(network: nn.Module) -> tuple[str, ...]:
    """How the names of the last layer's tensors begin."""
    heads: Any = network.pretrained_cfg.get("classifier") or "classifier"  # type: ignore[union-attr, operator]
    return tuple(f"{head}." for head in ([heads] if isinstance(heads, str) else heads))


def _same_labels(card: Card, labels: LabelSet) -> bool:
    """Whether output i of the start already means label i; numbered outputs of bare weights never do."""
    return not card.label_groups and tuple(label.key for label in card.labels) == labels.keys


def _refuse_other_shapes(
    names: list[str], own: Mapping[str, Any], tensors: Mapping[str, Any], start: Start, card: Card
) -> None:
    odd = [name for name in names if name not in tensors or tensors[name].shape != own[name].shape]
    if odd:
        raise ModelError(
            f"{start.words} does not fit {card.architecture} at {card.input_size[0]} pixels: tensor {odd[0]!r} is "
            "missing or has another shape. Leave input_size at 0, or choose another start."
        )
