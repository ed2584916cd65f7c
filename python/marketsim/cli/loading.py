"""Load user objects named on the command line as module:name or file.py:name."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

from marketsim.errors import ArgumentError


class _Source(SourceFileLoader):
    """Compiles a file each time: kept bytecode misses an edit of the same second and size."""

    def path_stats(self, path: Any) -> Any:
        raise OSError(f"{path}: no bytecode is read or written")


def load_object(text: str) -> Any:
    """Load the object named by `module:name` or `path/file.py:name`; imports its module.

    Raises:
        ArgumentError: the text has another form, or the file, module or name does not exist.
    """
    module, _, name = text.rpartition(":")
    if not module or not name:
        raise ArgumentError(f"expected module:name or file.py:name: got {text!r}")
    if module.endswith(".py"):
        path = Path(module)
        # A name of Python's own would make the file pass for an installed module.
        known = path.stem in sys.stdlib_module_names
        name_of = f"file_{path.stem}" if known else path.stem
        loader = _Source(name_of, str(path))
        spec = importlib.util.spec_from_file_location(name_of, path, loader=loader)
        if not path.is_file() or spec is None or spec.loader is None:
            raise ArgumentError(f"{text!r}: there is no file {module}")
        folder = str(path.resolve().parent)
        if folder not in sys.path:  # last, so that its files replace no other module
            sys.path.append(folder)
        loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
    else:
        sys.path.insert(0, "")  # as `python -m` does
        try:
            loaded = importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise ArgumentError(f"{text!r}: {error}") from error
        finally:
            sys.path.remove("")
    if not hasattr(loaded, name):
        raise ArgumentError(f"{text!r}: {module} has no name {name!r}")
    return getattr(loaded, name)
