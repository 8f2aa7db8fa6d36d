"""Presets of augmentation, and plans made of them: a preset's name, a YAML file, or YAML text becomes checked steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from training.augmentation.picture import AugmentationError, Step
from training.augmentation.steps import changed, for_size, steps_from, values_of
from training.config import load_yaml

LEAST_BOX = 0.3
ENDINGS = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Preset:
    """Steps for one kind of pictures, and why they are as they are."""

    about: str
    steps: str


# Left and right are swapped in all of them but `fluke`, top and bottom in `deck` alone.
PRESETS: Mapping[str, Preset] = {
    "light": Preset(
        "for many pictures, or a short training: parts of the picture, and its mirror image",
        """
- crop: {least: 0.35}
- flip
""",
    ),
    "standard": Preset(
        "for most projects: as light, with other light and colours, small turns and something hidden",
        """
- crop: {least: 0.3}
- flip
- rotate: {degrees: 10, share: 0.3}
- colour: {brightness: 0.25, contrast: 0.25, saturation: 0.25, hue: 0.02}
- grey: {share: 0.05}
- blur: {share: 0.1}
- erase: {share: 0.2}
""",
    ),
    "strong": Preset(
        "for few pictures and many epochs: each time one of many changes, strongly",
        """
- crop: {least: 0.2}
- flip
- one-of:
    label: any
    many: 2
    steps:
      - rotate: {degrees: 25, share: 1}
      - affine: {zoom: [0.7, 1.3], shift: 0.15, slant: 12, share: 1}
      - perspective: {strength: 0.35, share: 1}
      - colour: {brightness: 0.5, contrast: 0.5, saturation: 0.6, hue: 0.05, share: 1}
      - gamma: {power: [0.5, 2.0], share: 1}
      - equalise: {share: 1}
      - sharpen: {share: 1}
      - posterise: {share: 1}
      - grey: {share: 1}
- blur: {share: 0.15, radius: [0.002, 0.015]}
- noise: {share: 0.15}
- compress: {share: 0.15}
- erase: {share: 0.35, area: [0.02, 0.25]}
""",
    ),
    "camera-trap": Preset(
        "for fixed cameras by day and in infrared at night: day pictures also as the night would show them, smears of "
        "what moves, and the printed banner hidden, since it tells the place",
        """
- crop: {least: 0.4}
- flip
- rotate: {degrees: 5, share: 0.3}
- colour: {brightness: 0.3, contrast: 0.3, saturation: 0.3, hue: 0.01}
- together:
    label: infrared
    share: 0.3
    steps:
      - grey: {share: 1}
      - gamma: {power: [0.7, 2.0], share: 1}
      - flash: {falloff: [0.4, 0.95], share: 0.8}
      - noise: {strength: [3, 16], grey: true, share: 0.8}
- motion-blur: {share: 0.2}
- far: {share: 0.15}
- compress: {share: 0.2, quality: [35, 85]}
- banner: {share: 0.4}
- erase: {share: 0.2}
""",
    ),
    "underwater": Preset(
        "for animals under water: more or less water between, veils, lamps and blur; upright, as they swim",
        """
- crop: {least: 0.35}
- flip
- rotate: {degrees: 15, share: 0.4}
- water: {share: 0.5}
- colour: {brightness: 0.3, contrast: 0.3, saturation: 0.3, hue: 0.02}
- flash: {share: 0.15, falloff: [0.3, 0.8]}
- blur: {share: 0.2, radius: [0.002, 0.012]}
- noise: {share: 0.15}
- compress: {share: 0.2}
- erase: {share: 0.15}
""",
    ),
    "deck": Preset(
        "for catch under a camera that looks down, on a deck or a table: it lies in any direction, in sun, shade and "
        "lamplight, wet lenses included",
        """
- crop: {least: 0.35}
- flip
- flip-vertical
- quarter-turns: {share: 0.5}
- rotate: {degrees: 20, share: 0.4}
- perspective: {share: 0.3}
- colour: {brightness: 0.35, contrast: 0.3, saturation: 0.3, hue: 0.02}
- gamma: {share: 0.25}
- blur: {share: 0.2, radius: [0.002, 0.015]}
- compress: {share: 0.2}
- erase: {share: 0.2}
""",
    ),
    "fluke": Preset(
        "for who is who by marks, as on the flukes of whales: never mirrored, since left and right have other marks, "
        "and never cut small, since the whole edge is the signature",
        """
