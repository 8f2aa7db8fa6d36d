"""Lists in pages by keyset: as quick at the millionth row as at the first."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Model, Q, QuerySet
from rest_framework.request import Request
from rest_framework.serializers import CharField, IntegerField, Serializer

from webapp.api.problems import BadRequest

LIMIT = 100
LONGEST = 1000
LOOKED_THROUGH = 10_000
"""Rows of one page where a filter has no index: so many are looked at, and `next` goes on behind them."""


Narrow = Callable[[QuerySet[Any], Any, Any], QuerySet[Any]]
"""Given the rows that a page looks through, the first of them and the last; None: there are not so many."""


class PageQuery(Serializer[Any]):
    """What every list takes."""

    after = CharField(required=False, max_length=400, help_text="From `next` of the page before; leave it out first")
    limit = IntegerField(required=False, default=LIMIT, min_value=1, max_value=LONGEST)


def page(
    rows: QuerySet[Any],
    request: Request,
    *,
    shape: Callable[[Any], dict[str, Any]],
    keys: Sequence[str] = ("-pk",),
    narrow: Narrow | None = None,
) -> dict[str, Any]:
    """One page of `rows` in the order of `keys`; the last key must be unique and no key may be null.

    `narrow` adds a filter that no index serves: the page may then hold less than its limit, or nothing, and a `next`.
    """
    query = PageQuery(data=request.query_params)
    query.is_valid(raise_exception=True)
    limit, after = query.validated_data["limit"], query.validated_data.get("after")
    if after:
        rows = rows.filter(_beyond(keys, _read_cursor(after, len(keys))))
    last = None
    if narrow is not None:
        first = rows.order_by(*keys).first()
        last = rows.order_by(*keys)[LOOKED_THROUGH - 1 : LOOKED_THROUGH].first()
        rows = narrow(rows if last is None else rows.filter(_until(keys, last)), first, last)
    found = list(rows.order_by(*keys)[: limit + 1])
    results = [shape(row) for row in found[:limit]]
    if len(found) > limit:
        last = found[limit - 1]
    return {"results": results, "next": None if last is None else with_query(request, after=_cursor(last, keys))}


def with_query(request: Request, **changes: str) -> str:
    """This request's own address with some of its query changed."""
    query = request.query_params.copy()
    for name, value in changes.items():
        query[name] = value
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


def _cursor(row: Model | Mapping[str, Any], keys: Sequence[str]) -> str:
    values = [_value(row, key.lstrip("-")) for key in keys]
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def _value(row: Any, name: str) -> Any:
    if isinstance(row, Mapping):
        row = row[name]
    else:
        for part in name.split("__"):
            row = getattr(row, part)
    return row.isoformat() if isinstance(row, datetime) else row


def _read_cursor(cursor: str, length: int) -> list[Any]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        values = json.loads(base64.urlsafe_b64decode(padded))
    except (binascii.Error, ValueError) as error:
        raise BadRequest("`after` is not a cursor of this list. Take it from `next`.", code="bad-cursor") from error
    plain = isinstance(values, list) and all(
        isinstance(value, (str, int, float)) and not isinstance(value, bool) for value in values
    )
    if not plain or len(values) != length:
        raise BadRequest("`after` is not a cursor of this list. Take it from `next`.", code="bad-cursor")
    return list(values)


def _beyond(keys: Sequence[str], values: Sequence[Any]) -> Q:
    """Rows after the cursor: past it in the first key, or level there and past it in the next, and so on.

    That no row lies before it in the first key follows; said aloud, it lets the database begin there in its index.
    """
    first = keys[0].lstrip("-")
    return Q(**{f"{first}__{'lte' if keys[0].startswith('-') else 'gte'}": values[0]}) & _past(keys, values)


def _until(keys: Sequence[str], row: Model | Mapping[str, Any]) -> Q:
    """This row and those before it; the first key is said aloud as in `_beyond`."""
    values = [_value(row, key.lstrip("-")) for key in keys]
    first = keys[0].lstrip("-")
    return Q(**{f"{first}__{'gte' if keys[0].startswith('-') else 'lte'}": values[0]}) & ~_past(keys, values)


def _past(keys: Sequence[str], values: Sequence[Any]) -> Q:
    beyond = Q()
    for place in range(len(keys)):
        name, step = keys[place].lstrip("-"), "lt" if keys[place].startswith("-") else "gt"
        level = Q(**{key.lstrip("-"): value for key, value in zip(keys[:place], values[:place], strict=True)})
        beyond |= level & Q(**{f"{name}__{step}": values[place]})
    return beyond
