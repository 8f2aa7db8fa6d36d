"""Starting a run: who may, what is refused at once and why, where it begins, what its folder holds."""

from __future__ import annotations

import json
import zipfile
from datetime import UTC, datetime

import numpy as np
import pytest
import yaml

from tests.runs.conftest import Pond
from training.contract import RunConfig, as_values, parse_config, read_manifest
from webapp.access.actors import OPERATOR
from webapp.access.models import AuditEvent
from webapp.errors import Forbidden, Invalid
from webapp.images.models import File
from webapp.predictions.models import Embedding, Prediction
from webapp.projects.models import Project
from webapp.runs import queue
from webapp.runs.cancel import cancel_run
from webapp.runs.folder import write_folder
from webapp.runs.models import Run
from webapp.runs.queue import startable
from webapp.runs.settings_words import read_settings
from webapp.runs.start import start_run
from webapp.versions.activate import activate
from webapp.versions.models import Version
from webapp.versions.pipelines import make_pipeline


def test_trainers_start_and_cancel_and_curators_do_not(pond: Pond) -> None:
    run = pond.start(who="tess")
    for who in ("cora", "vic"):
        with pytest.raises(Forbidden):
            pond.start(who=who)
        with pytest.raises(Forbidden):
            cancel_run(actor=pond.people[who], run=run)
    started = AuditEvent.objects.get(action="start training")
    assert (started.user, started.detail["recipe"]) == (pond.people["tess"].user, "head")


@pytest.mark.parametrize(
    ("labels", "words"),
    [({"cod": {"train": 3}, "hake": {"test": 1}, "": {"train": 9}}, "the label cod alone"), ({}, "has no label")],
)
def test_a_snapshot_of_one_label_is_refused_at_once(pond: Pond, labels: dict[str, object], words: str) -> None:
    pond.snapshot.counts |= {"class_by": "label", "labels": labels}
    with pytest.raises(Invalid, match=words) as refused:
        pond.start()
    assert refused.value.code == "one-label"
    pond.snapshot.counts["labels"] = {"cod": {"train": 3}, "hake": {"train": 1}}
    assert pond.start().state == Run.State.WAITING


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ({"recipe": "magic"}, "no-such-recipe", "head, fine-tune, two-stage"),
        ({"config": {"epoch": 3}}, "bad-setting", "Did you mean epochs"),
        ({"config": {"epochs": "many"}}, "bad-setting", "a whole number"),
        ({"config": {"recipe": "fine-tune"}}, "bad-setting", "beside the settings"),
        ({"config": {"image_weights": "/etc/passwd"}}, "bad-setting", "names a file of the site"),
        ({"config": {"start": "pretrained"}, "recipe": "fine-tune"}, "bad-setting", "architecture=NAME"),
        ({"when": "tomorrow"}, "invalid", "now, tonight, idle"),
    ],
)
def test_what_cannot_be_right_is_refused_at_once(pond: Pond, more: dict[str, object], code: str, words: str) -> None:
    asked = {"recipe": "head", **more}
    with pytest.raises(Invalid) as refused:
        start_run(actor=pond.people["tess"], project=pond.project, snapshot=pond.snapshot, **asked)  # type: ignore[arg-type]
    assert refused.value.code == code
    assert words in refused.value.what
    assert not Run.objects.exists()


def test_a_snapshot_without_a_train_part_is_nothing_to_train_on(pond: Pond) -> None:
    pond.snapshot.counts = {"parts": {"test": 5}}
    with pytest.raises(Invalid, match="no image to train on"):
        pond.start()


def test_the_operator_may_name_files_of_the_machine(pond: Pond) -> None:
    run = start_run(
        actor=OPERATOR,
        project=pond.project,
        snapshot=pond.snapshot,
        recipe="fine-tune",
        config={"start": "weights", "start_from": "/srv/w.safetensors", "architecture": "resnet18", "seed": 7},
        here=True,
    )
    assert (run.start_version, run.seed, "seed" in run.config) == (None, 7, False)
    assert yaml.safe_load((write_folder(run) / "config.yaml").read_text())["start_from"] == "/srv/w.safetensors"


