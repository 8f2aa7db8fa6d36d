"""How a call is described in OpenAPI, in one line per view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

from drf_spectacular.utils import OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers

from webapp.api.shapes.answers import Problem

F = TypeVar("F", bound=Callable[..., Any])
Shape = type[serializers.BaseSerializer[Any]]

PROBLEMS = {
    400: "The request cannot be read or a value does not fit",
    401: "Not signed in, or the token is unknown",
    403: "Not allowed",
    404: "Not there, or not visible to the caller",
    409: "Does not fit the present state",
    422: "Understood, but it cannot be done",
    429: "Too many requests: wait for Retry-After",
    503: "Not at the moment: wait for Retry-After",
}
FILE_PROBLEMS = {
    413: "Too large: in bytes, pixels, frames or text",
    415: "Not a picture, or of a format that is not read",
    507: "The disk or the quota is full; nothing was stored",
}


@cache
def page_of(shape: Shape) -> Shape:
    """A page of a list."""
    name = shape.__name__.removesuffix("Shape")
    members = {"results": shape(many=True), "next": serializers.URLField(allow_null=True)}
    return type(inline_serializer(f"{name}Page", members))


@cache
def list_of(shape: Shape) -> Shape:
    """A whole list, where it is never long."""
    name = shape.__name__.removesuffix("Shape")
    return type(inline_serializer(f"{name}List", {"results": shape(many=True)}))


def describe(
    name: str,
    summary: str,
    *,
    answers: Any = None,
    takes: Any = None,
    query: Sequence[Any] = (),
    status: int = 200,
    **more: Any,
) -> Callable[[F], F]:
    """`name` is the operation's id; its first word, up to a dot, groups it.

    `answers` is the shape of the answer with `status`, or shapes by status; `more` goes to extend_schema.
    """
    done = answers if answers is not None else OpenApiResponse(description="Done")
    responses: dict[Any, Any] = dict(done) if isinstance(done, dict) else {status: done}
    takes_files = isinstance(takes, dict)
    for code, words in (PROBLEMS | FILE_PROBLEMS if takes_files else PROBLEMS).items():
        responses[(code, "application/problem+json")] = OpenApiResponse(Problem, description=words)
    return extend_schema(
        operation_id=name,
        summary=summary,
        description=more.pop("description", ""),
        tags=[name.partition(".")[0]],
        request=takes,
        parameters=list(query),
        responses=responses,
        **more,
    )
