"""The labels that networks with an ImageNet-1k head can answer: what is an animal among them, and how animals are kin.

Names come from timm's table when a version is made; here is only what that table does not hold.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from classifier.card import Label

CLASSES = 1000
ANIMALS = range(398)


@dataclass(frozen=True, slots=True)
class Branch:
    """An inner label of the tree and the outputs below it, as inclusive ranges; later rows lie inside earlier ones."""

    key: str
    parent: str
    outputs: str

    def indices(self) -> tuple[int, ...]:
        return _indices(self.outputs)


def _indices(ranges: str) -> tuple[int, ...]:
    ends = [part.partition("-")[::2] for part in ranges.split()]
    return tuple(index for low, high in ends for index in range(int(low), int(high or low) + 1))


BRANCHES: tuple[Branch, ...] = (
    Branch("fish", "", "0-6 389-397"),
    Branch("shark", "fish", "2-4"),
    Branch("ray", "fish", "5-6"),
    Branch("bird", "", "7-24 80-100 127-146"),
    Branch("songbird", "bird", "10-20"),
    Branch("bird-of-prey", "bird", "21-24"),
    Branch("game-bird", "bird", "7-8 80-86"),
    Branch("parrot", "bird", "87-90"),
    Branch("waterfowl", "bird", "97-100"),
    Branch("wading-bird", "bird", "127-137"),
    Branch("shorebird", "bird", "139-143"),
    Branch("seabird", "bird", "144-146"),
    Branch("amphibian", "", "25-32"),
    Branch("salamander", "amphibian", "25-29"),
    Branch("frog", "amphibian", "30-32"),
    Branch("reptile", "", "33-68"),
    Branch("turtle", "reptile", "33-37"),
    Branch("lizard", "reptile", "38-48"),
    Branch("crocodilian", "reptile", "49-50"),
    Branch("snake", "reptile", "52-68"),
    Branch("arthropod", "", "69-79 118-126 300-326"),
    Branch("arachnid", "arthropod", "70-78"),
    Branch("spider", "arachnid", "72-77"),
    Branch("crustacean", "arthropod", "118-126"),
    Branch("crab", "crustacean", "118-121 125"),
    Branch("insect", "arthropod", "300-326"),
    Branch("beetle", "insect", "300-307"),
    Branch("butterfly", "insect", "321-326"),
    Branch("mollusc", "", "112-117"),
    Branch("echinoderm", "", "327-329"),
    Branch("mammal", "", "101-106 147-299 330-388"),
    Branch("monotreme", "mammal", "102-103"),
    Branch("marsupial", "mammal", "104-106"),
    Branch("whale", "mammal", "147-148"),
    Branch("dog", "mammal", "151-268"),
    Branch("wild-dog", "mammal", "269-275"),
    Branch("wolf", "wild-dog", "269-271"),
    Branch("fox", "mammal", "277-280"),
    Branch("cat", "mammal", "281-285"),
    Branch("wild-cat", "mammal", "286-293"),
    Branch("bear", "mammal", "294-297 388"),
    Branch("rabbit-or-hare", "mammal", "330-332"),
    Branch("rodent", "mammal", "333-338"),
    Branch("pig", "mammal", "341-343"),
    Branch("cattle", "mammal", "345-347"),
    Branch("sheep-or-goat", "mammal", "348-350"),
    Branch("antelope", "mammal", "351-353"),
    Branch("camelid", "mammal", "354-355"),
    Branch("weasel-family", "mammal", "356-362"),
    Branch("ape", "mammal", "365-369"),
    Branch("monkey", "mammal", "370-382"),
    Branch("lemur", "mammal", "383-384"),
    Branch("elephant", "mammal", "101 385-386"),
)

# Everyday words that people search for and the table lacks.
MORE_SYNONYMS: dict[int, tuple[str, ...]] = {
    7: ("rooster", "chicken"),
    8: ("chicken",),
    97: ("duck", "mallard"),
    101: ("elephant",),
    339: ("horse",),
    345: ("cow", "cattle", "bull"),
    348: ("sheep",),
    354: ("camel",),
    386: ("elephant",),
}

# Outputs of each answer of the ten-animals project; the rest is its background.
TEN_ANIMALS: tuple[tuple[str, str], ...] = (
    ("Cat", "281-285"),
    ("Cow", "345-346"),
    ("Dog", "151-268"),
    ("Elephant", "101 385-386"),
    ("Gorilla", "366"),
    ("Hippo", "344"),
    ("Monkey", "370-382"),
    ("Panda", "388"),
    ("Tiger", "292"),
    ("Zebra", "340"),
)
FISH = "0-6 389-397"

_LATIN = re.compile(r"[A-Z][a-z]+ [A-Za-z]?[a-z]+( [a-z]+)?")
# The scientific names in use today, where the table's last one is not.
_BETTER_LATIN = {
    271: "Canis rufus",
    279: "Vulpes lagopus",
    286: "Puma concolor",
    290: "Panthera onca",
    295: "Ursus americanus",
    296: "Ursus maritimus",
    297: "Melursus ursinus",
    384: "Indri indri",
}
# Here the last name looks Latin and is not: breeds of dogs and of one rabbit.
_NEVER_LATIN = frozenset((*range(151, 269), 332))


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Labels of a version, the inner labels above them, and the outputs that add up to each."""

    labels: tuple[Label, ...]
    ancestors: tuple[Label, ...]
    groups: dict[str, tuple[int, ...]]


