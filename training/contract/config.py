"""The configuration of a run: every setting with its meaning at its side.

An unknown key, a wrong type or two settings that contradict each other are errors that say what to write instead.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from functools import cache
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from training.contract.space import FIXED, IMBALANCE, Range, SpaceError, parse_space

T = TypeVar("T")

Recipe = Literal["head", "fine-tune", "two-stage", "sweep"]
StartKind = Literal["version", "pretrained", "weights", "run", "nothing"]


class ConfigError(Exception):
    """A configuration that cannot be used; the text says which setting and what to write."""


def _explained(default: T, meaning: str, *, below: str = "") -> T:
    """A field with its explanation; `below` opens a new section of the explained list."""
    made: T = field(default=default, metadata={"meaning": meaning, "section": below})
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """What one run does. Flat, so that `key=value` names any of it."""

    recipe: Recipe = _explained(
        "fine-tune",
        "head: only the last layer, on stored embeddings, in seconds; fine-tune: the whole network, the deeper layers "
        "more gently; two-stage: fine-tune on a balanced subset first, then on all labels with a new last layer; "
        "sweep: many settings and networks, judged by the validation part, and the best of them",
        below="What is learned",
    )
    seed: int = _explained(0, "start of all random numbers; the same seed, data and settings give the same draws")
    deterministic: bool = _explained(
        False, "the same report from the same config, snapshot, seed and device, at some cost in speed"
    )

    start: StartKind = _explained(
        "version",
        "version: a model folder; pretrained: timm's weights from the hub; weights: a weights file; run: the model of "
        "another run; nothing: random weights, and only when it is asked for with this word",
        below="Where it starts",
    )
    start_from: str = _explained("", "the model folder, weights file or run folder that `start` speaks of")
    architecture: str = _explained("", "any timm name, such as convnextv2_atto; empty: that of the start")
    revision: str = _explained("", "revision of the hub's repository; empty: the newest, whose commit is recorded")
    input_size: int = _explained(0, "side of the network's input in pixels; 0: that of the start")
    warm_head: bool = _explained(
        True, "a new last layer begins as recipe head leaves it, not at random (needs a model folder to start from)"
    )

    min_images: int = _explained(1, "labels with fewer training images are left out", below="Which images")
    per_class: int = _explained(0, "at most so many training images a label, drawn by seed; 0: all")
    image_weights: str = _explained(
        "", "CSV file with a column weight and one of sha256, path, file or image; images not named weigh 1"
    )
    first_min_images: int = _explained(11, "two-stage: labels with fewer images wait for the second stage")
    first_per_class: int = _explained(11, "two-stage: images a label in the first stage")

    augment: bool = _explained(
        True, "change training pictures at random: crops and mirrored copies", below="How pictures are varied"
    )
    augmentation: str = _explained(
        "",
        "a preset (light, standard, strong, camera-trap, underwater, deck, fluke), a YAML file with steps, or its "
        "text; empty: a crop and a mirrored copy by the two settings below",
    )
    crop_least: float = _explained(0.35, "smallest share of a picture's area that a random crop keeps")
    flip: float = _explained(0.5, "probability that a picture is mirrored")
    mixup: float = _explained(0.0, "strength of blending pairs of pictures (alpha of a beta distribution); 0: none")
    cutmix: float = _explained(0.0, "strength of pasting a part of one picture into another; 0: none")
    label_smoothing: float = _explained(0.0, "share of the truth given evenly to all labels, against overconfidence")

    imbalance: Literal["auto", "as-set", "plain", "square-root", "balanced", "logit-adjustment"] = _explained(
        "auto",
        "auto: recipe head tries plain, square-root and logit-adjustment and keeps what the validation part says, the "
        "other recipes do as the settings below say; as-set: as they say; any other goes before them",
        below="Rare labels",
    )
    sampler: Literal["natural", "square-root", "balanced"] = _explained(
        "natural",
        "how often images of a label are seen: as they come, by the square root of their number, or all labels alike",
    )
    loss: Literal["cross-entropy", "focal"] = _explained("cross-entropy", "focal looks away from what is easy")
    focal_gamma: float = _explained(2.0, "how far focal looks away")
    class_weights: Literal["none", "inverse", "effective"] = _explained(
        "none", "weight of a label in the loss: one over its images, or over their effective number"
    )
    effective_beta: float = _explained(0.999, "beta of the effective number (1 - beta^n) / (1 - beta)")
    logit_adjustment: float = _explained(
        0.0, "tau: adds tau * log(share of the label) to the logits while learning, which lifts rare labels in use"
    )

    epochs: int = _explained(20, "times that all training images are seen", below="How it learns")
    batch_size: int = _explained(32, "images a step, on all devices together")
    accumulate: int = _explained(1, "parts a step is computed in: the same step with less memory")
    optimizer: str = _explained("adamw", "any optimiser of timm by name: adamw, sgd, lion, lamb ...")
    learning_rate: float = _explained(1e-3, "highest rate of the last layer; `lr-find` suggests one")
    layer_decay: float = _explained(
        0.75, "each layer learns at this share of the rate of the layer after it; 1: all alike (from nothing: 1)"
    )
    weight_decay: float = _explained(0.05, "pull of the weights towards zero; not on biases and norms")
    momentum: float = _explained(0.9, "momentum of sgd, first beta of the others")
    clip_norm: float = _explained(1.0, "longest gradient a step may have; 0: any")
    dropout: float = _explained(0.0, "share of the embedding hidden from the last layer while learning")
    frozen_stages: int = _explained(
        0, "stages from the input that stay as they are, BatchNorm statistics included; -1: all but the last layer"
    )
    freeze_batch_norm: bool = _explained(False, "keep all BatchNorm statistics as they are (for small batches)")
    head_epochs: int = _explained(0, "epochs at the beginning in which only the last layer learns")
    ema_decay: float = _explained(
        0.998, "the published weights are a moving average with this memory; 0: the last ones"
    )
    head_decay: float = _explained(0.0, "recipe head: weight decay of the last layer; 0: chosen on validation")

    schedule: Literal["cosine", "one-cycle", "constant"] = _explained(
        "cosine", "how the rate moves: down a cosine, up and down once, or not at all", below="Rate over time"
    )
    warmup_epochs: float = _explained(1.0, "epochs in which the rate rises from near zero (cosine and constant)")
    restart_epochs: float = _explained(0.0, "cosine: length of the first cycle before a warm restart; 0: no restarts")
    restart_growth: float = _explained(1.0, "cosine: each cycle is so many times longer than the one before")
    lowest_rate: float = _explained(0.01, "where the rate ends, as a share of the highest")

    metric: Literal["loss", "accuracy", "balanced-accuracy", "macro-f1"] = _explained(
        "loss", "what of the validation part picks the best epoch", below="When it stops"
    )
    patience: int = _explained(0, "epochs without a better one after which it stops; 0: never early")
    checkpoint_steps: int = _explained(200, "steps between checkpoints; one is written after every epoch as well")

    sweep: str = _explained(
        "",
        "what is tried, as JSON: for each setting a list of values or {low, high, log}; `architecture` beside the "
        "start's own begins from pretrained weights; empty: networks, learning rates and ways with rare labels",
        below="Recipe sweep",
    )
    trials: int = _explained(12, "so many settings are tried, most of them for a part of the epochs only")
    minutes: float = _explained(480.0, "nothing more is tried after this time; 0: no limit")

    device: str = _explained("auto", "auto, cpu, cuda or cuda:1", below="The machine")
    precision: Literal["auto", "f32", "bf16", "f16"] = _explained(
        "auto", "numbers inside the network while learning; auto: bf16 or f16 where the device is quick at it"
    )
    channels_last: bool = _explained(True, "memory layout that convolutions are quicker in")
    threads: int = _explained(0, "processor threads for the network; 0: as many as there are")
    workers: int = _explained(0, "threads that read and vary pictures; 0: as many as there are processors")
    cache_side: int = _explained(
        0, "short side of the small copies that training reads; 0: 9/7 of the input; -1: originals each time"
    )
    profile_steps: int = _explained(0, "steps whose time is written down, operator by operator, in profile.txt")

    name: str = _explained("", "name of the version; empty: made of architecture and recipe", below="What comes out")
    proof_images: int = _explained(100, "images on which the exported form must equal the trained one")
    variants: str = _explained(
        "", "also publish lighter forms, each a version of its own: int8, f16 or both; measured, not chosen"
    )
    lower_precision: bool = _explained(True, "use bf16 in service where it loses nothing on the validation part")


def parse_config(values: Mapping[str, Any], *, origin: str = "the configuration") -> RunConfig:
    """A checked config from plain values; missing keys have their defaults."""
    hints = _hints()
    for key in values:
        if key not in hints:
            near = get_close_matches(str(key), hints, n=3)
            advice = f"Did you mean {', '.join(near)}?" if near else "`python -m training train --explain` lists all."
            raise ConfigError(f"{origin}: there is no setting {key!r}. {advice}")
    config = RunConfig(**{key: _checked(key, hints[key], value, origin) for key, value in values.items()})
    fault = next(_faults(config), None)
    if fault:
        raise ConfigError(f"{origin}: {fault}")
    return config


def with_overrides(config: RunConfig, words: Sequence[str]) -> RunConfig:
    """The config with `key=value` words applied, in order."""
    values = asdict(config)
    hints = _hints()
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            raise ConfigError(f"{word!r} is not of the form key=value, such as epochs=10.")
        values[key] = _from_text(key, hints[key], text) if key in hints else text
    return parse_config(values, origin="an override")


def as_values(config: RunConfig) -> dict[str, Any]:
    """All settings as plain values, in order."""
    return asdict(config)


def changed(config: RunConfig) -> dict[str, Any]:
    """Only what differs from the defaults."""
    return {key: value for key, value in asdict(config).items() if value != getattr(RunConfig(), key)}


@dataclass(frozen=True, slots=True)
class Explanation:
    """One setting for people: where it belongs, what it may be, what it means."""

    section: str
    key: str
    default: Any
    choices: tuple[str, ...]
    meaning: str


def explain() -> tuple[Explanation, ...]:
    """Every setting, in the order of the dataclass."""
    found: list[Explanation] = []
    section = ""
    for one in fields(RunConfig):
        section = one.metadata["section"] or section
        choices = get_args(_hints()[one.name]) if get_origin(_hints()[one.name]) is Literal else ()
        found.append(Explanation(section, one.name, _default(one), choices, one.metadata["meaning"]))
    return tuple(found)


def _default(one: Field[Any]) -> Any:
    if one.default is MISSING:
        raise TypeError(f"{one.name} needs a default")
    return one.default


@cache
def _hints() -> dict[str, Any]:
    return get_type_hints(RunConfig)


def _checked(key: str, hint: Any, value: Any, origin: str) -> Any:
    if key == "sweep" and isinstance(value, Mapping):
        return json.dumps(value)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ConfigError(f"{origin}: {key} is {value!r}; it is one of {', '.join(get_args(hint))}.")
        return value
    if hint is float and (type(value) is int or (type(value) is str and _EXPONENT.fullmatch(value))):
        value = float(value)
    if type(value) is not hint or (hint is float and not math.isfinite(value)):
        raise ConfigError(f"{origin}: {key} is {value!r}; {_KINDS[hint]} is expected.")
    return value


_EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")
"""1e-3, which YAML takes for text."""


_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def _from_text(key: str, hint: Any, text: str) -> Any:
    if hint is bool:
        if text.lower() not in _BOOLEANS:
            raise ConfigError(f"{key}={text}: true or false is expected.")
        return _BOOLEANS[text.lower()]
    if hint not in (int, float):
        return text
    try:
        return hint(text)
    except ValueError:
        raise ConfigError(f"{key}={text}: {_KINDS[hint]} is expected.") from None


_POSITIVE = (
    "epochs", "batch_size", "accumulate", "learning_rate", "min_images", "checkpoint_steps", "restart_growth",
    "trials",
)  # fmt: skip
_SHARES = ("flip", "label_smoothing", "ema_decay", "lowest_rate", "dropout", "effective_beta")
_FROM_ZERO = (
    "per_class", "mixup", "cutmix", "focal_gamma", "logit_adjustment", "weight_decay", "clip_norm", "head_epochs",
    "warmup_epochs", "restart_epochs", "patience", "threads", "workers", "input_size", "head_decay", "proof_images",
    "first_min_images", "first_per_class", "minutes", "profile_steps",
)  # fmt: skip


def _faults(config: RunConfig) -> Iterator[str]:
    yield from (f"{key} must be above 0." for key in _POSITIVE if getattr(config, key) <= 0)
    yield from (f"{key} must not be below 0." for key in _FROM_ZERO if getattr(config, key) < 0)
    yield from (f"{key} must lie in 0..1." for key in _SHARES if not 0 <= getattr(config, key) <= 1)
    if not 0 < config.layer_decay <= 1 or not 0 < config.crop_least <= 1:
        yield "layer_decay and crop_least must lie above 0 and at most at 1."
    if config.ema_decay == 1 or config.dropout == 1 or config.effective_beta == 1:
        yield "ema_decay, dropout and effective_beta must be below 1."
    if config.start in ("version", "weights", "run") and not config.start_from:
        yield f"start={config.start} needs start_from=PATH ({_STARTS[config.start]})."
    if config.start in ("pretrained", "weights", "nothing") and not config.architecture:
        yield f"start={config.start} needs architecture=NAME, any name timm knows, such as resnet18."
    if config.recipe == "head" and config.start not in ("version", "run"):
        yield "recipe=head needs the embeddings of a model folder: start=version start_from=FOLDER, or start=run."
    if config.recipe == "head" and config.input_size:
        yield "recipe=head learns on embeddings of the size that the start reads: leave input_size at 0."
    if config.recipe == "sweep":
        yield from _sweep_faults(config)
    odd = sorted(set(variants_of(config)) - set(VARIANTS))
    if odd:
        yield f"variants: {odd[0]!r} is none; there are {', '.join(VARIANTS)}."
    if config.accumulate > config.batch_size:
        yield f"accumulate={config.accumulate} cuts a batch of {config.batch_size} into less than images."


def _sweep_faults(config: RunConfig) -> Iterator[str]:
    try:
        space = parse_space(config.sweep)
    except SpaceError as error:
        yield f"sweep {error}."
        return
    for key, dimension in space.items():
        if key not in _hints() or key in FIXED:
            yield f"sweep: {key!r} is no setting that may differ between trials."
            continue
        if isinstance(dimension, Range):
            if _hints()[key] not in (int, float):
                yield f"sweep: {key} is no number, so that it needs a list of values."
            continue
        for value in dimension:
            if key == "recipe" and value == "sweep":
                yield "sweep: recipe: a sweep is not tried within a sweep."
            try:
                _checked(key, _hints()[key], value, "sweep")
            except ConfigError as error:
                yield str(error)


_STARTS = {"version": "a model folder", "weights": "a .safetensors or .pth file", "run": "the folder of another run"}


VARIANTS = ("int8", "f16")


def variants_of(config: RunConfig) -> tuple[str, ...]:
    """The lighter forms that were asked for."""
    return tuple(dict.fromkeys(word.strip() for word in config.variants.split(",") if word.strip()))


def with_imbalance(config: RunConfig, way: str) -> RunConfig:
    """The config with one way of `IMBALANCE` in place of what is set; `auto` and `as-set` leave it as it is."""
    return replace(config, **IMBALANCE[way], imbalance="as-set") if way in IMBALANCE else config


def second_stage(config: RunConfig) -> RunConfig:
    """What the second stage of two-stage does: fine-tune, on all labels."""
    return replace(config, recipe="fine-tune")


def first_stage(config: RunConfig) -> RunConfig:
    """What the first stage of two-stage does: fine-tune, on a balanced subset of the labels that have enough images."""
    return replace(
        config, recipe="fine-tune", min_images=max(1, config.first_min_images), per_class=config.first_per_class
    )
