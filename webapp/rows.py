"""Writes rows by prepared statements, for the few places where each upload passes and the ORM's compiler would rule.

`bulk_update` builds a CASE for each value, `save` and `bulk_create` compile their statement anew each time; here the
statement of a model is written once. Defaults, conversions and constraints are the same; nothing else happens.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from django.db import connection, models


def update_rows(rows: Sequence[models.Model], columns: Sequence[str]) -> None:
    """Write some columns of many rows. `columns` as in the table."""
    if not rows:
        return
    key = _key(type(rows[0]))
    fields = {field.column: field for field in rows[0]._meta.concrete_fields}
    values = [[*(_value(row, fields[column]) for column in columns), row.pk] for row in rows]
    assignments = ", ".join(f"{column} = %s" for column in columns)
    with connection.cursor() as cursor:
        cursor.executemany(f"UPDATE {rows[0]._meta.db_table} SET {assignments} WHERE {key.column} = %s", values)


def insert_row(row: models.Model) -> None:
    """Add one row whose key the database gives, and put the key on it."""
    model = type(row)
    with connection.cursor() as cursor:
        cursor.execute(f"{_insert(model)} RETURNING {_key(model).column}", _values(row))
        row.pk = cursor.fetchone()[0]


def insert_rows(rows: Sequence[models.Model], *, skip_known: bool = False) -> None:
    """Add many rows without learning their keys; with `skip_known`, those that a constraint forbids are left out."""
    if not rows:
        return
    end = " ON CONFLICT DO NOTHING" if skip_known else ""
    with connection.cursor() as cursor:
        cursor.executemany(_insert(type(rows[0])) + end, [_values(row) for row in rows])


def _key(model: type[models.Model]) -> models.Field[Any, Any]:
    key = model._meta.pk
    if key is None:
        raise TypeError(f"{model._meta.label} has no key")
    return key


@cache
def _fields(model: type[models.Model]) -> tuple[models.Field[Any, Any], ...]:
    """What an INSERT names: all columns but a key that the database makes."""
    return tuple(field for field in model._meta.concrete_fields if not isinstance(field, models.AutoField))


@cache
def _insert(model: type[models.Model]) -> str:
    columns = [str(field.column) for field in _fields(model)]
    return f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})"


def _values(row: models.Model) -> list[Any]:
    return [_value(row, field) for field in _fields(type(row))]


def _value(row: models.Model, field: models.Field[Any, Any]) -> Any:
    return field.get_db_prep_save(getattr(row, field.attname), connection)
