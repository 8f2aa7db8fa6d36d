"""`classify`: what is in these pictures, answered on stdout by the active version of the local data folder.

Heavy parts are imported where they are first needed: an answer from cold within a second is the point of this command.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from classifier.cli.tables import Table, TableError
from classifier.errors import ClassifierError, ImageRejected, ModelError
from classifier.types import Answer, Failure, PipelineSpec, RegionAnswer

if TYPE_CHECKING:
    from classifier.engine import LoadedPipeline, Prepared

Report: TypeAlias = "Callable[[Ready, Answer | Failure], None]"
OK, USAGE, BAD_INPUT = 0, 2, 65
BATCH = 16
_EXAMPLES = """examples:
  classify --image cat.jpg                  prints ['tabby']
  cat cat.jpg | classify --verbose          prints every label with its score, best first
  classify --project fish day1/ day2.jpg    prints PATH<TAB>['LABEL'] for each picture
  classify --csv ranks test/ > five.csv     prints Image,Id with the five best labels of each picture
"""


@dataclass(frozen=True, slots=True)
class Ready:
    """A picture as the network takes it, and the share of its rows that could not be read."""

    source: Source
    prepared: Prepared | Failure
    damaged_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Source:
    """One picture to recognise: a path, or the bytes of standard input."""

    name: str
    content: Path | bytes
    row: str = ""
    """What a table calls it: its path below the folder that was named, else the file's name."""


def parser() -> argparse.ArgumentParser:
    """Options of `classify`."""
    options = argparse.ArgumentParser(
        prog="classify",
        description="Name the animal in pictures. Reads standard input when no path is given.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="pictures or folders of pictures")
    options.add_argument("--image", action="append", type=Path, default=[], metavar="PATH", help="the same as PATH")
    form = options.add_mutually_exclusive_group()
    form.add_argument("--verbose", action="store_true", help="all labels with their scores, best first")
    form.add_argument("--json", action="store_true", help="one line of JSON for each picture")
    form.add_argument(
        "--csv", choices=["ranks", "scores"], help="a table: Image,Id with the five best labels, or all labels' scores"
    )
    which = options.add_mutually_exclusive_group()
    which.add_argument("--project", default="animals", metavar="SLUG", help="whose active version answers (animals)")
    which.add_argument("--model", type=Path, metavar="DIR", help="a model folder that answers instead")
    options.add_argument("--device", default="cpu", help="cpu (default: it starts quickest), cuda, or auto")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = parser()
    chosen = options.parse_args(arguments)
    paths: list[Path] = [*chosen.image, *chosen.paths]
    if not paths and sys.stdin.isatty():
        options.print_usage(sys.stderr)
        print("classify: name a picture, or pipe one in: cat PATH | classify", file=sys.stderr)
        return USAGE
    try:
        pipeline = _load(chosen)
    except ClassifierError as error:
        print(f"classify: {error}", file=sys.stderr)
        return USAGE
    several = len(paths) > 1 or any(path.is_dir() for path in paths)
    sources = list(_sources(paths)) if paths else [Source("standard input", sys.stdin.buffer.read())]
    if not sources:
        print(f"classify: there is no picture in {', '.join(map(str, paths))}", file=sys.stderr)
        return BAD_INPUT
    try:
        report = _report_of(pipeline, sources, chosen, several=several)
    except TableError as error:
        print(f"classify: {error}", file=sys.stderr)
        return USAGE
    return _classify(pipeline, sources, report, several=several)


def _load(chosen: argparse.Namespace) -> LoadedPipeline:
    from classifier.engine import load_pipeline
    from classifier.registry import DATA_VARIABLE, compiled_models, data_folder, read_active

    if chosen.model is not None:
        spec = _spec_of_folder(chosen.model)
        data = Path(os.environ[DATA_VARIABLE]) if os.environ.get(DATA_VARIABLE) else None
    else:
        data = data_folder()
        spec = read_active(data, chosen.project).spec(data)
    cache = compiled_models(data) if data is not None else None
    return load_pipeline(spec, device=chosen.device, cache=cache, embeddings=False)


def _spec_of_folder(folder: Path) -> PipelineSpec:
    from classifier.card import folder_digest, read_card

    card = read_card(folder)
    digest = folder_digest(folder)
    if card.role == "classifier":
        return PipelineSpec(digest=digest, classifier=folder)
    if card.role == "detector":
        return PipelineSpec(digest=digest, detector=folder)
    raise ModelError(f"{folder} is a version of the role {card.role}, which names no label")


def _sources(paths: Iterable[Path]) -> Iterator[Source]:
    """Paths as given; a folder stands for the pictures below it, sorted."""
    for path in paths:
        if path.is_dir():
            for file in sorted(path.rglob("*")):
                if _is_picture(file):
                    yield Source(str(file), file, file.relative_to(path).as_posix())
        else:
            yield Source(str(path), path, path.name)


def _is_picture(path: Path) -> bool:
    """In a folder, what does not even begin like a picture is left out without a word."""
    from classifier.sniff import sniff

    if path.name.startswith(".") or not stat.S_ISREG(path.stat().st_mode):
        return False
    try:
        sniff(path)
    except ImageRejected as error:
        return error.status != 415
    return True


def _classify(pipeline: LoadedPipeline, sources: Sequence[Source], report: Report, *, several: bool) -> int:
    """Decode ahead in threads, recognise in batches, print in order."""
    from concurrent.futures import ThreadPoolExecutor

    failed = False
    progress = _progress(len(sources)) if several else None
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        waiting = iter(sources)
        ahead = [pool.submit(_prepare, pipeline, source) for source in itertools.islice(waiting, BATCH)]
        while ahead:
            ready = [future.result() for future in ahead]
            ahead = [pool.submit(_prepare, pipeline, source) for source in itertools.islice(waiting, BATCH)]
            for one, answer in _answers(pipeline, ready):
                failed |= isinstance(answer, Failure)
                _complain(one, answer)
                report(one, answer)
                if progress is not None:
                    progress.update()
    if progress is not None:
        progress.close()
    return BAD_INPUT if failed else OK


def _progress(total: int) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, unit="picture", file=sys.stderr)


