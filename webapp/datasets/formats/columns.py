"""Which column of a table means what: the layouts that are known, and a guess from the names of any other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from webapp.datasets.formats.records import SourceError

MEANINGS: Mapping[str, str] = {
    "path": "the picture's file, with folders",
    "folder": "the folder, where the file's column has only its name",
    "label": "the label",
    "individual": "the name of the individual",
    "part": "train, validation or test",
    "site": "where it was taken",
    "visit": "the deployment, trip or encounter",
    "sequence": "the burst",
    "captured_at": "date and time",
    "date": "the date alone",
    "time": "the time alone",
    "latitude": "of the site, in degrees",
    "longitude": "of the site, in degrees",
    "count": "how many animals",
    "x": "left edge of the box, in pixels or as a share",
    "y": "top edge of the box",
    "width": "width of the box",
    "height": "height of the box",
    "x_max": "right edge of the box",
    "y_max": "bottom edge of the box",
    "bbox": "the box as [x, y, width, height]",
    "image_width": "width of the picture in pixels",
    "image_height": "height of the picture in pixels",
    "verdict": "labelled, empty, cannot-tell, or nothing where nobody looked",
    "labelled_by": "who said so",
    "how": "how the label came about",
    "sha256": "the file's checksum",
    "scientific_name": "the label's scientific name",
}
"""And `field:NAME`, `flag:NAME` for what is recorded beside; a column without a meaning is not read."""

FLAGS = ("occluded", "truncated", "group_of", "depiction", "inside")
_GUESSES: Mapping[str, str] = {
    "path": "filepath file_path path file filename file_name image img image_path imagepath image_file photo picture",
    "folder": "relativepath relative_path folder directory",
    "label": "label species class category concept common_name commonname animal label_name true_label",
    "individual": "individual identity individual_id individualid whale_id animal_id",
    "part": "split part set subset fold_name dataset",
    "site": "site location location_id locationid station camera_site site_id placename vessel boat locality",
    "visit": "visit deployment deployment_id deploymentid trip encounter haul",
    "sequence": "sequence seq_id sequence_id burst event event_id eventid",
    "captured_at": "captured_at datetime date_time timestamp datetimeoriginal date_time_original taken_at capture_time",
    "date": "date capture_date date_captured",
    "time": "time capture_time_only time_of_day",
    "latitude": "latitude lat decimallatitude decimal_latitude",
    "longitude": "longitude lon long lng decimallongitude decimal_longitude",
    "count": "count individualcount individual_count n_animals number_of_animals number_of_objects",
    "x": "x x0 x1_left xmin x_min bbox_x box_x left",
    "y": "y y0 ymin y_min bbox_y box_y top",
    "width": "width w bbox_width box_width bbox_w",
    "height": "height h bbox_height box_height bbox_h",
    "x_max": "x_max xmax x2 right",
    "y_max": "y_max ymax y2 bottom",
    "bbox": "bbox box bounding_box",
    "image_width": "image_width img_width",
    "image_height": "image_height img_height",
    "verdict": "verdict",
    "labelled_by": "labelled_by labeled_by observer annotator identified_by",
    "how": "how",
    "sha256": "sha256 checksum",
    "scientific_name": "scientific_name scientificname latin_name",
    "field:sex": "sex",
    "field:life-stage": "life_stage lifestage age",
    "field:behaviour": "behaviour behavior",
    "field:viewpoint": "viewpoint orientation",
    "field:theta": "theta",
    "field:notes": "notes note comment comments",
}
_MEANING_OF_NAME = {name: meaning for meaning, names in _GUESSES.items() for name in names.split()}
_TAXONOMY = frozenset({"class", "species"})
"""Where a column `genus` stands beside them these are ranks, and an epithet alone is no label."""
_WHALES = {"Image": "path", "Id": "individual"}
_BY_X1 = {"x1": "x", "y1": "y", "x2": "x_max", "y2": "y_max"}
_BY_X0 = {"x0": "x", "y0": "y", "x1": "x_max", "y1": "y_max"}


def folded(name: str) -> str:
    """`RelativePath`, `relative path` and `Relative-Path` are one name."""
    return re.sub(r"[\s\-./]+", "_", name.strip()).casefold()


def suggest(header: Sequence[str]) -> dict[str, str]:
    """Column -> meaning, by the names of the columns; no meaning is given twice."""
    if is_whales(header):
        return dict(_WHALES)
    names = {folded(column): column for column in reversed(header) if column}
    found: dict[str, str] = {}
    for corners in (_BY_X0, _BY_X1):
        if set(corners) <= set(names):
            found.update({names[name]: meaning for name, meaning in corners.items()})
            break
    if {"theta", "viewpoint", "name"} <= set(names):  # MiewID: `name` is the animal's
        found[names["name"]] = "individual"
    ranks = _TAXONOMY if {"genus", "species"} <= set(names) else frozenset()
    ranks |= {"location"} if is_wildlife_insights(header) else frozenset()  # there it is the address of the file
    for column in header:
        meaning = "" if folded(column) in ranks else _guess(column)
        if meaning and column not in found and meaning not in found.values():
            found[column] = meaning
    return _preferring_paths(found, names)


def _guess(column: str) -> str:
    name = folded(column)
    kind, _, rest = column.partition(":")
    if kind in ("field", "flag") and rest:
        return column
    if name in FLAGS:
        return f"flag:{name}"
    if name.removeprefix("is_") in FLAGS:
        return f"flag:{name.removeprefix('is_')}"
    return _MEANING_OF_NAME.get(name, "")


def _preferring_paths(found: dict[str, str], names: Mapping[str, str]) -> dict[str, str]:
    """Of several columns that could name the file, the one with folders in it."""
    for better in ("filepath", "file_path", "path", "image_path"):
        if better in names:
            kept = {column: meaning for column, meaning in found.items() if meaning != "path"}
            return {**kept, names[better]: "path"}
    return found


def is_wildlife_insights(header: Sequence[str]) -> bool:
    """The images of a download from Wildlife Insights."""
    return {"wi_taxon_id", "filename", "deployment_id"} <= set(header)


def is_whales(header: Sequence[str]) -> bool:
    """`Image,Id`: the flukes of humpback whales, where Id names the individual. Weights may follow."""
    return list(header[:2]) == ["Image", "Id"]


def checked(mapping: Mapping[str, str], header: Sequence[str]) -> dict[str, str]:
    """Meaning -> column of a mapping that fits the table; SourceError says which column or meaning is wrong."""
    by_meaning: dict[str, str] = {}
    for column, meaning in mapping.items():
        if not meaning:
            continue
        if column not in header:
            raise SourceError(f"There is no column {column!r}. The table has: {', '.join(header)}.")
        if meaning not in MEANINGS and not re.match(r"^(field|flag):.", meaning):
            raise SourceError(f"{column}={meaning}: known meanings are {', '.join(MEANINGS)}, field:NAME, flag:NAME.")
        if meaning.startswith("flag:") and meaning[5:] not in FLAGS:
            raise SourceError(f"{column}={meaning}: the flags are {', '.join(FLAGS)}.")
        if meaning in by_meaning:
            raise SourceError(f"Two columns mean {meaning}: {by_meaning[meaning]} and {column}. Leave one out.")
        by_meaning[meaning] = column
    if "path" not in by_meaning:
        shown = ", ".join(header)
        raise SourceError(f"No column names the picture's file. The columns are: {shown}. Say which means 'path'.")
    return by_meaning
