"""Labels of a project: from a card or by hand, found by any of their names, renamed and merged without loss."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from django.db import transaction
from django.db.models import Case, IntegerField, Max, Q, QuerySet, Value, When

from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.errors import Conflict, Invalid, NotFound
from webapp.projects.models import Label, LabelName, Project
from webapp.projects.names import fold, key_from

NAME_LENGTH = 200
BATCH = 500


class LabelLike(Protocol):
    """A label as a model card or a template describes it; `parent` is a key or ''."""

    @property
    def key(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def synonyms(self) -> Sequence[str]: ...
    @property
    def parent(self) -> str: ...
    @property
    def scientific_name(self) -> str: ...


@transaction.atomic
def ensure_labels(*, project: Project, labels: Iterable[LabelLike]) -> dict[str, Label]:
    """Make the labels a project lacks, with synonyms and places in the tree; returns all its labels by key.

    What people changed stays: of a label that exists only missing synonyms are added.
    """
    Project.objects.select_for_update().get(pk=project.pk)
    wanted = {label.key: label for label in labels}
    there = {label.key: label for label in project.labels.all()}
    made = _make_missing(project, [like for key, like in wanted.items() if key not in there], len(there))
    everything = there | made
    children = [made[key] for key, like in wanted.items() if key in made and like.parent]
    for child in children:
        child.parent = everything.get(wanted[child.key].parent)
    Label.objects.bulk_update(children, ["parent"], batch_size=BATCH)
    _add_names({everything[key]: like.synonyms for key, like in wanted.items()})
    return everything


def _make_missing(project: Project, missing: Sequence[LabelLike], first: int) -> dict[str, Label]:
    rows = [
        Label(
            project=project,
            key=like.key,
            name=like.name[:NAME_LENGTH],
            kind=like.kind,
            scientific_name=like.scientific_name[:NAME_LENGTH],
            position=first + number,
        )
        for number, like in enumerate(missing)
    ]
    for row, like in zip(rows, missing, strict=True):
        row.search_text = search_text(row, [name[:NAME_LENGTH] for name in like.synonyms])
    return {label.key: label for label in Label.objects.bulk_create(rows, batch_size=BATCH)}


def _add_names(synonyms: dict[Label, Sequence[str]]) -> None:
    """Add other names where they are new, and make the labels findable by them."""
    by_id = {label.pk: label for label in synonyms}
    known: dict[int, dict[str, str]] = {pk: {} for pk in by_id}
    projects = {label.project_id for label in synonyms}
    others = LabelName.objects.filter(label__project_id__in=projects).order_by("pk")
    for pk, name in others.values_list("label_id", "name"):
        if pk in known:
            known[pk][fold(name)] = name
    rows, changed = [], []
    for label, names in synonyms.items():
        own = known[label.pk]
        new = {fold(name): name[:NAME_LENGTH] for name in names if fold(name) and fold(name) not in own}
        rows += [LabelName(label=label, name=name) for name in new.values()]
        text = search_text(label, [*own.values(), *new.values()])
        if text != label.search_text:
            label.search_text = text
            changed.append(label)
    LabelName.objects.bulk_create(rows, batch_size=BATCH)
    Label.objects.bulk_update(changed, ["search_text"], batch_size=BATCH)


def search_text(label: Label, others: Iterable[str]) -> str:
    """All names of a label, folded, its own first; each between line breaks."""
    names = dict.fromkeys(fold(name) for name in (label.name, label.scientific_name, *others))
    return "\n" + "\n".join(name for name in names if name) + "\n"


def refresh_search(label: Label) -> bool:
    """Derive `search_text` again after a name changed; whether it did."""
    before = label.search_text
    label.search_text = search_text(label, label.names.order_by("pk").values_list("name", flat=True))
    if label.search_text == before:
        return False
    Label.objects.filter(pk=label.pk).update(search_text=label.search_text)
    return True


def search_labels(project: Project, text: str, limit: int = 20) -> QuerySet[Label]:
    """Labels one of whose names holds `text`, case and accents aside: best first. Merged ones are left out."""
    wanted = fold(text)
    labels = Label.objects.filter(project=project, merged_into=None)
    if not wanted:
        return labels.order_by("-pinned", "position", "name")[:limit]
    ranks = [f"\n{wanted}\n", f"\n{wanted}", f" {wanted}"]
    rank = Case(
        When(search_text__startswith=ranks[0], then=Value(0)),
        When(search_text__contains=ranks[0], then=Value(1)),
        When(search_text__startswith=ranks[1], then=Value(2)),
        When(search_text__contains=ranks[1], then=Value(3)),
        When(search_text__contains=ranks[2], then=Value(4)),
        default=Value(5),
        output_field=IntegerField(),
    )
    found = labels.filter(search_text__contains=wanted).annotate(rank=rank)
    return found.order_by("rank", "-pinned", "position", "name")[:limit]


def label_by_key_or_name(project: Project, text: str) -> Label:
    """The label with this key, or the only one with this name or synonym; a merged one gives what it became."""
    labels = Label.objects.filter(project=project).select_related("merged_into")
    label = labels.filter(key=text).first()
    if label is None:
        found = list(labels.filter(merged_into=None, search_text__contains=f"\n{fold(text)}\n")[:3]) if text else []
        own = [label for label in found if fold(label.name) == fold(text)]
        found = own or found
        if len(found) > 1:
            names = ", ".join(f"{label.name} ({label.key})" for label in found)
            raise Conflict(f"{text!r} is a name of several labels: {names}. Say which by its key.")
        label = found[0] if found else None
    if label is None:
        near = ", ".join(label.name for label in search_labels(project, text, 3))
        hint = f" Did you mean {near}?" if near else " Add it to the project's labels first."
        raise NotFound(f"The project {project.slug} has no label {text[:NAME_LENGTH]!r}.{hint}", code="no-such-label")
    return label.merged_into or label


@transaction.atomic
def add_label(
    *,
    actor: Actor,
    project: Project,
    name: str,
    kind: str = Label.Kind.NORMAL,
    synonyms: Sequence[str] = (),
    scientific_name: str = "",
    parent: Label | None = None,
) -> Label:
    """A new label; its key is made of the name and never changes."""
    require(actor, Action.CURATE, project)
    Project.objects.select_for_update().get(pk=project.pk)
    name = checked_name(project, name)
    if kind not in Label.Kind.values:
        raise Invalid(f"A label's kind is one of {', '.join(Label.Kind.values)}, not {kind!r}.")
    if parent is not None and parent.project_id != project.pk:
        raise Invalid(f"{parent} is a label of another project.")
    taken = set(project.labels.values_list("key", flat=True))
    last = project.labels.aggregate(last=Max("position"))["last"]
    label = Label.objects.create(
        project=project,
        key=key_from(name, taken),
        name=name,
        kind=kind,
        scientific_name=scientific_name[:NAME_LENGTH],
        parent=parent,
        position=0 if last is None else last + 1,
    )
    _add_names({label: synonyms})
    audit.record(actor=actor, action="add label", project_id=project.pk, subject=f"label:{label.pk}", name=name)
    return label


def checked_name(project: Project, name: str, *, besides: Label | None = None) -> str:
    """The name without surplus blanks, if no other label of the project is called so."""
    name = " ".join(name.split())
    if not fold(name) or len(name) > NAME_LENGTH:
        raise Invalid(f"A label needs a name of 1 to {NAME_LENGTH} characters.")
    others = Label.objects.filter(project=project, merged_into=None, search_text__startswith=f"\n{fold(name)}\n")
    if besides is not None:
        others = others.exclude(pk=besides.pk)
    twin = others.first()
    if twin is not None:
        raise Conflict(f"The project already has the label {twin.name} ({twin.key}).", code="label-exists")
    return name


@transaction.atomic
def add_synonyms(*, actor: Actor, label: Label, synonyms: Sequence[str]) -> None:
    """More names that search finds the label by."""
    require(actor, Action.CURATE, label.project)
    _add_names({label: synonyms})
    audit.record(
        actor=actor,
        action="add synonyms",
        project_id=label.project_id,
        subject=f"label:{label.pk}",
        synonyms=list(synonyms),
    )


@transaction.atomic
def rename_label(*, actor: Actor, label: Label, name: str, scientific_name: str | None = None) -> Label:
    """Give a label another name; the old one goes on as a synonym, the key stays."""
    require(actor, Action.CURATE, label.project)
    old = label.name
    label.name = checked_name(label.project, name, besides=label)
    if scientific_name is not None:
        label.scientific_name = scientific_name[:NAME_LENGTH]
    Label.objects.filter(pk=label.pk).update(name=label.name, scientific_name=label.scientific_name)
    if fold(old) != fold(label.name):
        _add_names({label: [old]})
    refresh_search(label)
    audit.record(
        actor=actor,
        action="rename label",
        project_id=label.project_id,
        subject=f"label:{label.pk}",
        before=old,
        after=label.name,
    )
    return label


@transaction.atomic
def merge_label(*, actor: Actor, label: Label, into: Label) -> Label:
    """Let `label` mean `into` from now on. Verdicts keep the label they were given; readers follow `merged_into`.

    Labels merged into `label` before follow it, so that one step always leads to the end.
    """
    require(actor, Action.CURATE, label.project)
    Project.objects.select_for_update().get(pk=label.project_id)
    label, into = Label.objects.get(pk=label.pk), Label.objects.get(pk=into.pk)
    if label.project_id != into.project_id:
        raise Invalid("Only labels of the same project can be merged.")
    into = into.merged_into or into
    if into.pk == label.pk:
        raise Conflict(f"{label} cannot be merged into itself.")
    if label.merged_into_id is not None:
        raise Conflict(f"{label} was merged into {label.merged_into} before.")
    if into.pk in _descendants(label):
        raise Conflict(f"{into} lies below {label} in the tree: merge {into} into {label} instead.")
    children = list(label.children.values_list("key", flat=True))
    label.children.update(parent=into)
    followers = list(label.merged.values_list("key", flat=True))
    label.merged.update(merged_into=into)
    Label.objects.filter(pk=label.pk).update(merged_into=into)
    _add_names({into: [label.name, label.scientific_name, *label.names.values_list("name", flat=True)]})
    audit.record(
        actor=actor,
        action="merge label",
        project_id=label.project_id,
        subject=f"label:{label.pk}",
        label=label.key,
        into=into.key,
        children=children,
        followers=followers,
    )
    return into


def _descendants(label: Label) -> set[int]:
    """Ids of all labels below this one."""
    below: set[int] = set()
    ring = {label.pk}
    while ring:
        ring = set(Label.objects.filter(parent__in=ring).values_list("pk", flat=True)) - below
        below |= ring
    return below


def special_labels(project: Project) -> QuerySet[Label]:
    """Background, unknown and ignored labels, which pages set apart."""
    return Label.objects.filter(~Q(kind=Label.Kind.NORMAL), project=project, merged_into=None)
