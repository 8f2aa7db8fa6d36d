"""Makes whole data sets on disk as they are met in the wild: the layouts, names and counts, with tiny pictures.

Every picture has bytes and pixels of its own. The same call makes the same data set. `full=True` gives the counts of
the real sets; otherwise a few of each.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

ANIMALS = ("Cat", "Cow", "Dog", "Elephant", "Gorilla", "Hippo", "Monkey", "Panda", "Tiger", "Zebra")
TEN_ANIMALS_TEST = (394, 177, 88, 306, 30, 57, 184, 237, 164, 270)
FISH = ("ALB", "BET", "DOL", "LAG", "NoF", "OTHER", "SHARK", "YFT")
SPECIES = ("red fox", "roe deer", "wild boar", "badger")


@dataclass(frozen=True)
class Made:
    """Where a data set lies (`root` is what to import) and what a right import must count."""

    root: Path
    images: int
    labels: Mapping[str, int] = field(default_factory=dict)
    parts: Mapping[str, int] = field(default_factory=dict)
    boxes: int = 0


def picture(number: int, width: int = 16, height: int = 12) -> bytes:
    """A tiny JPEG that no other number gives, to the eye and to a perceptual hash alike."""
    fields = Image.frombytes("RGB", (4, 3), random.Random(number).randbytes(36))
    file = io.BytesIO()
    fields.resize((width, height), Image.Resampling.BICUBIC).save(file, "JPEG", quality=80)
    return file.getvalue()


def put(path: Path, content: bytes | str) -> Path:
    """Write a file and the folders on the way to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def write_json(path: Path, content: object) -> Path:
    return put(path, json.dumps(content))


def make_ten_animals(folder: Path, *, full: bool = False, capitals: bool = False, start: int = 0) -> Made:
    """Four part folders of ten class folders; in full 20,000, 1,000, 1,907 and 60 pictures."""
    names = {
        "train": "Training Data" if capitals else "training_data",
        "validation": "Validation Data" if capitals else "validation_data",
        "test": "Testing Data" if capitals else "testing_data",
        "interesting": "Interesting Data" if capitals else "interesting_data",
    }
    words = {"train": "Train", "validation": "Val", "test": "Test", "interesting": "Interesting"}
    gap = " " if capitals else "_"
    counts: dict[str, Sequence[int]] = {
        "train": [2000 if full else 4] * 10,
        "validation": [100 if full else 2] * 10,
        "test": TEN_ANIMALS_TEST if full else [1 + number % 3 for number in range(10)],
        "interesting": [6 if full else 1] * 10,
    }
    seed = start
    for part, many in counts.items():
        for animal, count in zip(ANIMALS, many, strict=True):
            for number in range(1, count + 1):
                seed += 1
                name = f"{animal}-{words[part]}{gap}({number}).jpeg"
                put(folder / names[part] / animal / name, picture(seed))
    labels = {animal: sum(many[at] for many in counts.values()) for at, animal in enumerate(ANIMALS)}
    parts = {part: sum(many) for part, many in counts.items()}
    return Made(folder, sum(parts.values()), labels, parts)


