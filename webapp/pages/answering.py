"""What every page does around its own work: who asks, and errors a person can act on."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from webapp.access.actors import Actor
from webapp.access.identify import actor_of
from webapp.errors import NotFound, NotSignedIn, OspreyError

View = Callable[..., HttpResponse]
TITLES = {
    403: "Not yours to do",
    404: "Nothing here",
    409: "That does not fit any more",
    413: "Too large",
    422: "Something to correct",
    429: "Too quick",
    503: "Not available just now",
}


def page(*methods: str) -> Callable[[View], View]:
    """A page: its view takes (request, actor, ...), and what it refuses becomes a page that says what to do."""

    def wrap(view: View) -> View:
        @require_http_methods(list(methods or ("GET", "HEAD")))
        @wraps(view)
        def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                return view(request, actor_of(request), *args, **kwargs)
            except NotSignedIn:
                return to_sign_in(request)
            except OspreyError as error:
                return refusal(request, error)

        return answered

    return wrap


def attempt(request: HttpRequest, back: str, done: str, act: Callable[[], object]) -> HttpResponse:
    """Do one act of a form and go back to its page, with what came of it in words."""
    try:
        act()
    except NotSignedIn:
        return to_sign_in(request)
    except NotFound:
        raise
    except OspreyError as error:
        messages.error(request, error.what)
    else:
        messages.success(request, done)
    return HttpResponseRedirect(back)


def to_sign_in(request: HttpRequest) -> HttpResponse:
    back = request.get_full_path() if request.method in ("GET", "HEAD") else "/"
    return HttpResponseRedirect(f"{reverse('sign-in')}?{urlencode({'next': back})}")


def need_person(actor: Actor) -> Actor:
    """Pages about oneself need somebody signed in."""
    if actor.user is None:
        raise NotSignedIn("Sign in first.")
    return actor


def refusal(request: HttpRequest, error: OspreyError) -> HttpResponse:
    title = TITLES.get(error.status, "That did not work")
    context = {"title": title, "what": error.what, "status": error.status}
    return render(request, "pages/error.html", context, status=error.status)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return refusal(request, NotFound(f"There is no page at {request.path}. Start again from the menu above."))


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return refusal(request, OspreyError("The request could not be read. Reload the page and try again."))


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    what = "This is not allowed for you. If you think it should be, ask an admin of the project."
    return refusal(request, OspreyError(what, status=403))


def failed(request: HttpRequest) -> HttpResponse:
    """No database, no context processors: they may be what failed."""
    return render(None, "pages/failed.html", status=500)


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    what = "This page was open for too long, or cookies are switched off. Go back, reload the page and try again."
    return refusal(request, OspreyError(what, status=403))
