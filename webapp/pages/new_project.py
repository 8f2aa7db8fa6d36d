"""New project: what pictures, which labels, who."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from webapp.access.actors import Actor
from webapp.access.models import Role, User
from webapp.access.require import require
from webapp.access.table import Action
from webapp.errors import OspreyError
from webapp.pages.answering import page
from webapp.projects.create import create_project
from webapp.projects.models import Project
from webapp.projects.people import set_role
from webapp.projects.templates import TEMPLATES

ABOUT = {
    Project.Pictures.CAMERA_TRAP: "Bursts of a fixed camera, many of them empty.",
    Project.Pictures.DECK: "Catch on deck: species, and what became of each fish.",
    Project.Pictures.FLUKES: "Tails and fins of animals known one by one.",
    Project.Pictures.BOATS: "Boats and ships from shore, sea or air.",
    Project.Pictures.OTHER: "Anything else.",
}


class NewProjectForm(forms.Form):
    """`labels` one a line or with commas; `people` as name:role."""

    name = forms.CharField(max_length=120, label="Name")
    slug = forms.SlugField(
        max_length=60, required=False, label="Short name", help_text="For addresses; empty: made of the name"
    )
    pictures = forms.ChoiceField(choices=Project.Pictures.choices, initial=Project.Pictures.CAMERA_TRAP)
    labels = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 6}), label="Which labels?")
    people = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 3}), label="Who else?")
    description = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}), label="What is it for?")

    def clean_labels(self) -> list[str]:
        return [name.strip() for name in re.split(r"[\n,;]", self.cleaned_data["labels"]) if name.strip()]

    def clean_people(self) -> list[tuple[User, str]]:
        found = []
        for line in filter(None, map(str.strip, re.split(r"[\n,;]", self.cleaned_data["people"]))):
            name, _, role = (part.strip() for part in line.partition(":"))
            user = User.objects.filter(username=name, is_active=True).first()
            if user is None:
                raise forms.ValidationError(f"Nobody here is called {name}. Invite new people on the project's page.")
            if (role or Role.REVIEWER) not in Role.values:
                raise forms.ValidationError(f"{role} is not a role: choose from {', '.join(Role.values)}.")
            found.append((user, role or Role.REVIEWER))
        return found


@page("GET", "POST")
def new_project(request: HttpRequest, actor: Actor) -> HttpResponse:
    require(actor, Action.CREATE_PROJECT)
    form = NewProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = _create(actor, form.cleaned_data)
            return HttpResponseRedirect(reverse("project", args=[made.slug]))
        except OspreyError as error:
            form.add_error(None, error.what)
    return render(request, "pages/new_project.html", {"form": form, "kinds": kinds()})


def kinds() -> list[dict[str, Any]]:
    """What each template brings, in words."""
    return [
        {
            "value": value,
            "name": name,
            "about": ABOUT[Project.Pictures(value)],
            "fields": [field.name for field in TEMPLATES[value].fields],
            "labels": [label.name for label in TEMPLATES[value].labels],
            "split_by": TEMPLATES[value].split_by,
            "visit_word": TEMPLATES[value].visit_word,
            "suggested": ", ".join(TEMPLATES[value].suggested_labels),
        }
        for value, name in Project.Pictures.choices
    ]


@transaction.atomic
def _create(actor: Actor, asked: dict[str, Any]) -> Project:
    people = asked.pop("people")
    made = create_project(actor=actor, **asked)
    for user, role in people:
        if user != actor.user:
            set_role(actor=actor, project=made, user=user, role=role)
    return made
