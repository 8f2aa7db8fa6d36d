"""Every registered back end keeps the same contract; a new one is tested by being registered."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from classifier.backends import BACKENDS, choose, load
from classifier.card import ONNX, WEIGHTS, read_card
from classifier.engine import load_pipeline
from classifier.errors import DigestMismatch, ModelError
from classifier.types import Answer, PipelineSpec
from tests.classifier.conftest import BLUE, GREY, RED, plain
from tests.colour_versions import make_colour_version

every_backend = pytest.mark.parametrize("backend", sorted(BACKENDS))


def pixels(count: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (count, 160, 160, 3), dtype=np.uint8)


@every_backend
def test_the_wanted_outputs_come_as_float32_a_row_a_picture(backend: str, tiny_timm: Path) -> None:
    card = read_card(tiny_timm)
    network = load(tiny_timm, card, outputs=("embedding", "logits"), device="cpu", backend=backend)
    for count in (1, 3, 2):
        outputs = network.run(pixels(count))
        assert list(outputs) == ["embedding", "logits"]
        assert outputs["logits"].shape == (count, 7) and outputs["embedding"].shape == (count, card.embedding_size)
        assert all(value.dtype == np.float32 for value in outputs.values())


@every_backend
def test_features_for_class_activation_can_be_asked_for(backend: str, tiny_timm: Path) -> None:
    network = load(tiny_timm, read_card(tiny_timm), outputs=("features",), device="cpu", backend=backend)
    assert network.run(pixels(2))["features"].ndim == 4


@every_backend
def test_a_row_does_not_depend_on_its_neighbours(backend: str, tiny_timm: Path) -> None:
    network = load(tiny_timm, read_card(tiny_timm), outputs=("logits",), device="cpu", backend=backend)
    batch = pixels(5)
    together = network.run(batch)["logits"]
    alone = np.concatenate([network.run(batch[index : index + 1])["logits"] for index in range(5)])
    assert np.abs(together - alone).max() < 1e-4


@every_backend
def test_earlier_answers_stay_as_they_were(backend: str, tiny_timm: Path) -> None:
    network = load(tiny_timm, read_card(tiny_timm), outputs=("logits",), device="cpu", backend=backend)
    first = network.run(pixels(2))["logits"]
    copy = first.copy()
    network.run(255 - pixels(2))
    assert (first == copy).all()


@every_backend
def test_an_unknown_output_is_named(backend: str, tiny_timm: Path) -> None:
    with pytest.raises(ModelError, match="no output 'mood'"):
        load(tiny_timm, read_card(tiny_timm), outputs=("mood",), device="cpu", backend=backend).run(pixels(1))


@every_backend
def test_a_damaged_file_is_refused(backend: str, tiny_timm: Path, tmp_path: Path) -> None:
    for name in ("card.json", ONNX, WEIGHTS):
        (tmp_path / name).write_bytes((tiny_timm / name).read_bytes())
    needed = tmp_path / BACKENDS[backend][1]
    needed.write_bytes(needed.read_bytes() + b" ")
    with pytest.raises(DigestMismatch, match=needed.name):
        load(tmp_path, read_card(tmp_path), outputs=("logits",), device="cpu", backend=backend)


@every_backend
def test_it_says_what_it_is(backend: str, tiny_timm: Path) -> None:
    network = load(tiny_timm, read_card(tiny_timm), outputs=("logits",), device="cpu", backend=backend)
    assert network.words == f"{backend} f32 CPU" and network.device == "cpu"


def test_all_back_ends_agree(tiny_timm: Path) -> None:
    spec = PipelineSpec(digest="x", classifier=tiny_timm)
    pictures = [plain(RED), plain(BLUE), plain(GREY)]
    rows = []
    for backend in BACKENDS:
        answers = load_pipeline(spec, device="cpu", backend=backend).recognise(pictures)
        rows.append([answer.regions[0].scores for answer in answers if isinstance(answer, Answer)])
    assert len(rows[0]) == 3
    assert all(np.abs(np.array(row) - np.array(rows[0])).max() < 1e-3 for row in rows)


def test_a_missing_file_says_which_back_end_could_run(colour_folder: Path) -> None:
    with pytest.raises(ModelError, match="has no weights.safetensors"):
        choose(colour_folder, read_card(colour_folder), device="cpu", backend="torch")


def test_an_unknown_back_end_is_named(colour_folder: Path) -> None:
    with pytest.raises(ModelError, match="'abacus'"):
        choose(colour_folder, read_card(colour_folder), device="cpu", backend="abacus")


def test_a_low_precision_is_taken_from_the_card(tmp_path: Path) -> None:
    folder = make_colour_version(tmp_path / "low", precision={"openvino": "bf16"})
    pipeline = load_pipeline(PipelineSpec(digest="x", classifier=folder), device="cpu")
    # A processor without bf16 computes in f32 and says so.
    assert pipeline.backend in ("openvino bf16 CPU", "openvino f32 CPU")
    [answer] = pipeline.recognise([plain(RED)])
    assert isinstance(answer, Answer) and answer.label == "red"


def test_recognising_on_a_cpu_never_imports_torch(colour_folder: Path) -> None:
    script = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from classifier.engine import load_pipeline; from classifier.types import Decoded, PipelineSpec\n"
        f"pipeline = load_pipeline(PipelineSpec(digest='x', classifier=Path({str(colour_folder)!r})), device='cpu')\n"
        "pipeline.recognise([Decoded(np.zeros((9, 9, 3), np.uint8), 9, 9)])\n"
        "assert not {'torch', 'timm', 'django'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
