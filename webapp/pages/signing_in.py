"""Coming in and going out: password, one-time link, sign out."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import login, logout
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from webapp.access import audit
from webapp.access.actors import Actor, Via
from webapp.access.models import User
from webapp.access.tokens import spend_sign_in_link
from webapp.errors import Forbidden
from webapp.images.models import Upload
from webapp.pages.answering import page
from webapp.projects.find import visible_projects

LINK_BACKEND = "django.contrib.auth.backends.ModelBackend"


@sensitive_post_parameters("password")
@never_cache
@page("GET", "POST")
def sign_in(request: HttpRequest, actor: Actor) -> HttpResponse:
    if actor.user is not None and request.method == "GET":
        return HttpResponseRedirect(where_to(request, actor.user))
    form = AuthenticationForm(request, data=request.POST or None)
    if request.method == "POST" and form.is_valid():
        person = form.get_user()
        login(request, person)
        return HttpResponseRedirect(where_to(request, person))
    return _show(request, form, locked=False)


@page()
def admin_sign_in(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Where Django's admin sends people: those who are signed in already are not let in by signing in again."""
    if actor.user is not None and not actor.user.is_staff:
        raise Forbidden("These rows are for the staff of the site. What you may do is on the pages of your projects.")
    return HttpResponseRedirect(f"{reverse('sign-in')}?{request.GET.urlencode()}")


def locked_out(request: HttpRequest, response: HttpResponse | None = None, credentials: Any = None) -> HttpResponse:
    """What axes answers when a name was tried too often from one address."""
    return _show(request, AuthenticationForm(request), locked=True)


def _show(request: HttpRequest, form: AuthenticationForm, *, locked: bool) -> HttpResponse:
    wanted = request.POST.get("next") or request.GET.get("next", "")
    context = {"form": form, "next": wanted, "locked": locked, "minutes": cool_off_minutes()}
    return render(request, "pages/sign_in.html", context, status=429 if locked else 200)


def cool_off_minutes() -> int:
    return round(settings.AXES_COOLOFF_TIME.total_seconds() / 60)


@never_cache
@page("GET", "POST")
def sign_in_link(request: HttpRequest, actor: Actor, secret: str) -> HttpResponse:
    """A link of the command line. GET only shows a button, so that a mail or chat preview cannot spend it."""
    if request.method == "GET":
        return render(request, "pages/sign_in_link.html")
    person = spend_sign_in_link(secret=secret)
    login(request, person, backend=LINK_BACKEND)
    audit.record(actor=Actor(Via.SESSION, user=person), action="sign in by link", subject=f"user:{person.pk}")
    back = reverse("account") + "#password" if not person.has_usable_password() else where_to(request, person)
    return HttpResponseRedirect(back)


@page("POST")
def sign_out(request: HttpRequest, actor: Actor) -> HttpResponse:
    logout(request)
    return HttpResponseRedirect(reverse("sign-in"))


def where_to(request: HttpRequest, person: User) -> str:
    """The page one came from, if it is ours; else the project with the newest upload; else Recognise."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    if wanted and url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure()):
        return wanted
    mine = visible_projects(Actor(Via.SESSION, user=person))
    newest = Upload.objects.filter(project__in=mine).order_by("-pk").select_related("project").first()
    project = newest.project if newest else mine.first()
    return reverse("project", args=[project.slug]) if project else reverse("home")
