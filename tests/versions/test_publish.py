"""From a model folder to a version, and what damaged or hostile folders meet."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path
from zipfile import ZipFile

import pytest
from django.db import connection
from pytest_django import Settings

from classifier.card import CARD, WEIGHTS, file_digest, folder_digest
from tests.versions.conftest import MakeFolder
from webapp.access.actors import GUEST, OPERATOR, Actor, Via
from webapp.access.models import AuditEvent, Membership, User
from webapp.errors import Conflict, Forbidden, Invalid, NoSpace, NotSignedIn, OspreyError, Unavailable
from webapp.projects.models import Project
from webapp.versions.exchange import export_version, find_version
from webapp.versions.fetch import folder_of
from webapp.versions.models import Version
from webapp.versions.packed import zipped
from webapp.versions.pipelines import make_pipeline
from webapp.versions.publish import publish_folder
from webapp.versions.verify import verify


def damage(path: Path, text: str = "changed") -> None:
    path.chmod(0o644)
    path.write_text(text)


def test_a_version_is_a_sealed_copy_under_its_digest(project: Project, make_folder: MakeFolder, data: Path) -> None:
    folder = make_folder()
    version = publish_folder(actor=OPERATOR, folder=folder, project=project)
    copy = folder_of(version)
    assert copy == data / "versions" / folder_digest(folder)
    assert (copy / WEIGHTS).read_text() == "one"
    assert not stat.S_IMODE((copy / WEIGHTS).stat().st_mode) & 0o222, "nobody writes to a sealed file"
    assert version.card == json.loads((folder / CARD).read_text())
    assert (version.role, version.architecture, version.name) == ("classifier", "test_resnet", "Tiny")
    damage(folder / WEIGHTS)
    assert verify(actor=OPERATOR, version=version), "what happens to the original does not matter"


def test_a_version_goes_out_as_a_zip_that_another_site_takes(
    project: Project, make_folder: MakeFolder, data: Path, tmp_path: Path
) -> None:
    version = publish_folder(actor=OPERATOR, folder=make_folder(), project=project)
    packed = tmp_path / "version.zip"
    packed.write_bytes(b"".join(zipped(folder_of(version), "version-1")))
    with ZipFile(packed) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "out")
    assert folder_digest(tmp_path / "out" / "version-1") == version.digest
    assert publish_folder(actor=OPERATOR, folder=tmp_path / "out" / "version-1", project=None).digest == version.digest
    assert packed.read_bytes() == b"".join(zipped(folder_of(version), "version-1")), "the same version, the same bytes"


def test_publishing_twice_is_one_version(project: Project, make_folder: MakeFolder, data: Path) -> None:
    folder = make_folder()
    first = publish_folder(actor=OPERATOR, folder=folder, project=project)
    assert publish_folder(actor=OPERATOR, folder=folder, project=project) == first
    for _ in range(2):
        shared = publish_folder(actor=OPERATOR, folder=folder, project=None)
    assert Version.objects.count() == 2
    assert shared.digest == first.digest
    assert [path.name for path in (data / "versions").iterdir() if path.is_dir()] == [first.digest]
    assert AuditEvent.objects.filter(action="add version").count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_who_publish_one_folder_at_once_get_one_version(make_folder: MakeFolder, data: Path) -> None:
    project = Project.objects.create(slug="jungle", name="Jungle")
    folder = make_folder()
    found: list[Version] = []

    def publish() -> None:
        try:
            found.append(publish_folder(actor=OPERATOR, folder=folder, project=project))
        finally:
            connection.close()

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert {version.pk for version in found} == {Version.objects.get().pk}


def test_a_damaged_folder_is_refused_with_the_file_that_is_wrong(
    project: Project, make_folder: MakeFolder, data: Path
) -> None:
    folder = make_folder()
    damage(folder / WEIGHTS)
    with pytest.raises(Invalid, match=rf"{WEIGHTS} is damaged"):
        publish_folder(actor=OPERATOR, folder=folder, project=project)
    (folder / WEIGHTS).unlink()
    with pytest.raises(Invalid, match=rf"{WEIGHTS} is missing"):
        publish_folder(actor=OPERATOR, folder=folder, project=project)
    assert not Version.objects.exists()
    assert [path for path in (data / "versions").iterdir() if path.is_dir()] == [], "nothing half-made stays"


def test_a_folder_with_a_file_that_its_card_does_not_know_is_refused(project: Project, make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder / "run-me.py").write_text("print()")
    with pytest.raises(Invalid, match=r"run-me.py is not listed"):
        publish_folder(actor=OPERATOR, folder=folder, project=project)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format_version": 99}', '{"format_version": 1, "surprise": 1}'])
def test_a_card_that_cannot_be_read_is_refused(project: Project, make_folder: MakeFolder, text: str) -> None:
    folder = make_folder()
    (folder / CARD).write_text(text)
    with pytest.raises(Invalid, match=CARD):
        publish_folder(actor=OPERATOR, folder=folder, project=project)


@pytest.mark.parametrize("name", ["../stolen", "/etc/hostname", "a/../../stolen", "./x", "a//b", "a\\b", ".", ""])
def test_a_card_cannot_reach_outside_its_folder(
    project: Project, make_folder: MakeFolder, tmp_path: Path, name: str
) -> None:
    folder = make_folder()
    (tmp_path / "stolen").write_text("secret")
    card = json.loads((folder / CARD).read_text())
    card["files"][name] = file_digest(tmp_path / "stolen")
    (folder / CARD).write_text(json.dumps(card))
    with pytest.raises(Invalid, match="no plain path"):
        publish_folder(actor=OPERATOR, folder=folder, project=project)


@pytest.mark.parametrize("linked", [WEIGHTS, CARD])
def test_links_in_a_folder_are_not_followed(
    project: Project, make_folder: MakeFolder, tmp_path: Path, linked: str
) -> None:
    folder = make_folder()
    (folder / linked).rename(tmp_path / "elsewhere")
    (folder / linked).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Invalid, match="link"):
        publish_folder(actor=OPERATOR, folder=folder, project=project)


def test_a_full_disk_is_said_before_anything_is_copied(
    project: Project, make_folder: MakeFolder, settings: Settings, data: Path
) -> None:
    settings.FREE_DISK_FLOOR_BYTES = 10**18
    with pytest.raises(NoSpace, match="free"):
        publish_folder(actor=OPERATOR, folder=make_folder(), project=project)


def test_only_admins_add_versions(project: Project, make_folder: MakeFolder) -> None:
    trainer = User.objects.create(username="trainer")
    Membership.objects.create(user=trainer, project=project, role="trainer")
    with pytest.raises(Forbidden):
        publish_folder(actor=Actor(Via.SESSION, user=trainer), folder=make_folder(), project=project)
    with pytest.raises(NotSignedIn):
        publish_folder(actor=GUEST, folder=make_folder(), project=project)
    Membership.objects.update(role="admin")
    with pytest.raises(Forbidden):
        publish_folder(actor=Actor(Via.SESSION, user=trainer), folder=make_folder(), project=None)


def test_a_version_that_was_damaged_later_is_marked_named_and_not_used(
    project: Project, make_folder: MakeFolder
) -> None:
    folder = make_folder()
    version = publish_folder(actor=OPERATOR, folder=folder, project=project)
    twin = publish_folder(actor=OPERATOR, folder=folder, project=None)
    damage(folder_of(version) / WEIGHTS)
    assert not verify(actor=OPERATOR, version=version)
    twin.refresh_from_db()
    assert version.broken_at is not None
    assert f"{WEIGHTS} is damaged" in twin.broken_reason, "the same folder is as broken elsewhere"
    with pytest.raises(Conflict, match="cannot be used"):
        make_pipeline(project=project, classifier=version)
    assert not verify(actor=OPERATOR, version=version)
    assert AuditEvent.objects.filter(action="version broken").count() == 1, "the log tells it once"


def test_publishing_the_good_folder_again_mends_a_damaged_version(project: Project, make_folder: MakeFolder) -> None:
    folder = make_folder()
    version = publish_folder(actor=OPERATOR, folder=folder, project=project)
    damage(folder_of(version) / WEIGHTS)
    verify(actor=OPERATOR, version=version)
    again = publish_folder(actor=OPERATOR, folder=folder, project=project)
    assert (again.pk, again.broken_at) == (version.pk, None)
    assert verify(actor=OPERATOR, version=again)


def test_a_folder_that_is_gone_says_how_to_bring_it_back(project: Project, make_folder: MakeFolder) -> None:
    version = publish_folder(actor=OPERATOR, folder=make_folder(), project=project)
    folder_of(version).rename(folder_of(version).with_name("gone"))
    with pytest.raises(Unavailable, match="models import"):
        folder_of(version)
    assert not verify(actor=OPERATOR, version=version)
    assert "missing" in version.broken_reason


def test_a_version_travels_between_sites_with_its_digest(
    project: Project, make_folder: MakeFolder, data: Path, tmp_path: Path, settings: Settings
) -> None:
    version = publish_folder(actor=OPERATOR, folder=make_folder(), project=project)
    stick = tmp_path / "stick" / "tiny"
    assert export_version(actor=OPERATOR, version=version, folder=stick) == version.digest
    settings.VERSIONS_DIR = tmp_path / "other site"
    there = Project.objects.create(slug="there", name="There")
    assert publish_folder(actor=OPERATOR, folder=stick, project=there).digest == version.digest
    with pytest.raises(Conflict, match="exists"):
        export_version(actor=OPERATOR, version=version, folder=stick)


def test_a_damaged_version_is_not_exported(project: Project, make_folder: MakeFolder, tmp_path: Path) -> None:
    version = publish_folder(actor=OPERATOR, folder=make_folder(), project=project)
    for name in (WEIGHTS, CARD):
        damage(folder_of(version) / name, "{}")
        with pytest.raises(OspreyError):
            export_version(actor=OPERATOR, version=version, folder=tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_versions_are_found_by_id_digest_or_name(project: Project, make_folder: MakeFolder) -> None:
    first = publish_folder(actor=OPERATOR, folder=make_folder(), project=project)
    second = publish_folder(actor=OPERATOR, folder=make_folder("two"), project=project)
    for text in (str(first.pk), first.digest, first.digest[:8].upper()):
        assert find_version(text) == first
    with pytest.raises(Conflict, match=str(second.pk)):
        find_version("Tiny")
    with pytest.raises(OspreyError, match="models list"):
        find_version("nothing")
