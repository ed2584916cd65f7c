"""Which store a run uses: the one it is given, or the user's own."""

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

# None: the user's own. False: none, forecasts are kept for this run only. A path: the store there.
StoreLike: TypeAlias = "ForecastStore | str | os.PathLike[str] | Literal[False] | None"


def default_store_path() -> Path | None:
    """Where the user's store is: MARKETSIM_STORE, or marketsim/store in the user's cache folder.

    None where MARKETSIM_STORE is "off", and, with a StoreWarning, where this user has no home.
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
            "forecasts are not kept: this user has no home folder; set HOME, XDG_CACHE_HOME or "
            "MARKETSIM_STORE",
            StoreWarning,
            stacklevel=3,
        )
        return None


def user_cache_folder() -> Path:
    """Where marketsim keeps what it can make again: marketsim in the user's cache folder.

    Raises:
        RuntimeError: this user has no home folder.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # A relative path is to be ignored: XDG Base Directory Specification 0.8.
    folder = cache if cache.is_absolute() else Path.home() / ".cache"
    return folder / "marketsim"


def open_store(store: StoreLike = None) -> ForecastStore | None:
    """The store that is meant; None where there is to be none.

    Raises:
        ArgumentError: it is none of what `StoreLike` says.
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
# The store that was last meant by a path as it was written.
_meant: dict[str, PredictionStore] = {}


def _at(path: Path) -> PredictionStore:
    """The store at a path, which is followed anew unless it still leads to the folder of before."""
    with contextlib.suppress(RuntimeError):  # no home: `absolute_path` says so
        path = path.expanduser()
    known = _meant.get(str(path))
    try:
        if known is not None and path.samefile(known.path):
            return known
    except OSError:
        pass  # it is not there (any more)
    if len(_meant) >= _MOST_PATHS:
        _meant.clear()
    _meant[str(path)] = found = _opened(absolute_path(path))
    return found


@lru_cache(maxsize=8)
def _opened(path: Path) -> PredictionStore:
    """One object a path, so that files stay open from run to run."""
    return PredictionStore(path)
