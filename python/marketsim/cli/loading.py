"""Load user objects named on the command line as module:name or file.py:name."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from marketsim.errors import ArgumentError


def load_object(text: str) -> Any:
    """The object that `module:name` or `path/file.py:name` names; its module is imported.

    Raises:
        ArgumentError: the text has another form, or there is no such file, module or name.
    """
    module, _, name = text.rpartition(":")
    if not module or not name:
        raise ArgumentError(f"module:name or file.py:name is expected: got {text!r}")
    if module.endswith(".py"):
        path = Path(module)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if not path.is_file() or spec is None or spec.loader is None:
            raise ArgumentError(f"{text!r}: there is no file {module}")
        loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
    else:
        sys.path.insert(0, "")  # as `python -m` would
        try:
            loaded = importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise ArgumentError(f"{text!r}: {error}") from error
        finally:
            sys.path.remove("")
    if not hasattr(loaded, name):
        raise ArgumentError(f"{text!r}: {module} has no name {name!r}")
    return getattr(loaded, name)
