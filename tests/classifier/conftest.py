"""A cast of tiny real versions."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from classifier.adding import add_pretrained
from classifier.engine import LoadedPipeline, load_pipeline
from classifier.registry import read_active
from classifier.starter import DEFAULT_SIZE, PROJECTS, SOURCES, StarterVersion, make_starter
from classifier.types import Decoded, PipelineSpec
from tests.colour_versions import make_colour_version


def plain(colour: tuple[int, int, int], *, width: int = 80, height: int = 60) -> Decoded:
    """A picture of one colour."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:] = colour
    return Decoded(pixels, width, height)


RED, GREEN, BLUE, GREY = (250, 10, 10), (10, 250, 10), (10, 10, 250), (120, 120, 120)


@pytest.fixture(scope="session")
def colour_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_colour_version(tmp_path_factory.mktemp("colours") / "colour")


@pytest.fixture
def colours(colour_folder: Path) -> LoadedPipeline:
    return load_pipeline(PipelineSpec(digest="colours", classifier=colour_folder), device="cpu")


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Safetensors of a timm network that nobody trained."""

    def write(name: str, *, outputs: int = 1000) -> Path:
        import timm
        import torch

        from classifier.network import write_weights

        torch.manual_seed(0)
        path = tmp_path_factory.mktemp("weights") / f"{name}.safetensors"
        write_weights(path, timm.create_model(name, num_classes=outputs))
        return path

    return write


@pytest.fixture(scope="session")
def tiny_timm(random_weights: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version of a small timm network with both files, so that every back end can run it."""
    out = tmp_path_factory.mktemp("tiny") / "test_efficientnet"
    names = [f"kind {index}" for index in range(7)]
    return add_pretrained(
        "test_efficientnet", weights=random_weights("test_efficientnet", outputs=7), labels=names, out=out
    )


@pytest.fixture(scope="session")
def starter(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, StarterVersion]:
    """The real starter versions, by project: those of the shared data folder, since making them takes half a minute."""
    folder = tmp_path_factory.mktemp("starter")
    for project in PROJECTS:
        made = prepared / str(read_active(prepared, project.slug).classifier)
        shutil.copytree(made, folder / f"{project.slug}-{SOURCES[DEFAULT_SIZE].architecture}", copy_function=os.link)
    return {version.slug: version for version in make_starter(folder)}
