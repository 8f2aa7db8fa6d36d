"""docs/operations.md against the code: every variable of the environment, every folder, every check."""

from __future__ import annotations

import ast
import re

from tests.docs import reading

ROOT = reading.ROOT
PAGE = reading.DOCS / "operations.md"
READERS = ("text", "flag", "integer", "names", "folders", "secret")


def calls() -> list[tuple[str, list[str]]]:
    """(reader, names) of each place of webapp/*.py that reads variables by `env` or the broker's `given_url`."""
    found = []
    for file in (ROOT / "webapp").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            names = [word.value for word in node.args if isinstance(word, ast.Constant) and isinstance(word.value, str)]
            called = node.func
            if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "env":
                found.append((called.attr, names[:1]))
            elif isinstance(called, ast.Name) and called.id == "given_url":
                found.append(("secret", names))
    return [(reader, names) for reader, names in found if reader in READERS and names]


def variables() -> set[str]:
    """All names; a secret may also be given as a file that holds it."""
    plain = {name for reader, names in calls() for name in names}
    return plain | {f"{name}_FILE" for reader, names in calls() if reader == "secret" for name in names}


def documented(heading: str) -> set[str]:
    return {name for row in reading.rows(reading.sections(PAGE)[heading]) for name in reading.code_words(row[0])}


def test_the_collector_finds_what_it_should() -> None:
    assert {"OSPREY_DATA", "SECRET_KEY", "SECRET_KEY_FILE", "REDIS_URL", "OSPREY_TLS"} <= variables()


def test_every_variable_has_its_row_and_no_row_is_idle() -> None:
    missing, extra = (
        variables() - documented("Environment variables"),
        documented("Environment variables") - variables(),
    )
    assert not missing, f"add a row to `Environment variables` in docs/operations.md: {sorted(missing)}"
    assert not extra, f"nothing reads these any more: {sorted(extra)}"


def test_the_variables_of_the_compose_file_are_documented() -> None:
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text(encoding="utf-8")))
    assert used <= documented("Environment variables") | documented("Variables of other programs")


def test_the_documented_defaults_are_those_of_the_code() -> None:
    source = (ROOT / "webapp" / "settings.py").read_text(encoding="utf-8")
    defaults = {
        name: value.replace("_", "") for name, value in re.findall(r'env\.integer\("(\w+)", ([\d_]+)\)', source)
    }
    table = reading.rows(reading.sections(PAGE)["Environment variables"])
    said = {reading.code_words(row[0])[0]: row[1].strip("`") for row in table}
    assert {name: said[name] for name in defaults} == defaults


def test_the_checks_are_those_of_the_code() -> None:
    source = (ROOT / "webapp" / "checks.py").read_text(encoding="utf-8")
    assert documented("Checks") == set(re.findall(r'id="(osprey\.\w+)"', source))


def test_the_folders_are_those_that_are_made() -> None:
    files = ("settings.py", "versions/prepare.py")
    source = "\n".join((ROOT / "webapp" / name).read_text(encoding="utf-8") for name in files)
    made = set(re.findall(r'DATA_DIR / "(\w+)"', source)) | set(re.findall(r'"(\w+)"', _layout(source)))
    told = {name.strip("/").split("/")[0] for name in documented("The data folder")}
    assert made <= told


def _layout(source: str) -> str:
    found = re.search(r"for name in \(([^)]*)\)", source)
    return found.group(1) if found else ""


def test_the_problems_explained_are_those_that_health_reports() -> None:
    source = (ROOT / "webapp" / "predictions" / "health.py").read_text(encoding="utf-8")
    told = documented("Health")
    assert [words for words in told if words not in source] == []
    reported = len(re.findall(r"problems\.(?:append|extend)\(", source))
    assert len(told) == reported - 1, "one row for each problem, the workers' own words aside"


def test_a_setting_without_effect_is_said_to_have_none() -> None:
    settings = (ROOT / "webapp" / "settings.py").read_text(encoding="utf-8")
    named = re.findall(r'^(\w+) = env\.\w+\("(\w+)"', settings, flags=re.MULTILINE)
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "webapp").rglob("*.py"))
    idle = {variable for constant, variable in named if len(re.findall(rf"\b{constant}\b", code)) == 1}
    table = reading.rows(reading.sections(PAGE)["Environment variables"])
    said = {reading.code_words(row[0])[0] for row in table if "no effect yet" in row[2]}
    assert said == idle - {"STATIC_ROOT"}
