"""What the command says of an import, in lines for a person; --json has the same as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from webapp.sizes import size_words

SHOWN = 12


def forecast_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """What would come in, whether it fits, and what a person should look at first."""
    size, took = size_words(found["bytes"]), duration(found["seconds"])
    yield f"{found['format']}: {found['files']:,} files, {size}, in about {took}"
    room = "which fits" if found.get("fits") else "WHICH DOES NOT FIT: free some space first"
    yield f"space: {size_words(found['space_needed'])} of {size_words(found['space_free'])} free, {room}"
    for word in ("labelled", "individuals", "detections", "sites", "visits"):
        if found.get(word):
            yield f"{word}: {found[word]:,}"
    for word in ("parts", "labels"):
        if found.get(word):
            yield f"{word}: {_counted(found[word])}"
    if found.get("missing"):
        yield f"missing: {found['missing']:,} files are named and not there, first {_listed(found['missing_files'])}"
    if found.get("new_labels"):
        yield f"labels the project does not have yet: {_listed(found['new_labels'])}"
    for one in found.get("synonyms") or ():
        yield f"! perhaps the same label: {one['first']} = {one['second']} ({one['how']})"
    if found.get("needs_mapping"):
        yield f"! say what its columns mean with --map COLUMN=MEANING; read so far: {found.get('columns')}"
    if found.get("columns"):
        read = (f"{column} = {meaning}" for column, meaning in found["columns"]["read_as"].items())
        yield f"columns: {', '.join(read)}"
    for one in found.get("notices") or ():
        yield f"! {one['text']}"
    if found.get("is_whole") is False:
        yield "! this is an estimate from its beginning: the source is too long to be read to its end for a forecast"


def result_lines(found: Mapping[str, Any], lost: Sequence[Mapping[str, str]] = ()) -> Iterator[str]:
    """What came of it; `lost` are the first files that did not come in."""
    yield (
        f"{found['added']:,} added, {found['duplicates']:,} here already, {found['rejected']:,} rejected, "
        f"{found['failed']:,} failed, of {found['files']:,} files in {found['project']} ({found['format']})"
    )
    told = [f"{found[word]:,} {word}" for word in ("reviews", "annotations", "predictions") if found.get(word)]
    if told:
        yield f"with {', '.join(told)}"
    if found.get("trusted") is False:
        yield "versions may not be tested on its labels"
    for one in lost:
        yield f"! {one['path']}: {one['reason']}"
    if (more := found["rejected"] + found["failed"] - len(lost)) > 0 and lost:
        yield f"! and {more:,} more that did not come in"
    for one in found.get("notices") or ():
        yield f"! {one['text']}"
    if found.get("state") != "done":
        yield f"{found['state']}: {found.get('reason') or 'the same command goes on where it ended'}"
    yield f"import {found['import']}; each file with what became of it: ./osprey import --report {found['import']}"


def list_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The imports of a project, a line each."""
    if not found["imports"]:
        yield "no import yet"
    for one in found["imports"]:
        said = [str(one[word]) for word in ("name", "source", "licence") if one.get(word)]
        state = "withdrawn" if one["withdrawn"] else one["state"]
        lost = one["rejected"] + one["failed"]
        more = f", {lost:,} not taken" if lost else ""
        yield (
            f"{one['import']}  {one['began']:%Y-%m-%d}  {state}: {one['added']:,} added, "
            f"{one['duplicates']:,} here already{more} ({one['format']})  {', '.join(said)}"
        )


def plain_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Anything else: a line for each thing."""
    for name, value in found.items():
        if isinstance(value, list):
            yield f"{name}: {len(value):,}"
            yield from (f"  {_flat(one)}" for one in value)
        else:
            yield f"{name}: {_flat(value)}"


def _flat(value: Any) -> str:
    return ", ".join(f"{key} {one}" for key, one in value.items()) if isinstance(value, Mapping) else str(value)


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _counted(counts: Mapping[str, int]) -> str:
    shown = [f"{name} {count:,}" for name, count in list(counts.items())[:SHOWN]]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _listed(names: list[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(map(str, names[:SHOWN])) + (f" and {more:,} more" if more > 0 else "")
