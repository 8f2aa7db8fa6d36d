"""The words of a project as a source spells them: found by any of their names, made where they are new."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from webapp.datasets.formats.records import AnnotationRecord, LabelRecord
from webapp.datasets.notices import Notices
from webapp.datasets.spellings import alike
from webapp.projects.labels import NAME_LENGTH, ensure_labels
from webapp.projects.models import Field, Individual, IndividualAlias, Label, LabelName, Project
from webapp.projects.names import fold, key_from

CHUNK = 500
NAMED_AT_MOST = 120
UNSAID = "animal"
"""The label of an individual whose source names no label, in a project that has none yet."""


@dataclass(frozen=True)
class NewLabel:
    """As `ensure_labels` takes it."""

    key: str
    name: str
    kind: str = Label.Kind.NORMAL
    synonyms: Sequence[str] = ()
    parent: str = ""
    scientific_name: str = ""
    outside_ids: Mapping[str, str] = field(default_factory=dict)


class Words:
    """One reading of a project's labels for many records. Merged labels stand for what they became."""

    def __init__(self, project: Project, notices: Notices) -> None:
        self.project = project
        self.notices = notices
        self.made: list[str] = []
        self._labels: dict[str, Label] = {}
        self._keys: set[str] = set()
        self._spelled: dict[str, str] = {}
        self._noted: set[str] = set()
        self._fields = {one.key: one for one in project.fields.all()}
        self._read_labels()

    def _read_labels(self) -> None:
        """The surest name of each spelling wins: keys, then names, then what else they are called."""
        rows = list(self.project.labels.select_related("merged_into").order_by("position", "pk"))
        meant = {row.pk: row.merged_into or row for row in rows}
        self._keys = {row.key for row in rows}
        others = LabelName.objects.filter(label__project=self.project).order_by("pk").values_list("name", "label_id")
        found: dict[str, Label] = {}
        for names in (
            ((row.key, row.pk) for row in rows),
            ((row.name, row.pk) for row in rows),
            ((row.scientific_name, row.pk) for row in rows),
            others.iterator(chunk_size=2000),
        ):
            for name, pk in names:
                if fold(name):
                    found.setdefault(fold(name), meant[pk])
        self._labels = found
        backgrounds = [row for row in rows if row.kind == Label.Kind.BACKGROUND and row.merged_into_id is None]
        self.background = backgrounds[0] if backgrounds else None

    def known(self, name: str) -> Label | None:
        return self._labels.get(fold(name))

    def label(self, name: str) -> Label:
        """A label that was declared before."""
        return self._labels[fold(name) or UNSAID]

    def declare(self, wanted: Iterable[LabelRecord]) -> None:
        """Make the labels that are missing, in their order, with their place in the tree."""
        records: dict[str, LabelRecord] = {}
        listed = list(wanted)
        for one in listed:
            records.setdefault(fold(one.name) or UNSAID, one)
        self._note_spellings(listed)
        new = {folded: one for folded, one in records.items() if folded not in self._labels}
        by_science = {folded: self.known(one.scientific_name) for folded, one in new.items() if one.scientific_name}
        for folded, label in by_science.items():
            if label is not None:
                self._labels[folded] = label
                del new[folded]
        if new:
            self._make(new)

    def _make(self, new: Mapping[str, LabelRecord]) -> None:
        keys = dict.fromkeys(new, "")
        for folded, one in new.items():
            keys[folded] = key_from(one.name or UNSAID, self._keys)
            self._keys.add(keys[folded])
        rows = [
            NewLabel(
                key=keys[folded],
                name=" ".join((one.name or UNSAID).split())[:NAME_LENGTH],
                kind=one.kind if one.kind in Label.Kind.values else Label.Kind.NORMAL,
                synonyms=one.synonyms,
                parent=self._key_of_parent(one.parent, keys),
                scientific_name=one.scientific_name,
                outside_ids=one.outside_ids,
            )
            for folded, one in new.items()
        ]
        with transaction.atomic():
            made = ensure_labels(project=self.project, labels=rows)
            changed = [made[row.key] for row in rows if row.outside_ids]
            for row in rows:
                made[row.key].outside_ids = dict(row.outside_ids)
            Label.objects.bulk_update(changed, ["outside_ids"], batch_size=CHUNK)
        self.made += [row.name for row in rows]
        self._read_labels()

    def _key_of_parent(self, parent: str, new: Mapping[str, str]) -> str:
        folded = fold(parent)
        if not folded:
            return ""
        if folded in new:
            return new[folded]
        known = self._labels.get(folded)
        return known.key if known is not None else ""

    def _note_spellings(self, records: Iterable[LabelRecord]) -> None:
        """Two spellings that differ in case alone are one label, and that is said."""
        for one in records:
            before = self._spelled.setdefault(fold(one.name), one.name)
            known = self.known(one.name)
            if before != one.name:
                meant = before
            elif known is not None and fold(known.name) == fold(one.name) and known.name != one.name:
                meant = known.name
            else:
                continue
            if one.name not in self._noted:
                self._noted.add(one.name)
                self.notices.count("spelling", f"{one.name} = {meant}")

    def offer_merging(self, names: Iterable[str]) -> None:
        """Labels of this import that look like others of the project: offered, never merged."""
        labels = {label.name: label for label in self._labels.values()}
        mine = [self.label(name).name for name in names if self.known(name) is not None]
        pairs = [one for one in alike(mine, labels) if labels[one.first].pk != labels[one.second].pk]
        self.notices.replace(
            "synonyms",
            [
                {
                    "text": f"{one.first} and {one.second} may be one label ({one.how}). Merge them if they are.",
                    "labels": [_named(labels[one.first]), _named(labels[one.second])],
                }
                for one in pairs
            ],
        )

    # ---- individuals ----

    def individuals(self, wanted: Mapping[str, Label]) -> dict[str, Individual]:
        """By the name a source uses; new ones are made with the label they were first seen with."""
        names = {name: " ".join(name.split())[:NAMED_AT_MOST] for name in wanted}
        found = self._individuals_of(set(names.values()))
        new = {named: wanted[name] for name, named in names.items() if named not in found}
        rows = [Individual(project=self.project, name=named, label=label) for named, label in new.items()]
        Individual.objects.bulk_create(rows, batch_size=CHUNK, ignore_conflicts=True)
        if new:
            found = self._individuals_of(set(names.values()))
        return {name: found[named] for name, named in names.items()}

    def _individuals_of(self, names: set[str]) -> dict[str, Individual]:
        of_project = Individual.objects.filter(project=self.project).select_related("merged_into", "label")
        found = {one.name: one.merged_into or one for one in of_project.filter(name__in=names)}
        aliases = IndividualAlias.objects.filter(individual__project=self.project, name__in=names - set(found))
        for alias in aliases.select_related("individual__merged_into", "individual__label").order_by("pk"):
            found.setdefault(alias.name, alias.individual.merged_into or alias.individual)
        return found

    # ---- project fields ----

    def fields(self, record: AnnotationRecord) -> dict[str, Any]:
        """The values of an annotation, with fields and choices that the project lacks added to it."""
        values: dict[str, Any] = {}
        for name, value in record.fields.items():
            if value is None or value == "":
                continue
            one = self._field(name, value)
            values[one.key] = self._fitting(one, value)
        return values

    def _field(self, name: str, value: Any) -> Field:
        key = key_from(name, (), otherwise="field", length=60)
        known = self._fields.get(name) or self._fields.get(key)
        if known is None:
            kind = _kind_of(value)
            known, made = Field.objects.get_or_create(
                project=self.project,
                key=key,
                defaults={"name": name[:NAMED_AT_MOST], "kind": kind, "position": len(self._fields)},
            )
            self._fields[key] = known
            if made:
                self.notices.count("field", name)
        return known

    def _fitting(self, one: Field, value: Any) -> Any:
        if one.kind == Field.Kind.CHOICE:
            value = str(value)[:200]
            if value not in one.choices:
                one.choices = [*one.choices, value]
                Field.objects.filter(pk=one.pk).update(choices=one.choices)
                self.notices.count("field", f"{one.name}: {value}")
        elif one.kind == Field.Kind.TEXT:
            value = str(value)[:2000]
        elif _kind_of(value) != one.kind:
            return None
        return value


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return Field.Kind.FLAG
    return Field.Kind.NUMBER if isinstance(value, int | float) else Field.Kind.TEXT


def _named(label: Label) -> dict[str, object]:
    return {"key": label.key, "name": label.name, "id": label.pk}
