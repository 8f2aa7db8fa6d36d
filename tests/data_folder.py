"""A pytest plugin: no test touches the data folder of the person who runs it. Loaded before Django's settings."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

if "OSPREY_DATA" not in os.environ:
    _folder = tempfile.mkdtemp(prefix="osprey-test-")
    os.environ["OSPREY_DATA"] = _folder
    atexit.register(shutil.rmtree, _folder, ignore_errors=True)
