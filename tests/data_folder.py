"""A pytest plugin: no test touches the data folder of the person who runs it, or is touched by a test beside it.

Loaded before Django's settings.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile

_IS_ONE_OF_MANY = "PYTEST_XDIST_WORKER" in os.environ

if _IS_ONE_OF_MANY or "OSPREY_DATA" not in os.environ:
    _folder = tempfile.mkdtemp(prefix="osprey-test-")
    os.environ["OSPREY_DATA"] = _folder
    atexit.register(shutil.rmtree, _folder, ignore_errors=True)

# Coverage measures the processes that run tests, not what tests start: that would be slower than users see it.
if _IS_ONE_OF_MANY or "-n" not in sys.argv:
    os.environ.pop("COVERAGE_PROCESS_START", None)
