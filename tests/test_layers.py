"""The house rules that a reader cannot see at a glance: who imports whom, and what is nowhere."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from webapp.celery import app

ROOT = Path(__file__).resolve().parent.parent
APPS = ("access", "projects", "images", "versions", "predictions", "reviews", "datasets", "runs")
DOORS = ("pages", "api")  # beside each other; they may use everything, each other's words included
BOTTOM = ("env", "errors")  # modules of webapp that any app may use, and that use none
HEAVY = ("torch", "torchvision", "timm", "openvino", "onnx", "onnxscript", "safetensors", "huggingface_hub")
DRAWERS = {"utils", "util", "helpers", "helper", "common", "services", "misc"}
LONGEST_MODULE = 400
LONGEST_FUNCTION = 60


@dataclass(frozen=True)
class Import:
    """`module` is what is imported, `lazy` whether inside a function."""

    file: Path
    line: int
    module: str
    lazy: bool

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line} imports {self.module}"


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


def sources(*packages: str) -> list[Path]:
    """All Python files of our packages, migrations aside."""
    found = (path for package in packages for path in (ROOT / package).rglob("*.py"))
    return sorted(path for path in found if "migrations" not in path.parts)


@cache
def nodes(file: Path) -> tuple[ast.AST, ...]:
    """All parts of a file's syntax: walked once, since a walk that is measured for coverage takes its time."""
    return tuple(ast.walk(parsed(file)))


@cache
def imports(file: Path) -> tuple[Import, ...]:
    """Every import of a file; those only for the type checker do not count."""
    return tuple(_imports(file, parsed(file).body, lazy=False))


