"""How a snapshot is to be made: every choice with its explanation, checked before any work. No rows here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from training.contract import PARTS, TEST, TRAIN
from webapp.datasets.groups import CHOICES
from webapp.errors import Invalid

SHARES = (80.0, 10.0, 10.0)
MOST_FOLDS = 50
LARGEST = 2**31 - 1


def explained(default: Any, words: str) -> Any:
    """A field that says what it is for; pages, REST and the command line show the same words."""
    metadata = {"help": words}
    if isinstance(default, (tuple, dict)):
        return field(default_factory=lambda: default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class FreezeOptions:
    """Stored with the snapshot, so that another one can be made the same way."""

    split: str = explained("shares", "shares, counts, imported (the parts that came with the data) or identity")
    shares: tuple[float, ...] = explained(SHARES, "train, validation and test in percent")
    counts: tuple[int, ...] = explained((), "train, validation and test in images, exactly")
    group_by: tuple[str, ...] | None = explained(None, "what stays together; without it what the project goes by")
    seed: int = explained(0, "another seed draws another split; sides of the parent stay")
    folds: int = explained(0, "cut the training part into so many grouped folds; 0: none")
    class_by: str = explained("auto", "what is spread evenly: label, individual, or auto")
    min_images: int = explained(0, "leave out classes with fewer images")
    per_class: int = explained(0, "take so many images of each class; 0: all")
    singletons: str = explained("gallery", "classes with one image: gallery, or unseen (only tested on)")
    test_labels: str = explained("trusted", "trusted: test on blind, second-read and trusted imported labels; or any")
    cannot_tell: str = explained("out", "out, or ancestor: use the lowest label that was sure")
    damaged: bool = explained(False, "use images of which a part cannot be decoded")
    negatives: bool = explained(False, "use images found empty where the project has no label for it")
    unknown: bool = explained(False, "use labels of the kind unknown as a class")

    @property
    def wanted_shares(self) -> dict[str, float]:
        """Shares that add up to one; of counts, their proportion."""
        numbers = self.counts if self.split == "counts" else self.shares
        return {part: number / sum(numbers) for part, number in zip(PARTS, numbers, strict=True)}

    @property
    def wanted_counts(self) -> dict[str, int] | None:
        return dict(zip(PARTS, self.counts, strict=True)) if self.split == "counts" else None

    def stored(self) -> dict[str, Any]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def read_options(given: Mapping[str, Any]) -> FreezeOptions:
    """Options from JSON; an unknown one is an error that lists the known."""
    known = {one.name for one in fields(FreezeOptions)}
    unknown = sorted(set(given) - known)
    if unknown:
        raise Invalid(f"Unknown option {unknown[0]!r} of a snapshot. Known: {', '.join(sorted(known))}.")
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    if values.get("counts") and "split" not in values:
        values["split"] = "counts"
    options = FreezeOptions(**values)
    check(options)
    return options


def check(options: FreezeOptions) -> None:
    _one_of("split", options.split, ("shares", "counts", "imported", "identity"))
    _one_of("class_by", options.class_by, ("auto", "label", "individual"))
    _one_of("singletons", options.singletons, ("gallery", "unseen"))
    _one_of("test_labels", options.test_labels, ("trusted", "any"))
    _one_of("cannot_tell", options.cannot_tell, ("out", "ancestor"))
    for key in options.group_by or ():
        _one_of("group_by", key, (*CHOICES, "cluster", "sequence"))
    _numbers("shares", options.shares)
    if options.split == "counts":
        _numbers("counts", options.counts)
        if not all(isinstance(one, int) for one in options.counts):
            raise Invalid("Counts are whole numbers of images, such as 800,100,100.")
    for name, most in (("folds", MOST_FOLDS), ("min_images", LARGEST), ("per_class", LARGEST)):
        value = getattr(options, name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most or value == 1 == most:
            raise Invalid(f"`{name}` is a whole number from 0 to {most:,}, not {value!r}.")
    if options.folds == 1:
        raise Invalid("One fold is none: ask for 0, or for 2 and more.")
    if not isinstance(options.seed, int) or abs(options.seed) > 2**53:
        raise Invalid("The seed is a whole number.")
    for name in ("damaged", "negatives", "unknown"):
        if not isinstance(getattr(options, name), bool):
            raise Invalid(f"`{name}` is true or false.")


def read_split(text: str) -> dict[str, Any]:
    """What people write: 80/10/10, imported, identity."""
    if text in ("imported", "identity"):
        return {"split": text}
    return {"split": "shares", "shares": _parsed(text.replace(",", "/").split("/"), float, text, "80/10/10")}


def read_counts(text: str) -> dict[str, Any]:
    return {"split": "counts", "counts": _parsed(text.replace("/", ",").split(","), int, text, "800,100,100")}


def _parsed(words: Sequence[str], kind: type, text: str, example: str) -> list[Any]:
    try:
        numbers = [kind(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != len(PARTS):
        raise Invalid(f"{text!r} cannot be read: write train, validation and test, such as {example}.")
    return numbers


def _numbers(name: str, values: Sequence[float]) -> None:
    good = len(values) == len(PARTS) and all(
        isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) and one >= 0 for one in values
    )
    if not good or not values[0]:
        raise Invalid(f"`{name}` are three numbers, {TRAIN}, validation and {TEST}, and {TRAIN} is not 0: {values!r}.")


def _one_of(name: str, value: object, choices: Sequence[str]) -> None:
    if value not in choices:
        raise Invalid(f"`{name}` is one of {', '.join(choices)}, not {value!r}.")
