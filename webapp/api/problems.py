"""Errors as answers: RFC 9457 problem+json with a stable code, for DRF, for plain views and for the intake."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.core import exceptions as django_errors
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from rest_framework import exceptions as rest_errors
from rest_framework.response import Response

from classifier.errors import ImageRejected
from webapp.errors import (
    Forbidden,
    Invalid,
    NotFound,
    OspreyError,
    TooLarge,
    TooMany,
    Unavailable,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:osprey:problem:"
TITLES = {
    "not-signed-in": "Who are you?",
    "forbidden": "Not allowed",
    "not-found": "Not found",
    "csrf": "The page is too old",
    "invalid-fields": "Some values do not fit",
    "bad-json": "The body is not JSON",
    "bad-value": "A value cannot be stored",
    "too-many-requests": "Too many requests",
    "no-space": "The disk is full",
    "unavailable": "Not available at the moment",
    "failed": "A fault of the site",
}
# What the text of a database cannot hold: too long or too large, NUL, half a surrogate pair.
BAD_VALUES = (DataError, OverflowError, UnicodeError)


class BadValue(OspreyError):
    code = "bad-value"
    status = 400


class BadRequest(OspreyError):
    code = "bad-request"
    status = 400


class InvalidFields(OspreyError):
    """A body or query whose values do not fit; `errors` names each with what is wrong with it."""

    code = "invalid-fields"
    status = 400


class MethodNotAllowed(OspreyError):
    code = "method-not-allowed"
    status = 405


class Fault(OspreyError):
    """Our own fault. The log has the trace, the caller only the time to look for."""

    code = "failed"
    status = 500


def as_error(exc: BaseException) -> OspreyError:
    """Any exception as one of ours; an unknown one is logged and becomes a Fault."""
    if isinstance(exc, OspreyError):
        return exc
    if isinstance(exc, ImageRejected):
        return Invalid(exc.reason, code=exc.code, status=exc.status)
    if isinstance(exc, rest_errors.APIException):
        return _of_rest(exc)
    if isinstance(exc, Http404):
        return NotFound("There is nothing at this address. The addresses are listed at /api/v1/docs/.")
    if isinstance(exc, django_errors.PermissionDenied):
        return Forbidden("This is not allowed.")
    if isinstance(exc, django_errors.RequestDataTooBig):
        return TooLarge("The body is too large for this call: pictures go to /api/v1/classify or /api/v1/batches.")
    if isinstance(exc, django_errors.SuspiciousOperation):
        return BadRequest(f"The request cannot be read: {exc}")
    if isinstance(exc, BAD_VALUES) or (isinstance(exc, ValueError) and "NUL" in str(exc)):
        return BadValue("A value is too large, too long or holds characters that text cannot hold. Correct it.")
    if isinstance(exc, RecursionError):
        return BadRequest("The body is nested too deeply.", code="bad-json")
    if isinstance(exc, (OperationalError, InterfaceError)):
        logger.error("the database does not answer: %s", exc)
        return Unavailable("The database is busy or does not answer. Try again in a moment.", retry_after=2)
    at = timezone.now().strftime("%H:%M:%S")
    logger.exception("a request failed", exc_info=exc)
    return Fault(f"Osprey made a mistake. What happened is in the site's log at {at} UTC; nothing was lost.")


def _of_rest(exc: rest_errors.APIException) -> OspreyError:
    if isinstance(exc, rest_errors.ValidationError):
        errors = _flat(exc.detail)
        return InvalidFields("; ".join(f"{name}: {' '.join(said)}" for name, said in errors.items()), errors=errors)
    if isinstance(exc, rest_errors.ParseError):
        return BadRequest(f"The body cannot be read: {exc.detail}", code="bad-json")
    if isinstance(exc, rest_errors.MethodNotAllowed):
        return MethodNotAllowed(f"{exc.detail} See /api/v1/docs/ for what this address takes.")
    if isinstance(exc, rest_errors.Throttled):
        return TooMany("Too many requests.", retry_after=int(getattr(exc, "wait", None) or 1))
    return BadRequest(str(exc.detail), code=str(exc.default_code).replace("_", "-"), status=exc.status_code)


def _flat(detail: Any, prefix: str = "") -> dict[str, list[str]]:
    """DRF's nested details as one level: `annotations.0.box` -> what is wrong."""
    if isinstance(detail, Mapping):
        pairs = [(f"{prefix}.{name}".strip("."), inner) for name, inner in detail.items()]
    elif isinstance(detail, list) and any(isinstance(inner, (Mapping, list)) for inner in detail):
        pairs = [(f"{prefix}.{place}".strip("."), inner) for place, inner in enumerate(detail)]
    else:
        said = detail if isinstance(detail, list) else [detail]
        return {(prefix or "body").replace("non_field_errors", "body"): [str(line) for line in said]} if said else {}
    flat: dict[str, list[str]] = {}
    for name, inner in pairs:
        flat.update(_flat(inner, name))
    return flat


