"""docs/command-line.md against the launcher's table and the options that the commands really take."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from importlib import import_module
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_loader
from types import ModuleType

import pytest
from django.core.management import get_commands, load_command_class

from classifier.cli import classify
from tests.docs import reading
from training import __main__ as training
from training.augmentation import augment_data
from webapp import site_commands

ROOT = reading.ROOT
PAGE = reading.DOCS / "command-line.md"


def launcher() -> ModuleType:
    loader = SourceFileLoader("osprey_launcher", str(ROOT / "osprey"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


COMMANDS = launcher().COMMANDS
TRAINING = training.COMMANDS


def of_django(app: str, name: str) -> Callable[[], argparse.ArgumentParser]:
    return lambda: load_command_class(app, name).create_parser("osprey", name)


PARSERS: dict[str, Callable[[], argparse.ArgumentParser]] = {
    "classify": classify.parser,
    "augment_data": augment_data.parser,
    "up": lambda: _of_site("up"),
    "status": lambda: _of_site("status"),
    "token": of_django("webapp.projects", "token"),
    "models": of_django("webapp.versions", "models"),
    "import": of_django("webapp.datasets", "import_data"),
    "freeze": of_django("webapp.datasets", "freeze"),
    "predict-again": of_django("webapp.runs", "predict_again"),
    "retrain": of_django("webapp.runs", "retrain"),
    "evaluate": of_django("webapp.runs", "evaluate"),
    "compare": of_django("webapp.runs", "compare"),
    "rebuild-state": of_django("webapp.reviews", "rebuild_state"),
}
OF_DJANGO = {"--version", "--verbosity", "--settings", "--pythonpath", "--traceback", "--no-color", "--force-color"}


def _of_site(name: str) -> argparse.ArgumentParser:
    return _subparsers(site_commands._parser())[name]


def _subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return {
        name: inner
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for name, inner in action.choices.items()
    }


def options(parser: argparse.ArgumentParser) -> set[str]:
    own = {word for action in parser._actions for word in action.option_strings if word.startswith("--")}
    below = [options(inner) for inner in _subparsers(parser).values()]
    return set().union(own, *below) - OF_DJANGO - {"--help", "--skip-checks"}


def section(name: str) -> str:
    return reading.sections(PAGE)[f"./osprey {name}"]


def test_every_command_has_a_section_and_every_section_a_command() -> None:
    told = [heading.removeprefix("./osprey ") for heading in reading.sections(PAGE) if heading.startswith("./osprey ")]
    assert sorted(told) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_section_shows_an_example_that_can_be_typed(name: str) -> None:
    examples = "\n".join(reading.blocks(section(name), "sh"))
    assert re.search(rf"\./osprey (--data \S+ )?{name}\b", examples)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_leads_to_something_that_is_there(name: str) -> None:
    words = launcher().words_to_run(name, ["serve"] if name == "bench" else [])
    if words[:1] == ["-m"]:
        assert find_spec(words[1]) is not None
    else:
        assert set(words[1:2]) <= set(get_commands())


@pytest.mark.parametrize("name", TRAINING)
def test_every_command_of_training_tells_an_example_that_it_would_take(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        training.main([name, "--help"])
    told = " ".join(capsys.readouterr().out.partition("example: python -m training ")[2].split())
    assert told == TRAINING[name].example, "argparse folds it, and nothing comes after it"
    parser = argparse.ArgumentParser()
    import_module(TRAINING[name].module).add_arguments(parser)
    parser.parse_args(told.split()[1:])


@pytest.mark.parametrize("name", PARSERS)
def test_every_option_is_explained_and_none_is_made_up(name: str) -> None:
    real = options(PARSERS[name]())
    told = set(re.findall(r"(?<![\w-])--[a-z][a-z_-]*", section(name)))
    assert real - told - {"--data"} == set(), "not in docs/command-line.md"
    assert told - real - {"--data"} == set(), "no such option"
