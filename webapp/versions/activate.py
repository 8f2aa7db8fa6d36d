"""Put a pipeline in use, and take the step back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from classifier.card import parse_card
from classifier.errors import ModelError
from classifier.registry import read_active, write_active
from classifier.starter import PROJECTS
from webapp import queue
from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.errors import Conflict, Invalid
from webapp.projects.labels import ensure_labels
from webapp.projects.models import Project
from webapp.versions.locks import file_lock
from webapp.versions.models import Activation, Pipeline
from webapp.versions.pipelines import as_active, versions_of

LIVE = Activation.Slot.LIVE
CATCH_UP = "webapp.predictions.tasks_io.catch_up"
"""Images that came while nothing was in use are asked about from the first activation on."""


STARTER_WORDS = {starter.slug: starter.notice for starter in PROJECTS}


class Unchecked:
    """Says that the caller does not care which pipeline was in use before."""


UNCHECKED = Unchecked()


def active_pipeline(project: Project, slot: str = LIVE) -> Pipeline | None:
    """What answers in a project now, with its versions: one query."""
    newest = newest_activation(project, slot)
    return newest.pipeline if newest else None


def active_pipeline_id(project_id: int, slot: str = LIVE) -> int | None:
    """The same, by ids alone and by hand: each upload asks."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pipeline_id FROM versions_activation WHERE project_id = %s AND slot = %s ORDER BY id DESC LIMIT 1",
            [project_id, slot],
        )
        row = cursor.fetchone()
    return row[0] if row else None


def newest_activation(project: Project, slot: str = LIVE) -> Activation | None:
    parts = ("pipeline__detector", "pipeline__classifier", "pipeline__identifier", "pipeline__external")
    activations = Activation.objects.filter(project=project, slot=slot).select_related(*parts)
    return activations.order_by("-pk").first()


@transaction.atomic
def activate(
    *,
    actor: Actor,
    project: Project,
    pipeline: Pipeline | None,
    slot: str = LIVE,
    note: str = "",
    gate: Mapping[str, Any] | None = None,
    rolls_back: bool = False,
    expected: Pipeline | None | Unchecked = UNCHECKED,
) -> Activation:
    """Record that `pipeline` answers from now on; rows that wait keep the pipeline they were born with.

    `expected` is the pipeline that the caller saw in use: if another one has come in between, nothing changes and
    Conflict says so. `pipeline` None empties a slot other than live.
    """
    require(actor, Action.ACTIVATE, project)
    project.notice = Project.objects.select_for_update().get(pk=project.pk).notice
    previous = active_pipeline(project, slot)
    if not isinstance(expected, Unchecked) and expected != previous:
        raise Conflict(
            f"Another pipeline ({previous or 'none'}) was activated in {project.slug} meanwhile: look again.",
            code="activated-meanwhile",
        )
    _check(project, pipeline, slot)
    activation = Activation.objects.create(
        project=project,
        slot=slot,
        previous=previous,
        pipeline=pipeline,
        by=actor.user,
        note=note,
        gate=dict(gate or {}),
        rolls_back=rolls_back,
    )
    if pipeline is not None:
        _ensure_answers(project, pipeline)
        if slot == LIVE:
            _say_of_starter(project, pipeline)
    audit.record(
        actor=actor,
        action="roll back" if rolls_back else "activate",
        project_id=project.pk,
        subject=f"activation:{activation.pk}",
        slot=slot,
        before=previous.digest if previous else None,
        after=pipeline.digest if pipeline else None,
        note=note,
    )
    if slot == LIVE:
        _end_beside(activation)
        transaction.on_commit(lambda: write_active_file(project))
        queue.send(CATCH_UP, project.pk, queue="io")
    return activation


