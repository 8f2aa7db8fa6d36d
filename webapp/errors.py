"""Errors that a person may meet: what was wrong, and what to do. One handler turns them into answers."""

from __future__ import annotations


class OspreyError(Exception):
    """Base of all errors raised on purpose; `code` is stable, `status` the HTTP status that fits."""

    code = "error"
    status = 400

    def __init__(self, what: str, *, code: str | None = None, status: int | None = None, **extra: object) -> None:
        super().__init__(what)
        self.what = what
        self.code = code or self.code
        self.status = status or self.status
        self.extra = extra


class NotSignedIn(OspreyError):
    code = "not-signed-in"
    status = 401


class Forbidden(OspreyError):
    code = "forbidden"
    status = 403


class NotFound(OspreyError):
    code = "not-found"
    status = 404


class Conflict(OspreyError):
    code = "conflict"
    status = 409


class TooLarge(OspreyError):
    code = "too-large"
    status = 413


class Invalid(OspreyError):
    code = "invalid"
    status = 422


class TooMany(OspreyError):
    """Throttled or over a bound; `retry_after` is in seconds."""

    code = "too-many-requests"
    status = 429

    def __init__(self, what: str, *, retry_after: int = 1, code: str | None = None) -> None:
        super().__init__(what, code=code, retry_after=retry_after)
        self.retry_after = retry_after


class NoSpace(OspreyError):
    code = "no-space"
    status = 507


class Unavailable(OspreyError):
    code = "unavailable"
    status = 503
