"""docs/api.md against the code: every address resolves, every code exists, and every code is told."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from django.urls import Resolver404, resolve

from tests.docs import reading

ROOT = reading.ROOT
PAGE = reading.DOCS / "api.md"
UID = "5c6f0f54-6f0c-4a64-9d0e-6a1f7f0e8a11"
RAISED = ("ImageRejected", "Failure", "_set_aside")


def addresses(path: Path) -> set[tuple[str, str]]:
    """(method, path) of every curl line and of every address in backticks; placeholders are filled in."""
    found = set()
    markdown = reading.text(path)
    commands = [line for block in reading.blocks(markdown, "sh") for line in re.split(r"\n(?=\S)", block)]
    for command in commands:
        if command.startswith("curl"):
            address = re.search(r"(?:https?://[\w.:]+|\$OSPREY)(/[^\s\"'?]*)", command)
            method = re.search(r"-X (\w+)", command)
            assert address, command
            implied = "POST" if re.search(r" (--data|-F|--json)", command) else "GET"
            found.add((method[1] if method else implied, address[1]))
    for word in reading.code_words(markdown):
        said = re.fullmatch(r"(GET|POST|PUT|PATCH|DELETE) (/[^\s?]*)\S*", word)
        if said:
            found.add((said[1], said[2]))
    return {(method, _filled(address)) for method, address in found}


def _filled(address: str) -> str:
    return re.sub(r"<uid>|\$UPLOAD", UID, re.sub(r"<id>|\$IMAGE", "12", re.sub(r"<slug>|<key>", "animals", address)))


@pytest.mark.parametrize("page", [PAGE, ROOT / "README.md"], ids=lambda page: page.name)
def test_every_address_exists_and_takes_that_method(page: Path) -> None:
    assert addresses(page)
    for method, address in sorted(addresses(page)):
        try:
            match = resolve(address)
        except Resolver404:
            pytest.fail(f"{page.name} names {address}, which is no address of the site")
        assert match.url_name != "api-unknown", f"{page.name} names {address}, which no call takes"
        view = getattr(match.func, "cls", None)
        if view is not None and match.url_name != "api-docs":
            assert hasattr(view, method.lower()), f"{address} does not take {method}"


@cache
def trees() -> tuple[ast.Module, ...]:
    packages = ("webapp", "classifier", "training/contract")
    files = [file for package in packages for file in (ROOT / package).rglob("*.py")]
    return tuple(ast.parse(file.read_text(encoding="utf-8")) for file in files if "migrations" not in file.parts)


def words() -> set[str]:
    """Every string of the code."""
    nodes = (node for tree in trees() for node in ast.walk(tree))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def codes() -> set[str]:
    """Codes by the ways in which errors are made: `code=`, the `code` of a class, the first word of a refusal."""
    found: set[object] = set()
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                found |= {_word(one.value) for one in node.keywords if one.arg == "code"}
                called = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if called in RAISED:
                    found |= {_word(one) for one in node.args[:3]}
            elif isinstance(node, ast.ClassDef):
                found |= {_word(one.value) for one in node.body if isinstance(one, ast.Assign) and _names_code(one)}
    return {code for code in found if isinstance(code, str) and re.fullmatch(r"[a-z]+([-_][a-z]+)*", code)}


def _word(node: ast.expr | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def _names_code(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "code" for target in node.targets)


def told_codes() -> set[str]:
    tables = [body for heading, body in reading.sections(PAGE).items() if heading.startswith("Codes")]
    return {code for body in tables for row in reading.rows(body) for code in reading.code_words(row[0])}


def test_every_documented_code_is_one_that_the_code_gives() -> None:
    assert told_codes() - words() == set()


def test_every_code_is_documented() -> None:
    missing = codes() - told_codes()
    assert not missing, f"add to the tables of codes in docs/api.md: {sorted(missing)}"
