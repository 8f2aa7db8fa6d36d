"""`./osprey freeze`: make a snapshot here and now; the site may run or not."""

from __future__ import annotations

import json
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from training.contract import PARTS
from webapp.access.actors import OPERATOR
from webapp.datasets.drafting import Progress
from webapp.datasets.freeze import freeze, newest_snapshot, preview
from webapp.datasets.freeze_options import FreezeOptions, read_counts, read_options, read_split
from webapp.datasets.gather import WORDS
from webapp.datasets.leaks import in_words
from webapp.datasets.models import Snapshot
from webapp.datasets.snapshots import snapshot_named
from webapp.errors import OspreyError
from webapp.projects.find import project_by_slug
from webapp.projects.models import Project

EXAMPLES = """Examples:
  freeze --project ten-animals
  freeze --project ten-animals --split imported --name "As it came"
  freeze --project reef --counts 800,100,100 --group site --seed 7
  freeze --project whales --min-images 11 --per-class 11 --json
  freeze --project whales --split identity --singletons unseen --folds 5"""
SAID_OPTIONS = (
    "seed",
    "folds",
    "class_by",
    "min_images",
    "per_class",
    "singletons",
    "test_labels",
    "cannot_tell",
    "damaged",
    "negatives",
    "unknown",
)


class Command(BaseCommand):
    help = "Freeze a project's labels into a snapshot with train, validation and test parts."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class, parser.epilog = RawDescriptionHelpFormatter, EXAMPLES
        parser.add_argument("--project", required=True, metavar="SLUG")
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--split", default="80/10/10", help="shares such as 80/10/10, imported, or identity")
        how.add_argument("--counts", help="exact numbers of images, such as 800,100,100")
        parser.add_argument("--group", help="what stays together: site, visit, individual, author, camera, source")
        parser.add_argument("--seed", type=int, help="another seed draws another split")
        parser.add_argument("--folds", type=int, metavar="K", help="grouped folds within the training part")
        parser.add_argument("--class-by", choices=["auto", "label", "individual"], help="what is spread evenly")
        parser.add_argument("--min-images", type=int, metavar="N", help="leave out classes with fewer images")
        parser.add_argument("--per-class", type=int, metavar="N", help="take so many images of each class")
        parser.add_argument("--singletons", choices=["gallery", "unseen"], help="what classes with one image are for")
        parser.add_argument("--test-labels", choices=["trusted", "any"], help="what may be tested on")
        parser.add_argument("--cannot-tell", choices=["out", "ancestor"], help="what to do with “cannot tell”")
        parser.add_argument("--damaged", action="store_true", default=None, help="use damaged pictures too")
        parser.add_argument("--negatives", action="store_true", default=None, help="use images that were found empty")
        parser.add_argument("--unknown", action="store_true", default=None, help="use labels of the kind unknown")
        parser.add_argument("--parent", default="newest", help="whose sides are kept: newest, none, or a snapshot")
        parser.add_argument("--name", default="", help="how people will know it")
        parser.add_argument("--notes", default="", help="what for")
        parser.add_argument("--sign-leak", default="", metavar="WHY", help="freeze in spite of a leak, and say why")
        parser.add_argument("--dry-run", action="store_true", help="count only; nothing is measured or kept")
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._freeze(options)
        except OspreyError as error:
            if options["json"]:
                refused = {"state": "refused", "code": error.code, "detail": error.what, **error.extra}
                self.stdout.write(json.dumps(refused, default=str))
            raise CommandError(error.what) from error

    def _freeze(self, options: dict[str, Any]) -> None:
        project = project_by_slug(OPERATOR, options["project"])
        wanted, parent = chosen(options), _parent(project, options["parent"])
        with _Bar() as bar:
            if options["dry_run"]:
                outcome = preview(actor=OPERATOR, project=project, options=wanted, parent=parent, progress=bar)
                answer = {"state": "preview", "counts": outcome.counts, "leak_report": outcome.leaks}
            else:
                snapshot = freeze(
                    actor=OPERATOR,
                    project=project,
                    options=wanted,
                    name=options["name"],
                    parent=parent,
                    notes=options["notes"],
                    sign_leak=options["sign_leak"],
                    progress=bar,
                )
                answer = described(snapshot)
        if options["json"]:
            self.stdout.write(json.dumps(answer, ensure_ascii=False))
            return
        for line in in_lines(answer):
            self.stdout.write(line)


def chosen(options: dict[str, Any]) -> FreezeOptions:
    split = read_counts(options["counts"]) if options["counts"] else read_split(options["split"])
    said = {name: options[name] for name in SAID_OPTIONS if options[name] is not None}
    if options["group"] is not None:
        said["group_by"] = [key for key in options["group"].split(",") if key and key != "none"]
    return read_options({**split, **said})


def _parent(project: Project, said: str) -> Snapshot | None:
    if said in ("newest", "none"):
        return newest_snapshot(project) if said == "newest" else None
    return snapshot_named(project, said)


def described(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "state": "frozen",
        "snapshot": str(snapshot.uid),
        "name": snapshot.name,
        "digest": snapshot.digest,
        "parent": str(snapshot.parent.uid) if snapshot.parent else None,
        "images": snapshot.counts["used"],
        "parts": snapshot.counts["parts"],
        "leaks": snapshot.leak_report["total"],
        "counts": snapshot.counts,
        "leak_report": snapshot.leak_report,
    }


def in_lines(answer: dict[str, Any]) -> list[str]:
    """What a person reads: parts, groups, leaks, what was left out."""
    counts, leaks = answer["counts"], answer["leak_report"]
    head = f"{answer['name']}  {answer['digest'][:12]}" if "digest" in answer else "Preview: nothing was kept"
    lines = [f"{head}  {counts['used']:,} of {counts['images']:,} images"]
    for part, images in sorted(counts["parts"].items(), key=lambda one: (*PARTS, one[0]).index(one[0])):
        how = ", ".join(f"{number:,} {word}" for word, number in counts["how"].get(part, {}).items())
        lines.append(f"  {part:<12}{images:>9,} images {counts['groups'].get(part, 0):>8,} groups   labels: {how}")
    for code, number in counts["left_out"].items():
        lines.append(f"  {'left out':<12}{number:>9,} {WORDS.get(code, code)}")
    together = ", ".join(leaks["kinds"])
    lines.append(f"  leaks: {in_words(leaks) or 'none'} (looked at {together})")
    return lines + [f"  ! {notice}" for notice in counts["notices"]]


class _Bar:
    """A progress bar on standard error, one for each step."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._step = ""

    def __enter__(self) -> Progress:
        call: Callable[[str, int, int], None] = self._show
        return call

    def _show(self, step: str, done: int, total: int) -> None:
        if step != self._step:
            self._close()
            self._step, self._bar = step, tqdm(total=total or None, desc=step, unit=" images", leave=False)
        self._bar.n, self._bar.total = done, total or None
        self._bar.refresh()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def __exit__(self, *error: object) -> None:
        self._close()
