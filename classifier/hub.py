"""Pretrained weights from a model hub, at one pinned revision. `HF_ENDPOINT` names another hub or a mirror."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from classifier.errors import WeightsUnavailable

WEIGHTS_FILE = "model.safetensors"


@dataclass(frozen=True, slots=True)
class Download:
    """A file of the hub and the revision it was taken at."""

    repository: str
    revision: str
    path: Path


def download(repository: str, *, into: Path, revision: str | None = None, name: str = "") -> Download:
    """Fetch a repository's safetensors at `revision` (the newest if None, which is then pinned by its commit).

    Raises WeightsUnavailable, which says how to go on without the hub.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    endpoint = os.environ.get("HF_ENDPOINT") or None
    into.mkdir(parents=True, exist_ok=True)
    try:
        url = hf_hub_url(repository, WEIGHTS_FILE, revision=revision, endpoint=endpoint)
        commit = get_hf_file_metadata(url, endpoint=endpoint).commit_hash
        if not commit:
            raise OSError("the hub did not say which revision this is")
        with tempfile.TemporaryDirectory(dir=into, prefix=".hub-") as cache:
            found = hf_hub_download(repository, WEIGHTS_FILE, revision=commit, endpoint=endpoint, cache_dir=cache)
            path = into / WEIGHTS_FILE
            shutil.copyfile(found, path)
    except (OSError, ValueError) as error:
        raise WeightsUnavailable(_advice(repository, endpoint, error, name or repository)) from error
    except Exception as error:
        # The hub's client raises its HTTP library's own errors when no connection can be made.
        if not type(error).__module__.startswith(("httpx", "httpcore", "requests", "urllib3", "huggingface_hub")):
            raise
        raise WeightsUnavailable(_advice(repository, endpoint, error, name or repository)) from error
    return Download(repository, commit, path)


def _advice(repository: str, endpoint: str | None, error: Exception, name: str) -> str:
    reason = str(error).strip().splitlines()
    return (
        f"the pretrained weights {repository} could not be had from {endpoint or 'the hub'} "
        f"({type(error).__name__}{': ' + reason[0][:200] if reason else ''}). Connect this machine to the hub, set "
        f"HF_ENDPOINT to a mirror, or fetch {WEIGHTS_FILE} of {repository} elsewhere and run: "
        f"./osprey models add {name} --weights FILE"
    )