def _prepare(pipeline: LoadedPipeline, source: Source) -> Ready:
    from classifier.images import decode

    try:
        picture = decode(source.content, at_least=pipeline.at_least)
        return Ready(source, pipeline.prepare(picture), picture.damaged_share)
    except ImageRejected as error:
        return Ready(source, Failure(error.code, error.reason))
    except OSError as error:
        return Ready(source, Failure("unreadable", f"{error.strerror or error}"))


def _answers(pipeline: LoadedPipeline, ready: Sequence[Ready]) -> Iterator[tuple[Ready, Answer | Failure]]:
    good = [one.prepared for one in ready if not isinstance(one.prepared, Failure)]
    answers = iter(pipeline.recognise_prepared(good, embeddings=False))
    for one in ready:
        yield one, one.prepared if isinstance(one.prepared, Failure) else next(answers)


def _complain(one: Ready, answer: Answer | Failure) -> None:
    """On standard error: why a picture has no answer, or how much of it the answer did not see."""
    if isinstance(answer, Failure):
        print(f"classify: {one.source.name}: {answer.reason}", file=sys.stderr, flush=True)
    elif one.damaged_share > 0:
        missing = max(1, round(100 * one.damaged_share))
        print(f"classify: {one.source.name}: damaged, {missing} % of its rows are missing", file=sys.stderr, flush=True)


def _report_of(
    pipeline: LoadedPipeline, sources: Sequence[Source], chosen: argparse.Namespace, *, several: bool
) -> Report:
    """What is done with each answer: a line of a table, or a line of its own."""
    if chosen.csv is None:
        return lambda one, answer: _print_line(pipeline, one, answer, chosen, several=several)
    table = Table(chosen.csv, pipeline.labels, [source.row for source in sources])

    def write(one: Ready, answer: Answer | Failure) -> None:
        table.write(one.source.row, [] if isinstance(answer, Failure) else _ranked(pipeline, answer))

    return write


def _print_line(
    pipeline: LoadedPipeline, one: Ready, answer: Answer | Failure, chosen: argparse.Namespace, *, several: bool
) -> None:
    if isinstance(answer, Failure):
        return
    if chosen.json:
        damage = {"damaged": one.damaged_share > 0, "damaged_share": round(one.damaged_share, 4)}
        line = json.dumps({"path": one.source.name, **_as_json(pipeline, answer), **damage}, ensure_ascii=False)
    elif chosen.verbose:
        line = repr([list(pair) for pair in _ranked(pipeline, answer)])
    else:
        line = repr([_names(pipeline)[answer.label]])
    print(line if chosen.json or not several else f"{one.source.name}\t{line}", flush=True)


def _names(pipeline: LoadedPipeline) -> dict[str, str]:
    return {label.key: label.name for label in pipeline.labels}


def _ranked(pipeline: LoadedPipeline, answer: Answer) -> list[tuple[str, float]]:
    """Every label with its score, best first; the best region speaks, as it does for the label."""
    best = next(region for region in answer.regions if (region.label, region.score) == (answer.label, answer.score))
    pairs = zip((label.name for label in pipeline.labels), best.scores.tolist(), strict=True)
    return [(name, round(score, 7)) for name, score in sorted(pairs, key=lambda pair: -pair[1])]


def _as_json(pipeline: LoadedPipeline, answer: Answer) -> dict[str, object]:
    names = _names(pipeline)
    return {
        "label": names[answer.label],
        "score": round(answer.score, 7),
        "counts": {names[key]: count for key, count in answer.counts.items()},
        "scores": [{"label": name, "score": score} for name, score in _ranked(pipeline, answer)],
        "regions": [_region_as_json(region, names) for region in answer.regions],
        "pipeline": pipeline.spec.digest,
    }


def _region_as_json(region: RegionAnswer, names: Mapping[str, str]) -> dict[str, object]:
    box, seen = region.box, region.detection
    return {
        "box": None if box is None else [box.x, box.y, box.width, box.height],
        "detection": None if seen is None else {"label": seen.label, "score": round(seen.score, 7)},
        "label": names[region.label],
        "score": round(region.score, 7),
    }


if __name__ == "__main__":
    sys.exit(main())
