"""What can go wrong with a picture or a model, as typed errors with words for a person."""

from __future__ import annotations


class ClassifierError(Exception):
    """Base of every error this package raises on purpose."""


class ImageRejected(ClassifierError):
    """One picture cannot be recognised; its neighbours can.

    `code` is stable and machine-readable, `status` the HTTP status that fits, `reason` a sentence that says
    what was wrong and what to do.
    """

    def __init__(self, code: str, reason: str, *, status: int = 422) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.status = status

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_rejected, (self.code, self.reason, self.status))


def _rebuild_rejected(code: str, reason: str, status: int) -> ImageRejected:
    return ImageRejected(code, reason, status=status)


class ModelError(ClassifierError):
    """A model folder, card or weights file cannot be used; the message says why and what to do."""


class CardError(ModelError):
    """card.json is not what this version of Osprey reads."""


class DigestMismatch(ModelError):
    """A file of a model folder is not the file its card was sealed with."""


class WeightsUnavailable(ModelError):
    """Pretrained weights were asked for and can be had neither from the hub nor from a file."""
