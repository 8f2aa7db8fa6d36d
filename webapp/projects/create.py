"""New projects, set up for the kind of pictures they hold."""

from __future__ import annotations

import re
from collections.abc import Sequence

from django.db import IntegrityError, transaction

from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.models import Membership, Role
from webapp.access.require import require
from webapp.access.table import Action
from webapp.errors import Conflict, Invalid
from webapp.projects.labels import NAME_LENGTH, ensure_labels
from webapp.projects.models import Field, Label, Project
from webapp.projects.names import fold, key_from
from webapp.projects.templates import LabelTemplate, fields_for, template_of

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
SLUG_LENGTH = 60


@transaction.atomic
def create_project(
    *,
    actor: Actor,
    name: str,
    slug: str = "",
    pictures: str = Project.Pictures.OTHER,
    labels: Sequence[str] = (),
    description: str = "",
    template_labels: bool = True,
) -> Project:
    """A project with its template's fields, special labels, splits and queues; whoever makes it is its admin.

    `template_labels` False leaves the special labels out, where a model's card brings its own.
    """
    require(actor, Action.CREATE_PROJECT)
    name = " ".join(name.split())
    if not name or len(name) > 120:
        raise Invalid("A project needs a name of 1 to 120 characters.")
    if pictures not in Project.Pictures.values:
        raise Invalid(f"pictures is one of {', '.join(Project.Pictures.values)}, not {pictures!r}.")
    template = template_of(pictures)
    project = _insert(
        Project(
            slug=_slug(name, slug),
            name=name,
            pictures=pictures,
            description=description,
            sequence_gap_seconds=template.sequence_gap_seconds,
            options=template.options(),
            created_by=actor.user,
        )
    )
    if actor.user is not None:
        Membership.objects.create(user=actor.user, project=project, role=Role.ADMIN)
    Field.objects.bulk_create(fields_for(project, template.fields))
    brought = template.labels if template_labels else ()
    ensure_labels(project=project, labels=[*_own_labels(labels, brought), *brought])
    audit.record(
        actor=actor, action="create project", project_id=project.pk, subject=f"project:{project.pk}", name=name
    )
    return project


def _slug(name: str, given: str) -> str:
    taken = set(Project.objects.values_list("slug", flat=True))
    if not given:
        return key_from(name, taken, otherwise="project", length=SLUG_LENGTH)
    if not SLUG.fullmatch(given) or len(given) > SLUG_LENGTH:
        raise Invalid(
            f"A project's short name has lower-case letters, digits and hyphens; {given[:80]!r} does not fit."
        )
    if given in taken:
        raise Conflict(f"There is a project {given!r} already: choose another short name.", code="project-exists")
    return given


def _insert(project: Project) -> Project:
    """Two people may choose one slug at once; the later is told so."""
    try:
        with transaction.atomic():
            project.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict(f"There is a project {project.slug!r} already.", code="project-exists") from error
    return project


def _own_labels(names: Sequence[str], brought: Sequence[LabelTemplate]) -> list[LabelTemplate]:
    """The labels that were asked for, each once; one that the template brings already is that one."""
    there = {fold(label.name) for label in brought}
    taken = {label.key for label in brought}
    made = []
    for folded, name in {fold(name): " ".join(name.split()) for name in names}.items():
        if folded and folded not in there:
            if len(name) > NAME_LENGTH:
                raise Invalid(f"A label's name has at most {NAME_LENGTH} characters; {name[:40]}… has {len(name)}.")
            made.append(LabelTemplate(key_from(name, taken), name, Label.Kind.NORMAL))
            taken.add(made[-1].key)
    return made
