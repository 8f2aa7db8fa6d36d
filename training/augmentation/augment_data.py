"""`augment_data`: a folder of labelled pictures becomes a folder with varied copies beside them, and a new label file.

Only the training part is varied; originals are copied as they are and the input folder is never written to.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from tqdm import tqdm

from training.augmentation.job import Job, JobError, Journal, Made
from training.augmentation.label_file import LabelFileError, Labels, layout_of
from training.augmentation.picture import AugmentationError, torchvision
from training.augmentation.presets import Plan, plan_of, plan_text, presets_explained
from training.augmentation.steps import explained
from training.run_folder import write_text

DONE, FAILED, INTERRUPTED = 0, 1, 130
_JOURNAL = ".augment_data.jsonl"
_PLAN = "augmentation.yaml"
_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".avif")
_SHOWN = 10
_EXAMPLE = """example:
  augment_data --input_folder pictures --output_folder varied --label_file labels.csv \\
    --new_label_and_weights_file varied.csv --copies 3"""


def parser() -> argparse.ArgumentParser:
    """Options of `augment_data`."""
    options = argparse.ArgumentParser(
        prog="augment_data",
        description="Write varied copies of labelled training pictures, and a label file with a weight for each.",
        epilog=f"{_EXAMPLE}\n\npresets:\n\n{presets_explained()}\n"
        f"steps, with their settings and defaults:\n\n{explained()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--input_folder", type=Path, required=True, metavar="DIR", help="the pictures; stays as it is")
    options.add_argument("--output_folder", type=Path, required=True, metavar="DIR", help="new or empty: what is made")
    options.add_argument(
        "--label_file",
        type=Path,
        required=True,
        metavar="CSV",
        help="such as Image,Id or filepath,label, with boxes or not",
    )
    options.add_argument(
        "--new_label_and_weights_file",
        type=Path,
        required=True,
        metavar="CSV",
        help="written: all pictures, with weights",
    )
    options.add_argument(
        "--config", default="standard", metavar="NAME|YAML", help="a preset or a file with steps (standard)"
    )
    options.add_argument("--seed", type=_count, default=0, metavar="N", help="the same seed gives the same bytes (0)")
    options.add_argument("--copies", type=_count, default=2, metavar="N", help="varied copies of each picture (2)")
    options.add_argument("--workers", type=_count, default=0, metavar="N", help="threads (0: one a processor)")
    return options


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return int(text)


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for."""

    source: Path
    target: Path
    label_file: Path
    new_file: Path
    plan: Plan
    seed: int
    copies: int
    workers: int


@dataclass(slots=True)
class Tally:
    """Counts of what became of the pictures."""

    pictures: int = 0
    copies: int = 0
    without_boxes: int = 0
    left_out: list[Made] = field(default_factory=list)

    def add(self, made: Made) -> None:
        self.pictures += not made.left_out
        self.copies += made.copies
        self.without_boxes += made.without_boxes
        self.left_out += [made] if made.left_out else []


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    chosen = parser().parse_args(arguments)
    try:
        order = _order(chosen)
        return augment_data(order)
    except (AugmentationError, LabelFileError, JobError) as error:
        _say(str(error))
        return FAILED
    except KeyboardInterrupt:
        _say("interrupted: the same command goes on where this one stopped")
        return INTERRUPTED


def augment_data(order: Order) -> int:
    """Make all copies and the new label file; returns the exit status."""
    layout = layout_of(order.label_file)
    journal = Journal(order.target / _JOURNAL, _digest(order))
    with TemporaryDirectory() as scratch:
        labels = Labels(order.label_file, layout, Path(scratch) / "labels.sqlite")
        order.target.mkdir(parents=True, exist_ok=True)  # not before the label file is known to be good
        done = journal.begin()
        _load_torchvision()
        _say_what_is_special(order, labels)
        job = Job(order.source, order.target, labels, order.plan, order.seed, order.copies)
        rest = islice(iter(labels), done, None)
        with tqdm(total=labels.pictures, initial=done, unit="picture", file=sys.stderr) as bar:
            for made in job.results(rest, order.workers or os.cpu_count() or 1):
                journal.add(made)
                bar.update()
        tally = _write_labels(order, job.header, layout.delimiter, journal)
        labels.close()
    write_text(order.target / _PLAN, f"# seed {order.seed}, {order.copies} copies\n{plan_text(order.plan)}")
    journal.path.unlink()
    return _told(order, tally)


