"""Where the pictures of a run lie: `pictures.json` of its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.contract import ManifestLine

PICTURES = "pictures.json"


class PicturesError(Exception):
    """The pictures of a run cannot be found; the text says which and where it was looked for."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Paths by content: below one root as a store keeps them, or one by one for originals elsewhere."""

    root: Path | None = None
    endings: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Pictures:
        """From a run folder, or from its pictures.json."""
        path = path / PICTURES if path.is_dir() else path
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise PicturesError(f"{path} cannot be read ({error}); it says where the pictures lie") from error
        known = {"root", "ending", "files"}
        if not isinstance(data, dict) or not data or not set(data) <= known:
            raise PicturesError(f"{path} holds `root` and `ending`, or `files`, or all three; not {str(data)[:80]}")
        root = data.get("root")
        return cls(Path(root) if root else None, data.get("ending", {}), data.get("files", {}))

    def as_values(self) -> dict[str, Any]:
        """What pictures.json holds."""
        stored = {"root": str(self.root), "ending": dict(self.endings)} if self.root else {}
        return {**stored, **({"files": dict(self.files)} if self.files else {})}

    def path_of(self, line: ManifestLine) -> Path:
        """The original of an image."""
        if line.sha256 in self.files:
            return Path(self.files[line.sha256])
        if self.root is None:
            raise PicturesError(f"nothing says where the picture {line.path or line.sha256} (image {line.image}) lies")
        name = f"{line.sha256}{self.endings.get(line.media_type, '')}"
        return self.root / line.sha256[:2] / line.sha256[2:4] / name
