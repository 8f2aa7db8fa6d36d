"""Whether versions may be tested on the labels of an import: said when it comes in, changed later, kept by freezing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import Settings

from tests import datasets_made as made
from tests.api.client import with_token
from tests.datasets.importing import Reef, work_off
from webapp.access.actors import OPERATOR
from webapp.access.models import AuditEvent
from webapp.access.tokens import issue_token
from webapp.datasets import importing
from webapp.datasets.freeze import freeze
from webapp.datasets.freeze_options import read_options
from webapp.datasets.models import Import, Snapshot
from webapp.errors import Forbidden
from webapp.images.keep import ReceivedFile
from webapp.images.models import Image, Upload


def folder(root: Path, images: int, start: int) -> Path:
    for number in range(images):
        made.put(root / ("cod", "ling")[number % 2] / f"{start + number}.jpg", made.picture(start + number))
    return root


def frozen(reef: Reef, **values: object) -> Snapshot:
    return freeze(actor=OPERATOR, project=reef.project, options=read_options(values))


def uploads_tested(snapshot: Snapshot) -> set[int]:
    return set(snapshot.entries.filter(part="test").values_list("image__upload_id", flat=True))


def test_versions_are_not_tested_on_labels_that_may_not_be(
    reef: Reef, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sure = reef.run(folder(tmp_path / "sure", 30, 100))
    call_command("import_data", str(folder(tmp_path / "rough", 30, 200)), project="reef", untrusted=True, json=True)
    said = json.loads(capsys.readouterr().out)
    assert (said["added"], said["trusted"]) == (30, False)
    snapshot = frozen(reef)
    assert uploads_tested(snapshot) == {sure.upload_id}
    assert snapshot.counts["parts"]["test"] == 6
    call_command("import_data", distrust=str(sure.uid))
    assert "versions may not be tested on its labels" in capsys.readouterr().out
    without = frozen(reef)
    assert without.counts["parts"].get("test", 0) == 0
    assert "The test part is empty" in without.counts["notices"][0]
    assert frozen(reef, test_labels="any").counts["parts"]["test"] == 6
    call_command("import_data", trust=said["import"])
    assert uploads_tested(frozen(reef)) == {Import.objects.get(uid=said["import"]).upload_id}
    assert AuditEvent.objects.filter(action="describe import").count() == 2


def test_a_part_that_came_as_test_is_left_out_when_its_labels_may_not_be_tested_on(reef: Reef, tmp_path: Path) -> None:
    data = made.make_ten_animals(tmp_path / "animals")
    row = reef.run(data.root, trusted=False)
    snapshot = frozen(reef, split="imported")
    assert snapshot.counts["parts"].get("test", 0) == 0
    left = snapshot.entries.filter(part="left-out").values_list("image_id", flat=True)
    assert Image.objects.filter(pk__in=left, part="test").count() == data.parts["test"]
    assert snapshot.counts["left_out"]["not-trusted"] == data.parts["test"]
    importing.describe_import(actor=reef.people["cora"], row=row, trusted=True)
    assert frozen(reef, split="imported").counts["parts"]["test"] == data.parts["test"]


def test_it_is_said_by_rest_and_kept_through_a_withdrawal(
    reef: Reef, tmp_path: Path, settings: Settings, transactional_db: None
) -> None:
    _, secret = issue_token(actor=OPERATOR, user=reef.people["ada"].user, name="t", scopes=["admin"])
    ada = with_token(secret)
    settings.IMPORT_ROOTS = [str(tmp_path)]
    asked = {"path": str(folder(tmp_path / "rough", 4, 300)), "trusted": False}
    started = ada.post(f"/api/v1/projects/{reef.project.slug}/imports", asked).json()
    assert started["trusted"] is False
    row = work_off(Import.objects.get(uid=started["id"]))
    upload = f"/api/v1/uploads/{started['upload']}"
    assert ada.post(f"{upload}/withdraw", {}).status == 200
    assert ada.post(f"{upload}/bring-back").status == 200
    assert importing.is_trusted(Upload.objects.get(pk=row.upload_id)) is False
    changed = ada.call("PATCH", f"/api/v1/imports/{started['id']}", {"trusted": True, "licence": "CC0"}).json()
    assert (changed["trusted"], changed["licence"], changed["source"]) == (True, "CC0", "")
    assert "trusted" not in changed["counts"]


def test_one_that_is_sent_says_it_too_and_only_curators_change_it(
    reef: Reef, tmp_path: Path, settings: Settings
) -> None:
    table = b"file,label\na.jpg,cod\n"
    path = made.put(Path(settings.INCOMING_DIR) / "in-test", table)
    part = ReceivedFile(path=path, sha256=hashlib.sha256(table).hexdigest(), size=len(table))
    row = importing.receive_import(
        actor=reef.people["cora"], project=reef.project, received=part, name="labels.csv", trusted=False
    )
    assert importing.as_result(row)["trusted"] is False
    with pytest.raises(Forbidden):
        importing.describe_import(actor=reef.people["rosa"], row=row, trusted=True)
