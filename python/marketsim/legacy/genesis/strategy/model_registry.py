"""`core.strategy.model_registry`: which model file belongs to a symbol and timeframe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from marketsim.errors import FileFormatError
from marketsim.legacy.genesis.root import project_root


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file.

    Raises:
        FileFormatError: the file is no JSON, or holds something else.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FileFormatError(f"{path}: expected JSON: {error}") from error
    if not isinstance(data, dict):
        raise FileFormatError(f"{path}: expected an object, got {type(data).__name__}")
    return data


class ModelRegistry:
    """Model files by symbol and timeframe; each call reads what is there now."""

    def __init__(self, root: Path | None = None, registry_path: Path | None = None) -> None:
        self._root, self._registry_path = root, registry_path

    @property
    def root(self) -> Path:
        """The folder that paths are relative to."""
        return self._root or project_root()

    @property
    def registry_path(self) -> Path:
        """The file of entries."""
        return self._registry_path or self.root / "config" / "models" / "registry.json"

    def clear_cache(self) -> None:
        """Nothing to do: nothing is kept."""

    def get_meta(self, symbol: str, timeframe: str) -> dict[str, Any] | None:
        """The model, None where there is no file.

        Raises:
            FileFormatError: a file cannot be read.
        """
        entries = read_json(self.registry_path) if self.registry_path.is_file() else {}
        entry = entries.get(f"{symbol}:{timeframe}")
        champion = entry.get("champion") if isinstance(entry, dict) else None
        if isinstance(champion, str) and (self.root / champion).is_file():
            found = read_json(self.root / champion)
            if {"schema", "buy", "sell"} <= found.keys():
                return found
            for name in (timeframe, "1m"):
                if isinstance(found.get(name), dict):
                    return dict(found[name])
        own = self.root / "config" / "models" / f"{symbol}_{timeframe}.json"
        return read_json(own) if own.is_file() else None
