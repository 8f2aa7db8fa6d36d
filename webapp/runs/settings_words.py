"""Settings of training as people type them: key=value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from training.contract import ConfigError, RunConfig, as_values, with_overrides
from webapp.errors import Invalid


def read_settings(words: Sequence[str]) -> dict[str, Any]:
    """The settings that were named, of their kinds; an unknown one is an error that names its like."""
    named = [word.partition("=")[0] for word in words]
    # A complete config to put them in: what they need beside them is checked once the start is known.
    base = RunConfig(start="pretrained", architecture="resnet18")
    try:
        values = as_values(with_overrides(base, words)) if words else {}
    except ConfigError as error:
        raise Invalid(str(error), code="bad-setting") from error
    return {name: values[name] for name in named}
