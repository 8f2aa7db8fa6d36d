"""`./osprey health`: is the data any good? Finishes what waits, analyses, and says so; the site may run or not."""

from __future__ import annotations

import json
import logging
import time
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from webapp.access.actors import OPERATOR
from webapp.datasets.whole_health import whole_health
from webapp.errors import OspreyError
from webapp.predictions.finish import Stuck, finish_waiting, measure_now
from webapp.projects.find import project_by_slug
from webapp.projects.models import Project
from webapp.reviews import analysis, quality
from webapp.reviews.models import Analysis
from webapp.reviews.near_duplicates import all_clusters

EXAMPLES = """Examples:
  health --project ten-animals
  health --project whales --quick --json
  health --project whales --duplicates"""
LOOK_SECONDS = 0.5


class Command(BaseCommand):
    help = "Say what is wrong with the data of a project: labels, near-duplicates, suspects, leaks, quality."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class, parser.epilog = RawDescriptionHelpFormatter, EXAMPLES
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument(
            "--quick", action="store_true", help="no network: what still waits is measured, not embedded"
        )
        parser.add_argument("--duplicates", action="store_true", help="list the near-duplicates, cluster by cluster")
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        # With the site stopped nobody can be told, and nobody has to be.
        for name in ("webapp.queue", "webapp.events"):
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            project = project_by_slug(OPERATOR, options["project"])
            self._finish(project, quick=options["quick"])
            done = self._analyse(project)
        except OspreyError as error:
            raise CommandError(error.what) from error
        report = whole_health(project, done, wait=True)
        if options["duplicates"]:
            report["clusters"] = list(all_clusters(project))
        if options["json"]:
            self.stdout.write(json.dumps(report, ensure_ascii=False))
        else:
            self.stdout.write("\n".join(in_words(project, report)))

    def _finish(self, project: Project, *, quick: bool) -> None:
        if not quick:
            try:
                with _bar("recognising", self.stderr) as tell:
                    finish_waiting(project=project, progress=tell)
            except Stuck as stuck:
                self.stderr.write(str(stuck))
        with _bar("measuring", self.stderr) as tell:
            measured = measure_now(project=project, progress=tell)
        if measured.failed:
            self.stderr.write(
                f"{len(measured.failed)} images could not be measured: {next(iter(measured.failed.values()))}"
            )

    def _analyse(self, project: Project) -> Analysis | None:
        """Another process may be at it: then its result is waited for."""

        def tell(words: str, share: float) -> None:
            self.stderr.write(f"{words} ({share:.0%})")

        done = analysis.run(project, progress=tell)
        while done is None and analysis.under_way(project) is not None:
            time.sleep(LOOK_SECONDS)
            done = analysis.run(project, progress=tell, add_one=False)
        return done or analysis.newest(project)


class _bar:
    """A progress bar on standard error that appears once there is something to do."""

    def __init__(self, words: str, stream: Any) -> None:
        self._words, self._stream = words, stream
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> Callable[[int, int], None]:
        return self._tell

    def _tell(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = tqdm(total=total, desc=self._words, unit="img", file=self._stream._out)
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def __exit__(self, *raised: object) -> None:
        if self._bar is not None:
            self._bar.close()


def in_words(project: Project, report: dict[str, Any]) -> list[str]:
    """The main figures, one a line."""
    lines = [
        f"{project.name}: {report['images']:,} images; {report['labelled']:,} have one of "
        f"{len(report['labels']):,} labels",
        f"  {report['unreviewed']:,} not looked at; {report['conflicts']:,} whose labels conflict; "
        f"{report['cannot_tell']:,} that nobody could tell; {report['bad_images']:,} bad; "
        f"{report['nothing_named']:,} on which nothing is named",
        f"  {report['classes']:,} {report['class_by']}s; {report['singletons']:,} of them have one image only; "
        f"as varied as {report['effective_classes']:,} equal ones",
    ]
    lines += [f"  {one['images']:>9,}  {one['name']}" for one in report["most_common"]]
    lines += [
        f"near-duplicates: {report['duplicate_images']:,} images in {report['duplicate_clusters']:,} clusters",
        *(f"  {_cluster(one)}" for one in report.get("clusters", ())),
        f"suspect labels: {report['suspects']:,}; near-duplicates that disagree: {report['duplicates_disagree']:,}",
        f"looks new: {report['looks_new']:,}; perhaps a rare label: {report['rare']:,}",
        "quality: " + ", ".join(f"{count:,} {quality.WORDS[kind]}" for kind, count in report["quality"].items()),
        f"leaks: {len(report['leaks']):,}" + "".join(f"\n  {_leak(one)}" for one in report["leaks"][:10]),
        f"labels under the minimum: {report['under_minimum']:,}",
    ]
    return lines


def _cluster(one: dict[str, Any]) -> str:
    paths = [image["path"] or f"image {image['id']}" for image in one["images"]]
    more = one["count"] - len(paths)
    return f"{one['cluster']}: {', '.join(paths)}" + (f" and {more:,} more" if more else "")


def _leak(one: dict[str, Any]) -> str:
    parts = ", ".join(f"{part}: {count}" for part, count in sorted(one["parts"].items()))
    return f"{one['kind']} {one['id']} lies in several {one['between']} ({parts})"