- affine: {zoom: [0.85, 1.1], shift: 0.04, slant: 4, share: 0.7}
- rotate: {degrees: 10, share: 0.5}
- perspective: {strength: 0.2, share: 0.3}
- colour: {brightness: 0.3, contrast: 0.35, saturation: 0.4, hue: 0.02}
- grey: {share: 0.3}
- blur: {share: 0.15}
- far: {share: 0.15}
- noise: {share: 0.1}
- erase: {share: 0.2, area: [0.02, 0.08]}
""",
    ),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """Checked steps. Boxes of which less than `least_box` is left after them are dropped.

    `weight` is what copies on disk count: `shared` (original and copies together as much as the original did), `full`
    (each as much), or a number (each copy so many times the original).
    """

    steps: tuple[Step, ...]
    least_box: float = LEAST_BOX
    weight: str | float = "shared"

    def sized(self, size: tuple[int, int] | None) -> tuple[Step, ...]:
        """The steps for a network that reads one size (height, width)."""
        return tuple(for_size(step, size) for step in self.steps)

    @property
    def names(self) -> tuple[str, ...]:
        """What can be left out, in order, each once."""
        return tuple(dict.fromkeys(step.name for step in self.steps))

    def without(self, *names: str) -> Plan:
        if unknown := [name for name in names if name not in self.names]:
            raise AugmentationError(
                f"there is no step {unknown[0]!r} to leave out; there are: {', '.join(self.names)}."
            )
        return Plan(tuple(step for step in self.steps if step.name not in names), self.least_box, self.weight)


def preset(name: str) -> Plan:
    """The plan of a preset."""
    return Plan(steps_from(yaml.safe_load(PRESETS[name].steps), f"preset {name}"))


def plan_of(text: str) -> Plan:
    """The plan of a preset's name, of a YAML file's path, or of YAML text."""
    if text in PRESETS:
        return preset(text)
    if text.endswith(ENDINGS) and "\n" not in text:
        try:
            return _parsed(Path(text).read_text(encoding="utf-8"), text)
        except (OSError, UnicodeError) as error:
            raise AugmentationError(f"{text} cannot be read ({error}).") from error
    if text.startswith("- ") or any(mark in text for mark in "\n:[{"):
        return _parsed(text, "the augmentation")
    near = get_close_matches(text, PRESETS, n=2)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise AugmentationError(
        f"there is no augmentation {text!r}.{hint} Presets: {', '.join(PRESETS)}; or name a file that ends in .yaml."
    )


def plan_text(plan: Plan) -> str:
    """A plan as YAML, every setting said: read again, it is the same plan."""
    values = {
        "least_box": plan.least_box,
        "weight": plan.weight,
        "steps": [values_of(step) for step in plan.steps],
    }
    return yaml.safe_dump(values, sort_keys=False, default_flow_style=None, allow_unicode=True, width=110)


def presets_explained() -> str:
    """Every preset with what it is for, for people."""
    return "".join(f"{name}: {one.about}\n    {', '.join(preset(name).names)}\n" for name, one in PRESETS.items())


_KEYS = {
    "preset": "the preset to begin with",
    "steps": "a list of steps, instead of a preset",
    "change": "settings of steps of the preset, such as {flip: {share: 0.3}}",
    "without": "names of steps of the preset to leave out",
    "add": "steps to add at the end",
    "least_box": "share of a box that must be left for it to stay",
    "weight": "what copies count: shared, full, or a number",
}


def _parsed(text: str, origin: str) -> Plan:
    try:
        values = load_yaml(text)
    except yaml.YAMLError as error:
        raise AugmentationError(f"{origin} cannot be read as YAML: {error}") from error
    if isinstance(values, list):
        values = {"steps": values}
    if not isinstance(values, Mapping):
        raise AugmentationError(f"{origin} holds no steps: expected a list, or lines such as `preset: standard`.")
    unknown = [key for key in values if key not in _KEYS]
    if unknown:
        known = "; ".join(f"{key} ({meaning})" for key, meaning in _KEYS.items())
        raise AugmentationError(f"{origin}: there is no key {unknown[0]!r}. Known: {known}.")
    steps = _beginning(values, origin)
    steps = _without(steps, values.get("without") or [], origin)
    steps = _changed(steps, values.get("change") or {}, origin)
    steps += steps_from(values.get("add") or [], origin)
    return Plan(steps, _least_box(values.get("least_box", LEAST_BOX), origin), _weight(values, origin))


def _beginning(values: Mapping[str, Any], origin: str) -> tuple[Step, ...]:
    if ("preset" in values) == ("steps" in values):
        raise AugmentationError(f"{origin}: give `preset` (one of {', '.join(PRESETS)}) or `steps`, one of the two.")
    if "steps" in values:
        return steps_from(values["steps"] or [], origin)
    if values["preset"] not in PRESETS:
        raise AugmentationError(f"{origin}: there is no preset {values['preset']!r}. Presets: {', '.join(PRESETS)}.")
    return preset(values["preset"]).steps


def _without(steps: tuple[Step, ...], names: object, origin: str) -> tuple[Step, ...]:
    if not isinstance(names, Sequence) or isinstance(names, str):
        raise AugmentationError(f"{origin}: without is a list of names, such as [flip], not {names!r}.")
    try:
        return Plan(steps).without(*map(str, names)).steps
    except AugmentationError as error:
        raise AugmentationError(f"{origin}: {error}") from None


def _changed(steps: tuple[Step, ...], changes: object, origin: str) -> tuple[Step, ...]:
    if not isinstance(changes, Mapping):
        raise AugmentationError(f"{origin}: change names steps with settings, such as {{flip: {{share: 0.3}}}}.")
    there = Plan(steps).names
    for name, values in changes.items():
        if name not in there:
            raise AugmentationError(f"{origin}: there is no step {name!r} to change; there are: {', '.join(there)}.")
        if not isinstance(values, Mapping):
            raise AugmentationError(f"{origin}: {name} is followed by its settings, as {{share: 0.5}}, not {values!r}.")
    return tuple(changed(step, changes.get(step.name, {}), origin) for step in steps)


def _least_box(value: object, origin: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise AugmentationError(f"{origin}: least_box is a share from 0 to 1, not {value!r}.")
    return float(value)


def _weight(values: Mapping[str, Any], origin: str) -> str | float:
    value = values.get("weight", "shared")
    if value in ("shared", "full"):
        return str(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise AugmentationError(f"{origin}: weight is shared, full, or a number from 0, not {value!r}.")
    return float(value)
