"""Every step of augmentation by name, read from plain values and explained; what is unknown lists what there is."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from functools import cache
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import numpy as np

from training.augmentation.geometry import (
    Affine,
    Banner,
    Crop,
    Erase,
    Flip,
    FlipVertical,
    Perspective,
    QuarterTurns,
    Rotate,
)
from training.augmentation.light import (
    Blur,
    Colour,
    Compress,
    Equalise,
    Far,
    Flash,
    Gamma,
    Grey,
    InWater,
    MotionBlur,
    Noise,
    Posterise,
    Sharpen,
)
from training.augmentation.picture import SHARE, AugmentationError, Picture, Range, Step, told

Steps = tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf(Step):
    """One of its steps, or several different ones, drawn each time."""

    called: ClassVar[str] = "one-of"

    label: str = told("", "what it is called in `without`, `change` and tables")
    share: float = told(1.0, SHARE)
    many: int = told(1, "how many of its steps are drawn", least=1, most=20)
    steps: Steps = told((), "the steps it draws from; each still acts with its own share")

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        drawn = random.permutation(len(self.steps))[: self.many]
        for place in sorted(drawn.tolist()):
            picture = self.steps[place](picture, random)
        return picture

    @property
    def name(self) -> str:
        return self.label or self.called


@dataclass(frozen=True, slots=True, kw_only=True)
class Together(Step):
    """All of its steps or none, for what comes together, as grey, dark and grainy do at night."""

    called: ClassVar[str] = "together"

    label: str = told("", "what it is called in `without`, `change` and tables")
    share: float = told(0.5, SHARE)
    steps: Steps = told((), "the steps that act together; each still acts with its own share")

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        for step in self.steps:
            picture = step(picture, random)
        return picture

    @property
    def name(self) -> str:
        return self.label or self.called


STEPS: Mapping[str, type[Step]] = {
    step.called: step
    for step in (
        Crop, Flip, FlipVertical, QuarterTurns, Rotate, Affine, Perspective, Erase, Banner,
        Colour, Gamma, Grey, Equalise, Sharpen, Posterise, Blur, MotionBlur, Far, Noise, Compress, Flash, InWater,
        OneOf, Together,
    )
}  # fmt: skip
_ASKED_FOR_BY_TRAINING = "size"


def step_of(entry: object, origin: str) -> Step:
    """A step from `flip`, or from `{flip: {share: 0.3}}`."""
    if isinstance(entry, str):
        entry = {entry: None}
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise AugmentationError(f"{origin}: a step is `- flip` or `- flip: {{share: 0.5}}`, not {str(entry)[:80]!r}.")
    name, values = next(iter(entry.items()))
    if name not in STEPS:
        raise AugmentationError(f"{origin}: there is no step {name!r}.{_near(name, STEPS)} Steps: {', '.join(STEPS)}.")
    if not isinstance(values, Mapping | None):
        raise AugmentationError(f"{origin}: {name} is followed by its settings, as {{share: 0.5}}, not by {values!r}.")
    return changed(STEPS[name](), values or {}, origin)


def steps_from(entries: object, origin: str) -> Steps:
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise AugmentationError(f"{origin}: steps are a list, such as [crop, flip], not {str(entries)[:80]!r}.")
    return tuple(step_of(entry, origin) for entry in entries)


def changed(step: Step, values: Mapping[str, Any], origin: str) -> Step:
    """The step with some settings changed, all of them checked."""
    hints = settings_of(type(step))
    found = {}
    for key, value in values.items():
        if key not in hints:
            known = ", ".join(hints)
            raise AugmentationError(
                f"{origin}: {step.called} has no setting {key!r}.{_near(key, hints)} It has: {known}."
            )
        found[key] = _checked(step, key, hints[key], value, origin)
    made = replace(step, **found)
    if isinstance(made, OneOf | Together) and not made.steps:
        raise AugmentationError(f"{origin}: {made.called} needs `steps`, a list of the steps it is made of.")
    if isinstance(made, Crop) and made.least > made.most:
        raise AugmentationError(f"{origin}: crop keeps at least {made.least} and at most {made.most} of the area.")
    return made


@cache
def settings_of(step: type[Step]) -> dict[str, Any]:
    """What may be set of a step: name -> type."""
    hints = get_type_hints(step)
    return {one.name: hints[one.name] for one in fields(step) if one.metadata}


def values_of(step: Step) -> dict[str, Any]:
    """A step as a file holds it, every setting said."""
    return {step.called: {name: _plain(getattr(step, name)) for name in settings_of(type(step))}}


def for_size(step: Step, size: tuple[int, int] | None) -> Step:
    """The step for a network that reads pictures of one size (height, width)."""
    if isinstance(step, Crop):
        return replace(step, size=size)
    if isinstance(step, OneOf | Together):
        return replace(step, steps=tuple(for_size(one, size) for one in step.steps))
    return step


def explained() -> str:
    """Every step with its settings, defaults and what they mean, for people."""
    lines: list[str] = []
    for name, step in STEPS.items():
        lines += textwrap.wrap(f"{name}: {' '.join((step.__doc__ or '').split())}", 100, subsequent_indent="  ")
        for one in fields(step):
            if one.metadata:
                default = _plain(one.default)
                words = (
                    f"{one.name}: {default}   {one.metadata['meaning']}"
                    if default != ""
                    else f"{one.name}: {one.metadata['meaning']}"
                )
                lines += textwrap.wrap(words, 100, initial_indent="    ", subsequent_indent="        ")
    return "\n".join(lines) + "\n"


def _near(name: object, known: Mapping[str, Any]) -> str:
    found = get_close_matches(str(name), known, n=2)
    return f" Did you mean {' or '.join(found)}?" if found else ""


def _plain(value: Any) -> Any:
    if isinstance(value, Step):
        return values_of(value)
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value


def _checked(step: Step, key: str, hint: Any, value: Any, origin: str) -> Any:
    where = f"{origin}: {step.called}.{key}"
    if hint == Steps:
        return steps_from(value, f"{origin}, in {step.called}")
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise AugmentationError(f"{where} is {value!r}; it is one of {', '.join(get_args(hint))}.")
        return value
    if hint in (str, bool):
        if type(value) is not hint:
            raise AugmentationError(f"{where} is {value!r}; {'text' if hint is str else 'true or false'} is expected.")
        return value
    limits = next(one.metadata for one in fields(step) if one.name == key)
    if hint == Range:
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise AugmentationError(f"{where} is {value!r}; two numbers are expected, such as [0.1, 0.5].")
        low, high = (_number(where, float, one, limits) for one in value)
        if low > high:
            raise AugmentationError(f"{where} goes from {low} to {high}; the smaller one comes first.")
        return low, high
    return _number(where, hint, value, limits)


def _number(where: str, kind: Any, value: Any, limits: Mapping[str, Any]) -> Any:
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        raise AugmentationError(f"{where} is {value!r}; a {'whole ' if kind is int else ''}number is expected.")
    if not limits["least"] <= value <= limits["most"]:
        raise AugmentationError(f"{where} is {value}; it lies from {limits['least']:g} to {limits['most']:g}.")
    return kind(value)