def slug(name: str) -> str:
    """A label's key from its first name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def names_by_output() -> tuple[str, ...]:
    """timm's names of the thousand outputs: the usual one first, others after commas."""
    from timm.data.imagenet_info import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    return tuple(info.index_to_description(index) for index in range(CLASSES))


def animal_label(index: int, names: str) -> Label:
    """The label of one output from its comma-separated names."""
    first, *others = [name.strip() for name in names.split(",")]
    latin = ""
    if others and index not in _NEVER_LATIN and _LATIN.fullmatch(others[-1]):
        latin = _BETTER_LATIN.get(index, others[-1])
    known = dict.fromkeys(name for name in (*others, *MORE_SYNONYMS.get(index, ())) if name != latin)
    return Label(slug(first), first, synonyms=tuple(known), parent=_parent(index), scientific_name=latin)


def _parent(index: int) -> str:
    inside = [branch.key for branch in BRANCHES if index in branch.indices()]
    return inside[-1] if inside else ""


def _background(key: str, name: str, groups: dict[str, tuple[int, ...]]) -> Label:
    """A label for every output no other one took; adds its group."""
    taken = {index for group in groups.values() for index in group}
    groups[key] = tuple(index for index in range(CLASSES) if index not in taken)
    return Label(key, name, kind="background")


def animals(outputs: Sequence[int] = ANIMALS, *, background: str = "not an animal") -> LabelSet:
    """One label for each of some animal outputs, the rest summed up as the background."""
    names = names_by_output()
    labels = [animal_label(index, names[index]) for index in outputs]
    groups: dict[str, tuple[int, ...]] = {label.key: (index,) for label, index in zip(labels, outputs, strict=True)}
    labels.append(_background(slug(background), background, groups))
    wanted = {label.parent for label in labels}
    ancestors = []
    for branch in reversed(BRANCHES):
        if branch.key in wanted:
            ancestors.append(Label(branch.key, branch.key.replace("-", " "), parent=branch.parent))
            wanted.add(branch.parent)
    return LabelSet(tuple(labels), tuple(reversed(ancestors)), groups)


def fish() -> LabelSet:
    """The fish among the outputs."""
    return animals(_indices(FISH), background="not a fish")


def ten_animals() -> LabelSet:
    """Ten everyday animals, each the sum of the outputs that show one."""
    groups = {slug(name): _indices(outputs) for name, outputs in TEN_ANIMALS}
    labels = [Label(slug(name), name) for name, _ in TEN_ANIMALS]
    labels.append(_background("none-of-these", "none of these", groups))
    return LabelSet(tuple(labels), (), groups)
