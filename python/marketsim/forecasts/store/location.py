"""Location of a run's store: the given one, or the user's default."""

from __future__ import annotations

import contextlib
import os
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

from marketsim.errors import ArgumentError, StoreWarning
from marketsim.forecasts.store.base import ForecastStore
from marketsim.forecasts.store.disk import PredictionStore, absolute_path

# None: the user's default. False: no store, forecasts last for this run. A path: the store there.
StoreLike: TypeAlias = "ForecastStore | str | os.PathLike[str] | Literal[False] | None"


def default_store_path() -> Path | None:
    """Return the user's default store: MARKETSIM_STORE, or marketsim/store in the cache folder.

    None if MARKETSIM_STORE is "off", or, with a StoreWarning, if this user has no home folder.
    """
    setting = os.environ.get("MARKETSIM_STORE", "")
    if setting.lower() == "off":
        return None
    if setting:
        return Path(setting)
    try:
        return user_cache_folder() / "store"
    except RuntimeError:
        warnings.warn(
            "forecasts are not stored: this user has no home folder; set HOME, XDG_CACHE_HOME or "
            "MARKETSIM_STORE",
            StoreWarning,
            stacklevel=3,
        )
        return None


def user_cache_folder() -> Path:
    """Return marketsim's folder for data that it can recompute, in the user's cache folder.

    Raises:
        RuntimeError: this user has no home folder.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # Relative paths must be ignored: XDG Base Directory Specification 0.8.
    folder = cache if cache.is_absolute() else Path.home() / ".cache"
    return folder / "marketsim"


def open_store(store: StoreLike = None) -> ForecastStore | None:
    """Open a store; None if forecasts are not to be stored.

    Raises:
        ArgumentError: not a `StoreLike`.
    """
    if store is False:
        return None
    if store is None:
        path = default_store_path()
        return None if path is None else _at(path)
    if isinstance(store, (str, os.PathLike)):
        return _at(Path(store))
    if isinstance(store, ForecastStore):
        return store
    raise ArgumentError(
        f"store must be a path, a ForecastStore, None for the default or False for none: "
        f"got {store!r}"
    )


_MOST_PATHS = 64
# Store last opened for a path, by the path's spelling.
_recent: dict[str, PredictionStore] = {}


def _at(path: Path) -> PredictionStore:
    """Open the store at a path; reuse the last one if the path still leads to its folder."""
    with contextlib.suppress(RuntimeError):  # no home folder: `absolute_path` raises
        path = path.expanduser()
    known = _recent.get(str(path))
    try:
        if known is not None and path.samefile(known.path):
            return known
    except OSError:
        pass  # the folder does not exist, or no longer
    if len(_recent) >= _MOST_PATHS:
        _recent.clear()
    _recent[str(path)] = found = _opened(absolute_path(path))
    return found


@lru_cache(maxsize=8)
def _opened(path: Path) -> PredictionStore:
    """Return one store object per path, so that files stay open between runs."""
    return PredictionStore(path)
