"""Rows by prepared statements, for the few places where each upload passes and the ORM's compiler would rule.

`bulk_update` builds a CASE for each value, a query set and `save` compile their statement anew each time; here the
statement of a model is written once. Defaults, conversions and constraints are the same; nothing else happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

Row = TypeVar("Row", bound=models.Model)
AT_ONCE = 500
"""Rows in one statement: their values stay below what either database takes."""


@contextmanager
def sent_together() -> Iterator[None]:
    """Statements of this block go to PostgreSQL without waiting for each other, as far as nobody reads an answer.

    What a statement did wrong is raised at the next read or at the end of the block, and no `rowcount` is known before.
    Within a transaction.
    """
    if connection.vendor != "postgresql":
        yield
        return
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield


def read_rows(model: type[Row], column: str, values: Sequence[Any], *, lock: bool = False, **also: int) -> list[Row]:
    """Whole rows whose `column`, named as in the table, has one of `values`, in the order of their keys.

    `also` names columns that have one whole number each. With `lock` nobody else changes the rows until the transaction
    ends (on SQLite it has locked everything already).
    """
    if not values:
        return []
    end = " FOR UPDATE" if lock and connection.vendor == "postgresql" else ""
    field = _by_column(model)[column]
    wanted = [field.get_db_prep_value(value, _here()) for value in values]
    with connection.cursor() as cursor:
        cursor.execute(f"{_select(model, column, len(values), tuple(also))}{end}", [*wanted, *also.values()])
        found = cursor.fetchall()
    return _rows_of(model, found)


def read_joined(model: type[Row], column: str, value: Any, foreign_key: str) -> list[Row]:
    """Whole rows whose `column` is `value`, each with the row that `foreign_key` points to, by one statement."""
    wanted = _by_column(model)[column].get_db_prep_value(value, _here())
    with connection.cursor() as cursor:
        cursor.execute(_select_joined(model, column, foreign_key), [wanted])
        found = cursor.fetchall()
    width = len(model._meta.concrete_fields)
    rows = _rows_of(model, [values[:width] for values in found])
    others = _rows_of(_pointed_at(model, foreign_key), [values[width:] for values in found])
    for row, joined in zip(rows, others, strict=True):
        setattr(row, foreign_key, joined)
    return rows


def update_rows(rows: Sequence[models.Model], columns: Sequence[str]) -> None:
    """Write some columns of many rows. `columns` as in the table."""
    if not rows:
        return
    key = _key(type(rows[0]))
    by_column = _by_column(type(rows[0]))
    fields = [by_column[column] for column in columns]
    values = [[*_values(row, fields), row.pk] for row in rows]
    assignments = ", ".join(f"{column} = %s" for column in columns)
    with connection.cursor() as cursor:
        cursor.executemany(f"UPDATE {rows[0]._meta.db_table} SET {assignments} WHERE {key.column} = %s", values)


def insert_row(row: models.Model) -> None:
    """Add one row whose key the database gives, and put the key on it."""
    model = type(row)
    with connection.cursor() as cursor:
        cursor.execute(f"{_insert(model)} RETURNING {_key(model).column}", _values(row))
        row.pk = cursor.fetchone()[0]


def insert_keyed(rows: Sequence[models.Model]) -> None:
    """Add many rows whose keys the database gives, and put its key on each."""
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        model = type(some[0])
        with connection.cursor() as cursor:
            # Both databases return the keys in the order of the values; Django's bulk_create relies on it as well.
            cursor.execute(
                f"{_insert(model, len(some))} RETURNING {_key(model).column}",
                [value for row in some for value in _values(row)],
            )
            for row, (key,) in zip(some, cursor.fetchall(), strict=True):
                row.pk = key


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
def _by_column(model: type[models.Model]) -> dict[str, models.Field[Any, Any]]:
    return {str(field.column): field for field in model._meta.concrete_fields}


@cache
def _insert(model: type[models.Model], count: int = 1) -> str:
    columns = [connection.ops.quote_name(str(field.column)) for field in _fields(model)]
    places = ", ".join([f"({', '.join(['%s'] * len(columns))})"] * count)
    return f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) VALUES {places}"


def _values(row: models.Model, fields: Sequence[models.Field[Any, Any]] = ()) -> list[Any]:
    here = _here()
    return [field.get_db_prep_save(getattr(row, field.attname), here) for field in fields or _fields(type(row))]


@cache
def _select(model: type[models.Model], column: str, count: int, also: tuple[str, ...]) -> str:
    columns = ", ".join(connection.ops.quote_name(str(field.column)) for field in model._meta.concrete_fields)
    where = f"{column} IN ({', '.join(['%s'] * count)})" + "".join(f" AND {name} = %s" for name in also)
    return f"SELECT {columns} FROM {model._meta.db_table} WHERE {where} ORDER BY {_key(model).column}"


@cache
def _select_joined(model: type[models.Model], column: str, foreign_key: str) -> str:
    link, other = _by_column(model)[f"{foreign_key}_id"], _pointed_at(model, foreign_key)
    quote = connection.ops.quote_name
    columns = [f"t.{quote(str(field.column))}" for field in model._meta.concrete_fields]
    columns += [f"o.{quote(str(field.column))}" for field in other._meta.concrete_fields]
    joined = f"{model._meta.db_table} t JOIN {other._meta.db_table} o ON o.{_key(other).column} = t.{link.column}"
    return f"SELECT {', '.join(columns)} FROM {joined} WHERE t.{column} = %s ORDER BY t.{_key(model).column}"


def _pointed_at(model: type[models.Model], foreign_key: str) -> type[models.Model]:
    other = model._meta.get_field(foreign_key).related_model
    if not isinstance(other, type):
        raise TypeError(f"{model._meta.label}.{foreign_key} points to no model")
    return other


def _rows_of(model: type[Row], found: Sequence[Sequence[Any]]) -> list[Row]:
    names = [field.attname for field in model._meta.concrete_fields]
    return [model.from_db(connection.alias, names, values) for values in _converted(model, found)]


def _converted(model: type[models.Model], found: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """From what the database gives to what the fields hold, by the steps that a query set would take."""
    here = _here()
    rows = [list(row) for row in found]
    for index, field in enumerate(model._meta.concrete_fields):
        expression = field.cached_col
        for step in (*here.ops.get_db_converters(expression), *expression.get_db_converters(here)):
            for row in rows:
                row[index] = step(row[index], expression, here)
    return rows


def _here() -> BaseDatabaseWrapper:
    """This thread's connection itself: each look through `django.db.connection` costs a microsecond or two."""
    return connections[DEFAULT_DB_ALIAS]