def whale_counts(*, full: bool) -> dict[str, int]:
    """Id -> images. In full: 4,251 Ids and 9,850 images, `new_whale` 810, then 34; 56 whales with 11 or more."""
    if not full:
        return {"new_whale": 8, "w_0000001": 5, "w_0000002": 3, "w_0000003": 3, "w_0000004": 2, "w_0000005": 1}
    known, often, singles, total = 4250, 56, 2220, 9850 - 810
    counts = [34, *(11 + at * 13 // 54 for at in range(often - 1))]
    some = [2] * (known - often - singles)
    left = total - sum(counts) - singles - sum(some)
    at = 0
    while left:  # a long tail: the first whales of the middle are met more often than the last
        room = min(8 - 8 * at // len(some), left)
        some[at] += room
        left -= room
        at = (at + 1) % len(some)
    everybody = counts + some + [1] * singles
    return {"new_whale": 810, **{f"w_{number:07x}": count for number, count in enumerate(everybody, start=4096)}}


def make_whales_csv(folder: Path, *, full: bool = False, start: int = 0) -> Made:
    """`train.csv` with Image,Id beside a folder `train` of the pictures, in a mixed order."""
    counts = whale_counts(full=full)
    ids = [name for name, count in counts.items() for _ in range(count)]
    random.Random(7).shuffle(ids)
    rows = []
    for number, name in enumerate(ids):
        image = f"{random.Random(f'whale {number}').getrandbits(32):08x}.jpg"
        put(folder / "train" / image, picture(start + number))
        rows.append((image, name))
    write_csv(folder / "train.csv", ["Image", "Id"], rows)
    return Made(folder, len(rows), counts)


def make_table(folder: Path, *, images: int = 12, start: int = 0) -> Made:
    """`labels.csv` with filepath,label,split,site beside its pictures, in the folders of three sites."""
    rows = []
    for number in range(images):
        path = f"Site {number % 3}/IMG_{number:04d}.JPG"
        put(folder / path, picture(start + number))
        split = ("train", "val", "holdout")[number % 3]
        rows.append((path, SPECIES[number % len(SPECIES)], split, f"Site {number % 3}"))
    write_csv(folder / "labels.csv", ["filepath", "label", "split", "site"], rows)
    return Made(folder, images, _count(row[1] for row in rows), _count(_PARTS[row[2]] for row in rows))


_PARTS = {"train": "train", "val": "validation", "holdout": "test"}


def _count(words: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for word in words:
        found[word] = found.get(word, 0) + 1
    return found


def make_fisheries(folder: Path, *, per_class: int = 2, start: int = 0) -> Made:
    """The decks of fishing vessels: `train/<ALB ... YFT>/img_00003.jpg`."""
    seed = start
    for fish in FISH:
        for _ in range(per_class):
            seed += 1
            put(folder / "train" / fish / f"img_{seed:05d}.jpg", picture(seed))
    return Made(folder, len(FISH) * per_class, dict.fromkeys(FISH, per_class), {"train": len(FISH) * per_class})


def boxes_of(number: int, width: int = 16, height: int = 12) -> list[list[float]]:
    """Nought to three boxes in pixels (x, y, width, height) inside a picture; three of four pictures have one."""
    sure = random.Random(f"boxes {number}")
    found = []
    for _ in range((number % 4 and 1) + (number % 8 == 1) + (number % 16 == 1)):
        x, y = sure.uniform(0, width * 0.6), sure.uniform(0, height * 0.6)
        found.append([round(v, 2) for v in (x, y, sure.uniform(2, width - x), sure.uniform(2, height - y))])
    return found


def make_coco(
    folder: Path, *, images: int = 12, annotations_first: bool = False, text_ids: bool = False, start: int = 0
) -> Made:
    """`annotations.json` and `images/`; ids may be texts, and annotations may come before images in the file."""

    def numbered(number: int) -> int | str:
        return f"image-{number}" if text_ids else number

    listed: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(1, images + 1):
        name = f"images/IMG_{number:05d}.jpg"
        put(folder / name, picture(start + number))
        listed.append({"id": numbered(number), "file_name": name, "width": 16, "height": 12})
        for box in boxes_of(number):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": numbered(number),
                    "category_id": 1 + (number + len(annotations)) % len(SPECIES),
                    "bbox": box,
                    "area": round(box[2] * box[3], 2),
                    "iscrowd": 0,
                }
            )
    random.Random(3).shuffle(annotations)  # nothing promises that an image's boxes lie together
    categories = [{"id": at, "name": name, "supercategory": "animal"} for at, name in enumerate(SPECIES, start=1)]
    blocks = {"images": listed, "annotations": annotations, "categories": categories}
    order = ["annotations", "categories", "images"] if annotations_first else ["images", "annotations", "categories"]
    write_json(folder / "annotations.json", {"info": {"version": "1"}, **{name: blocks[name] for name in order}})
    labels = _images_per_label((a["image_id"], SPECIES[int(a["category_id"]) - 1]) for a in annotations)
    return Made(folder, images, labels, boxes=len(annotations))


def _images_per_label(pairs: Iterable[tuple[object, str]]) -> dict[str, int]:
    return _count(label for _, label in dict.fromkeys(pairs))


def make_coco_ct(folder: Path, *, images: int = 12, start: int = 0) -> Made:
    """A camera-trap set: text ids, category 0 is empty, bursts of three, places and times; every fourth is empty."""
    names = ("empty", *SPECIES)
    listed, annotations = [], []
    for number in range(images):
        burst, frame = divmod(number, 3)
        path = f"loc{burst % 2}/IMG_{number:05d}.JPG"
        put(folder / path, picture(start + number))
        listed.append(
            {
                "id": f"img-{number}",
                "file_name": path,
                "width": 16,
                "height": 12,
                "location": f"loc{burst % 2}",
                "datetime": f"2021-05-{1 + burst % 28:02d} 06:{burst % 60:02d}:{frame:02d}",
                "seq_id": f"burst-{burst}",
                "seq_num_frames": 3,
                "frame_num": frame,
            }
        )
        category = 0 if number % 4 == 3 else 1 + burst % len(SPECIES)
        annotation: dict[str, Any] = {"id": f"a{number}", "image_id": f"img-{number}", "category_id": category}
        if category and number % 2:
            annotation["bbox"] = [2, 3, 8, 6]
        elif category:
            annotation |= {"bbox_relative": [0.125, 0.25, 0.5, 0.5]} if number % 4 == 2 else {"count": 2}
        annotations.append({**annotation, "sequence_level_annotation": False})
    content = {
        "info": {"version": "1.0", "description": "camera traps of the tests"},
        "categories": [{"id": at, "name": name} for at, name in enumerate(names)],
        "images": listed,
        "annotations": annotations,
    }
    write_json(folder / "camera_traps.json", content)
    labels = _count(names[a["category_id"]] for a in annotations if a["category_id"])
    return Made(folder, images, labels, boxes=sum(1 for a in annotations if {"bbox", "bbox_relative"} & set(a)))


def _yolo_rows(number: int) -> list[str]:
    rows = []
    for at, (x, y, w, h) in enumerate(boxes_of(number)):
        middle = (x + w / 2) / 16, (y + h / 2) / 12
        rows.append(f"{(number + at) % 2} {middle[0]:.6f} {middle[1]:.6f} {w / 16:.6f} {h / 12:.6f}")
    return rows


def make_darknet(folder: Path, *, images: int = 12, start: int = 0) -> Made:
    """`boats.data`, `boats.names`, lists of absolute paths, `images/` and `labels/`; an empty file says no object."""
    lists: dict[str, list[str]] = {"train": [], "valid": []}
    boxes, labels = 0, []
    for number in range(1, images + 1):
        path = put(folder / "images" / f"{number:016x}.jpg", picture(start + number))
        rows = _yolo_rows(number)
        boxes += len(rows)
        labels += [(number, ("boat", "buoy")[int(row[0])]) for row in rows]
        put(folder / "labels" / f"{number:016x}.txt", "".join(f"{row}\n" for row in rows))
        lists["valid" if number % 5 == 0 else "train"].append(str(path.resolve()))
    for part, paths in lists.items():
        put(folder / f"{part}.txt", "".join(f"{path}\n" for path in paths))
    put(folder / "boats.names", "boat\nbuoy\n")
    data = "classes= 2\ntrain  = {0}/train.txt\nvalid  = {0}/valid.txt\nnames = {0}/boats.names\nbackup = backup/\n"
    put(folder / "boats.data", data.format(folder.resolve()))
    parts = {"train": len(lists["train"]), "validation": len(lists["valid"])}
    return Made(folder, images, _images_per_label(labels), parts, boxes)


def make_yolo(folder: Path, *, images: int = 12, start: int = 0) -> Made:
    """`data.yaml` with `images/<part>/` and `labels/<part>/`; the same stem in two parts and in two sub-folders."""
    boxes, labels, parts = 0, [], []
    for number in range(1, images + 1):
        part = ("train", "val", "test")[number % 3]
        inside = f"{part}/cam{number % 2}/IMG_{number // 6:04d}"
        put(folder / "images" / f"{inside}.jpg", picture(start + number))
        rows = _yolo_rows(number)
        put(folder / "labels" / f"{inside}.txt", "".join(f"{row}\n" for row in rows))
        boxes += len(rows)
        labels += [(number, ("boat", "buoy")[int(row[0])]) for row in rows]
        parts.append({"train": "train", "val": "validation", "test": "test"}[part])
    yaml = "path: .\ntrain: images/train\nval: images/val\ntest: images/test\nnames:\n  0: boat\n  1: buoy\n"
    put(folder / "data.yaml", yaml)
    return Made(folder, images, _images_per_label(labels), _count(parts), boxes)


_VOC = """<annotation><folder>JPEGImages</folder><filename>{name}.jpg</filename>
<size><width>16</width><height>12</height><depth>3</depth></size><segmented>0</segmented>
{objects}</annotation>
"""
_VOC_OBJECT = """<object><name>{label}</name><pose>Left</pose><truncated>{truncated}</truncated><difficult>0</difficult>
<bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox></object>
"""


def make_voc(folder: Path, *, images: int = 12, start: int = 0) -> Made:
    """`Annotations/`, `JPEGImages/` and `ImageSets/Main/`; corners are 1-based and inclusive."""
    boxes, labels = 0, []
    parts: dict[str, list[str]] = {"train": [], "val": []}
    for number in range(1, images + 1):
        name = f"2008_{number:06d}"
        put(folder / "JPEGImages" / f"{name}.jpg", picture(start + number))
        found = boxes_of(number)
        boxes += len(found)
        label = SPECIES[number % len(SPECIES)]
        labels += [label] if found else []
        corners = [(int(x) + 1, int(y) + 1, int(x + w), int(y + h)) for x, y, w, h in found]
        objects = "".join(_VOC_OBJECT.format(*corner, label=label, truncated=number % 2) for corner in corners)
        put(folder / "Annotations" / f"{name}.xml", _VOC.format(name=name, objects=objects))
        parts["val" if number % 4 == 0 else "train"].append(name)
    for part, names in parts.items():
        put(folder / "ImageSets" / "Main" / f"{part}.txt", "".join(f"{name}\n" for name in names))
    counts = {"train": len(parts["train"]), "validation": len(parts["val"])}
    return Made(folder, images, _count(labels), counts, boxes)


def make_megadetector(folder: Path, *, images: int = 12, version: str = "1.6", start: int = 0) -> Made:
    """`results.json` beside its pictures: boxes with species, an empty picture, and one that could not be read."""
    listed: list[dict[str, Any]] = []
    boxes = 0
    for number in range(images):
        path = f"site{number % 2}/RCNX{number:04d}.JPG"
        put(folder / path, picture(start + number))
        if number == images - 1:
            listed.append({"file": path, "failure": "Failure image access", "detections": None})
            continue
        detections = [] if number % 4 == 3 else [_detection(number)]
        boxes += len(detections)
        listed.append({"file": path, "detections": detections})
    content = {
        "images": listed,  # before the words it needs, as the detector's own files have it
        "detection_categories": {"1": "animal", "2": "person", "3": "vehicle"},
        "classification_categories": {"0": "red fox", "7": "roe deer"},
        "info": {
            "format_version": version,
            "detector": "md_v5a.0.0.pt",
            "classifier": "species_net_tests",
            "detection_completion_time": "2024-03-04 05:06:07",
            "detector_metadata": {"megadetector_version": "v5a.0.0", "typical_detection_threshold": 0.2},
        },
    }
    write_json(folder / "results.json", content)
    return Made(folder, images, boxes=boxes)


def _detection(number: int) -> dict[str, Any]:
    found: dict[str, Any] = {"category": "2" if number % 5 == 4 else "1", "conf": 0.9, "bbox": [0.1, 0.2, 0.5, 0.6]}
    if found["category"] == "1":
        found["classifications"] = [["7", 0.8], ["0", 0.15]]
    return found


def make_speciesnet(folder: Path, *, images: int = 6, start: int = 0) -> Made:
    """`predictions.json` of SpeciesNet beside its pictures, the last of which failed in the classifier."""
    fox = "aaaa1111-0000-4000-8000-000000000001;mammalia;carnivora;canidae;vulpes;vulpes;red fox"
    blank = "bbbb1111-0000-4000-8000-000000000002;;;;;;blank"
    listed: list[dict[str, Any]] = []
    for number in range(images):
        path = put(folder / f"IMG_{number:04d}.JPG", picture(start + number))
        entry: dict[str, Any] = {
            "filepath": str(path),
            "classifications": {"classes": [fox, blank], "scores": [0.7, 0.2]},
            "detections": [{"category": "1", "label": "animal", "conf": 0.8, "bbox": [0.1, 0.2, 0.5, 0.6]}],
            "prediction": fox,
            "prediction_score": 0.7,
            "prediction_source": "classifier",
            "model_version": "4.0.1a",
        }
        if number == images - 1:
            entry = {"filepath": str(path), "failures": ["CLASSIFIER", "DETECTOR"]}
        listed.append(entry)
    write_json(folder / "predictions.json", {"predictions": listed})
    return Made(folder, images, boxes=images - 1)


_DEPLOYMENTS = ("deploymentID", "locationID", "locationName", "latitude", "longitude", "coordinateUncertainty")
_MEDIA = ("mediaID", "deploymentID", "captureMethod", "timestamp", "filePath", "filePublic", "fileName")
_OBSERVATIONS = (
    *("observationID", "deploymentID", "mediaID", "eventID", "eventStart", "eventEnd", "observationLevel"),
    *("observationType", "scientificName", "count", "lifeStage", "sex", "behavior", "individualID"),
    *("bboxX", "bboxY", "bboxWidth", "bboxHeight", "classificationMethod", "classifiedBy"),
)


def make_camtrapdp(folder: Path, *, images: int = 12, start: int = 0) -> Made:
    """A Camtrap DP with two deployments, observations of single media and of whole events, and one blank event."""
    media: list[Sequence[object]] = []
    observations: list[Sequence[object]] = []
    for number in range(images):
        event, frame = divmod(number, 3)
        path, at = f"media/IMG_{number:04d}.jpg", f"2022-06-{1 + event % 28:02d}T10:00:{frame:02d}+0200"
        put(folder / path, picture(start + number))
        deployment = f"dep{event % 2}"
        media.append((f"m{number}", deployment, "activityDetection", at, path, "true", Path(path).name, "image/jpeg"))
        if event % 2 == 0:
            body: tuple[object, ...] = (
                "Vulpes vulpes",
                1,
                "adult",
                "female",
                "foraging",
                f"fox-{event % 3}",
                0.25,
                0.25,
                0.5,
                0.5,
            )
            ends = (f"m{number}", f"e{event}", at, at, "media", "animal")
            observations.append((f"o{number}", deployment, *ends, *body, "human", "Ann"))
        elif frame == 2:
            start_at = at.replace(":02+", ":00+")
            blank = event % 4 == 3
            ends = ("", f"e{event}", start_at, at, "event", "blank" if blank else "animal")
            body = ("", "", *[""] * 8) if blank else ("Capreolus capreolus", 2, *[""] * 8)
            observations.append((f"o{number}", deployment, *ends, *body, "human", "Ben"))
    dates = ("2022-06-01T00:00:00+0200", "2022-06-30T23:00:00+0200", "true")
    places = [
        ("dep0", "loc0", "North ridge", 61.5, 10.25, 100, *dates),
        ("dep1", "loc1", "Lake", -3.5, -60, 50, *dates),
    ]
    write_csv(folder / "deployments.csv", (*_DEPLOYMENTS, "deploymentStart", "deploymentEnd", "baitUse"), places)
    write_csv(folder / "media.csv", (*_MEDIA, "fileMediatype"), media)
    write_csv(folder / "observations.csv", _OBSERVATIONS, observations)
    resources = [{"name": name, "path": f"{name}.csv"} for name in ("deployments", "media", "observations")]
    taxa = [
        {"scientificName": "Vulpes vulpes", "taxonID": "5219243", "vernacularNames": {"eng": "red fox"}},
        {"scientificName": "Capreolus capreolus", "vernacularNames": {"eng": "roe deer", "deu": "Reh"}},
    ]
    package = {"name": "tests", "profile": "tabular", "resources": resources, "taxonomic": taxa}
    write_json(folder / "datapackage.json", package)
    return Made(folder, images, boxes=sum(1 for row in observations if row[14] != ""))
