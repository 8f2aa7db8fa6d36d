"""docs/architecture.md against the code: who imports whom, which rooms there are, which processes run."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.docs import reading
from webapp import processes

ROOT = reading.ROOT
PAGE = reading.DOCS / "architecture.md"
PACKAGES = ("webapp", "classifier", "training")
Edge = tuple[str, str]


def python_files(package: str) -> list[Path]:
    return sorted(path for path in (ROOT / package).rglob("*.py") if "migrations" not in path.parts)


@cache
def plain_rooms() -> dict[str, str]:
    """Module of webapp that lies beside the apps -> its room, by the table of the page."""
    found = {}
    for room, modules, *_ in reading.rows(reading.sections(PAGE)["The modules beside the apps"]):
        found.update({module: reading.code_words(room)[0] for module in reading.code_words(modules)})
    return found


def room_of(module: str) -> str | None:
    """The room of `webapp.images.store` is `images`, that of `classifier.card` is `classifier`."""
    package, _, rest = module.partition(".")
    if package not in PACKAGES:
        return None
    first = rest.partition(".")[0]
    if package != "webapp" or not first:
        return package
    return first if (ROOT / "webapp" / first).is_dir() else plain_rooms().get(first, f"no room for webapp/{first}.py")


def imported(file: Path) -> set[str]:
    """Every module a file imports, also inside functions and for the type checker."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@cache
def real_edges() -> frozenset[Edge]:
    edges: set[Edge] = set()
    for package in PACKAGES:
        for file in python_files(package):
            here = room_of(".".join(file.relative_to(ROOT).with_suffix("").parts))
            there = {room_of(module) for module in imported(file)}
            edges |= {(here, room) for room in there if here and room and room != here}
    return frozenset(edges)


def listed_edges() -> set[Edge]:
    (block,) = reading.blocks(reading.sections(PAGE)["Every import"], "text")
    pairs = [line.split(" -> ") for line in block.splitlines()]
    return {(source, target) for source, target in pairs}


def reachable(start: str, edges: frozenset[Edge]) -> set[str]:
    found: set[str] = set()
    waiting = [target for source, target in edges if source == start]
    while waiting:
        room = waiting.pop()
        if room not in found:
            found.add(room)
            waiting += [target for source, target in edges if source == room]
    return found


def without_shortcuts(edges: frozenset[Edge]) -> set[Edge]:
    """The edges a drawing needs: `a -> c` is left out where `a -> b` and `b -> c` say it."""
    return {
        (source, target)
        for source, target in edges
        if not any(
            target in reachable(between, edges) for here, between in edges if here == source and between != target
        )
    }


def shown(edges: set[Edge], arrow: str = "->") -> str:
    return "\n".join(f"{source} {arrow} {target}" for source, target in sorted(edges))


def test_the_list_of_imports_is_that_of_the_code() -> None:
    missing, extra = set(real_edges()) - listed_edges(), listed_edges() - real_edges()
    assert not missing, f"add to `Every import` in docs/architecture.md:\n{shown(missing)}"
    assert not extra, f"no longer in the code, remove from docs/architecture.md:\n{shown(extra)}"


def test_rooms_do_not_wait_for_each_other() -> None:
    assert [
        room for room in {room for edge in real_edges() for room in edge} if room in reachable(room, real_edges())
    ] == []


def test_the_drawing_shows_the_list_without_its_shortcuts() -> None:
    (drawing,) = reading.blocks(reading.sections(PAGE)["The drawing"], "mermaid")
    drawn = set(re.findall(r"^\s*(\w+) --> (\w+)$", drawing, flags=re.MULTILINE))
    wanted = without_shortcuts(real_edges())
    assert drawn == wanted, f"`The drawing` in docs/architecture.md should hold:\n{shown(wanted, '-->')}"


def test_every_module_beside_the_apps_has_a_room() -> None:
    there = {path.stem for path in (ROOT / "webapp").glob("*.py")} - {"__init__"}
    assert set(plain_rooms()) == there


def test_every_app_is_described() -> None:
    described = {reading.code_words(row[0])[0] for row in reading.rows(reading.sections(PAGE)["The apps of webapp"])}
    assert described == {path.parent.name for path in (ROOT / "webapp").glob("*/apps.py")}


def test_every_module_of_the_classifier_is_described() -> None:
    table = reading.rows(reading.sections(PAGE)["The modules of classifier"])
    described = {word for row in table for word in reading.code_words(row[1])}
    folder = ROOT / "classifier"
    there = {".".join(path.relative_to(folder).with_suffix("").parts) for path in python_files("classifier")}
    packages = {name.removesuffix(".__init__") for name in there if name.endswith("__init__")}
    assert described == (there | packages) - {name for name in there if name.endswith("__init__")} - {"__init__", "cli"}


def test_every_module_of_training_is_described() -> None:
    table = reading.rows(reading.sections(PAGE)["The modules of training"])
    described = {word for row in table for word in reading.code_words(row[1])}
    folder = ROOT / "training"
    there = {".".join(path.relative_to(folder).with_suffix("").parts) for path in python_files("training")}
    assert described == {name for name in there if not name.endswith("__init__")}


def test_every_module_of_the_formats_is_described() -> None:
    table = reading.rows(reading.sections(PAGE)["The modules of formats"])
    described = [word for row in table for word in reading.code_words(row[1])]
    there = {path.stem for path in (ROOT / "webapp" / "datasets" / "formats").glob("*.py")} - {"__init__"}
    assert sorted(described) == sorted(there)


@pytest.fixture
def table(tmp_path: Path) -> dict[str, tuple[str, str]]:
    """Part -> (process of `./osprey up`, service of docker-compose.yml); a dash where there is none."""
    found = {}
    for part, process, service, *_ in reading.rows(reading.sections(PAGE)["Processes"]):
        found[part] = (process.strip("`"), service.strip("`"))
    return found


def test_the_processes_are_those_of_the_supervisor(table: dict[str, tuple[str, str]], tmp_path: Path) -> None:
    site = processes.Site(data=tmp_path, port=8000, listener=3)
    started = [process.name for process in processes.all_processes(site)]
    assert sorted(process for process, _ in table.values() if process != "-") == sorted(started)


def test_the_services_are_those_of_the_compose_file(table: dict[str, tuple[str, str]]) -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    assert sorted(service for _, service in table.values() if service != "-") == sorted(services)


def test_the_figure_of_processes_shows_each_of_them(tmp_path: Path) -> None:
    (figure,) = reading.blocks(reading.sections(PAGE)["Processes"], "mermaid")
    drawn = {name for edge in re.findall(r"^\s*(\w+) --> (\w+)$", figure, flags=re.MULTILINE) for name in edge}
    site = processes.Site(data=tmp_path, port=8000, listener=3)
    started = {process.name for process in processes.all_processes(site)}
    assert drawn - {"browser", "program", "supervisor", "database", "files"} == started
