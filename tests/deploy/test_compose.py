"""docker-compose.yml against the compose specification, and against the code it starts."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import celery.bin.celery
import click
import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands

from webapp import processes

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("osprey:")}
WORKERS = {name: service for name, service in OURS.items() if "worker" in service["command"]}


def after(command: list[str], option: str) -> str:
    return command[command.index(option) + 1]


def source(*names: str) -> str:
    return "\n".join((ROOT / "webapp" / name).read_text(encoding="utf-8") for name in names)


@pytest.mark.parametrize("name", ["docker-compose.yml", "docker-compose.gpu.yml"])
def test_the_file_fits_the_compose_specification(name: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(ROOT / name)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout


def test_all_parts_of_the_site_are_services() -> None:
    assert set(OURS) == {"prepare", "web", "gpu", "io", "train", "beat"}
    assert set(SERVICES) - set(OURS) == {"postgres", "valkey"}


@pytest.mark.parametrize("name", OURS)
def test_every_command_names_a_module_or_management_command_that_exists(name: str) -> None:
    python, first, second, *_ = OURS[name]["command"]
    assert python == "python"
    if first == "manage.py":
        assert second in get_commands()
    else:
        assert first == "-m"
        assert importlib.util.find_spec(second) is not None


@pytest.mark.parametrize("name", [*WORKERS, "beat"])
def test_every_celery_command_parses(name: str) -> None:
    words = OURS[name]["command"][3:]
    assert importlib.util.find_spec(after(words, "--app")) is not None
    command = celery.bin.celery.celery.commands[words[2]]
    options, left_over, _ = command.make_parser(click.Context(command)).parse_args(list(words[3:]))
    assert left_over == []
    assert options


def test_the_same_worker_commands_run_embedded_and_in_production(tmp_path: Path) -> None:
    site = processes.Site(data=tmp_path, port=8000, listener=3)
    embedded = {process.name: list(process.command[1:]) for process in processes.all_processes(site)}
    for name, service in WORKERS.items():
        assert service["command"][1:] == embedded[name]


def test_every_queue_has_a_worker_and_every_worker_a_queue() -> None:
    used = {route["queue"] for route in settings.CELERY["task_routes"].values()} | {
        settings.CELERY["task_default_queue"]
    }
    assert {after(service["command"], "--queues") for service in WORKERS.values()} == used


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_is_judged_by_the_heartbeat_of_its_own_queue(name: str) -> None:
    check = WORKERS[name]["healthcheck"]["test"]
    assert check == ["CMD", "python", "-m", "webapp.worker_health", after(WORKERS[name]["command"], "--queues")]


@pytest.mark.parametrize("name", SERVICES)
def test_every_lasting_service_has_a_health_check(name: str) -> None:
    assert ("healthcheck" in SERVICES[name]) == (name != "prepare")


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_one_that_the_code_reads(name: str) -> None:
    text = source("settings.py", "broker.py")
    read = set(re.findall(r"\benv\.\w+\(\s*\"([A-Z_]+)\"", text))
    secrets = set(re.findall(r"\benv\.secret\(\s*\"([A-Z_]+)\"", text)) | {"REDIS_URL", "CELERY_BROKER_URL"}
    known = read | secrets | {f"{secret}_FILE" for secret in secrets}
    of_glibc = {"MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"}
    override = yaml.safe_load((ROOT / "docker-compose.gpu.yml").read_text())["services"]
    told = set(OURS[name]["environment"]) | set(override.get(name, {}).get("environment", {}))
    assert told - of_glibc <= known


def test_the_published_port_is_the_one_the_web_process_binds() -> None:
    web = SERVICES["web"]
    bound = after(web["command"], "--bind").rpartition(":")[2]
    assert [port.rpartition(":")[2] for port in web["ports"]] == [bound]
    assert web["environment"]["OSPREY_PORT"] == bound
    assert f"127.0.0.1:{bound}/healthz" in web["healthcheck"]["test"][-1]


@pytest.mark.parametrize("name", SERVICES)
def test_volumes_networks_secrets_and_dependencies_are_declared(name: str) -> None:
    service = SERVICES[name]
    assert {volume.partition(":")[0] for volume in service["volumes"]} <= set(COMPOSE["volumes"])
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    assert set(service["secrets"]) <= set(COMPOSE["secrets"])
    assert set(service.get("depends_on", {})) <= set(SERVICES)
    for variable, path in service.get("environment", {}).items():
        if variable.endswith("_FILE"):
            assert path.removeprefix("/run/secrets/") in service["secrets"]


@pytest.mark.parametrize("name", OURS)
def test_the_data_folder_is_on_a_volume(name: str) -> None:
    mounted = {volume.rpartition(":")[2] for volume in OURS[name]["volumes"]}
    assert OURS[name]["environment"]["OSPREY_DATA"] in mounted


@pytest.mark.parametrize("name", ["postgres", "valkey"])
def test_database_and_broker_are_out_of_reach_from_outside(name: str) -> None:
    assert "ports" not in SERVICES[name]
    assert all(COMPOSE["networks"][network]["internal"] for network in SERVICES[name]["networks"])


def test_a_site_in_production_is_never_open() -> None:
    assert all(service["environment"]["OSPREY_OPEN"] == "0" for service in OURS.values())


def test_the_gpu_override_reserves_a_gpu_for_services_that_exist() -> None:
    override = yaml.safe_load((ROOT / "docker-compose.gpu.yml").read_text())["services"]
    assert set(override) == {"gpu", "train"} <= set(SERVICES)
    for service in override.values():
        (device,) = service["deploy"]["resources"]["reservations"]["devices"]
        assert device["capabilities"] == ["gpu"]


def dockerfile(instruction: str) -> list[str]:
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    return [line.removeprefix(instruction).strip() for line in lines if line.startswith(f"{instruction} ")]


def test_the_image_copies_what_exists_and_what_the_ignore_file_lets_through() -> None:
    copied = [word for line in dockerfile("COPY") for word in line.split()[:-1]]
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied) == let_through
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_image_holds_every_package_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {pattern.rstrip("*") for pattern in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert packages <= {line.split()[0] for line in dockerfile("COPY")}


def test_the_image_does_not_run_as_root() -> None:
    assert dockerfile("USER") == ["osprey"]