def test_it_starts_from_what_answers_now_else_from_the_starter(pond: Pond) -> None:
    assert pond.start().start_version == pond.version
    other = Version.objects.create(project=pond.project, name="second", role="classifier", digest="5" * 64, card={})
    pipeline = make_pipeline(project=pond.project, classifier=other)
    activate(actor=OPERATOR, project=pond.project, pipeline=pipeline)
    assert pond.start().start_version == other
    assert pond.start(model=pond.version).start_version == pond.version


def test_a_version_of_another_project_is_no_start(pond: Pond) -> None:
    elsewhere = Project.objects.create(slug="sea", name="Sea")
    version = Version.objects.create(project=elsewhere, name="x", role="classifier", digest="6" * 64)
    with pytest.raises(Invalid, match="another project"):
        pond.start(model=version)


def test_tonight_waits_for_the_night_and_idle_for_silence(pond: Pond, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue.timezone, "now", lambda: datetime(2025, 5, 1, 9, 30, tzinfo=UTC))
    assert pond.start(when="tonight").not_before == datetime(2025, 5, 1, 20, tzinfo=UTC)
    monkeypatch.setattr(queue.timezone, "now", lambda: datetime(2025, 5, 1, 23, 30, tzinfo=UTC))
    assert pond.start(when="tonight").not_before is None
    Run.objects.all().delete()
    run = pond.start(when="idle")
    assert startable().get() == run
    pipeline = make_pipeline(project=pond.project, classifier=pond.version)
    Prediction.objects.create(image=pond.images[0], pipeline=pipeline)
    assert not startable().exists()


def test_the_folder_holds_all_that_training_reads(pond: Pond) -> None:
    File.objects.filter(pk=pond.images[1].file_id).update(in_place_path="/mnt/card/1.jpg")
    folder = write_folder(pond.start())
    config = parse_config(yaml.safe_load((folder / "config.yaml").read_text()))
    assert set(as_values(config)) == set(as_values(RunConfig()))
    assert (config.start, config.start_from.rpartition("/")[2]) == ("version", pond.version.digest)
    head, lines = read_manifest(folder / "manifest.jsonl.gz")
    assert (head.project, len(list(lines))) == ("pond", 6)
    pictures = json.loads((folder / "pictures.json").read_text())
    assert pictures["files"] == {pond.images[1].file.sha256: "/mnt/card/1.jpg"}
    assert pictures["ending"]["image/jpeg"] == ".jpg"


def test_embeddings_are_those_of_the_start_and_of_images_in_use(pond: Pond) -> None:
    for number, image in enumerate(pond.images):
        if number != 2:
            vector = np.full(3, number, dtype="<f2").tobytes()
            Embedding.objects.create(image=image, version=pond.version, space="colours", vector=vector)
    Embedding.objects.create(image=pond.images[2], version=pond.version, space="another", vector=b"\0" * 6)
    path = write_folder(pond.start()) / "embeddings.npz"
    with np.load(path, allow_pickle=False) as data:
        assert str(data["space"]) == "colours"
        assert data["sha256"].tolist() == [pond.images[number].file.sha256 for number in (0, 1, 3, 4)]
        assert data["vectors"].dtype == np.float16
        assert data["vectors"].tolist() == [[number] * 3 for number in (0, 1, 3, 4)]
    assert {one.compress_type for one in zipfile.ZipFile(path).infolist()} == {zipfile.ZIP_STORED}


def test_words_of_the_command_line_become_settings_of_their_kinds() -> None:
    assert read_settings(["epochs=4", "augment=no", "loss=focal"]) == {"epochs": 4, "augment": False, "loss": "focal"}
    with pytest.raises(Invalid, match="epochs"):
        read_settings(["epoch=4"])
