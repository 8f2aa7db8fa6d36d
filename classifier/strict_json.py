"""Frozen dataclasses from JSON, loudly: an unknown or missing key or a wrong type is an error that names the field."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, Union

T = TypeVar("T")

# A card has hundreds of labels, and working out the hints of a class takes longer than reading one.
_HINTS: dict[type[Any], dict[str, Any]] = {}


class FieldError(ValueError):
    """A field does not fit; the message begins with its path, such as `labels[3].kind`."""


def from_json(cls: type[T], data: object, *, where: str = "") -> T:
    """Build `cls` from what `json.loads` gave, checking every key and type below it."""
    if not isinstance(data, Mapping):
        raise FieldError(f"{where or 'the document'}: expected an object, got {_kind(data)}")
    hints = _hints(cls)
    unknown = sorted(str(key) for key in data if key not in hints)
    if unknown:
        known = ", ".join(sorted(hints))
        raise FieldError(f"{_path(where, unknown[0])}: unknown key. Known keys: {known}")
    required = [f.name for f in dataclasses.fields(cls) if _is_required(f)]  # type: ignore[arg-type]
    for name in required:
        if name not in data:
            raise FieldError(f"{_path(where, name)}: missing")
    return cls(**{name: _convert(hints[name], value, _path(where, name)) for name, value in data.items()})


def to_json(value: Any) -> Any:
    """The reverse: plain dicts, lists and scalars; fields that hold their default are kept, so nothing is implied."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    return value


def _hints(cls: type[Any]) -> dict[str, Any]:
    if cls not in _HINTS:
        _HINTS[cls] = typing.get_type_hints(cls)
    return _HINTS[cls]


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _path(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _kind(value: object) -> str:
    return "null" if value is None else f"{type(value).__name__} {value!r:.60}"


def _convert(hint: Any, value: object, where: str) -> Any:
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint):
        return from_json(typing.cast("type[Any]", hint), value, where=where)
    converter = _CONVERTERS.get(origin) or _CONVERTERS.get(hint)
    if converter is None:
        raise TypeError(f"{where}: no rule to read {hint} from JSON")
    return converter(hint, value, where)


def _union(hint: Any, value: object, where: str) -> Any:
    options = typing.get_args(hint)
    if value is None and type(None) in options:
        return None
    [option] = [option for option in options if option is not type(None)]
    return _convert(option, value, where)


def _tuple(hint: Any, value: object, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise FieldError(f"{where}: expected a list, got {_kind(value)}")
    inner = typing.get_args(hint)
    if inner[-1] is Ellipsis:
        inner = (inner[0],) * len(value)
    if len(inner) != len(value):
        raise FieldError(f"{where}: expected {len(inner)} values, got {len(value)}")
    return tuple(_convert(h, item, f"{where}[{i}]") for i, (h, item) in enumerate(zip(inner, value, strict=True)))


def _mapping(hint: Any, value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise FieldError(f"{where}: expected an object, got {_kind(value)}")
    _, inner = typing.get_args(hint)
    return {str(key): _convert(inner, item, _path(where, str(key))) for key, item in value.items()}


def _literal(hint: Any, value: object, where: str) -> Any:
    choices = typing.get_args(hint)
    if value not in choices:
        raise FieldError(f"{where}: {value!r} is not one of {', '.join(map(repr, choices))}")
    return value


def _number(hint: Any, value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FieldError(f"{where}: expected a number, got {_kind(value)}")
    return float(value)


def _exact(hint: Any, value: object, where: str) -> Any:
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        words = {str: "text", int: "a whole number", bool: "true or false"}[hint]
        raise FieldError(f"{where}: expected {words}, got {_kind(value)}")
    return value


def _anything(hint: Any, value: object, where: str) -> Any:
    return value


_CONVERTERS: dict[Any, Callable[[Any, object, str], Any]] = {
    types.UnionType: _union,
    Union: _union,
    tuple: _tuple,
    Mapping: _mapping,
    Literal: _literal,
    float: _number,
    str: _exact,
    int: _exact,
    bool: _exact,
    Any: _anything,
}
