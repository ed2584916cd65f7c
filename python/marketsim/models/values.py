"""What values of common kinds hold: dates, paths, enumerations, frames and series of pandas.

Digests of code (code.py) meet such values as globals, defaults and attributes.
"""

from __future__ import annotations

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import logging
import operator
import pathlib
import re
import threading
import types
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any

import numpy as np

# Kinds whose text says all that they are.
_BY_TEXT: frozenset[type] = frozenset(
    {datetime.date, datetime.timedelta, datetime.timezone, decimal.Decimal, fractions.Fraction,
     uuid.UUID, range, type(...), type(NotImplemented), types.GenericAlias, types.UnionType}
)  # fmt: skip
_Default: type = type(dataclasses._HAS_DEFAULT_FACTORY)  # type: ignore[attr-defined]
# Kinds that decide no result, whatever they hold.
_WITHOUT_EFFECT: tuple[type, ...] = (
    logging.Logger, logging.LoggerAdapter, type(threading.Lock()), type(threading.RLock()),
    _Default,
)  # fmt: skip
_OF_ENUM_MEMBERS = frozenset({"_value_", "_name_", "__objclass__", "_sort_order_"})
_SIMPLE_DTYPES = "biufcSUmM"


def contents_of(thing: Any) -> tuple[Any, ...] | None:
    """Simpler values that say all that a value is, its kind first; None of a kind unknown here.

    Equal contents mean equal values. Classes of one's own that derive from these kinds are not
    known, but for enumerations and arrays: they may have methods.

    Example:
        >>> contents_of(datetime.date(2020, 1, 31))
        ('datetime.date', 'datetime.date(2020, 1, 31)')
    """
    kind = type(thing)
    if kind in _BY_TEXT:
        return _name(kind), repr(thing)
    if kind in _CONTENTS:
        return _name(kind), *_CONTENTS[kind](thing)
    if isinstance(thing, enum.Enum):
        return (kind, *_member(thing))
    if isinstance(thing, np.ndarray):
        return _array(thing)
    if kind is zoneinfo.ZoneInfo:
        return None if thing.key is None else (_name(kind), thing.key)
    if isinstance(thing, np.dtype):
        return "dtype", repr(thing)
    if isinstance(thing, _WITHOUT_EFFECT):
        return (_name(kind),)
    if isinstance(thing, pathlib.PurePath) and kind.__module__.startswith("pathlib"):
        return _name(kind), str(thing)
    if kind.__module__.partition(".")[0] == "pandas":
        return _of_pandas(thing)
    if kind.__module__.partition(".")[0] == "pytz":
        return _name(kind), repr(thing), str(thing)
    return None


def enum_contents(kind: type[enum.Enum]) -> dict[str, Any]:
    """What an enumeration defines: its members in order, then methods and other attributes."""
    callables = (types.FunctionType, classmethod, staticmethod, property)
    hidden = f"_{kind.__name__}__"
    own = {
        name: value
        for name, value in vars(kind).items()
        if name not in kind.__members__
        and (isinstance(value, callables) or name.startswith(hidden) or not name.startswith("_"))
    }
    return {"members": [_member(one) for one in kind.__members__.values()], **own}


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _member(one: enum.Enum) -> tuple[Any, ...]:
    more = {name: value for name, value in vars(one).items() if name not in _OF_ENUM_MEMBERS}
    return one.name, one.value, more


def _array(values: np.ndarray[Any, Any]) -> tuple[Any, ...] | None:
    """Arrays that are more than plain numbers; None of those that are not."""
    kind = type(values)
    if isinstance(values, np.ma.MaskedArray):
        more = np.ma.getmaskarray(values), values.fill_value, values.hardmask
        return _name(kind), values.data, *more
    if kind not in (np.ndarray, np.memmap):
        return _name(kind), np.asarray(values), dict(getattr(values, "__dict__", {}))
    if values.dtype.kind == "V" and not values.dtype.hasobject:
        return "ndarray", repr(values.dtype), values.shape, values.tobytes()
    if values.dtype.kind not in _SIMPLE_DTYPES:
        return "ndarray", repr(values.dtype), values.shape, values.astype(object).ravel().tolist()
    return None


def _zoned(moment: datetime.datetime | datetime.time) -> tuple[Any, ...]:
    return moment.replace(tzinfo=None).isoformat(), moment.fold, moment.tzinfo


_CONTENTS: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    datetime.datetime: _zoned,
    datetime.time: _zoned,
    slice: lambda one: (one.start, one.stop, one.step),
    re.Pattern: lambda one: (one.pattern, one.flags),
    bytearray: lambda one: (bytes(one),),
    array.array: lambda one: (one.typecode, one.tobytes()),
    collections.deque: lambda one: (one.maxlen, list(one)),
    collections.ChainMap: lambda one: (list(one.maps),),
    types.MappingProxyType: lambda one: (dict(one),),
    types.SimpleNamespace: lambda one: (vars(one),),
    operator.itemgetter: lambda one: tuple(one.__reduce__()[1]),
    operator.attrgetter: lambda one: tuple(one.__reduce__()[1]),
    operator.methodcaller: lambda one: (repr(one),),
    np.busdaycalendar: lambda one: (one.weekmask, one.holidays),
}


def _of_pandas(thing: Any) -> tuple[Any, ...] | None:
    import pandas as pd

    kind = type(thing)
    name = _name(kind)
    if thing is pd.NaT or thing is pd.NA:
        return (name,)
    if kind is pd.DataFrame:
        columns = [thing.iloc[:, at].array for at in range(thing.shape[1])]
        return name, thing.columns, thing.index, columns, thing.attrs
    if kind is pd.Series:
        return name, thing.name, thing.index, thing.array, thing.attrs
    if kind is pd.MultiIndex:
        return name, list(thing.names), list(thing.levels), [np.asarray(c) for c in thing.codes]
    if isinstance(thing, pd.Index):
        return name, thing.name, thing.array, getattr(thing, "freqstr", None)
    if kind is pd.Timestamp:
        return name, thing.isoformat(), thing.unit, thing.fold, str(thing.tz)
    if kind is pd.Timedelta:
        return name, thing.value, thing.unit
    if kind is pd.Period:
        return name, thing.ordinal, thing.freqstr
    if kind is pd.Interval:
        return name, thing.left, thing.right, thing.closed
    if isinstance(thing, pd.offsets.BaseOffset):
        return name, thing.n, thing.freqstr, getattr(thing, "normalize", None), thing.kwds
    if isinstance(thing, pd.CategoricalDtype):
        return name, thing.categories, thing.ordered
    if isinstance(thing, pd.api.extensions.ExtensionDtype):
        return name, repr(thing)
    if isinstance(thing, pd.api.extensions.ExtensionArray):
        return _pandas_array(thing)
    return None


def _pandas_array(values: Any) -> tuple[Any, ...]:
    import pandas as pd

    kind, name = type(values), _name(type(values))
    if kind is pd.arrays.NumpyExtensionArray:
        return name, values.to_numpy()
    if kind is pd.Categorical:
        return name, values.categories, values.ordered, values.codes
    if hasattr(values, "asi8"):  # moments, durations and periods, as counts of their unit
        return name, repr(values.dtype), values.asi8
    return name, repr(values.dtype), np.asarray(values, dtype=object)
