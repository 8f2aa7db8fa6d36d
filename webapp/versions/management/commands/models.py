"""`./osprey models`: list, add, export and import versions."""

from __future__ import annotations

import json
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from classifier.errors import ClassifierError
from webapp.access.actors import OPERATOR
from webapp.errors import OspreyError
from webapp.projects.find import project_by_slug, visible_projects
from webapp.projects.models import Project
from webapp.versions.activate import activate, active_pipeline
from webapp.versions.add import add_version
from webapp.versions.exchange import export_version, find_version
from webapp.versions.models import Version
from webapp.versions.pipelines import versions_of, with_version
from webapp.versions.publish import publish_folder
from webapp.versions.verify import verify

EXAMPLES = """Examples:
  models list --json
  models add resnet18 --project animals --weights resnet18.safetensors
  models add fish.onnx --role classifier --card fish.yaml --project fish --activate
  models export 3 /media/stick/fish-v3
  models import /media/stick/fish-v3 --project fish
  models verify"""


class Command(BaseCommand):
    help = "List, add, export, import and verify model versions."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class, parser.epilog = RawDescriptionHelpFormatter, EXAMPLES
        acts = parser.add_subparsers(dest="act", required=True)
        listing = acts.add_parser("list", help="the versions of this site")
        listing.add_argument("--json", action="store_true", help="one JSON array")
        adding = acts.add_parser("add", help="a timm architecture with pretrained weights, or an ONNX file")
        adding.add_argument("source", metavar="NAME|FILE.onnx")
        adding.add_argument("--weights", type=Path, help="a file with the weights, instead of the hub")
        adding.add_argument("--role", choices=[role for role in Version.Role.values if role != "external"])
        adding.add_argument("--card", type=Path, help="what the ONNX file expects and answers (YAML or JSON)")
        adding.add_argument("--labels", default="", help="what the outputs mean: animals, ten-animals, fish, or a FILE")
        adding.add_argument("--name", default="", help="how people will know it")
        _project_options(adding)
        exporting = acts.add_parser("export", help="write a version as a folder")
        exporting.add_argument("version", metavar="VERSION", help="id, digest or name")
        exporting.add_argument("folder", type=Path)
        importing = acts.add_parser("import", help="take in a folder that another site exported")
        importing.add_argument("folder", type=Path)
        _project_options(importing)
        verifying = acts.add_parser("verify", help="hash the files of every version, or of one")
        verifying.add_argument("version", metavar="VERSION", nargs="?")

    def handle(self, *args: Any, **options: Any) -> None:
        acts = {
            "list": self._list,
            "add": self._add,
            "export": self._export,
            "import": self._import,
            "verify": self._verify,
        }
        try:
            acts[options["act"]](options)
        except (OspreyError, ClassifierError) as error:
            raise CommandError(str(error)) from error

    def _list(self, options: dict[str, Any]) -> None:
        rows = described_versions()
        if options["json"]:
            self.stdout.write(json.dumps(rows, ensure_ascii=False))
            return
        for row in rows:
            state = "BROKEN" if row["broken"] else f"answers in {', '.join(row['active'])}" if row["active"] else ""
            where = row["project"] or "any project"
            self.stdout.write(
                f"{row['id']:>4}  {row['digest'][:12]}  {row['role']:<10}  {where:<14}  {row['name']}  {state}".rstrip()
            )

    def _add(self, options: dict[str, Any]) -> None:
        version = add_version(
            actor=OPERATOR,
            source=options["source"],
            project=_project(options),
            weights=options["weights"],
            role=options["role"],
            card=options["card"],
            labels=options["labels"],
            name=options["name"],
            say=self._say,
        )
        self._finish(version, options)

    def _import(self, options: dict[str, Any]) -> None:
        if not options["folder"].is_dir():
            raise CommandError(f"{options['folder']} is not a folder.")
        self._finish(publish_folder(actor=OPERATOR, folder=options["folder"], project=_project(options)), options)

    def _finish(self, version: Version, options: dict[str, Any]) -> None:
        self._say(f"version {version.pk}: {version.name} ({version.role}, {version.size_bytes / 1e6:.1f} MB)")
        project = _project(options)
        if options["activate"]:
            if project is None:
                raise CommandError("--activate needs --project SLUG: a version answers in a project.")
            pipeline = with_version(project, active_pipeline(project), version)
            activate(actor=OPERATOR, project=project, pipeline=pipeline, note=options["note"])
            self._say(f"it answers in {project.slug} now")
        self.stdout.write(version.digest)

    def _export(self, options: dict[str, Any]) -> None:
        version = find_version(options["version"])
        self.stdout.write(export_version(actor=OPERATOR, version=version, folder=options["folder"]))

    def _verify(self, options: dict[str, Any]) -> None:
        versions = [find_version(options["version"])] if options["version"] else list(Version.objects.order_by("pk"))
        broken = [version for version in versions if not verify(actor=OPERATOR, version=version)]
        for version in broken:
            self.stderr.write(f"version {version.pk} ({version.name}): {version.broken_reason}")
        if broken:
            raise CommandError(f"{len(broken)} of {len(versions)} versions are broken.")
        self.stdout.write(f"{len(versions)} versions are whole.")

    def _say(self, line: str) -> None:
        self.stderr.write(f"osprey: {line}")


def _project_options(parser: CommandParser) -> None:
    parser.add_argument("--project", help="the project that may use it (default: every project)")
    parser.add_argument("--activate", action="store_true", help="let it answer in the project from now on")
    parser.add_argument("--note", default="from the command line", help="why, for the record")


def _project(options: dict[str, Any]) -> Project | None:
    return project_by_slug(OPERATOR, options["project"]) if options["project"] else None


def described_versions() -> list[dict[str, Any]]:
    """Every version as plain values, newest last, with the projects it answers in."""
    active: dict[int, list[str]] = {}
    for project in visible_projects(OPERATOR):
        pipeline = active_pipeline(project)
        for version in versions_of(pipeline) if pipeline else ():
            active.setdefault(version.pk, []).append(project.slug)
    return [
        {
            "id": version.pk,
            "uid": str(version.uid),
            "name": version.name,
            "role": version.role,
            "project": version.project.slug if version.project else None,
            "digest": version.digest,
            "architecture": version.architecture,
            "licence": version.licence,
            "size_bytes": version.size_bytes,
            "starter": version.is_starter,
            "active": active.get(version.pk, []),
            "broken": version.broken_reason or None,
            "created_at": version.created_at.isoformat(),
        }
        for version in Version.objects.select_related("project").order_by("pk")
    ]
