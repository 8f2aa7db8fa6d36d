"""Imports that are withdrawn, read in place, sent as a zip, watched, or looked at first."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import Settings

from tests import datasets_made as made
from tests import pictures, sites
from tests.api.client import with_token
from tests.datasets.importing import Reef, make_reef, work_off
from webapp.access.actors import OPERATOR
from webapp.access.models import AuditEvent
from webapp.access.tokens import issue_token
from webapp.datasets import forecasting, import_lease, import_sweep, importing, in_place, sent_source, watch, withdraw
from webapp.datasets.import_job import run
from webapp.datasets.models import Import, JobState
from webapp.errors import Conflict, Forbidden, NotFound
from webapp.images.keep import ReceivedFile
from webapp.images.models import File, Image, ImageState, Item, Upload
from webapp.images.originals import CHANGED
from webapp.images.store import open_original
from webapp.predictions.accept import accept_image
from webapp.predictions.finish import measure_now
from webapp.reviews.decide import AnnotationDraft, decide


def received(settings: Settings, content: bytes) -> ReceivedFile:
    path = Path(settings.INCOMING_DIR) / "in-test"
    path.write_bytes(content)
    return ReceivedFile(path=path, sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def zipped(root: Path) -> bytes:
    files = {
        str(path.relative_to(root.parent)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()
    }
    return pictures.archive(files)


# ---- withdrawing ----


def test_an_import_is_withdrawn_as_a_whole_and_brought_back(reef: Reef, tmp_path: Path) -> None:
    row = reef.run(made.make_ten_animals(tmp_path / "animals").root)
    other = reef.run(made.make_table(tmp_path / "table", start=5000).root)
    before = reef.counts()
    withdraw.withdraw_upload(actor=reef.people["cora"], upload=row.upload, reason="no licence")
    withdraw.move(row.upload_id)
    assert reef.images() == other.counts["added"]
    assert Image.objects.filter(upload=row.upload, withdrawn_at=None).count() == 0
    assert set(ImageState.objects.values_list("upload_id", flat=True)) == {other.upload_id}
    reef.check_states()
    withdraw.bring_back(actor=reef.people["cora"], upload=row.upload)
    withdraw.move(row.upload_id)
    assert reef.counts() == before
    reef.check_states()
    acts = list(AuditEvent.objects.filter(subject=f"upload:{row.upload_id}").values_list("action", flat=True))
    assert sorted(acts) == ["bring upload back", "withdraw upload"]


def test_labels_of_a_withdrawn_import_no_longer_stand_on_images_of_others(reef: Reef, tmp_path: Path) -> None:
    made.put(tmp_path / "one" / "a.jpg", made.picture(1))
    made.put(tmp_path / "two" / "cat" / "a.jpg", made.picture(1))
    reef.run(tmp_path / "one", options={"folders": "none"})
    second = reef.run(tmp_path / "two", options={"folders": "label"})
    assert reef.counts() == {"cat": 1}
    withdraw.withdraw_upload(actor=OPERATOR, upload=second.upload)
    withdraw.move(second.upload_id)
    assert reef.counts() == {"": 1}
    reef.check_states()
    withdraw.bring_back(actor=OPERATOR, upload=second.upload)
    withdraw.move(second.upload_id)
    assert reef.counts() == {"cat": 1}


def test_an_image_that_somebody_else_brought_too_stays(reef: Reef, tmp_path: Path) -> None:
    data = made.make_table(tmp_path / "table")
    first, second = reef.run(data.root), reef.run(data.root)
    withdraw.withdraw_upload(actor=OPERATOR, upload=first.upload)
    withdraw.move(first.upload_id)
    assert reef.images() == data.images
    assert set(ImageState.objects.values_list("upload_id", flat=True)) == {second.upload_id}
    reef.check_states()


def test_what_people_said_of_withdrawn_images_comes_back_with_them(reef: Reef, tmp_path: Path) -> None:
    data = made.make_table(tmp_path / "table")
    row = reef.run(data.root)
    image = Image.objects.select_related("project").order_by("pk")[0]
    key = reef.project.labels.exclude(pk=image.state.label_id).values_list("key", flat=True)[0]
    cora = reef.people["cora"]
    decide(actor=cora, image=image, verdict="labelled", annotations=[AnnotationDraft(key)], how="blind")
    withdraw.withdraw_upload(actor=OPERATOR, upload=row.upload)
    withdraw.move(row.upload_id)
    withdraw.bring_back(actor=OPERATOR, upload=row.upload)
    withdraw.move(row.upload_id)
    state = ImageState.objects.get(pk=image.pk)
    assert (state.label and state.label.key, state.source) == (key, "human")


def test_the_same_bytes_sent_again_bring_a_withdrawn_image_back(reef: Reef, tmp_path: Path, settings: Settings) -> None:
    data = made.make_table(tmp_path / "table")
    row = reef.run(data.root)
    withdraw.withdraw_upload(actor=OPERATOR, upload=row.upload)
    withdraw.move(row.upload_id)
    again = Upload.objects.create(project=reef.project)
    file = next(iter(sorted(data.root.rglob("*.JPG"))))
    sent = received(settings, file.read_bytes())
    taken = accept_image(actor=reef.people["rosa"], project=reef.project, received=sent, upload=again, name="x.jpg")
    image = Image.objects.get(pk=taken.image_id)
    assert (image.withdrawn_at, image.upload) == (None, again)
    assert reef.images() == 1
    second = reef.run(data.root)
    assert reef.images() == data.images
    assert second.counts["added"] + second.counts["duplicates"] == data.images
    reef.check_states()


def test_only_curators_withdraw_and_nothing_under_way(reef: Reef, tmp_path: Path) -> None:
    data = made.make_table(tmp_path / "table")
    row = importing.start_import(actor=OPERATOR, project=reef.project, root=data.root, here=True)
    with pytest.raises(Forbidden):
        withdraw.withdraw_upload(actor=reef.people["rosa"], upload=row.upload)
    with pytest.raises(Conflict, match="stop it first"):
        withdraw.withdraw_upload(actor=reef.people["cora"], upload=row.upload)


# ---- in place ----


def test_in_place_nothing_is_copied_and_an_unplugged_disk_is_seen_and_found_again(reef: Reef, tmp_path: Path) -> None:
    data = made.make_ten_animals(tmp_path / "card")
    row = reef.run(data.root, in_place=True)
    assert row.counts["added"] == data.images
    assert list((tmp_path / "store").rglob("*.jpg")) == []
    file = File.objects.order_by("pk")[0]
    assert open_original(file).is_relative_to(data.root)
    (tmp_path / "card").rename(tmp_path / "moved")
    checked = in_place.check_originals(actor=OPERATOR, project=reef.project)
    assert (checked.missing, checked.there) == (data.images, 0)
    assert in_place.summary(reef.project) == {"in_place": data.images, "missing": data.images}
    renamed = next(iter((tmp_path / "moved").rglob("*.jpeg")))
    renamed.rename(renamed.with_name("renamed by hand.jpeg"))
    found = in_place.find_again(actor=OPERATOR, project=reef.project, root=tmp_path / "moved")
    assert (found.found, found.left) == (data.images, 0)
    assert in_place.summary(reef.project) == {"in_place": data.images, "missing": 0}
    assert in_place.check_originals(actor=OPERATOR, project=reef.project).there == data.images


def test_an_original_that_was_changed_is_not_taken_for_the_one_that_came_in(reef: Reef, tmp_path: Path) -> None:
    made.put(tmp_path / "card" / "a.jpg", made.picture(1))
    made.put(tmp_path / "card" / "b.jpg", made.picture(2))
    reef.run(tmp_path / "card", in_place=True)
    (tmp_path / "card" / "a.jpg").write_bytes(made.picture(3))
    measured = measure_now(project=reef.project)
    assert measured.measured == 1
    assert "changed since it was imported" in next(iter(measured.failed.values()))
    checked = in_place.check_originals(actor=OPERATOR, project=reef.project)
    assert (checked.changed, checked.there) == (1, 1)
    assert CHANGED == "original-changed"


def test_the_web_reads_only_folders_that_the_operator_allowed(reef: Reef, tmp_path: Path, settings: Settings) -> None:
    data = made.make_table(tmp_path / "allowed" / "table")
    made.make_table(tmp_path / "secret")
    (tmp_path / "allowed" / "way-out").symlink_to(tmp_path / "secret")
    ada = reef.people["ada"]

    def start(root: Path) -> Import:
        return importing.start_import(actor=ada, project=reef.project, root=root, in_place=True)

    with pytest.raises(Forbidden, match="OSPREY_IMPORT_ROOTS"):
        start(data.root)
    settings.IMPORT_ROOTS = [str(tmp_path / "allowed")]
    for outside in (tmp_path / "secret", tmp_path / "allowed" / ".." / "secret", tmp_path / "allowed" / "way-out"):
        with pytest.raises(Forbidden):
            start(outside)
    with pytest.raises(NotFound):
        start(tmp_path / "allowed" / "nothing")
    with pytest.raises(Forbidden):
        importing.start_import(actor=reef.people["cora"], project=reef.project, root=data.root)
    assert work_off(start(data.root)).counts["added"] == data.images


# ---- sent ----


def test_a_zip_that_is_sent_is_looked_at_and_then_imported(reef: Reef, tmp_path: Path, settings: Settings) -> None:
    data = made.make_ten_animals(tmp_path / "animals")
    sent = received(settings, zipped(data.root))
    row = importing.receive_import(
        actor=reef.people["cora"], project=reef.project, received=sent, name="animals.zip", asks=True
    )
    import_sweep.look_or_run(row.pk)
    row.refresh_from_db()
    assert importing.asks(row)
    assert (row.forecast["files"], row.forecast["labels"]["Cat"]) == (data.images, data.labels["Cat"])
    assert reef.images() == 0
    importing.resume_import(actor=reef.people["cora"], row=row)
    done = work_off(row)
    assert (done.state, done.counts["added"]) == (JobState.DONE, data.images)
    assert reef.counts() == data.labels
    assert not (Path(settings.STORE_DIR) / sent_source.FOLDER / str(row.uid)).exists()


def test_what_is_wrong_with_what_was_sent_is_told_without_where_the_site_keeps_it(
    reef: Reef, settings: Settings
) -> None:
    content = pictures.archive(
        {"set/a.json": b'{"images": [{"id": 1, "file_name": NaN}]}', "set/a.jpg": made.picture(1)}
    )
    cora, sent = reef.people["cora"], received(settings, content)
    row = importing.receive_import(actor=cora, project=reef.project, received=sent, name="x.zip", asks=True)
    import_sweep.look_or_run(row.pk)
    row.refresh_from_db()
    assert row.state == JobState.FAILED
    assert row.reason == "set/a.json is no JSON, which has no NaN or Infinity: write null instead."


def test_what_of_a_zip_cannot_be_taken_is_told_before_and_does_not_hinder_a_mapping(
    reef: Reef, settings: Settings
) -> None:
    table = "datei;art\na.jpg;Hai\nb.jpg;Rochen\n"
    entries = {"bilder/a.jpg": made.picture(1), "bilder/b.jpg": made.picture(2), "bilder/more.zip": b"PK\x03\x04"}
    content = pictures.archive({"liste.csv": table.encode(), **entries})
    cora = reef.people["cora"]
    row = importing.receive_import(
        actor=cora, project=reef.project, received=received(settings, content), name="x.zip", asks=True, format="csv"
    )
    import_sweep.look_or_run(row.pk)
    row.refresh_from_db()
    assert row.forecast["needs_mapping"]
    assert "1 entry of the zip cannot be taken" in row.forecast["notices"][0]["text"]
    importing.resume_import(actor=cora, row=row, mapping={"datei": "path", "art": "label"}, options={})
    done = work_off(row)
    assert (done.counts["added"], done.counts["rejected"], reef.counts()) == (2, 1, {"Hai": 1, "Rochen": 1})


@pytest.mark.parametrize(
    ("paths", "labels"),
    [
        (["set/Cat/a.jpg", "set/Cat/b.jpg"], {"Cat": 2}),  # the only folder inside is a label, not a wrapper
        (["set/set/Cat/a.jpg", "set/set/Dog/b.jpg"], {"Cat": 1, "Dog": 1}),
        (["Cat/a.jpg", "Dog/b.jpg"], {"Cat": 1, "Dog": 1}),
        (["holiday/a.jpg", "holiday/b.jpg"], {"": 2}),
    ],
)
def test_a_folder_around_all_of_a_zip_is_no_label(
    reef: Reef, settings: Settings, paths: list[str], labels: dict[str, int]
) -> None:
    content = pictures.archive({path: made.picture(number) for number, path in enumerate(paths)})
    sent = received(settings, content)
    row = importing.receive_import(actor=OPERATOR, project=reef.project, received=sent, name="x.zip")
    assert work_off(row).state == JobState.DONE
    assert reef.counts() == labels


@pytest.mark.parametrize(
    "content", [pictures.zip_slip(), pictures.zip_symlink(), pictures.zip_encrypted(), pictures.zip_nested()]
)
def test_a_hostile_zip_writes_nothing_outside_and_says_what_is_wrong(
    reef: Reef, tmp_path: Path, settings: Settings, content: bytes
) -> None:
    before = {path for path in tmp_path.rglob("*") if "store" not in path.parts}
    row = importing.receive_import(
        actor=reef.people["cora"], project=reef.project, received=received(settings, content), name="bad.zip"
    )
    done = work_off(row)
    assert {path for path in tmp_path.rglob("*") if "store" not in path.parts} == before
    assert done.state == JobState.FAILED or done.counts["rejected"] > 0
    assert done.reason or done.upload.items.filter(state=Item.State.REJECTED).exclude(reason="").exists()
    store = Path(settings.STORE_DIR)
    assert not any(path.is_symlink() for path in store.rglob("*"))


def test_a_zip_bomb_is_stopped_while_it_is_unpacked(reef: Reef, settings: Settings) -> None:
    sent = received(settings, pictures.zip_bomb())
    row = importing.receive_import(actor=OPERATOR, project=reef.project, received=sent, name="bomb.zip")
    done = work_off(row)
    assert done.state == JobState.FAILED or done.counts.get("added", 0) == 0
    size = sum(path.stat().st_size for path in Path(settings.STORE_DIR).rglob("*") if path.is_file())
    assert size < 400 * 2**20


def test_the_calls_of_an_import_by_rest(reef: Reef, tmp_path: Path, settings: Settings, transactional_db: None) -> None:
    _, secret = issue_token(actor=OPERATOR, user=reef.people["ada"].user, name="t", scopes=["admin"])
    ada = with_token(secret)
    settings.IMPORT_ROOTS = [str(tmp_path)]
    data = made.make_table(tmp_path / "table")
    base = f"/api/v1/projects/{reef.project.slug}"
    looked = ada.post(f"{base}/imports/forecast", {"path": str(data.root)}).json()
    assert (looked["files"], looked["columns"]["suggested"]["filepath"]) == (data.images, "path")
    assert Import.objects.count() == 0
    started = ada.post(f"{base}/imports", {"path": str(data.root), "source": "survey", "licence": "CC0"})
    assert started.status == 202, started.body
    uid = started.json()["id"]
    assert ada.post(f"/api/v1/imports/{uid}/stop").json()["state"] == "stopped"
    assert ada.post(f"/api/v1/imports/{uid}/resume", {}).json()["state"] == "waiting"
    work_off(Import.objects.get(uid=uid))
    read = ada.get(f"/api/v1/imports/{uid}").json()
    assert (read["state"], read["counts"]["added"], read["licence"]) == ("done", data.images, "CC0")
    report = ada.get(f"/api/v1/imports/{uid}/report").body.decode()
    assert report.count("\n") == data.images + 1
    assert [one["id"] for one in ada.get(f"{base}/imports").json()["results"]] == [uid]
    assert ada.post(f"/api/v1/uploads/{read['upload']}/withdraw", {"reason": "x"}).json()["state"] == "withdrawn"
    assert ada.post(f"/api/v1/uploads/{read['upload']}/bring-back").json()["state"] == "closed"
    sent = ada.post(f"{base}/imports/file?name=labels.csv&ask=1", (data.root / "labels.csv").read_bytes())
    assert sent.status == 202, sent.body
    assert ada.call("DELETE", f"/api/v1/imports/{sent.json()['id']}").code == "conflict"
    assert ada.post(f"/api/v1/imports/{sent.json()['id']}/stop").status == 200
    assert ada.call("DELETE", f"/api/v1/imports/{sent.json()['id']}").status == 204
    assert ada.post(f"{base}/imports", {"path": "/etc"}).code == "outside-import-roots"


# ---- watched ----


def test_a_watched_folder_takes_each_file_once_and_only_when_it_is_at_rest(reef: Reef, tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    made.put(folder / "a.jpg", made.picture(1))
    row = importing.start_import(
        actor=OPERATOR, project=reef.project, root=folder, kind=Upload.Kind.WATCH, quiet_seconds=0.05, here=True
    )

    def look() -> int:
        held = import_lease.lease(row.pk, among=watch.to_look_at())
        assert held is not None
        run(held)
        row.refresh_from_db()
        assert row.state == JobState.WAITING
        return reef.images()

    assert look() == 0
    with (folder / "a.jpg").open("ab") as file:
        file.write(b"\0" * 10)
    time.sleep(0.06)
    assert look() == 0, "it had grown since the look before"
    time.sleep(0.06)
    assert look() == 1
    made.put(folder / "b.jpg", made.picture(2))
    look()
    time.sleep(0.06)
    assert (look(), look()) == (2, 2)
    assert row.counts["files"] == 2
    assert importing.stop_import(actor=OPERATOR, row=row).state == JobState.STOPPED


def test_a_watched_folder_whose_disk_is_away_waits_for_it(reef: Reef, tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "inbox"
    made.put(folder / "a.jpg", made.picture(1))
    row = importing.start_import(
        actor=OPERATOR, project=reef.project, root=folder, kind=Upload.Kind.WATCH, quiet_seconds=0.0, here=True
    )
    folder.rename(tmp_path / "unplugged")
    settings.LEASE_SECONDS = 0

    def look() -> Import:
        held = import_lease.lease(row.pk, among=watch.to_look_at())
        assert held is not None
        run(held)
        row.refresh_from_db()
        return row

    assert look().state == JobState.WAITING and "inbox cannot be read" in row.reason
    (tmp_path / "unplugged").rename(folder)
    assert look().state == JobState.WAITING and row.reason == ""
    assert reef.images() == 1


# ---- looked at first ----


def test_a_dry_run_says_what_would_come_in_and_writes_nothing(
    reef: Reef, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = made.make_table(tmp_path / "table")
    (data.root / "Site 1" / "IMG_0004.JPG").unlink()
    call_command("import_data", str(data.root), project="nobody-yet", dry_run=True, json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["files"], found["missing"], found["missing_files"]) == (12, 1, ["Site 1/IMG_0004.JPG"])
    assert found["labels"] == data.labels
    assert found["parts"] == data.parts
    assert found["space_needed"] > found["bytes"] > 0
    assert found["fits"] and found["seconds"] > 0
    assert not Import.objects.exists() and not Image.objects.exists()
    assert list(type(reef.project).objects.values_list("slug", flat=True)) == ["reef"]
    assert not any(path.is_file() for path in (tmp_path / "store").rglob("*"))


def test_a_table_whose_columns_are_not_clear_asks_and_then_takes_the_answer(reef: Reef, tmp_path: Path) -> None:
    made.put(tmp_path / "t" / "a.jpg", made.picture(1))
    made.write_csv(tmp_path / "t" / "x.csv", ["Datei", "Tier"], [["a.jpg", "fox"]])
    looked = forecasting.forecast(project=reef.project, root=tmp_path / "t" / "x.csv", format="csv")
    assert looked["needs_mapping"]
    assert looked["columns"]["sample"] == [["a.jpg", "fox"]]
    reef.run(tmp_path / "t" / "x.csv", mapping={"Datei": "path", "Tier": "label"})
    assert reef.counts() == {"fox": 1}


def test_the_command_makes_the_project_and_prints_the_counts(
    db: None, tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.STORE_DIR, settings.INCOMING_DIR = tmp_path / "store", tmp_path / "store" / "incoming"
    settings.INCOMING_DIR.mkdir(parents=True)
    data = made.make_ten_animals(tmp_path / "animals")
    call_command("import_data", str(data.root), project="Ten Animals", json=True, source="x", licence="CC0")
    printed = json.loads(capsys.readouterr().out)
    assert (printed["added"], printed["project"]) == (data.images, "ten-animals")
    call_command("import_data", str(data.root), project="ten-animals", json=True)
    printed = json.loads(capsys.readouterr().out)
    assert (printed["added"], printed["duplicates"]) == (0, data.images)


# ---- killed ----


@pytest.mark.long
def test_an_import_that_is_killed_half_way_goes_on_without_loss_or_double(tmp_path: Path) -> None:
    data, animals = tmp_path / "data", tmp_path / "animals"
    data.mkdir()
    for number in range(700):
        made.put(animals / f"label {number % 7}" / f"{number}.jpg", made.picture(number))
    environment = {**sites.environment(data), "PYTHONPATH": str(sites.ROOT)}
    manage = [sys.executable, str(sites.ROOT / "manage.py")]
    subprocess.run([*manage, "migrate", "-v0"], env=environment, check=True, capture_output=True)
    command = [*manage, "import_data", str(animals), "--project", "killed", "--json"]
    for least in (200, 400):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            sites.wait_until(lambda least=least: _items(data) >= least, f"{least} files")
        finally:
            process.kill()
            process.wait()
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    printed = json.loads(ended.stdout)
    assert (printed["added"], printed["duplicates"], printed["failed"]) == (700, 0, 0)
    with sqlite3.connect(data / "osprey.sqlite3") as database:
        for table in ("images_image", "images_imagestate", "images_item", "reviews_review", "reviews_annotation"):
            assert database.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (700,), table
        assert database.execute("SELECT COUNT(*) FROM datasets_import").fetchone() == (1,)


def _items(data: Path) -> int:
    with sqlite3.connect(f"file:{data / 'osprey.sqlite3'}?mode=ro", uri=True) as database:
        return int(database.execute("SELECT COUNT(*) FROM images_item").fetchone()[0])


@pytest.mark.long
def test_the_whole_ten_animals_come_in_with_their_counts(reef: Reef, tmp_path: Path) -> None:
    data = made.make_ten_animals(tmp_path / "animals", full=True)
    row = reef.run(data.root)
    assert row.counts["added"] == data.images == 22_967
    assert data.parts == {"train": 20_000, "validation": 1000, "test": 1907, "interesting": 60}
    assert reef.counts() == data.labels
    shutil.rmtree(data.root)


@pytest.mark.long
def test_all_the_whales_come_in_with_their_counts(reef: Reef, tmp_path: Path) -> None:
    data = made.make_whales_csv(tmp_path / "whales", full=True)
    row = reef.run(data.root)
    assert row.counts["added"] == 9850
    assert reef.project.individuals.count() == 4250


def test_two_projects_do_not_share_an_unfinished_import(reef: Reef, tmp_path: Path) -> None:
    data = made.make_table(tmp_path / "table")
    mine = importing.start_import(actor=OPERATOR, project=reef.project, root=data.root, here=True)
    again = importing.start_import(actor=OPERATOR, project=reef.project, root=data.root, here=True)
    theirs = importing.start_import(actor=OPERATOR, project=make_reef("other").project, root=data.root, here=True)
    assert mine.pk == again.pk != theirs.pk
