"""New versions without training: pretrained networks (hub or file), other people's ONNX, other sites' folders."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier import imagenet
from classifier.card import (
    CARD,
    FORMAT_VERSION,
    ONNX,
    WEIGHTS,
    Card,
    Label,
    Origin,
    file_digest,
    parse_card,
    read_card,
    seal_folder,
    verify_folder,
    write_card,
)
from classifier.errors import CardError, DigestMismatch, ModelError, WeightsUnavailable

if TYPE_CHECKING:
    import torch

REPORT = "report.json"
_MAY_TRAVEL = frozenset({CARD, WEIGHTS, ONNX, REPORT})
_ARCHITECTURE = re.compile(r"^@register_model\ndef (\w+)", re.MULTILINE)
_LABEL_SETS = {"animals": imagenet.animals, "ten-animals": imagenet.ten_animals, "fish": imagenet.fish}


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """A folder next to `out` to write in; what is left of it goes when the work fails."""
    if out.exists():
        raise ModelError(f"{out} is there already. Versions never change: choose another folder, or remove that one.")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".making-") as tmp:
        made = Path(tmp) / "version"
        made.mkdir()
        yield made


def add_pretrained(
    name: str,
    *,
    out: Path,
    weights: Path | None = None,
    labels: str | Sequence[str] = "animals",
    revision: str | None = None,
) -> Path:
    """Make the model folder `out` of a timm network with pretrained weights, from a file or else from the hub.

    `labels` is one of the label sets for ImageNet-1k outputs (animals, ten-animals, fish) or one name for each output.
    Raises WeightsUnavailable when the weights cannot be had: nothing starts from scratch.
    """
    if weights is not None and not weights.is_file():
        raise WeightsUnavailable(f"{weights} is not a file. Name a .safetensors or .pth file of {name}.")
    _refuse_unknown(name)
    from classifier.network import embedding_space, export_onnx, write_weights

    with _beside(out) as made:
        found = _find_weights(name, weights, revision, into=made.parent)
        network, config = _load(name, found.path)
        card = _pretrained_card(name, config, found.origin, _label_set(name, labels, outputs=config["num_classes"]))
        write_weights(made / WEIGHTS, network)
        export_onnx(network, card, made / ONNX)
        size = int(getattr(network, "head_hidden_size", 0) or getattr(network, "num_features", 0))
        write_card(made, replace(card, embedding_space=embedding_space(network, card), embedding_size=size))
        seal_folder(made, out)
    return out


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A network with its pretrained weights, and a card that is right but for its labels, which are only numbered."""

    network: torch.nn.Module
    card: Card


def load_pretrained(name: str, *, weights: Path | None = None, revision: str | None = None) -> Pretrained:
    """A timm network with weights from a file or else from the hub, to train on; nothing is written.

    Raises WeightsUnavailable when the weights cannot be had.
    """
    if weights is not None and not weights.is_file():
        raise WeightsUnavailable(f"{weights} is not a file. Name a .safetensors or .pth file of {name}.")
    _refuse_unknown(name)
    with tempfile.TemporaryDirectory(prefix="weights-") as tmp:
        found = _find_weights(name, weights, revision, into=Path(tmp))
        network, config = _load(name, found.path)
    numbered = [f"output {index}" for index in range(config["num_classes"])]
    card = _pretrained_card(name, config, found.origin, _label_set(name, numbered, outputs=len(numbered)))
    return Pretrained(network, card)


def _refuse_unknown(name: str) -> None:
    """Say at once that timm has no such name: to ask timm itself takes seconds of importing torch.

    Only a name that is nowhere in timm's sources is refused here; timm has the last word on the others.
    """
    found = find_spec("timm")
    folder = Path(found.origin).parent / "models" if found is not None and found.origin else Path()
    sources = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))]
    wanted = re.compile(rf"\b{re.escape(name.split('.')[0])}\b")
    if not sources or any(wanted.search(source) for source in sources):
        return
    known = [one for source in sources for one in _ARCHITECTURE.findall(source)]
    near = ", ".join([one for one in known if name.split("_")[0] in one][:5]) or "none"
    raise ModelError(f"timm knows no architecture {name!r}. Similar names: {near}")


