"""Reads, overrides, writes and explains the configuration of a run: YAML here, the meaning in `training.contract`."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from training.contract import ConfigError, RunConfig, as_values, explain, parse_config, with_overrides
from training.run_folder import write_text


class _EachKeyOnce(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} stands there twice", key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep=deep)


def load_yaml(text: str) -> Any:
    """Plain values of YAML; raises yaml.YAMLError, also for a key that stands twice."""
    return yaml.load(text, Loader=_EachKeyOnce)  # noqa: S506 -- a SafeLoader


def read_config(path: Path | None, overrides: Sequence[str] = ()) -> RunConfig:
    """The config of a YAML (or JSON) file, with `key=value` words applied before it is checked as a whole."""
    values: dict[str, Any] = {}
    if path is not None and path.exists():
        try:
            loaded = load_yaml(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeError, yaml.YAMLError) as error:
            raise ConfigError(f"{path} cannot be read as YAML: {error}") from error
        if not isinstance(loaded, dict | None):
            raise ConfigError(f"{path} holds no settings: expected lines such as `epochs: 20`")
        values = loaded or {}
    elif path is not None and not overrides:
        raise ConfigError(f"{path} is not there, and no key=value settings were given")
    if not overrides:
        return parse_config(values, origin=str(path))
    # What is missing in the file may come from the overrides, so the file alone need not be complete.
    complete = RunConfig(**_checked_names(values, path))
    return with_overrides(complete, overrides)


def _checked_names(values: dict[str, Any], path: Path | None) -> dict[str, Any]:
    known = as_values(RunConfig())
    unknown = [key for key in values if key not in known]
    if unknown:
        parse_config({unknown[0]: None}, origin=str(path))
    return values


def write_config(path: Path, config: RunConfig) -> None:
    """Every setting with its meaning above it, so that the file explains itself."""
    values = as_values(config)
    lines: list[str] = []
    section = ""
    for one in explain():
        if one.section != section:
            section = one.section
            lines += ["", f"# ---- {section} ----"]
        lines += [f"# {line}" for line in textwrap.wrap(one.meaning, 110)]
        lines.append(yaml.safe_dump({one.key: values[one.key]}, allow_unicode=True, width=10_000).strip())
    write_text(path, "\n".join(lines).strip() + "\n")


def explained() -> str:
    """All settings for people, as `--explain` prints them."""
    lines: list[str] = []
    section = ""
    for one in explain():
        if one.section != section:
            section = one.section
            lines += ["", section, "-" * len(section)]
        default = repr(one.default) if isinstance(one.default, str) else str(one.default).lower()
        lines.append(f"{one.key}={default}" + (f"  one of {', '.join(one.choices)}" if one.choices else ""))
        lines += textwrap.wrap(one.meaning, 100, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines).strip() + "\n"
