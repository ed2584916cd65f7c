"""`core.strategy.champion_loader`: the configuration that a symbol and timeframe run on."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from marketsim.errors import FileFormatError
from marketsim.legacy.genesis.config.runtime import refuse_nan
from marketsim.legacy.genesis.quirks import current_quirks
from marketsim.legacy.genesis.root import project_root
from marketsim.legacy.genesis.strategy.model_registry import read_json


@dataclass(slots=True)
class ChampionConfig:
    """A configuration and where it comes from."""

    config: dict[str, Any]
    source: str
    version: str
    checksum: str
    loaded_at: str


def champions_folder() -> Path:
    """Where champions are read from, and written to."""
    return project_root() / "config" / "strategy" / "champions"


class ChampionLoader:
    """Reads champion files as they are now; else the timeframe's baseline.

    The baselines are those of the checkout's own `config/timeframe_configs.py`; none is built in.
    """

    def __init__(self, *, champions_dir: Path | None = None) -> None:
        self._folder = champions_dir

    @property
    def champions_dir(self) -> Path:
        """The folder of champion files."""
        return self._folder or champions_folder()

    def load_cached(self, symbol: str, timeframe: str) -> ChampionConfig:
        """The same as `load`: nothing is kept."""
        return self.load(symbol, timeframe)

    def load(self, symbol: str, timeframe: str) -> ChampionConfig:
        """The champion's configuration, or the baseline.

        Raises:
            FileFormatError: a file cannot be read.
            ArgumentError: a setting of the champion is NaN.
        """
        path = self.champions_dir / f"{symbol}_{timeframe}.json"
        if path.is_file():
            payload = read_json(path)
            config = _parameters(payload)
            if config is not None:
                refuse_nan(config, _relative(path))
                version = str(payload.get("created_at", "unknown"))
                return _made(config, _relative(path), version)
        config, source = baseline(timeframe)
        return _made(config, source, "baseline")


def _parameters(payload: dict[str, Any]) -> dict[str, Any] | None:
    places = [payload]
    if current_quirks().variant == "E" and isinstance(payload.get("cfg"), dict):
        places.append(payload["cfg"])
    for place in places:
        config = place.get("parameters") or place.get("config")
        if isinstance(config, dict):
            return config
    return None


def _relative(path: Path) -> str:
    try:
        return str(path.relative_to(project_root()))
    except ValueError:
        return str(path)


def _made(config: dict[str, Any], source: str, version: str) -> ChampionConfig:
    text = json.dumps(config, sort_keys=True, separators=(",", ":"))
    checksum = sha256(text.encode()).hexdigest()
    return ChampionConfig(config, source, version, checksum, datetime.now(UTC).isoformat())


def baseline(timeframe: str) -> tuple[dict[str, Any], str]:
    """The baseline of a timeframe and its name; {} where the checkout has none."""
    path = project_root() / "config" / "timeframe_configs.py"
    if not path.is_file():
        return {}, "baseline:absent"
    found = _literals(path)
    if timeframe in ("1h", "3h", "6h", "1D") and timeframe.lower() in found:
        return found[timeframe.lower()], f"baseline:{timeframe}"
    return found.get("1h", {}), "baseline:fallback_1h"


def _literals(path: Path) -> dict[str, dict[str, Any]]:
    """What each `get_<timeframe>_config` returns. The file is read, never run."""
    out: dict[str, dict[str, Any]] = {}
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise FileFormatError(f"{path}: expected Python: {error}") from error
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        name = node.name.removeprefix("get_").removesuffix("_config").lower()
        last = node.body[-1]
        if isinstance(last, ast.Return) and isinstance(last.value, ast.Dict):
            try:
                out[name] = ast.literal_eval(last.value)
            except ValueError:  # built from other values: no baseline
                continue
    return out
