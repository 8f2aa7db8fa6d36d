"""A label tree from a table: names, scientific and local names, places in the tree, ids that others use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction

from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.errors import Invalid
from webapp.projects.labels import ensure_labels, search_text
from webapp.projects.models import Label, LabelName, Project
from webapp.projects.names import fold, key_from
from webapp.projects.pasted import cells_of

MOST_ROWS = 50_000
KINDS = frozenset(Label.Kind.values)
SPLIT = "|"


@dataclass(frozen=True)
class TreeRow:
    """One label of the table, in the shape that ensure_labels takes; `parent` is a key."""

    key: str
    name: str
    kind: str = "normal"
    synonyms: tuple[str, ...] = ()
    parent: str = ""
    scientific_name: str = ""
    local: tuple[tuple[str, str], ...] = ()
    outside_ids: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Tree:
    """What was read, and what is wrong with it, by line."""

    rows: tuple[TreeRow, ...]
    problems: tuple[str, ...]


def read_tree(project: Project, text: str) -> Tree:
    """Columns: `name`; if wanted `scientific_name`, `parent` (a name), `kind`, `synonyms` (a|b), `name:sw` for a local
    name by language, and `id:gbif`, `id:worms` for ids that others use."""
    table = cells_of(text)
    _, heading = next(table, (0, []))
    columns = {fold(name): place for place, name in enumerate(heading)}
    if "name" not in columns:
        raise Invalid(
            "The first line must name the columns, among them `name`. "
            f"It reads: {', '.join(heading)[:200] or 'nothing'}."
        )
    keys = {fold(label.name): label.key for label in project.labels.all()}
    lines = [(number, _cells(columns, cells)) for number, cells in table]
    lines = [(number, cells) for number, cells in lines if cells["name"]]
    if len(lines) > MOST_ROWS:
        raise Invalid(f"{len(lines):,} labels in one table: at most {MOST_ROWS:,}.")
    taken = set(keys.values())
    for _, cells in lines:
        if fold(cells["name"]) not in keys:
            keys[fold(cells["name"])] = key_from(cells["name"], taken)
            taken.add(keys[fold(cells["name"])])
    problems: list[str] = []
    rows = [_row(number, cells, keys, problems) for number, cells in lines]
    problems += _rings(project, rows)
    return Tree(tuple(rows), tuple(problems))


@transaction.atomic
def take_tree(*, actor: Actor, project: Project, tree: Tree) -> int:
    """Make or complete the labels of a tree without problems; twice changes nothing. Returns how many it names."""
    require(actor, Action.CURATE, project)
    if tree.problems:
        raise Invalid(f"The table has {len(tree.problems)} problems; the first: {tree.problems[0]}")
    labels = ensure_labels(project=project, labels=tree.rows)
    changed = []
    for row in tree.rows:
        label = labels[row.key]
        label.parent = labels.get(row.parent) or label.parent
        label.scientific_name = row.scientific_name or label.scientific_name
        label.outside_ids = {**label.outside_ids, **(row.outside_ids or {})}
        changed.append(label)
    _find_by_new_names(changed)
    Label.objects.bulk_update(changed, ["parent", "scientific_name", "outside_ids", "search_text"], batch_size=500)
    _add_local_names(labels, tree.rows)
    audit.record(
        actor=actor,
        action="labels from table",
        project_id=project.pk,
        subject=f"project:{project.pk}",
        rows=len(tree.rows),
    )
    return len(tree.rows)


def _find_by_new_names(labels: Sequence[Label]) -> None:
    """Labels that were here before may have got a scientific name: it is searched too."""
    others: dict[int, list[str]] = {label.pk: [] for label in labels}
    of_project = LabelName.objects.filter(label__project=labels[0].project_id) if labels else LabelName.objects.none()
    for pk, name in of_project.order_by("pk").values_list("label_id", "name"):
        if pk in others:
            others[pk].append(name)
    for label in labels:
        label.search_text = search_text(label, others[label.pk])


def _add_local_names(labels: Mapping[str, Label], rows: Sequence[TreeRow]) -> None:
    """Local names carry their language; ensure_labels has added them to what search finds."""
    for row in rows:
        for language, name in row.local:
            LabelName.objects.filter(label=labels[row.key], name=name, language="").update(language=language)


def _cells(columns: Mapping[str, int], cells: Sequence[str]) -> dict[str, str]:
    return {name: " ".join(cells[place].split()) if place < len(cells) else "" for name, place in columns.items()}


def _row(number: int, cells: Mapping[str, str], keys: Mapping[str, str], problems: list[str]) -> TreeRow:
    parent, kind = cells.get("parent", ""), fold(cells.get("kind", "")) or "normal"
    if parent and fold(parent) not in keys:
        problems.append(f"line {number}: the parent {parent!r} of {cells['name']!r} is no label here")
    if kind not in KINDS:
        problems.append(f"line {number}: kind {kind!r} is none of {', '.join(sorted(KINDS))}")
    local = tuple(
        (column.removeprefix("name:"), value) for column, value in cells.items() if column.startswith("name:") and value
    )
    synonyms = [part.strip() for part in cells.get("synonyms", "").split(SPLIT) if part.strip()]
    return TreeRow(
        key=keys[fold(cells["name"])],
        name=cells["name"][:200],
        kind=kind,
        synonyms=(*synonyms, *(name for _, name in local)),
        parent=keys.get(fold(parent), "") if parent else "",
        scientific_name=(cells.get("scientific_name") or cells.get("scientific name") or "")[:200],
        local=local,
        outside_ids={
            column.removeprefix("id:"): value for column, value in cells.items() if column.startswith("id:") and value
        },
    )


def _rings(project: Project, rows: Sequence[TreeRow]) -> list[str]:
    """Labels that would be their own ancestor, by the table and by what stands above the others already."""
    parents = dict(project.labels.filter(parent__isnull=False).values_list("key", "parent__key"))
    parents |= {row.key: row.parent for row in rows if row.parent}
    faults = []
    for row in rows:
        seen, key = {row.key}, parents.get(row.key, "")
        while key and key not in seen:
            seen.add(key)
            key = parents.get(key, "")
        if key == row.key:
            faults.append(f"{row.name!r} would be its own ancestor")
    return faults
