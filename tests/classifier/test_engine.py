"""Pictures in, answers out: in order, each on its own, with bounded memory."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from classifier.backends import OutOfMemory
from classifier.engine import LoadedPipeline, Stage, load_pipeline
from classifier.errors import DigestMismatch, ModelError
from classifier.types import Answer, Decoded, Failure, PipelineSpec
from tests.classifier.conftest import BLUE, GREEN, GREY, RED, plain
from tests.colour_versions import make_colour_version


def labels(answers: list[Answer | Failure]) -> list[str]:
    return [answer.label if isinstance(answer, Answer) else answer.code for answer in answers]


def test_each_picture_gets_its_own_answer_in_order(colours: LoadedPipeline) -> None:
    pictures = [plain(RED), plain(BLUE), plain(GREY), plain(GREEN)]
    assert labels(colours.recognise(pictures)) == ["red", "blue", "grey", "green"]


def test_an_answer_is_complete(colours: LoadedPipeline) -> None:
    [answer] = colours.recognise([plain(RED)])
    assert isinstance(answer, Answer)
    [region] = answer.regions
    assert answer.score == region.score == pytest.approx(float(region.scores.max()))
    assert region.scores.dtype == np.float32 and region.scores.sum() == pytest.approx(1)
    assert region.box is None and region.detection is None
    assert answer.counts == {"red": 1}
    assert region.embedding is not None and region.embedding.dtype == np.float16
    assert np.linalg.norm(region.embedding.astype(np.float32)) == pytest.approx(1, abs=1e-3)


def test_the_background_counts_nothing(colours: LoadedPipeline) -> None:
    [answer] = colours.recognise([plain(GREY)])
    assert isinstance(answer, Answer) and answer.counts == {}


def test_embeddings_can_be_left_out(colours: LoadedPipeline) -> None:
    [answer] = colours.recognise([plain(RED)], embeddings=False)
    assert isinstance(answer, Answer) and answer.regions[0].embedding is None


def test_a_picture_without_pixels_fails_alone(colours: LoadedPipeline) -> None:
    odd = Decoded(np.zeros((0, 10, 3), np.uint8), 10, 0)
    assert labels(colours.recognise([plain(RED), odd, plain(BLUE)])) == ["red", "empty-picture", "blue"]


def test_no_pictures_give_no_answers(colours: LoadedPipeline) -> None:
    assert colours.recognise([]) == []


def test_pictures_can_be_prepared_in_many_threads(colours: LoadedPipeline) -> None:
    pictures = [plain(colour) for colour in (RED, GREEN, BLUE) for _ in range(20)]
    with ThreadPoolExecutor(8) as pool:
        prepared = list(pool.map(colours.prepare, pictures))
    assert labels(colours.recognise_prepared(prepared)) == ["red"] * 20 + ["green"] * 20 + ["blue"] * 20


class Cramped:
    """A network on a device with room for three pictures; otherwise the real one."""

    words, device = "cramped", "cpu"

    def __init__(self, stage: Stage, room: int) -> None:
        self._network, self._room = stage.network, room
        self.tried: list[int] = []

    def run(self, pixels: np.ndarray) -> Mapping[str, np.ndarray]:
        self.tried.append(len(pixels))
        if len(pixels) > self._room:
            raise OutOfMemory("full")
        return self._network.run(pixels)


def cramped(pipeline: LoadedPipeline, room: int) -> tuple[LoadedPipeline, Cramped]:
    stage = pipeline.stages["classifier"]
    network = Cramped(stage, room)
    return replace(pipeline, stages={"classifier": Stage("classifier", stage.card, network)}), network


def test_out_of_memory_halves_the_batch_goes_on_and_is_remembered(colours: LoadedPipeline) -> None:
    pipeline, network = cramped(colours, room=3)
    pictures = [plain(RED), plain(GREEN), plain(BLUE)] * 4
    assert labels(pipeline.recognise(pictures)) == ["red", "green", "blue"] * 4
    assert network.tried == [12, 6, 3, 3, 3, 3]
    assert pipeline.batch_limit == 3
    network.tried.clear()
    pipeline.recognise(pictures)
    assert network.tried == [3, 3, 3, 3]


def test_when_not_even_one_picture_fits_each_fails_with_a_reason(colours: LoadedPipeline) -> None:
    pipeline, _ = cramped(colours, room=0)
    answers = pipeline.recognise([plain(RED)] * 2)
    assert labels(answers) == ["out-of-memory"] * 2


class Broken(Cramped):
    """A network whose second answer of each batch is no number."""

    def run(self, pixels: np.ndarray) -> Mapping[str, np.ndarray]:
        outputs = {name: value.copy() for name, value in self._network.run(pixels).items()}
        outputs["logits"][1] = np.nan
        return outputs


def test_an_answer_that_is_no_number_fails_alone(colours: LoadedPipeline) -> None:
    stage = colours.stages["classifier"]
    pipeline = replace(colours, stages={"classifier": Stage("classifier", stage.card, Broken(stage, 99))})
    assert labels(pipeline.recognise([plain(RED)] * 3)) == ["red", "no-answer", "red"]


def test_a_damaged_network_is_never_loaded(tmp_path: Path) -> None:
    folder = make_colour_version(tmp_path / "version")
    onnx = folder / "model.onnx"
    onnx.chmod(0o644)
    onnx.write_bytes(onnx.read_bytes()[:-1] + b"?")
    with pytest.raises(DigestMismatch, match="model.onnx"):
        load_pipeline(PipelineSpec(digest="x", classifier=folder), device="cpu")


def test_a_folder_cannot_play_another_role(colour_folder: Path) -> None:
    with pytest.raises(ModelError, match="is a classifier, it cannot be the detector"):
        load_pipeline(PipelineSpec(digest="x", detector=colour_folder), device="cpu")


def test_a_pipeline_of_nothing_is_refused() -> None:
    with pytest.raises(ModelError, match="names no model folder"):
        load_pipeline(PipelineSpec(digest="x"), device="cpu")


def test_the_pipelines_background_threshold_outranks_the_cards(colour_folder: Path) -> None:
    spec = PipelineSpec(digest="x", classifier=colour_folder, thresholds={"background": 0.999999})
    [answer] = load_pipeline(spec, device="cpu").recognise([plain((125, 120, 120))])
    assert isinstance(answer, Answer) and answer.label == "red"


def test_an_identifier_gives_its_own_embedding(tmp_path: Path, colour_folder: Path) -> None:
    identifier = make_colour_version(tmp_path / "identifier", role="identifier")
    both = load_pipeline(PipelineSpec(digest="x", classifier=colour_folder, identifier=identifier), device="cpu")
    [answer] = both.recognise([plain(RED)])
    assert isinstance(answer, Answer)
    assert answer.label == "red" and answer.regions[0].identity_embedding is not None


def test_threads_and_cache_may_be_given(colour_folder: Path, tmp_path: Path) -> None:
    spec = PipelineSpec(digest="x", classifier=colour_folder)
    for _ in range(2):
        pipeline = load_pipeline(spec, device="cpu", threads=1, cache=tmp_path / "cache")
        assert labels(pipeline.recognise([plain(RED)])) == ["red"]
    assert any((tmp_path / "cache").iterdir())


def test_a_pipeline_says_what_runs_it(colours: LoadedPipeline) -> None:
    assert (colours.backend, colours.device, colours.at_least) == ("openvino f32 CPU", "cpu", 256)
