"""`./osprey plans`: what a project trains by itself; made, begun and deleted from the command line as well."""

from __future__ import annotations

import json
import logging
from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from webapp.access.actors import OPERATOR
from webapp.errors import Invalid, NotFound, OspreyError
from webapp.projects.find import project_by_slug
from webapp.projects.models import Project
from webapp.runs.candidates.planning import run_plan_now
from webapp.runs.candidates.plans import add_plan, delete_plan, plans_of
from webapp.runs.models import Plan

EXAMPLES = """Examples:
  plans --project reef
  plans --project reef --add '{"name": "nightly", "trigger": "daily", "at": "02:30", "time_zone": "Europe/Paris"}'
  plans --project reef --begin nightly"""
SHOWN = (
    "name", "is_on", "trigger", "at", "weekday", "time_zone", "after_reviews", "recipe", "then", "next_at", "began_at",
    "said",
)  # fmt: skip


class Command(BaseCommand):
    help = "Show what a project trains by itself, and change that. The site's workers carry it out."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class, parser.epilog = RawDescriptionHelpFormatter, EXAMPLES
        parser.add_argument("--project", required=True, metavar="SLUG")
        act = parser.add_mutually_exclusive_group()
        act.add_argument("--add", metavar="PLAN", help="a plan as JSON, with the fields of REST")
        act.add_argument("--begin", metavar="NAME", help="begin at once, whether anything is new or not")
        act.add_argument("--delete", metavar="NAME", help="delete one; its runs stay")
        parser.add_argument("--json", action="store_true", help="one JSON list")

    def handle(self, *args: Any, **options: Any) -> None:
        for name in ("webapp.queue", "webapp.events"):
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            project = project_by_slug(OPERATOR, options["project"])
            _act(project, options)
        except OspreyError as error:
            raise CommandError(error.what) from error
        found = [told(plan) for plan in plans_of(project)]
        if options["json"]:
            self.stdout.write(json.dumps(found, ensure_ascii=False))
            return
        for plan in found:
            comes = f", next {plan['next_at']}" if plan["next_at"] else ""
            off = "" if plan["is_on"] else ", off"
            self.stdout.write(f"{plan['name']}: {plan['trigger']}{comes}{off}\n  {plan['said']}")
        if not found:
            self.stderr.write("osprey: no plan yet: runs begin when somebody starts them")


def _act(project: Project, options: dict[str, Any]) -> None:
    if options["add"]:
        add_plan(actor=OPERATOR, project=project, **_given(options["add"]))
    elif options["begin"]:
        run_plan_now(actor=OPERATOR, plan=_named(project, options["begin"]))
    elif options["delete"]:
        delete_plan(actor=OPERATOR, plan=_named(project, options["delete"]))


def _given(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text)
    except ValueError as error:
        raise Invalid(f"--add takes a plan as JSON: {error}.") from error
    if not isinstance(given, dict) or {"actor", "project"} & set(given):
        raise Invalid("--add takes one JSON object with the fields of a plan.")
    return given


def _named(project: Project, name: str) -> Plan:
    plan = plans_of(project).filter(name=name).first()
    if plan is None:
        names = ", ".join(one.name for one in plans_of(project)) or "none yet"
        raise NotFound(f"{project} has no plan {name!r}. It has: {names}.")
    return plan


def told(plan: Plan) -> dict[str, Any]:
    """What a script reads; times in UTC, `at` in the plan's zone."""
    values = {name: getattr(plan, name) for name in SHOWN}
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in values.items()}
