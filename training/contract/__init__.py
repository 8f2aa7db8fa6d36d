"""What the site and training hand each other, as frozen dataclasses of the standard library alone.

Manifest (what was frozen), config (what was asked for), progress (what a run says while it learns), report (how well
a version does) and comparison (how two differ). No format exists twice: who reads or writes one does it here.
"""

from training.contract.manifest import (
    FORMAT,
    FORMAT_VERSION,
    LEFT_OUT,
    PARTS,
    TEST,
    TRAIN,
    VALIDATION,
    Box,
    ManifestAnnotation,
    ManifestError,
    ManifestHead,
    ManifestLabel,
    ManifestLine,
    ManifestSource,
    digest_of,
    dump,
    head_text,
    line_text,
    plain,
    read_head,
    read_line,
    read_manifest,
)

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "LEFT_OUT",
    "PARTS",
    "TEST",
    "TRAIN",
    "VALIDATION",
    "Box",
    "ManifestAnnotation",
    "ManifestError",
    "ManifestHead",
    "ManifestLabel",
    "ManifestLine",
    "ManifestSource",
    "digest_of",
    "dump",
    "head_text",
    "line_text",
    "plain",
    "read_head",
    "read_line",
    "read_manifest",
]
