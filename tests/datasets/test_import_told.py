"""What the import command says to a person."""

from __future__ import annotations

from datetime import datetime

from webapp.datasets.import_told import duration, forecast_lines, list_lines, result_lines
from webapp.sizes import size_words

FORECAST = {
    "format": "imagefolder", "files": 22967, "bytes": 1_500_000_000, "seconds": 50.0, "space_needed": 1_600_000_000,
    "space_free": 1_000_000_000, "fits": False, "parts": {"train": 20000, "test": 1907}, "labels": {"Cat": 2000},
    "missing": 2, "missing_files": ["a.jpg", "b.jpg"], "new_labels": ["zebras"],
    "synonyms": [{"first": "Zebra", "second": "zebras", "how": "plural"}],
}  # fmt: skip


def test_a_forecast_says_first_how_much_and_whether_it_fits() -> None:
    lines = list(forecast_lines(FORECAST))
    assert lines[0] == "imagefolder: 22,967 files, 1.5 GB, in about 50 s"
    assert "DOES NOT FIT" in lines[1]
    assert "missing: 2 files are named and not there, first a.jpg, b.jpg" in lines
    assert "! perhaps the same label: Zebra = zebras (plural)" in lines


def test_a_result_names_every_final_state() -> None:
    counts = {"added": 5, "duplicates": 4, "rejected": 3, "failed": 2, "files": 14, "missing": 0}
    found = {**counts, "project": "reef", "format": "csv", "state": "done", "notices": [], "import": "uid"}
    assert next(iter(result_lines(found))) == (
        "5 added, 4 here already, 3 rejected, 2 failed, of 14 files in reef (csv)"
    )


def test_a_result_says_why_files_did_not_come_in_and_where_the_others_are_listed() -> None:
    counts = {"added": 5, "duplicates": 0, "rejected": 3, "failed": 0, "files": 8, "missing": 0}
    found = {**counts, "project": "reef", "format": "csv", "state": "done", "notices": [], "import": "1234"}
    lines = list(result_lines(found, [{"path": "a.bmp", "reason": "It is a BMP."}]))
    assert lines[1:3] == ["! a.bmp: It is a BMP.", "! and 2 more that did not come in"]
    assert lines[-1].endswith("./osprey import --report 1234")


def test_a_forecast_says_how_columns_are_read_and_what_is_not() -> None:
    notices = [{"kind": "source", "text": "Columns that are not read: x."}]
    lines = list(forecast_lines({**FORECAST, "columns": {"read_as": {"File": "path"}}, "notices": notices}))
    assert lines[-2:] == ["columns: File = path", "! Columns that are not read: x."]


def test_sizes_and_times_are_in_words() -> None:
    assert (size_words(62749), duration(7200)) == ("63 kB", "2.0 h")


def test_a_list_has_a_line_for_each_import_with_what_tells_it_apart() -> None:
    one = {
        **{"import": "1234", "began": datetime(2026, 5, 1), "state": "done", "withdrawn": False, "format": "csv"},
        **{"added": 1200, "duplicates": 3, "rejected": 1, "failed": 1, "name": "reef", "source": "", "licence": "CC0"},
    }
    assert list(list_lines({"imports": [one]})) == [
        "1234  2026-05-01  done: 1,200 added, 3 here already, 2 not taken (csv)  reef, CC0"
    ]
    assert "withdrawn: " in next(list_lines({"imports": [{**one, "withdrawn": True}]}))
    assert list(list_lines({"imports": []})) == ["no import yet"]
