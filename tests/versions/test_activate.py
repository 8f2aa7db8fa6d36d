"""Pipelines, and which of them answers."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from classifier.card import Label
from classifier.registry import read_active
from tests.versions.conftest import MakeFolder
from webapp.access.actors import OPERATOR, Actor, Via
from webapp.access.models import AuditEvent, Membership, User
from webapp.errors import Conflict, Forbidden, Invalid
from webapp.projects.create import create_project
from webapp.projects.models import Project
from webapp.versions.activate import STARTER_WORDS, activate, active_pipeline, roll_back
from webapp.versions.broken import mark_broken
from webapp.versions.models import Activation, Pipeline, Version
from webapp.versions.pipelines import make_pipeline, with_version
from webapp.versions.prepare import restore_active_files
from webapp.versions.publish import publish_folder


@pytest.fixture
def pipelines(project: Project, make_folder: MakeFolder) -> list[Pipeline]:
    """Three of one classifier each."""
    versions = [publish_folder(actor=OPERATOR, folder=make_folder(name), project=project) for name in "abc"]
    return [make_pipeline(project=project, classifier=version) for version in versions]


def use(pipeline: Pipeline, **more: object) -> Activation:
    return activate(actor=OPERATOR, project=pipeline.project, pipeline=pipeline, **more)  # type: ignore[arg-type]


def test_the_same_parts_and_settings_are_the_same_pipeline(project: Project, pipelines: list[Pipeline]) -> None:
    version = pipelines[0].classifier
    assert make_pipeline(project=project, classifier=version) == pipelines[0]
    other = [
        make_pipeline(project=project, classifier=version, crop_margin=0.1),
        make_pipeline(project=project, classifier=version, thresholds={"detector": 0.3}),
        make_pipeline(project=project, classifier=version, whole_image_when_nothing_found=False),
    ]
    assert len({pipeline.digest for pipeline in [*pipelines, *other]}) == 6


def test_a_pipeline_takes_versions_in_their_role_of_its_own_project(
    project: Project, pipelines: list[Pipeline], make_folder: MakeFolder
) -> None:
    classifier = pipelines[0].classifier
    with pytest.raises(Invalid, match="is a classifier, not a detector"):
        make_pipeline(project=project, detector=classifier)
    with pytest.raises(Invalid, match="another project"):
        make_pipeline(project=create_project(actor=OPERATOR, name="Other"), classifier=classifier)
    with pytest.raises(Invalid, match="at least one"):
        make_pipeline(project=project)
    with pytest.raises(Invalid, match="crop_margin"):
        make_pipeline(project=project, classifier=classifier, crop_margin=2)
    shared = publish_folder(actor=OPERATOR, folder=make_folder("shared"), project=None)
    assert make_pipeline(project=project, classifier=shared).classifier == shared


def test_a_version_takes_the_place_of_its_role_and_the_rest_stays(
    project: Project, pipelines: list[Pipeline], make_folder: MakeFolder
) -> None:
    identifier = publish_folder(actor=OPERATOR, folder=make_folder("i", role="identifier"), project=project)
    assert pipelines[1].classifier is not None
    base = make_pipeline(project=project, classifier=pipelines[0].classifier, identifier=identifier, crop_margin=0.2)
    changed = with_version(project, base, pipelines[1].classifier)
    assert (changed.classifier, changed.identifier, changed.crop_margin) == (pipelines[1].classifier, identifier, 0.2)


def test_the_newest_activation_holds_and_one_query_tells_which(project: Project, pipelines: list[Pipeline]) -> None:
    assert active_pipeline(project) is None
    for pipeline in (pipelines[0], pipelines[2], pipelines[1]):
        use(pipeline)
    with CaptureQueriesContext(connection) as queries:
        active = active_pipeline(project)
        assert active == pipelines[1]
        assert active is not None and active.classifier is not None and active.classifier.name == "Tiny"
    assert len(queries) == 1
    assert active_pipeline(project, "also") is None


def test_an_activation_is_an_event_with_who_why_and_gate(project: Project, pipelines: list[Pipeline]) -> None:
    ana = User.objects.create(username="ana")
    Membership.objects.create(user=ana, project=project, role="admin")
    use(pipelines[0])
    event = activate(
        actor=Actor(Via.SESSION, user=ana), project=project, pipeline=pipelines[1], note="better", gate={"ok": True}
    )
    assert (event.previous, event.pipeline, event.by, event.note, event.gate) == (
        pipelines[0],
        pipelines[1],
        ana,
        "better",
        {"ok": True},
    )
    logged = AuditEvent.objects.filter(action="activate").latest("pk")
    assert (logged.detail["before"], logged.detail["after"]) == (pipelines[0].digest, pipelines[1].digest)


def test_what_is_said_of_the_starter_goes_and_comes_with_it(project: Project, pipelines: list[Pipeline]) -> None:
    words = STARTER_WORDS["fish"]
    Project.objects.filter(pk=project.pk).update(slug="fish", notice=words)
    project.refresh_from_db()
    starter, own = pipelines[:2]
    Version.objects.filter(pk=starter.classifier_id).update(is_starter=True)
    told = []
    for pipeline in (own, Pipeline.objects.get(pk=starter.pk)):
        activate(actor=OPERATOR, project=project, pipeline=pipeline)
        told.append(Project.objects.get(pk=project.pk).notice)
    Project.objects.filter(pk=project.pk).update(notice="Small ones are missed.")
    activate(actor=OPERATOR, project=project, pipeline=own)
    assert told == ["", words]
    assert Project.objects.get(pk=project.pk).notice == "Small ones are missed."


def test_only_admins_activate(project: Project, pipelines: list[Pipeline]) -> None:
    trainer = User.objects.create(username="trainer")
    Membership.objects.create(user=trainer, project=project, role="trainer")
    actor = Actor(Via.SESSION, user=trainer)
    with pytest.raises(Forbidden):
        activate(actor=actor, project=project, pipeline=pipelines[0])
    with pytest.raises(Forbidden):
        roll_back(actor=actor, project=project, note="")


def test_who_decided_on_an_old_sight_is_told(project: Project, pipelines: list[Pipeline]) -> None:
    use(pipelines[0], expected=None)
    with pytest.raises(Conflict, match="meanwhile"):
        use(pipelines[1], expected=None)
    use(pipelines[1], expected=pipelines[0])
    assert active_pipeline(project) == pipelines[1]


@pytest.mark.django_db(transaction=True)
def test_of_two_who_activate_at_once_on_the_same_sight_one_wins(make_folder: MakeFolder, data: Path) -> None:
    project = create_project(actor=OPERATOR, name="Jungle")
    versions = [publish_folder(actor=OPERATOR, folder=make_folder(name), project=project) for name in "abcde"]
    pipelines = [make_pipeline(project=project, classifier=version) for version in versions]
    use(pipelines[0])
    barrier, outcomes = threading.Barrier(4), []

    def race(pipeline: Pipeline) -> None:
        barrier.wait()
        try:
            outcomes.append(use(pipeline, expected=pipelines[0]))
        except Conflict as conflict:
            outcomes.append(conflict)
        finally:
            connection.close()

    threads = [threading.Thread(target=race, args=(pipeline,)) for pipeline in pipelines[1:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(outcome, Activation) for outcome in outcomes) == 1
    assert len(outcomes) == 4
    active = active_pipeline(project)
    assert active is not None
    assert read_active(data, project.slug).pipeline == active.digest


def test_rolling_back_walks_back_step_by_step(project: Project, pipelines: list[Pipeline]) -> None:
    a, b, c = pipelines
    for pipeline in (a, b, c):
        use(pipeline)
    assert roll_back(actor=OPERATOR, project=project, note="worse").pipeline == b
    assert roll_back(actor=OPERATOR, project=project, note="worse still").pipeline == a
    with pytest.raises(Conflict, match="no earlier"):
        roll_back(actor=OPERATOR, project=project, note="")
    use(c)
    assert roll_back(actor=OPERATOR, project=project, note="").pipeline == a
    assert Activation.objects.filter(rolls_back=True).count() == 3
    assert AuditEvent.objects.filter(action="roll back").count() == 3


def test_a_broken_version_is_not_activated_not_even_by_rolling_back(
    project: Project, pipelines: list[Pipeline]
) -> None:
    use(pipelines[0])
    use(pipelines[1])
    broken = pipelines[0].classifier
    assert broken is not None
    mark_broken(version=broken, reason="weights.safetensors is damaged")
    with pytest.raises(Conflict, match="damaged"):
        roll_back(actor=OPERATOR, project=project, note="")
    assert active_pipeline(project) == pipelines[1]


def test_activating_brings_the_labels_a_version_can_answer(project: Project, make_folder: MakeFolder) -> None:
    labels = (Label("lynx", "lynx", parent="cat"), Label("owl", "owl"))
    folder = make_folder("x", labels=labels, ancestors=(Label("cat", "cats"),))
    version = publish_folder(actor=OPERATOR, folder=folder, project=project)
    use(make_pipeline(project=project, classifier=version))
    assert set(project.labels.values_list("key", flat=True)) == {"lynx", "owl", "cat"}
    lynx = project.labels.get(key="lynx")
    assert lynx.parent is not None and lynx.parent.key == "cat"


def test_other_slots_live_beside_and_can_be_emptied(project: Project, pipelines: list[Pipeline]) -> None:
    use(pipelines[0])
    use(pipelines[1], slot="also")
    assert active_pipeline(project, "also") == pipelines[1]
    activate(actor=OPERATOR, project=project, pipeline=None, slot="also")
    assert active_pipeline(project, "also") is None
    assert active_pipeline(project) == pipelines[0]
    with pytest.raises(Invalid, match="cannot be emptied"):
        activate(actor=OPERATOR, project=project, pipeline=None)
    with pytest.raises(Invalid, match="slot"):
        use(pipelines[0], slot="sideways")


@pytest.mark.django_db(transaction=True)
def test_the_command_lines_file_follows_on_commit_and_is_restored(make_folder: MakeFolder, data: Path) -> None:
    project = create_project(actor=OPERATOR, name="Jungle", slug="jungle")
    version = publish_folder(actor=OPERATOR, folder=make_folder(), project=project)
    pipeline = make_pipeline(project=project, classifier=version, crop_margin=0.25)
    use(pipeline)
    active = read_active(data, "jungle")
    assert (active.pipeline, active.classifier, active.crop_margin) == (
        pipeline.digest,
        f"versions/{version.digest}",
        0.25,
    )
    assert active.spec(data).classifier == data / "versions" / version.digest
    path = data / "active" / "jungle.json"
    for damage in (path.unlink, lambda: path.write_text("{"), lambda: path.write_text(json.dumps({"pipeline": "x"}))):
        damage()
        restore_active_files()
        assert read_active(data, "jungle") == active


@pytest.mark.django_db(transaction=True)
def test_an_activation_that_is_taken_back_writes_no_file(make_folder: MakeFolder, data: Path) -> None:
    project = create_project(actor=OPERATOR, name="Jungle", slug="jungle")
    good = publish_folder(actor=OPERATOR, folder=make_folder(), project=project)
    Version.objects.filter(pk=good.pk).update(card={"format_version": 99})
    good.refresh_from_db()
    with pytest.raises(Conflict, match="format_version"):
        use(make_pipeline(project=project, classifier=good))
    assert not Activation.objects.exists()
    assert not (data / "active" / "jungle.json").exists()