@dataclass(frozen=True, slots=True)
class _Found:
    path: Path
    origin: Origin


def _find_weights(name: str, weights: Path | None, revision: str | None, *, into: Path) -> _Found:
    import timm

    from classifier.hub import download

    config = timm.get_pretrained_cfg(name) if timm.is_model(name.split(".")[0]) else None
    if weights is not None:
        return _Found(weights, Origin("", f"file {weights.name}", "", file_digest(weights)))
    if config is None:
        from classifier.network import create

        create(name, outputs=1)
        raise WeightsUnavailable(f"timm has no pretrained weights for {name!r}. Give them with --weights FILE.")
    if not config.hf_hub_id or config.custom_load:
        raise WeightsUnavailable(f"the hub has no safetensors of {name!r}. Give weights with --weights FILE.")
    found = download(config.hf_hub_id, into=into, revision=revision, name=name)
    return _Found(
        found.path,
        Origin(config.license or "", f"hub {found.repository}", found.revision, file_digest(found.path)),
    )


def _load(name: str, path: Path) -> tuple[torch.nn.Module, dict[str, Any]]:
    """The network with these weights and timm's facts about it; its outputs are as many as the file holds."""
    import timm

    from classifier.network import create, read_weights

    create(name, outputs=1)
    tensors = read_weights(path)
    known = timm.get_pretrained_cfg(name)
    if known is None:
        raise ModelError(f"timm does not say how {name!r} is to be fed; add it as ONNX with a card instead")
    config = asdict(known)
    head = config["classifier"]
    last = tensors.get(f"{head if isinstance(head, str) else head[0]}.weight")
    config["num_classes"] = outputs = config["num_classes"] if last is None else int(last.shape[0])
    overlay = {"state_dict": tensors, "num_classes": outputs}
    try:
        network = timm.create_model(name, pretrained=True, num_classes=outputs, pretrained_cfg_overlay=overlay)
    except (RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"{path} does not fit the architecture {name}: {reason}") from error
    return network.eval(), config


def _label_set(name: str, labels: str | Sequence[str], *, outputs: int) -> imagenet.LabelSet:
    if isinstance(labels, str):
        if labels not in _LABEL_SETS:
            raise ModelError(f"no label set is called {labels!r}; there are {', '.join(_LABEL_SETS)}")
        if outputs != imagenet.CLASSES:
            raise ModelError(
                f"these weights of {name} have {outputs} outputs, not ImageNet's {imagenet.CLASSES}: "
                "say what they mean with --labels FILE, one name a line, in order."
            )
        return _LABEL_SETS[labels]()
    if len(labels) != outputs:
        raise ModelError(f"{len(labels)} names were given for the {outputs} outputs of these weights of {name}")
    return imagenet.LabelSet(tuple(Label(imagenet.slug(label), label) for label in labels), (), {})


def _pretrained_card(name: str, config: Mapping[str, Any], origin: Origin, labels: imagenet.LabelSet) -> Card:
    _, height, width = config["input_size"]
    return parse_card(
        {
            "format_version": FORMAT_VERSION,
            "role": "classifier",
            "name": name,
            "architecture": name,
            "input_size": [height, width],
            "mean": config["mean"],
            "std": config["std"],
            "interpolation": config["interpolation"],
            "crop_pct": config["crop_pct"],
            "crop_mode": config["crop_mode"],
            "labels": [],
            "output_count": config["num_classes"],
            "precision": {"openvino": "f32", "torch": "f32"},
            "libraries": {package: version(package) for package in ("torch", "timm", "onnx", "openvino")},
        }
        | {"labels": _as_data(labels.labels), "ancestors": _as_data(labels.ancestors), "label_groups": labels.groups}
        | {"origin": _origin_data(origin)},
        origin=f"the card of {name}",
    )


