"""The commands for tokens, links and versions: standard output is for programs, words go to standard error."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from classifier.card import WEIGHTS
from tests.versions.conftest import MakeFolder
from webapp.access.actors import OPERATOR
from webapp.access.models import ApiToken, AuditEvent, User
from webapp.access.tokens import actor_of_secret, spend_sign_in_link
from webapp.projects.labels import add_label, search_labels
from webapp.projects.models import Label, Project
from webapp.versions.activate import activate, active_pipeline
from webapp.versions.fetch import folder_of
from webapp.versions.models import Version
from webapp.versions.pipelines import make_pipeline
from webapp.versions.publish import publish_folder


def run(*words: str) -> tuple[str, str]:
    """Standard output and error of a command."""
    out, err = StringIO(), StringIO()
    call_command(*words, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create(username="admin", is_superuser=True)


def test_token_prints_a_secret_that_works_and_nothing_else(admin: User, project: Project) -> None:
    out, err = run(
        "token", "--scope", "upload", "--scope", "review", "--name", "boat-7", "--project", "jungle", "--days", "90"
    )
    actor = actor_of_secret(out.removesuffix("\n"))
    assert actor is not None and actor.token is not None
    token = actor.token
    assert (token.name, token.scopes, token.project, token.user) == ("boat-7", ["upload", "review"], project, admin)
    assert token.expires_at is not None
    assert timedelta(days=89) < token.expires_at - timezone.now() <= timedelta(days=90)
    assert out.strip() not in err
    assert "upload, review in jungle" in err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--scope", "fly"], "invalid choice"),
        ([], "--scope"),
        (["--scope", "read", "--user", "zoe"], "nobody called 'zoe'. There are: admin"),
        (["--scope", "read", "--project", "moon"], "no project 'moon'"),
        (["--scope", "read", "--days", "0"], "--days"),
        (["--scope", "read", "--days", "99999"], "--days"),
    ],
)
def test_token_says_what_is_wrong(admin: User, project: Project, words: list[str], why: str) -> None:
    with pytest.raises(CommandError, match=why):
        run("token", *words)
    assert not ApiToken.objects.exists()


def test_signin_link_prints_an_address_that_signs_the_first_admin_in(
    admin: User, data: Path, settings: Settings
) -> None:
    settings.PORT = 8123
    out, _ = run("signin_link")
    address = urlsplit(out.strip())
    assert address.netloc == "127.0.0.1:8123"
    _, door, secret, _ = address.path.split("/")
    assert door == "sign-in"
    assert spend_sign_in_link(secret=secret) == admin
    assert AuditEvent.objects.filter(action="make sign-in link", subject=f"user:{admin.pk}").exists()


def test_signin_link_needs_somebody(db: None, data: Path) -> None:
    with pytest.raises(CommandError, match="createsuperuser"):
        run("signin_link")


def test_models_list_tells_what_answers_where(project: Project, make_folder: MakeFolder) -> None:
    used = publish_folder(actor=OPERATOR, folder=make_folder(), project=project)
    publish_folder(actor=OPERATOR, folder=make_folder("two"), project=None)
    activate(actor=OPERATOR, project=project, pipeline=make_pipeline(project=project, classifier=used))
    out, _ = run("models", "list", "--json")
    rows = json.loads(out)
    assert [(row["project"], row["active"], row["broken"]) for row in rows] == [
        ("jungle", ["jungle"], None),
        (None, [], None),
    ]
    out, _ = run("models", "list")
    assert "answers in jungle" in out.splitlines()[0]


def test_models_travel_by_folder_and_can_be_activated_on_arrival(
    project: Project, make_folder: MakeFolder, tmp_path: Path
) -> None:
    version = publish_folder(actor=OPERATOR, folder=make_folder(), project=None)
    out, _ = run("models", "export", str(version.pk), str(tmp_path / "stick"))
    assert out.strip() == version.digest
    out, err = run("models", "import", str(tmp_path / "stick"), "--project", "jungle", "--activate")
    assert out.strip() == version.digest
    assert "answers in jungle" in err
    active = active_pipeline(project)
    assert active is not None and active.classifier is not None
    assert (active.classifier.digest, active.classifier.project) == (version.digest, project)


def test_models_import_refuses_a_damaged_folder_and_adds_nothing(project: Project, make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder / WEIGHTS).write_text("damaged on the way")
    with pytest.raises(CommandError, match=f"{WEIGHTS} is damaged"):
        run("models", "import", str(folder), "--project", "jungle")
    with pytest.raises(CommandError, match="not a folder"):
        run("models", "import", str(folder / "nothing"))
    assert not Version.objects.exists()


def test_models_verify_names_the_broken_ones_and_fails(project: Project, make_folder: MakeFolder) -> None:
    versions = [publish_folder(actor=OPERATOR, folder=make_folder(name), project=project) for name in "ab"]
    assert run("models", "verify")[0] == "2 versions are whole.\n"
    weights = folder_of(versions[1]) / WEIGHTS
    weights.unlink()
    with pytest.raises(CommandError, match="1 of 2"):
        run("models", "verify")
    assert "BROKEN" in run("models", "list")[0].splitlines()[1]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["fish.onnx"], "--role"),
        (["fish.onnx", "--role", "classifier"], "--card"),
        (["fish.onnx", "--role", "detector", "--card", "c.yaml", "--weights", "w"], "holds its weights"),
        (["resnet18", "--role", "detector"], "not an ONNX file"),
        (["resnet18", "--labels", "moons"], "animals, ten-animals, fish"),
        (["fish.onnx", "--role", "classifier", "--card", "missing.yaml"], "missing.yaml"),
        (["resnet18", "--project", "moon"], "no project"),
    ],
)
def test_models_add_says_what_is_wrong(project: Project, words: list[str], why: str) -> None:
    with pytest.raises(CommandError, match=why):
        run("models", "add", *words)
    assert not Version.objects.exists()


def test_rebuild_state_puts_the_names_of_labels_right(project: Project) -> None:
    label = add_label(actor=OPERATOR, project=project, name="Opah", synonyms=["moonfish"])
    Label.objects.update(search_text="")
    out, _ = run("rebuild_state", "--json", "--project", "jungle")
    assert json.loads(out)["labels"] == 1
    assert list(search_labels(project, "moon")) == [label]
    assert json.loads(run("rebuild_state", "--json")[0])["labels"] == 0
    assert "0 labels" in run("rebuild_state")[0]
    with pytest.raises(CommandError, match="no project"):
        run("rebuild_state", "--project", "moon")


def test_models_add_makes_a_version_of_weights_in_a_file(project: Project, tmp_path: Path) -> None:
    import timm
    from safetensors.torch import save_file

    network = timm.create_model("test_resnet", num_classes=3)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    (tmp_path / "labels.txt").write_text("Albacore\nBigeye tuna\nOpah\n", encoding="utf-8")
    words = ["--weights", str(tmp_path / "weights.safetensors"), "--labels", str(tmp_path / "labels.txt")]
    out, err = run("models", "add", "test_resnet", *words, "--project", "jungle", "--name", "Deck 1", "--activate")
    version = Version.objects.get()
    assert (version.digest, version.name, version.architecture) == (out.strip(), "Deck 1", "test_resnet")
    assert "weights.safetensors" in version.origin
    assert list(project.labels.values_list("key", flat=True)) == ["albacore", "bigeye-tuna", "opah"]
    assert "answers in jungle" in err
