"""On the PYTHONPATH of a test's site: a picture that carries the mark ends the process that decodes it.

Stands for a decoder that crashes, which no error handling inside the process can catch.
"""

import importlib.abc
import importlib.machinery
import os
import signal
import sys
from pathlib import Path
from types import ModuleType

MARK = b"osprey test: poison"
TARGET = "webapp.predictions.look"


class Poisoner(importlib.abc.MetaPathFinder):
    """Wraps `decode` of one module once it is loaded."""

    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def]
        if name != TARGET:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        sys.meta_path.insert(0, self)
        load = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            decode = module.decode

            def poisoned(source: Path, **options: object) -> object:
                if MARK in source.read_bytes():
                    os.kill(os.getpid(), signal.SIGKILL)
                return decode(source, **options)

            module.decode = poisoned

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Poisoner())