def _as_data(labels: Sequence[Label]) -> list[dict[str, Any]]:
    from classifier.strict_json import to_json

    return [to_json(label) for label in labels]


def _origin_data(origin: Origin) -> dict[str, Any]:
    from classifier.strict_json import to_json

    return dict(to_json(origin))


def add_onnx(file: Path, *, role: str, card_yaml: Path, out: Path) -> Path:
    """Make the model folder `out` of somebody else's ONNX file and a card that says how to use it.

    The YAML holds the fields of a card, short of digests; `labels` may be bare names. The network is run once to see
    that it is what the card says.
    """
    card = _foreign_card(card_yaml, role)
    if not file.is_file():
        raise ModelError(f"{file} is not a file")
    with _beside(out) as made:
        shutil.copyfile(file, made / ONNX)
        digest = file_digest(file)
        origin = card.origin if card.origin.digest else replace(card.origin, digest=digest)
        space = card.embedding_space or digest
        sealed = write_card(made, replace(card, origin=origin, embedding_space=space))
        _try_out(made, sealed, file)
        seal_folder(made, out)
    return out


def _foreign_card(path: Path, role: str) -> Card:
    import yaml

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise CardError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(data, dict):
        raise CardError(f"{path}: expected the fields of a card, such as `input_size: [224, 224]`")
    if data.setdefault("role", role) != role:
        raise CardError(f"{path}: role is {data['role']!r}, but --role {role} was asked for")
    labels = data.get("labels")
    named = labels if isinstance(labels, list) else []
    data["labels"] = [
        {"key": imagenet.slug(label), "name": label} if isinstance(label, str) else label for label in named
    ]
    kinds = {label.get("kind") for label in data["labels"] if isinstance(label, dict)}
    if role == "detector" and "background" not in kinds:
        data["labels"].append({"key": "nothing-found", "name": "nothing found", "kind": "background"})
    return parse_card(
        {"format_version": FORMAT_VERSION, "architecture": "onnx", "name": path.stem} | data, origin=str(path)
    )


def _try_out(folder: Path, card: Card, file: Path) -> None:
    """Run one and two flat pictures through the whole engine; what fails here would fail in service."""
    import numpy as np

    from classifier.engine import load_pipeline
    from classifier.types import Decoded, Failure, PipelineSpec

    flat = Decoded(np.full((64, 64, 3), 127, np.uint8), 64, 64)
    try:
        spec = PipelineSpec(digest="trial", **{card.role: folder})  # type: ignore[arg-type]
        pipeline = load_pipeline(spec, device="cpu", backend="openvino")
        for count in (1, 2):
            for answer in pipeline.recognise([flat] * count):
                if isinstance(answer, Failure):
                    raise ModelError(answer.reason)
    except (ModelError, RuntimeError, ValueError, IndexError) as error:
        reason = " ".join(str(error).split())[:400]
        raise ModelError(
            f"{file} does not run as its card says: {reason}. The file must be one file with a free batch size, "
            "reading one tensor batch x 3 x height x width."
        ) from error


def export_version(folder: Path, dest: Path) -> Path:
    """Copy a model folder out of a site, checked before and after."""
    return _copy_checked(folder, dest)


def import_version(src: Path, out: Path) -> Path:
    """Take in a model folder from elsewhere, checked before and after."""
    return _copy_checked(src, out)


def _copy_checked(source: Path, target: Path) -> Path:
    card = read_card(source)
    odd = sorted(set(card.files) - _MAY_TRAVEL)
    if odd:
        raise ModelError(f"{source} lists {odd[0]!r}; a version holds only {', '.join(sorted(_MAY_TRAVEL))}")
    for name in (CARD, *card.files):
        if (source / name).is_symlink():
            raise ModelError(f"{source / name} is a link; a version holds plain files")
    verify_folder(source)
    with _beside(target) as made:
        for name in (CARD, *card.files):
            shutil.copyfile(source / name, made / name)
        if verify_folder(made) != card:
            raise DigestMismatch(f"{source} changed while it was copied. Try again.")
        seal_folder(made, target)
    return target