def _imports(file: Path, body: list[ast.stmt], *, lazy: bool) -> Iterator[Import]:
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from _imports(file, node.orelse, lazy=lazy)
        elif isinstance(node, ast.Import):
            yield from (Import(file, node.lineno, alias.name, lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield Import(file, node.lineno, module, lazy)
            yield from (Import(file, node.lineno, f"{module}.{alias.name}", lazy) for alias in node.names)
        else:
            inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for field in ("body", "orelse", "finalbody"):
                yield from _imports(file, getattr(node, field, []), lazy=inside)
            for handler in getattr(node, "handlers", []):
                yield from _imports(file, handler.body, lazy=inside)


def offenders(files: list[Path], *forbidden: str) -> list[str]:
    return [
        str(found)
        for file in files
        for found in imports(file)
        if any(found.module == name or found.module.startswith(f"{name}.") for name in forbidden)
    ]


def test_there_is_something_to_check() -> None:
    assert len(sources("classifier", "webapp")) > 60
    assert offenders(sources("webapp/versions"), "webapp.projects") != [], "a search that finds nothing proves nothing"
    assert [found.module for found in imports(Path(__file__))][:3] == ["__future__", "__future__.annotations", "ast"]


def test_the_classifier_knows_neither_the_site_nor_training() -> None:
    assert offenders(sources("classifier"), "django", "celery", "rest_framework", "webapp", "training") == []


def test_training_does_not_know_the_site() -> None:
    assert offenders(sources("training"), "django", "celery", "rest_framework", "webapp") == []


def test_of_training_the_site_knows_only_the_contract() -> None:
    found = [found for file in sources("webapp") for found in imports(file) if found.module.startswith("training")]
    assert [str(one) for one in found if not one.module.startswith("training.contract")] == []


@pytest.mark.parametrize("app", APPS)
def test_an_app_imports_only_apps_to_its_left(app: str) -> None:
    right = [*APPS[APPS.index(app) + 1 :], *DOORS]
    assert offenders(sources(f"webapp/{app}"), *(f"webapp.{other}" for other in right)) == []


def test_what_every_app_stands_on_stands_on_no_app() -> None:
    files = [ROOT / "webapp" / f"{name}.py" for name in BOTTOM]
    assert offenders(files, "webapp") == []


def test_relative_imports_do_not_hide_a_direction() -> None:
    hidden = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in sources("classifier", "training", "webapp")
        for node in nodes(file)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert hidden == []


def test_nothing_imports_a_module_of_tasks() -> None:
    found = [str(one) for file in sources("webapp", "classifier", "bench") for one in imports(file) if _is_tasks(one)]
    assert found == []


def _is_tasks(found: Import) -> bool:
    return found.module.startswith("webapp.") and found.module.endswith(".tasks")


def test_the_site_imports_what_is_heavy_only_inside_functions() -> None:
    eager = [
        str(found)
        for file in sources("webapp")
        for found in imports(file)
        if not found.lazy and found.module.split(".")[0] in HEAVY
    ]
    assert eager == []


WEB_PROCESS = """
import sys
import django
django.setup()
import webapp.asgi
from importlib import import_module
from django.conf import settings
import_module(settings.ROOT_URLCONF)
from django.urls import get_resolver
get_resolver().url_patterns
print(" ".join(name for name in sys.argv[1:] if name in sys.modules))
"""


def test_a_web_process_loads_no_networks_and_no_arrays() -> None:
    """In a fresh interpreter: all addresses with all their views, and the ASGI door."""
    names = [*HEAVY, "numpy", "PIL", "classifier.engine", "training.train"]
    ended = subprocess.run(
        [sys.executable, "-c", WEB_PROCESS, *names],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "webapp.settings", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == []


def test_checks_that_matter_do_not_vanish_under_python_o() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in sources("classifier", "training", "webapp", "bench")
        for node in nodes(file)
        if isinstance(node, ast.Assert)
    ]
    assert found == []


def test_nothing_happens_behind_a_rows_back() -> None:
    """No signals, and no `save` or `delete` that does more than it says."""
    signals = offenders(sources("webapp"), "django.db.models.signals", "django.dispatch", "celery.signals")
    overrides = [
        f"{file.relative_to(ROOT)}:{method.lineno} {cls.name}.{method.name}"
        for file in sources("webapp")
        if file.name == "models.py"
        for cls in nodes(file)
        if isinstance(cls, ast.ClassDef)
        for method in cls.body
        if isinstance(method, ast.FunctionDef) and method.name in ("save", "delete", "__init__", "full_clean")
    ]
    assert signals + overrides == []


def test_a_module_is_named_for_what_it_does() -> None:
    paths = sources("classifier", "training", "webapp", "bench")
    assert [str(path) for path in paths if {path.stem, path.parent.name} & DRAWERS] == []


def test_there_are_no_pickles_and_no_star_imports() -> None:
    files = sources("classifier", "training", "webapp")
    assert offenders(files, "pickle", "cloudpickle", "dill", "shelve", "joblib", "marshal") == []
    stars = [found for file in files for found in imports(file) if found.module.endswith(".*")]
    assert [str(found) for found in stars] == []


def test_modules_and_functions_stay_short_enough_to_read() -> None:
    long = [
        f"{file.relative_to(ROOT)} has {len(file.read_text(encoding='utf-8').splitlines())} lines"
        for file in sources("classifier", "training", "webapp", "bench")
        if len(file.read_text(encoding="utf-8").splitlines()) > LONGEST_MODULE
    ]
    long += [
        f"{file.relative_to(ROOT)}:{node.lineno} {node.name} has {(node.end_lineno or 0) - node.lineno + 1} lines"
        for file in sources("classifier", "training", "webapp", "bench")
        for node in nodes(file)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert long == []


def test_no_two_apps_wait_for_each_other() -> None:
    """A cycle among modules only works by luck of the order; lazy imports are left out."""
    names = {_module_name(file): file for file in sources("webapp", "classifier")}
    edges = {
        name: {found.module for found in imports(file) if not found.lazy and found.module in names} - {name}
        for name, file in names.items()
    }
    while free := [name for name, needs in edges.items() if not needs]:
        for name in free:
            del edges[name]
        for needs in edges.values():
            needs.difference_update(free)
    assert edges == {}


def _module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_every_task_that_is_named_is_one_that_workers_know() -> None:
    app.loader.import_default_modules()
    app.autodiscover_tasks(force=True)
    said = re.compile(r'"(webapp(?:\.\w+)*\.tasks\w*\.\w+)"')
    named = {name for file in (ROOT / "webapp").rglob("*.py") for name in said.findall(file.read_text())}
    assert len(named) > 20, "the search still finds them"
    assert named <= set(app.tasks), f"no worker knows {sorted(named - set(app.tasks))}"
