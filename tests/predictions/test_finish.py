"""Images of a project without a model, and finishing in this process what waits."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from pytest_django import Settings

from tests.colour_versions import make_colour_version
from tests.pictures import exif_block, jpeg, random_bytes
from webapp.access.actors import OPERATOR
from webapp.images.keep import ReceivedFile
from webapp.images.models import Image, ImageState, Item, Upload
from webapp.images.recount import recount
from webapp.images.store import derived_path, open_original
from webapp.predictions.accept import Accepted, accept_image
from webapp.predictions.catch_up import catch_up, catch_up_all
from webapp.predictions.claim import claim
from webapp.predictions.finish import finish_waiting, measure_now
from webapp.predictions.models import Embedding, Prediction, Region
from webapp.projects.create import create_project
from webapp.projects.models import Project
from webapp.reviews.rebuild import rebuild_states
from webapp.versions import pipelines
from webapp.versions.activate import activate
from webapp.versions.models import Version
from webapp.versions.publish import publish_folder

State, Purpose = Prediction.State, Prediction.Purpose

pytestmark = [pytest.mark.django_db, pytest.mark.databases]


@pytest.fixture
def starter(own_folders: Path) -> Version:
    """The starter version of another project, in a data folder of its own."""
    others = create_project(actor=OPERATOR, name="Others", template_labels=False)
    folder = make_colour_version(own_folders / "colours")
    return publish_folder(actor=OPERATOR, folder=folder, project=others, is_starter=True)


@pytest.fixture
def reef(starter: Version) -> Project:
    """A project in which no model was ever in use."""
    return create_project(actor=OPERATOR, name="Reef", template_labels=False)


def send(project: Project, settings: Settings, content: bytes) -> tuple[Accepted, Item]:
    path = settings.INCOMING_DIR / hashlib.sha256(content).hexdigest()
    path.write_bytes(content)
    received = ReceivedFile(path=path, sha256=path.name, size=len(content))
    upload = Upload.objects.get_or_create(project=project, name="sent")[0]
    item = Item.objects.create(upload=upload, path=path.name)
    return accept_image(actor=OPERATOR, project=project, received=received, upload=upload, item=item), item


def use_a_model(project: Project, tmp_path: Path) -> None:
    version = publish_folder(actor=OPERATOR, folder=make_colour_version(tmp_path / "own"), project=project)
    activate(actor=OPERATOR, project=project, pipeline=pipelines.make_pipeline(project=project, classifier=version))


def test_without_a_model_an_image_is_measured_and_embedded_and_called_nothing(
    reef: Project, settings: Settings
) -> None:
    facts = exif_block(captured_at="2021:03:04 05:06:07", utc_offset="+02:00")
    sent, item = send(reef, settings, jpeg(400, 300, seed=1, exif=facts))
    assert (sent.prediction_id, sent.prediction_state, sent.state) == (None, "", "new")
    assert finish_waiting(project=reef) == 1
    image = Image.objects.get(pk=sent.image_id)
    assert (image.measured_at is None, image.perceptual_hash in (None, 0)) == (False, False)
    assert (image.utc_offset_minutes, image.captured_at) == (120, "2021-03-04T05:06:07")
    assert derived_path(image.file.sha256, "256.jpg").exists()
    assert Embedding.objects.get(image=image).region_id is None
    state = ImageState.objects.get(pk=image.pk)
    assert (state.label_id, state.machine_label_id, state.score, state.failure) == (None, None, None, "")
    assert state.captured_at_utc is not None
    item.refresh_from_db()
    assert item.state == Item.State.DONE
    assert not Region.objects.exists()
    assert rebuild_states(reef).states == recount(reef) == 0


def test_without_a_model_a_picture_that_cannot_be_read_is_rejected_with_its_reason(
    reef: Project, settings: Settings
) -> None:
    good = jpeg(64, 48)
    sent, item = send(reef, settings, good[: good.index(b"\xff\xda") + 20] + random_bytes(40))
    original = open_original(Image.objects.get(pk=sent.image_id).file)
    original.write_bytes(good[: good.index(b"\xff\xda")])
    finish_waiting(project=reef)
    item.refresh_from_db()
    assert item.state == Item.State.REJECTED and item.reason
    state = ImageState.objects.get(pk=sent.image_id)
    assert (state.failure, state.label_id) == (item.code, None)
    assert rebuild_states(reef).states == 0


def test_the_first_model_in_use_is_asked_about_what_came_before_it_once(
    reef: Project, settings: Settings, tmp_path: Path
) -> None:
    sent = [send(reef, settings, jpeg(40, 30, seed=seed))[0] for seed in range(3)]
    finish_waiting(project=reef)
    use_a_model(reef, tmp_path)
    late, item = send(reef, settings, jpeg(40, 30, seed=9))
    assert late.prediction_id is not None
    assert catch_up(reef.pk) == 3
    assert (catch_up(reef.pk), catch_up_all()) == (0, None)
    assert finish_waiting(project=reef) == 4
    states = ImageState.objects.filter(project=reef, machine_label__isnull=False)
    assert set(states.values_list("pk", flat=True)) == {one.image_id for one in [*sent, late]}
    assert Prediction.objects.filter(purpose=Purpose.LIVE, state=State.DONE).count() == 4


def test_measures_that_come_after_a_live_answer_leave_it_standing(
    reef: Project, settings: Settings, tmp_path: Path
) -> None:
    sent, _ = send(reef, settings, jpeg(40, 30, seed=1))
    waiting = Prediction.objects.get(image_id=sent.image_id)
    Prediction.objects.filter(pk=waiting.pk).update(state=State.FAILED)
    use_a_model(reef, tmp_path)
    finish_waiting(project=reef)
    label = ImageState.objects.get(pk=sent.image_id).machine_label_id
    Prediction.objects.filter(pk=waiting.pk).update(state=State.PENDING)
    finish_waiting(project=reef)
    assert label is not None
    assert ImageState.objects.get(pk=sent.image_id).machine_label_id == label


def test_measuring_now_needs_no_model_and_leaves_the_waiting_work_to_the_workers(
    reef: Project, settings: Settings
) -> None:
    Version.objects.update(is_starter=False)
    facts = exif_block(captured_at="2021:03:04 05:06:07")
    sent = [send(reef, settings, jpeg(300, 200, seed=seed, exif=facts))[0] for seed in range(3)]
    lost = Image.objects.get(pk=sent[2].image_id)
    open_original(lost.file).unlink()
    seen: list[tuple[int, int]] = []
    found = measure_now(project=reef, progress=lambda done, total: seen.append((done, total)))
    assert (found.measured, list(found.failed), seen) == (2, [lost.pk], [(3, 3)])
    assert Image.objects.filter(measured_at=None).get() == lost
    assert not Prediction.objects.exists()
    assert measure_now(project=reef).measured == 0
    assert recount(reef) == 0


def test_finishing_one_project_leaves_the_work_of_others_alone(reef: Project, settings: Settings) -> None:
    shore = create_project(actor=OPERATOR, name="Shore", template_labels=False)
    send(shore, settings, jpeg(40, 30, seed=5))
    send(reef, settings, jpeg(40, 30, seed=6))
    assert finish_waiting(project=reef) == 1
    assert Prediction.objects.filter(state=State.PENDING).get().image.project == shore


def test_what_another_worker_holds_is_waited_for(
    reef: Project, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(reef, settings, jpeg(40, 30, seed=5))
    pipeline = Prediction.objects.get().pipeline_id
    held = claim(limit=1, worker="elsewhere", pipelines=[pipeline])
    seen: list[int] = []

    def let_go(done: int, total: int) -> None:
        seen.append(done)
        Prediction.objects.filter(lease_token=held.token).update(state=State.PENDING, lease_token="")

    assert finish_waiting(project=reef, progress=let_go) == 1
    assert seen[0] == 0 and seen[-1] == 1
