"""Bodies of files, as OpenAPI describes them."""

from __future__ import annotations

from typing import Any

BINARY: dict[str, Any] = {"type": "string", "format": "binary"}


def _form(**fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields}


ONE_FILE: dict[str, Any] = {"application/octet-stream": BINARY, "multipart/form-data": _form(file=BINARY)}
ZIP_FILE: dict[str, Any] = {"application/zip": BINARY, "multipart/form-data": _form(file=BINARY)}
SOURCE_FILE: dict[str, Any] = {
    "application/zip": BINARY,
    "text/csv": BINARY,
    "application/octet-stream": BINARY,
    "multipart/form-data": _form(file=BINARY),
}
MANY_FILES: dict[str, Any] = {
    "multipart/form-data": _form(
        files={"type": "array", "items": BINARY}, project={"type": "string"}, name={"type": "string"}
    ),
    "application/zip": BINARY,
}
PICTURE: dict[str, Any] = {
    "image/*": BINARY,
    "application/octet-stream": BINARY,
    "multipart/form-data": _form(image=BINARY),
}
