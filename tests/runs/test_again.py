"""Training a version again: from its run or from its card, to the same report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from tests.colour_project import COLOURS, make_colours, point_settings, send
from training.contract import RunConfig, as_values
from webapp.access.actors import OPERATOR
from webapp.datasets.freeze import freeze
from webapp.datasets.freeze_options import FreezeOptions
from webapp.datasets.models import Snapshot
from webapp.errors import Invalid
from webapp.images.models import Image
from webapp.predictions.drain import Drainer
from webapp.predictions.models import Prediction
from webapp.projects.models import Project
from webapp.reviews.decide import AnnotationDraft, decide_many
from webapp.reviews.models import Review
from webapp.runs.again import again, differing
from webapp.runs.carry_out import carry_out
from webapp.runs.models import Run
from webapp.runs.start import start_run

pytestmark = [pytest.mark.django_db, pytest.mark.databases]


@pytest.fixture
def colours(tmp_path: Path, settings: Settings) -> Project:
    """Sixty reviewed pictures of three colours."""
    point_settings(settings, tmp_path)
    project = make_colours(tmp_path)
    ids = {name: [send(project, settings, name, seed).image_id for seed in range(20)] for name in COLOURS}
    worker = Drainer("w")
    while Prediction.objects.filter(state="pending").exists():
        worker.drain()
    worker.close()
    for name, images in ids.items():
        rows = list(Image.objects.filter(pk__in=images))
        decide_many(
            actor=OPERATOR, project=project, images=rows, verdict="labelled",
            annotations=[AnnotationDraft(label_key=name)], how=Review.How.BLIND,
        )  # fmt: skip
    return project


def frozen(project: Project) -> Snapshot:
    return freeze(actor=OPERATOR, project=project, options=FreezeOptions(split="shares", shares=(60, 20, 20)))


@pytest.mark.long  # it trains twice
@pytest.mark.timeout(300)
def test_a_head_comes_out_the_same_from_its_run_and_from_its_card(
    colours: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    first = start_run(
        actor=OPERATOR, project=colours, snapshot=frozen(colours), recipe="head", config={"seed": 5}, here=True
    )
    done = carry_out(first.pk)
    assert done is not None and done.version is not None, done and done.reason
    version = done.version
    with pytest.raises(SystemExit) as ended:
        call_command("retrain", "--project", colours.slug, "--again", str(version.pk))
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (ended.value.code, told["state"], told["reason"]) == (0, "done", "")
    assert told["again"] == {"same_report": True, "differs": []}
    assert told["version"]["digest"] == version.digest, "the same bytes are the same version"

    by_run = again(colours, version)
    Run.objects.all().delete()
    by_card = again(colours, version)
    assert (by_card.snapshot, by_card.recipe, by_card.model) == (by_run.snapshot, by_run.recipe, by_run.model)
    assert by_card.config["seed"] == by_run.config["seed"] == 5


def test_what_cannot_be_known_is_said(colours: Project) -> None:
    version = colours.versions.get(name="first")
    with pytest.raises(Invalid, match="names no settings"):
        again(colours, version)
    version.card = {
        **version.card,
        "training_config": {"recipe": "head", "start_from": "f" * 64},
        "snapshot": frozen(colours).digest,
    }
    with pytest.raises(Invalid, match="which is not here"):
        again(colours, version)
    version.card["training_config"] |= {"image_weights": "weights.csv"}
    with pytest.raises(Invalid, match="weights from a file"):
        again(colours, version)
    with pytest.raises(CommandError, match="leave the others out"):
        call_command("retrain", "--project", colours.slug, "--again", "first", "epochs=3")


def test_only_figures_have_to_come_out_the_same() -> None:
    before = {"metrics": {"accuracy": 0.9}, "speed": {"milliseconds": 3}, "name": "a"}
    assert differing(before, {**before, "speed": {"milliseconds": 4}, "name": "b"}) == []
    assert differing(before, {**before, "metrics": {"accuracy": 0.8}}) == ["metrics"]
    assert differing(before, None) is None


def test_a_setting_that_came_later_is_no_difference_unless_it_was_changed() -> None:
    then = {"configuration": {"epochs": 5}}
    assert differing(then, {"configuration": as_values(RunConfig(epochs=5))}) == []
    assert differing(then, {"configuration": as_values(RunConfig(epochs=5, batch_size=4))}) == ["configuration"]