def _end_beside(now: Activation) -> None:
    """What answers now is not tried beside itself; and what suggests was better than another one, now gone."""
    for slot, why in ((Activation.Slot.ALSO, "It answers now."), (Activation.Slot.SUGGEST, "Another version answers.")):
        beside = active_pipeline(now.project, slot)
        if beside is not None and (slot == Activation.Slot.SUGGEST or beside == now.pipeline):
            Activation.objects.create(project=now.project, slot=slot, previous=beside, by=now.by, note=why)


def _check(project: Project, pipeline: Pipeline | None, slot: str) -> None:
    if slot not in Activation.Slot.values:
        raise Invalid(f"slot is one of {', '.join(Activation.Slot.values)}, not {slot!r}.")
    if pipeline is None:
        if slot == LIVE:
            raise Invalid("The live slot cannot be emptied: activate another pipeline instead.")
        return
    if pipeline.project_id != project.pk:
        raise Invalid("This pipeline belongs to another project.")
    for version in versions_of(pipeline):
        version.refresh_from_db(fields=["broken_at", "broken_reason"])
        if version.broken_at is not None:
            raise Conflict(f"{version.name} cannot be used: {version.broken_reason}", code="version-broken")


def _ensure_answers(project: Project, pipeline: Pipeline) -> None:
    """Every answer a version can give is a label of the project from the start."""
    for version in versions_of(pipeline):
        if version.role != version.Role.IDENTIFIER and version.card:
            try:
                card = parse_card(version.card, origin=f"the card of {version.name}")
            except ModelError as error:
                raise Conflict(str(error), code="version-broken") from error
            ensure_labels(project=project, labels=[*card.labels, *card.ancestors])


def _say_of_starter(project: Project, pipeline: Pipeline) -> None:
    """What is said of the starter is said while it answers; words of people stay as they are."""
    words = STARTER_WORDS.get(project.slug, "") if any(one.is_starter for one in versions_of(pipeline)) else ""
    if project.notice != words and (not project.notice or project.notice in STARTER_WORDS.values()):
        project.notice = words
        Project.objects.filter(pk=project.pk).update(notice=words)


def roll_back(*, actor: Actor, project: Project, note: str, slot: str = LIVE) -> Activation:
    """Activate what was in use before the newest step that was not taken back yet."""
    require(actor, Action.ACTIVATE, project)
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)
        trail = _trail(project, slot)
        if len(trail) < 2:
            raise Conflict(f"{project.name} has no earlier pipeline to go back to.", code="nothing-before")
        target = Pipeline.objects.get(pk=trail[-2]) if trail[-2] is not None else None
        return activate(actor=actor, project=project, pipeline=target, slot=slot, note=note, rolls_back=True)


def before(project: Project, slot: str = LIVE) -> Pipeline | None:
    """What a roll back would put in use."""
    trail = _trail(project, slot)
    if len(trail) < 2 or trail[-2] is None:
        return None
    return Pipeline.objects.select_related("detector", "classifier", "identifier", "external").get(pk=trail[-2])


def _trail(project: Project, slot: str) -> list[int | None]:
    """Pipelines in use, oldest first, without the steps that were taken back."""
    trail: list[int | None] = []
    events = Activation.objects.filter(project=project, slot=slot).order_by("pk")
    for pipeline_id, rolls_back in events.values_list("pipeline_id", "rolls_back"):
        if rolls_back and len(trail) > 1:
            trail.pop()
        else:
            trail.append(pipeline_id)
    return trail


def write_active_file(project: Project) -> bool:
    """Bring `active/<slug>.json` in line with the newest activation; whether anything had to be written.

    Reads the database anew under a lock, so that of two activations at once the newer one stays in the file.
    """
    with file_lock(settings.DATA_DIR / "active" / ".lock"):
        pipeline = active_pipeline(project)
        if pipeline is None or not (pipeline.classifier or pipeline.detector):
            return False
        wanted = as_active(project, pipeline)
        try:
            if read_active(settings.DATA_DIR, project.slug) == wanted:
                return False
        except ModelError:
            pass  # missing or damaged: it is written below
        write_active(settings.DATA_DIR, wanted)
        return True
