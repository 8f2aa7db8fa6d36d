"""One's own account: time zone, password, tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters

from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.models import ApiToken, User
from webapp.access.table import Scope
from webapp.access.tokens import issue_token, revoke_token
from webapp.errors import NotFound, OspreyError
from webapp.pages.answering import attempt, need_person, page
from webapp.projects.find import visible_projects

SCOPE_WORDS = {
    Scope.READ: "read projects, images and answers",
    Scope.UPLOAD: "send pictures and have them recognised",
    Scope.REVIEW: "also save reviews",
    Scope.CURATE: "also change labels, import and freeze",
    Scope.TRAIN: "also start training",
    Scope.ADMIN: "everything its owner may do",
}


class ZoneForm(forms.Form):
    time_zone = forms.CharField(max_length=64, required=False, label="Time zone")

    def clean_time_zone(self) -> str:
        zone = str(self.cleaned_data["time_zone"]).strip()
        if zone and zone not in available_timezones():
            raise forms.ValidationError(f"{zone} is not a time zone. Write it like Europe/Lisbon, or leave it empty.")
        return zone


class TokenForm(forms.Form):
    name = forms.CharField(max_length=100, label="What is it for?")
    scope = forms.ChoiceField(choices=[(scope.value, f"{scope.value}: {SCOPE_WORDS[scope]}") for scope in Scope])
    project = forms.ChoiceField(required=False, label="Only this project")
    days = forms.IntegerField(required=False, min_value=1, max_value=3650, label="Days until it expires")

    def __init__(self, *args: Any, projects: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["project"].choices = [("", "every project I may use"), *projects]  # type: ignore[attr-defined]
        self.fields["scope"].initial = Scope.UPLOAD.value


def token_form(actor: Actor, data: Any = None) -> TokenForm:
    projects = [(str(project.pk), project.name) for project in visible_projects(actor)]
    return TokenForm(data, projects=projects, prefix="token")


def password_form(person: User, data: Any = None) -> SetPasswordForm[User] | PasswordChangeForm:
    """Somebody who came by a link has no old password to give."""
    form = PasswordChangeForm(person, data) if person.has_usable_password() else SetPasswordForm(person, data)
    for one in form.fields.values():
        one.widget.attrs.pop("autofocus", None)
    return form


def show(request: HttpRequest, actor: Actor, status: int = 200, **context: Any) -> HttpResponse:
    person = _person(actor)
    shown = {
        "zone_form": ZoneForm(initial={"time_zone": person.time_zone}),
        "zones": sorted(available_timezones()),
        "password_form": password_form(person),
        "token_form": token_form(actor),
        "tokens": ApiToken.objects.filter(user=person).select_related("project").order_by("revoked_at", "-pk"),
        "memberships": person.memberships.select_related("project").order_by("project__name"),
        **context,
    }
    return render(request, "pages/account.html", shown, status=status)


def _person(actor: Actor) -> User:
    person = need_person(actor).user
    if person is None:
        raise NotFound("There is no account.")
    return person


@page()
def account(request: HttpRequest, actor: Actor) -> HttpResponse:
    return show(request, actor)


@page("POST")
def set_zone(request: HttpRequest, actor: Actor) -> HttpResponse:
    person, form = _person(actor), ZoneForm(request.POST)
    if not form.is_valid():
        return show(request, actor, status=422, zone_form=form)
    User.objects.filter(pk=person.pk).update(time_zone=form.cleaned_data["time_zone"])
    messages.success(request, "Times are shown in your zone from now on.")
    return HttpResponseRedirect(reverse("account"))


@sensitive_post_parameters()
@page("POST")
def set_password(request: HttpRequest, actor: Actor) -> HttpResponse:
    person = _person(actor)
    form = password_form(person, request.POST)
    if not form.is_valid():
        return show(request, actor, status=422, password_form=form)
    form.save()
    update_session_auth_hash(request, person)
    audit.record(actor=actor, action="set password", subject=f"user:{person.pk}")
    messages.success(request, "Your password is set. Other browsers are signed out.")
    return HttpResponseRedirect(reverse("account"))


@page("POST")
def make_token(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The answer shows the secret; it is stored nowhere, so a reload cannot show it again."""
    person, form = _person(actor), token_form(actor, request.POST)
    if not form.is_valid():
        return show(request, actor, status=422, token_form=form)
    asked = form.cleaned_data
    expires = timezone.now() + timedelta(days=asked["days"]) if asked["days"] else None
    project = int(asked["project"]) if asked["project"] else None
    try:
        token, secret = issue_token(
            actor=actor,
            user=person,
            name=asked["name"],
            scopes=[asked["scope"]],
            project_id=project,
            expires_at=expires,
        )
    except OspreyError as error:
        form.add_error(None, error.what)
        return show(request, actor, status=error.status, token_form=form)
    response = show(request, actor, made=token, secret=secret)
    response["Cache-Control"] = "no-store"
    return response


@page("POST")
def end_token(request: HttpRequest, actor: Actor, pk: int) -> HttpResponse:
    token = ApiToken.objects.filter(pk=pk, user=_person(actor)).first()
    if token is None:
        raise NotFound("This token is not yours, or it is gone.")
    back = reverse("account") + "#tokens"
    return attempt(request, back, f"{token.name} works no more.", lambda: revoke_token(actor=actor, token=token))
