"""New versions without training: a pretrained timm network, or somebody else's ONNX file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from django.conf import settings

from classifier.adding import add_onnx, add_pretrained
from classifier.starter import PROJECTS
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.errors import Invalid
from webapp.projects.models import Project
from webapp.versions.models import Version
from webapp.versions.publish import publish_folder

LABEL_SETS = tuple(starter.slug for starter in PROJECTS)
LARGEST_LABEL_FILE = 10 * 2**20


def add_version(
    *,
    actor: Actor,
    source: str,
    project: Project | None,
    weights: Path | None = None,
    role: str | None = None,
    card: Path | None = None,
    labels: str = "",
    name: str = "",
    say: Callable[[str], None],
) -> Version:
    """Make a model folder of `source` (a timm name, or an ONNX file with its card) and publish it.

    `labels` says what the outputs of pretrained weights mean: one of LABEL_SETS, or a file with one name a line.
    """
    require(actor, Action.ADD_VERSION, project)
    workshop = Path(settings.DATA_DIR) / "cache" / "adding"
    workshop.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=workshop) as made:
        out = Path(made) / "version"
        if source.lower().endswith(".onnx"):
            if card is None or role is None:
                raise Invalid(
                    "An ONNX file needs --role classifier|detector|identifier and --card CARD.yaml, which says what "
                    "it expects and answers."
                )
            if weights is not None:
                raise Invalid("An ONNX file holds its weights: leave --weights out.")
            say(f"trying {source} with its card")
            add_onnx(Path(source), role=role, card_yaml=card, out=out)
        else:
            if card is not None or role not in (None, "classifier"):
                raise Invalid(f"{source!r} is not an ONNX file; --card and --role are for those.")
            say(f"making {source} from {weights or 'the weights of the hub'}")
            add_pretrained(source, out=out, weights=weights, labels=_labels(labels, project))
        return publish_folder(actor=actor, folder=out, project=project, name=name, share_files=True)


def _labels(labels: str, project: Project | None) -> str | Sequence[str]:
    """The label set that was asked for; else that of the first projects of this name; else all animals."""
    if not labels:
        return project.slug if project is not None and project.slug in LABEL_SETS else LABEL_SETS[0]
    if labels in LABEL_SETS:
        return labels
    path = Path(labels)
    if not path.is_file() or path.stat().st_size > LARGEST_LABEL_FILE:
        raise Invalid(f"--labels is one of {', '.join(LABEL_SETS)}, or a file with one name a line; not {labels!r}.")
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise Invalid(f"{labels} is not text in UTF-8.") from error