def _load_torchvision() -> None:
    import torch

    torch.set_num_threads(1)  # it turns a few boxes; the pictures have threads of their own
    torchvision()


def _order(chosen: argparse.Namespace) -> Order:
    """The order, once it is clear that nothing of it can harm the originals."""
    source, target = chosen.input_folder.resolve(), chosen.output_folder.resolve()
    new_file = chosen.new_label_and_weights_file.resolve()
    if not source.is_dir():
        raise JobError(f"the input folder {chosen.input_folder} is not there")
    if target == source or target.is_relative_to(source) or source.is_relative_to(target):
        raise JobError(f"the output folder {target} and the input folder {source} lie one inside the other: name "
                       "an output folder elsewhere")  # fmt: skip
    if new_file == chosen.label_file.resolve() or new_file.is_relative_to(source):
        raise JobError(f"{new_file} is the old label file or lies in the input folder, which stay as they are: name a "
                       "new label file elsewhere")  # fmt: skip
    goes_on = (target / _JOURNAL).exists()
    if target.exists() and not target.is_dir():
        raise JobError(f"the output folder {target} is a file: name a folder")
    if target.exists() and not goes_on and any(target.iterdir()):
        raise JobError(f"the output folder {target} is not empty: empty it or name a new one")
    if new_file.exists() and not goes_on:
        raise JobError(f"{new_file} is there already: remove it or name a new one")
    plan = plan_of(chosen.config)
    return Order(
        source,
        target,
        chosen.label_file,
        new_file,
        plan,
        seed=chosen.seed,
        copies=chosen.copies,
        workers=chosen.workers,
    )


def _digest(order: Order) -> str:
    """Tells one order from another; the number of threads changes nothing and does not count."""
    labels = hashlib.sha256(order.label_file.read_bytes()).hexdigest()
    asked = [plan_text(order.plan), order.seed, order.copies, labels, str(order.source), str(order.new_file)]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _say_what_is_special(order: Order, labels: Labels) -> None:
    if not labels.layout.part:
        _say("the label file has no column `split`, so all of its pictures count as training pictures and are varied")
    if unnamed := sum(not labels.names(name) for name in _pictures_below(order.source)):
        _say(f"{unnamed} pictures of the input folder are not in the label file and are left alone")


def _pictures_below(folder: Path) -> Iterable[str]:
    for where, _, files in os.walk(folder):
        below = Path(where).relative_to(folder)
        yield from ((below / name).as_posix() for name in files if name.lower().endswith(_PICTURES))


def _write_labels(order: Order, header: Sequence[str], delimiter: str, journal: Journal) -> Tally:
    """The new label file, whole or not at all, in the order of the old one."""
    tally = Tally()
    order.new_file.parent.mkdir(parents=True, exist_ok=True)
    beside = order.new_file.with_name(f".{order.new_file.name}.{os.getpid()}")
    with beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerow(header)
        for made in journal:
            writer.writerows(made.rows)
            tally.add(made)
    beside.replace(order.new_file)
    if tally.left_out:
        listed = [{"picture": made.name, "reason": made.left_out} for made in tally.left_out]
        write_text(_list_of_left_out(order), json.dumps(listed, indent=1, ensure_ascii=False) + "\n")
    return tally


def _list_of_left_out(order: Order) -> Path:
    return order.new_file.with_name(f"{order.new_file.stem}-left-out.json")


def _told(order: Order, tally: Tally) -> int:
    for made in tally.left_out[:_SHOWN]:
        _say(f"left out: {made.name}: {made.left_out}")
    if tally.left_out:
        _say(f"{len(tally.left_out)} pictures are left out; all of them are listed in {_list_of_left_out(order)}")
    if tally.without_boxes:
        _say(f"{tally.without_boxes} copies were not made: in none of ten draws enough of a box was left")
    found = {"pictures": tally.pictures, "copies": tally.copies, "left_out": len(tally.left_out)}
    sys.stdout.write(json.dumps({**found, "label_file": str(order.new_file)}) + "\n")
    return DONE if tally.pictures else FAILED


def _say(words: str) -> None:
    sys.stderr.write(f"augment_data: {words}\n")


if __name__ == "__main__":
    sys.exit(main())