def problem_of(error: OspreyError, *, instance: str = "") -> dict[str, Any]:
    """The members of the answer; extras of the error stand beside the standard ones."""
    return {
        **{name: value for name, value in error.extra.items() if _is_plain(value)},
        "type": TYPE_PREFIX + error.code,
        "title": TITLES.get(error.code) or HTTPStatus(error.status).phrase,
        "status": error.status,
        "code": error.code,
        "detail": error.what,
        "instance": instance,
    }


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (str, int, float, bool, list, dict))


def headers_of(error: OspreyError) -> dict[str, str]:
    headers = {}
    if "retry_after" in error.extra:
        headers["Retry-After"] = str(error.extra["retry_after"])
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="osprey"'
    return headers


def answer(exc: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler. Requests are not atomic here, so there is nothing to roll back.

    DRF's own `set_rollback` would import the views, which import the authentication, which imports this module.
    """
    error = as_error(exc)
    request = context.get("request")
    response = Response(
        problem_of(error, instance=getattr(request, "path", "")),
        status=error.status,
        headers=headers_of(error),
        content_type=MEDIA_TYPE,
    )
    if isinstance(exc, rest_errors.MethodNotAllowed) and context.get("view"):
        response["Allow"] = ", ".join(context["view"].allowed_methods)
    return response


def problem_response(error: OspreyError, *, instance: str = "") -> HttpResponse:
    """The same for plain views, error pages and the intake."""
    body = json.dumps(problem_of(error, instance=instance))
    headers = headers_of(error) | {"X-Content-Type-Options": "nosniff"}  # the door has no middleware
    return HttpResponse(body, status=error.status, headers=headers, content_type=MEDIA_TYPE)


def plain(*methods: str) -> Callable[[Callable[..., Awaitable[HttpResponseBase]]], Callable[..., Any]]:
    """A plain async view that takes `methods` only and whose errors become problems."""

    def wrap(view: Callable[..., Awaitable[HttpResponseBase]]) -> Callable[..., Any]:
        @wraps(view)
        async def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.method not in methods:
                error = MethodNotAllowed(f"This address takes {' or '.join(methods)}, not {request.method}.")
                response = problem_response(error, instance=request.path)
                response["Allow"] = ", ".join(methods)
                return response
            try:
                return await view(request, *args, **kwargs)
            except Exception as exc:
                return problem_response(as_error(exc), instance=request.path)

        return guarded

    return wrap


def unknown_address(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
    """Whatever no route of /api/ takes."""
    error = NotFound(f"There is nothing at {request.path}. The addresses are listed at /api/v1/docs/.")
    return problem_response(error, instance=request.path)


def csrf_failed(request: HttpRequest, reason: str) -> None:
    raise Forbidden(
        f"{reason} A page must send the X-CSRFToken header; a program sends a token instead of a cookie.", code="csrf"
    )
