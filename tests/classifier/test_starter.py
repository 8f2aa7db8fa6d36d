"""A fresh site knows real animals."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from classifier import imagenet
from classifier.card import ONNX, Label, folder_digest, read_card, verify_folder
from classifier.engine import LoadedPipeline, load_pipeline
from classifier.starter import PROJECTS, SOURCES, Source, StarterVersion, make_starter
from classifier.types import Answer, Decoded, PipelineSpec

CATS = {"tabby", "tiger-cat", "egyptian-cat"}


def photograph(name: str) -> Decoded:
    """A picture that scikit-image ships."""
    path = Path(skimage.data.__file__).parent / name
    pixels = np.asarray(Image.open(path).convert("RGB"))
    return Decoded(pixels, pixels.shape[1], pixels.shape[0])


@cache
def loaded(folder: Path) -> LoadedPipeline:
    return load_pipeline(PipelineSpec(digest=folder.name, classifier=folder), device="cpu")


def answer(version: StarterVersion, name: str) -> str:
    [found] = loaded(version.folder).recognise([photograph(name)])
    assert isinstance(found, Answer)
    return found.label


def test_a_photograph_of_a_cat_is_a_cat(starter: dict[str, StarterVersion]) -> None:
    assert answer(starter["animals"], "chelsea.png") in CATS
    assert answer(starter["ten-animals"], "chelsea.png") == "cat"
    assert answer(starter["fish"], "chelsea.png") == "not-a-fish"


@pytest.mark.parametrize("name", ["motorcycle_left.png", "coffee.png", "rocket.jpg", "astronaut.png", "page.png"])
def test_a_thing_is_not_an_animal(starter: dict[str, StarterVersion], name: str) -> None:
    assert answer(starter["animals"], name) == "not-an-animal"


def test_each_version_is_whole_and_says_what_it_does_not_know(starter: dict[str, StarterVersion]) -> None:
    assert list(starter) == ["animals", "ten-animals", "fish"]
    for version in starter.values():
        card = verify_folder(version.folder)
        assert card.notice == version.notice != ""
        assert card.origin.licence == "Apache-2.0" and len(card.origin.digest) == 64
        assert folder_digest(version.folder) == version.digest
    assert "does not know catch species" in starter["fish"].notice


def test_all_share_one_network_and_one_embedding_space(starter: dict[str, StarterVersion]) -> None:
    cards = [read_card(version.folder) for version in starter.values()]
    assert len({card.embedding_space for card in cards}) == 1
    assert len({(version.folder / ONNX).stat().st_ino for version in starter.values()}) == 1


def test_a_second_start_makes_nothing_anew(starter: dict[str, StarterVersion]) -> None:
    folder = starter["fish"].folder.parent
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert make_starter(folder) == list(starter.values())
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("damaged", ["card.json", "model.onnx"])
def test_a_damaged_version_is_made_again_just_as_it_was(
    starter: dict[str, StarterVersion], tmp_path: Path, damaged: str
) -> None:
    folder = tmp_path / "starter"
    shutil.copytree(starter["fish"].folder.parent, folder)
    file = folder / starter["fish"].folder.name / damaged
    file.chmod(0o644)
    file.write_bytes(b"{")
    assert [version.digest for version in make_starter(folder)] == [version.digest for version in starter.values()]


def test_every_output_belongs_to_exactly_one_label() -> None:
    for project in PROJECTS:
        found = project.labels()
        used = sorted(index for group in found.groups.values() for index in group)
        assert used == list(range(imagenet.CLASSES))


def test_there_is_one_label_for_each_animal_class_by_its_first_name() -> None:
    found = imagenet.animals()
    assert len(found.labels) == 399
    names = imagenet.names_by_output()
    assert [label.name for label in found.labels[:-1]] == [names[index].split(",")[0] for index in range(398)]
    by_name = {label.name: label for label in found.labels}
    assert by_name["hippopotamus"].synonyms == ("hippo", "river horse")
    assert by_name["hippopotamus"].scientific_name == "Hippopotamus amphibius"
    assert {"gorilla", "zebra", "tiger", "goose"} <= by_name.keys()


def test_every_animal_is_somewhere_in_the_tree() -> None:
    found = imagenet.animals()
    parents = {label.key: label.parent for label in (*found.labels, *found.ancestors)}

    def line(key: str) -> list[str]:
        return [key, *(line(parents[key]) if parents[key] else [])]

    assert line("tabby") == ["tabby", "cat", "mammal"]
    assert line("great-white-shark") == ["great-white-shark", "shark", "fish"]
    assert line("tarantula") == ["tarantula", "spider", "arachnid", "arthropod"]
    loose = {label.name for label in found.labels if not label.parent and label.kind == "normal"}
    assert loose == {"jellyfish", "sea anemone", "brain coral", "flatworm", "nematode"}


def test_breeds_are_not_taken_for_scientific_names() -> None:
    label: Label = imagenet.animal_label(195, "Boston bull, Boston terrier")
    assert (label.scientific_name, label.synonyms) == ("", ("Boston terrier",))


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.package)
def test_the_packages_hold_the_files_that_were_measured(source: Source) -> None:
    from classifier.card import file_digest

    assert file_digest(source.file()) == source.sha256
