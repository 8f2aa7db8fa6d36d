"""`./osprey activate` and its REST form: a version by its name, beside, back, with what its gate said."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from tests.runs.reef import NO_RED, Reef
from training.contract import TEST
from webapp.access.actors import SYSTEM
from webapp.access.models import User
from webapp.access.tokens import issue_token
from webapp.runs.models import Run
from webapp.versions.models import Activation


def activate(*words: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command("activate", *words, "--project", "reef", "--json", stdout=out)
    return dict(json.loads(out.getvalue()))


def name_of(told: dict[str, Any], place: str) -> str | None:
    return told[place] and told[place]["name"]


def test_a_version_is_put_in_use_tried_beside_and_taken_back(reef: Reef) -> None:
    reef.version("Old", mean=NO_RED)
    reef.version("New")
    assert name_of(activate("Old"), "in_use") == "Old"
    with pytest.raises(CommandError, match="Old answers in reef already"):
        activate("Old")
    tried = activate("New", "--beside")
    assert (name_of(tried, "in_use"), name_of(tried, "beside")) == ("Old", "New")
    assert activate("--end-beside")["beside"] is None
    assert name_of(activate("New", "--note", "it is better"), "in_use") == "New"
    assert Activation.objects.order_by("pk").last().note == "it is better"  # type: ignore[union-attr]
    assert name_of(activate("--back"), "in_use") == "Old"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Name the version"),
        (["New", "--back"], "take no version"),
        (["--back"], "no earlier pipeline"),
        (["Nobody"], "There is no version 'Nobody'"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(reef: Reef, words: list[str], said: str) -> None:
    reef.version("New")
    with pytest.raises(CommandError, match=said):
        activate(*words)


def test_a_token_puts_a_version_in_use_with_what_its_gate_said(reef: Reef) -> None:
    version, snapshot = reef.version("New"), reef.freeze("June", {TEST: reef.add(1)})
    gate = {"passed": False, "why": ["no better"]}
    Run.objects.create(project=reef.project, snapshot=snapshot, version=version, gate=gate)
    root = User.objects.create_superuser("gus")
    _, token = issue_token(actor=SYSTEM, user=root, name="cron", scopes=["admin"])
    address = reverse("api-activations", args=["reef"])

    def post(**body: Any) -> Any:
        return Client(headers={"Authorization": f"Bearer {token}"}).post(address, body, content_type="application/json")

    assert post(version=version.pk).status_code == 201
    assert Activation.objects.get().gate == gate
    assert post().status_code == post(version=version.pk, pipeline="x").status_code == 422
    assert post(version=version.pk, slot="also").status_code == 422
