"""What a new project begins with, by the kind of pictures it holds: fields, special labels, splits and queues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from webapp.projects.models import Field, Label, Project


@dataclass(frozen=True)
class FieldTemplate:
    """One thing to record of an animal beside its label."""

    key: str
    name: str
    kind: str = Field.Kind.CHOICE
    choices: tuple[str, ...] = ()
    shortcut: str = ""


@dataclass(frozen=True)
class LabelTemplate:
    """A label that every project of the kind needs, whatever it looks for."""

    key: str
    name: str
    kind: str
    synonyms: tuple[str, ...] = ()
    parent: str = ""
    scientific_name: str = ""


@dataclass(frozen=True)
class Template:
    """`split_by` are the groups that never straddle a split, the first that a project has; queues in order."""

    fields: tuple[FieldTemplate, ...]
    labels: tuple[LabelTemplate, ...]
    split_by: tuple[str, ...]
    queues: tuple[str, ...] = ("uncertain", "disagrees", "new", "rare", "audit")
    sequence_gap_seconds: int = 60
    visit_word: str = "visit"
    suggested_labels: tuple[str, ...] = ()
    detector_first: bool = False

    def options(self) -> dict[str, object]:
        """The part that `Project.options` keeps."""
        return {
            "split": {"shares": [80, 10, 10], "group_by": list(self.split_by), "stratify": True},
            "queues": list(self.queues),
            "visit_word": self.visit_word,
            "detector_first": self.detector_first,
        }


SEX = FieldTemplate("sex", "Sex", choices=("female", "male", "unknown"), shortcut="g")
LIFE_STAGE = FieldTemplate("life-stage", "Life stage", choices=("adult", "subadult", "juvenile", "unknown"))
NOTES = FieldTemplate("notes", "Notes", Field.Kind.TEXT)
UNKNOWN = LabelTemplate("unknown", "Unknown", Label.Kind.UNKNOWN, ("unidentified", "cannot tell"))


def background(key: str, name: str, *synonyms: str) -> LabelTemplate:
    return LabelTemplate(key, name, Label.Kind.BACKGROUND, synonyms)


def ignored(key: str, name: str, *synonyms: str) -> LabelTemplate:
    return LabelTemplate(key, name, Label.Kind.IGNORE, synonyms)


BEHAVIOUR = FieldTemplate(
    "behaviour", "Behaviour", choices=("moving", "foraging", "resting", "alert", "interacting", "other"), shortcut="v"
)
DISPOSITION = FieldTemplate(
    "disposition",
    "Disposition",
    choices=("kept", "discarded dead", "released alive", "lost at the rail", "unknown"),
    shortcut="d",
)

TEMPLATES: Mapping[str, Template] = {
    Project.Pictures.CAMERA_TRAP: Template(
        fields=(SEX, LIFE_STAGE, BEHAVIOUR, NOTES),
        labels=(
            background("empty", "Empty", "nothing", "blank", "no animal"),
            UNKNOWN,
            ignored("person", "Person", "human", "people"),
            ignored("vehicle", "Vehicle", "car"),
        ),
        split_by=("site", "visit", "cluster"),
        queues=("empty", "uncertain", "disagrees", "new", "rare", "audit"),
        visit_word="deployment",
        detector_first=True,
    ),
    Project.Pictures.DECK: Template(
        fields=(DISPOSITION, FieldTemplate("length-cm", "Length (cm)", Field.Kind.NUMBER, shortcut="l"), SEX, NOTES),
        labels=(background("no-fish", "No fish", "NoF", "empty deck"), UNKNOWN),
        split_by=("site", "visit", "cluster"),
        visit_word="trip",
        detector_first=True,
    ),
    Project.Pictures.FLUKES: Template(
        fields=(
            FieldTemplate("side", "Side", choices=("fluke", "left", "right", "dorsal"), shortcut="f"),
            FieldTemplate("quality", "Picture quality", choices=("good", "fair", "poor"), shortcut="q"),
            SEX,
            LIFE_STAGE,
            NOTES,
        ),
        labels=(background("no-fluke", "No fluke", "no whale"), UNKNOWN),
        split_by=("individual", "visit", "cluster"),
        queues=("unmatched", "uncertain", "new", "audit"),
        visit_word="encounter",
        suggested_labels=("Fluke",),
    ),
    Project.Pictures.BOATS: Template(
        fields=(
            FieldTemplate("activity", "Activity", choices=("under way", "fishing", "anchored", "other"), shortcut="v"),
            NOTES,
        ),
        labels=(background("no-boat", "No boat", "empty"), UNKNOWN),
        split_by=("site", "author", "cluster"),
        visit_word="survey",
        suggested_labels=("Boat",),
        detector_first=True,
    ),
    Project.Pictures.OTHER: Template(
        fields=(NOTES,),
        labels=(background("none", "None of these", "nothing", "empty"), UNKNOWN),
        split_by=("site", "cluster"),
    ),
}


def template_of(pictures: str) -> Template:
    return TEMPLATES[pictures]


def fields_for(project: Project, templates: Sequence[FieldTemplate]) -> list[Field]:
    """Unsaved rows, in order."""
    return [
        Field(
            project=project,
            key=template.key,
            name=template.name,
            kind=template.kind,
            choices=list(template.choices),
            shortcut=template.shortcut,
            position=position,
        )
        for position, template in enumerate(templates)
    ]
