"""`python -m training compare A B [--manifest FILE] [--json] [--out FILE]`.

A and B are run folders, or folders that `evaluate` wrote. `--out` is for programs: the whole of it, or why there is
none, in one file.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from training.contract import (
    OTHER_IMAGES,
    SEEN_IMAGES,
    TEST,
    UNREADABLE,
    Compared,
    Comparison,
    ManifestError,
    Refusal,
    ReportError,
    comparison_values,
    read_manifest,
    write_compared,
)
from training.evaluation.compare import OtherImages, Side, compare, pairs, side_of
from training.evaluation.evaluate import read_merges
from training.evaluation.metrics import FIGURES
from training.evaluation.seen import SeenImages
from training.evaluation.slices import sliced
from training.run_folder import RunFolder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", type=Path, help="run folder, or folder of `evaluate`, of the version in use")
    parser.add_argument("b", type=Path, help="the same of the candidate")
    parser.add_argument("--manifest", type=Path, help="what both were evaluated on; without it that of B, or else of A")
    parser.add_argument("--part", default=TEST, help="on which part both were evaluated (test)")
    for side in ("a", "b"):
        also = f"what {side.upper()} was trained on besides the manifest in its folder; may be given again"
        name = f"--{side}-trained-on"
        parser.add_argument(name, type=Path, action="append", default=[], metavar="MANIFEST", help=also)
    parser.add_argument("--merges", type=Path, help="JSON object: label key -> key that it was merged into")
    parser.add_argument("--decided-by", default="accuracy", choices=sorted(FIGURES), help="the figure of the verdict")
    parser.add_argument("--correction", default="holm", choices=("holm", "benjamini-hochberg"), help="for many labels")
    parser.add_argument("--json", action="store_true", help="everything, as one JSON object")
    parser.add_argument("--out", type=Path, help="gzipped JSON: the comparison with every image, or why there is none")


def run(arguments: argparse.Namespace) -> int:
    """Print the comparison; exit status 1 with a sentence when it would mean nothing."""
    try:
        found, a, b = _compared(arguments)
        if arguments.out is not None:
            write_compared(arguments.out, _whole(arguments, found, a, b))
    except (ManifestError, ReportError, SeenImages) as error:
        if arguments.out is not None:
            write_compared(arguments.out, Compared(refusal=_refusal(error)))
        sys.stderr.write(f"{error}\n")
        return 1
    if arguments.out is None or arguments.json:
        sys.stdout.write(json.dumps(comparison_values(found)) + "\n" if arguments.json else _words(found))
    return 0


def _compared(arguments: argparse.Namespace) -> tuple[Comparison, Side, Side]:
    a = side_of(arguments.a, part=arguments.part, also_trained_on=arguments.a_trained_on)
    b = side_of(arguments.b, part=arguments.part, also_trained_on=arguments.b_trained_on)
    found = compare(
        a=a,
        b=b,
        manifest=_manifest(arguments),
        part=arguments.part,
        merges=read_merges(arguments.merges),
        decided_by=arguments.decided_by,
        correction=arguments.correction,
    )
    return found, a, b


def _whole(arguments: argparse.Namespace, found: Comparison, a: Side, b: Side) -> Compared:
    """With every image."""
    labels, images = pairs(a, b, read_merges(arguments.merges))
    _, lines = read_manifest(_manifest(arguments))
    return Compared(comparison=found, labels=labels, images=images, slices=sliced(lines, [one[0] for one in images]))


def _refusal(error: Exception) -> Refusal:
    if isinstance(error, SeenImages):
        return Refusal(SEEN_IMAGES, str(error), error.side, len(error.images), len(error.near), error.total)
    return Refusal(OTHER_IMAGES if isinstance(error, OtherImages) else UNREADABLE, str(error))


def _manifest(arguments: argparse.Namespace) -> Path:
    if arguments.manifest is not None:
        return Path(arguments.manifest)
    for folder in (arguments.b, arguments.a):
        if (found := RunFolder(folder).manifest).exists():
            return found
    raise ReportError("Neither folder holds a manifest: name the one both were evaluated on with --manifest FILE.")


def _words(found: Comparison) -> str:
    rows = [found.sentence, f"fixed {found.fixed}, broken {found.broken}, both wrong {found.both_wrong}"]
    for name, one in found.metrics.items():
        span = f"{one.interval[0]:+.4f} to {one.interval[1]:+.4f}" if one.interval else "too few groups"
        rows.append(f"{name:<20}{one.a:9.4f}{one.b:9.4f}{one.difference:+9.4f}   {span:<22} {one.verdict}")
    p = "none" if found.p is None else f"{found.p:.4f}"
    rows.append(f"p {p} over {found.groups} groups; McNemar {found.mcnemar_p:.4f} ({found.mcnemar_note})")
    return "\n".join([*rows, *found.notes]) + "\n"
