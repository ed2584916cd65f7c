"""The exceptions and warnings of marketsim; each is also the builtin that a caller would expect.

MarketsimError
├── BarsError (ValueError)            OHLCV data have defects; `.defects` lists them all
├── BarsFileNotFoundError (FileNotFoundError)  a file or folder of bars does not exist
├── FileFormatError (ValueError)      a file does not have the format that its name says
├── InvalidNameError (ValueError)     a symbol may not become part of a path
├── UnsupportedTypeError (TypeError)  a value has a type that cannot be stored or compared
├── UnknownNameError (ValueError)     no model, strategy, policy or column has this name
│   └── UnknownSymbolError (KeyError)  a folder holds no bars of this symbol
├── ArgumentError (ValueError)        an argument is out of range, or lengths differ
│   ├── CudaUnavailableError (RuntimeError)  no GPU is available
│   └── NoEffectError                parameters of a search change nothing; `.result` has the rest
├── CudaError (RuntimeError)          a GPU call failed
│   └── CudaMemoryError (MemoryError)  the GPU has too little memory
├── StorageError (ValueError)         an Optuna storage cannot be read
├── NotEnoughBarsError (ValueError)   there are too few bars for one simulation
├── MissingDependencyError (ImportError)  an optional package is not installed
├── CheckpointError (ValueError)      a model's files are damaged or do not fit together
├── CheckpointNotFoundError (FileNotFoundError)  a model's folder, file or hub id does not exist
├── StrategyError (RuntimeError)      a strategy raised; the message names the bar
├── LookaheadError (ValueError)       a strategy or model reads the future
├── OrderError (ValueError)           a strategy placed an invalid order
├── ModelReleasedError (RuntimeError)  a model was used after its release
├── ForecastTableError (ValueError)   a table of forecasts has gaps, duplicates or late rows
├── SourceError (ConnectionError)     a data source cannot be reached, or refuses
├── ClusterError (RuntimeError)       a cluster, or a node of it, cannot be used
├── LegacyInstallError (ImportError)  an old module was imported before its replacement
├── LegacyReplacementError (TypeError)  a replaced function of the old modules cannot be used
├── GenesisBarError (RuntimeError)    a bar of a Genesis-Core run cannot be computed
├── UnreadSettingError (ValueError)   a setting exists that nothing reads
└── StoreError                        base of the prediction store's errors
    ├── StoreNotFoundError (FileNotFoundError)  a store, or a part of it, does not exist
    ├── StoreMissError (LookupError)  required forecasts are not in the store
    └── StoreWriteError (OSError)     records could not be written; earlier ones are unchanged
        └── StoreReadOnlyError        the store is read-only

MarketsimWarning (UserWarning)
├── ShortSeriesWarning                a window is longer than the series
├── LookaheadWarning                  a strategy could not be checked for look-ahead
├── MissingOpenWarning                a profit is an upper bound, because no opens were given
├── StoreWarning                      the run continues without the prediction store
└── GenesisWarning                    a Genesis-Core setting or file has no effect
"""

from __future__ import annotations

from collections.abc import Iterable

from marketsim.text import printable_lines


class MarketsimError(Exception):
    """Base of all errors of marketsim.

    The message escapes control characters in names from outside: a traceback may reach a terminal.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*map(_clean, args))


class MarketsimWarning(UserWarning):
    """Base of all warnings of marketsim; the message escapes control characters."""

    def __init__(self, *args: object) -> None:
        super().__init__(*map(_clean, args))


def _clean(value: object) -> object:
    return printable_lines(value) if isinstance(value, str) else value


class ArgumentError(MarketsimError, ValueError):
    """An argument is out of its range, or lengths differ."""


class CudaUnavailableError(ArgumentError, RuntimeError):
    """A GPU was requested and none is available."""


class StorageError(MarketsimError, ValueError):
    """An Optuna storage cannot be read: another version wrote it, or it is another kind of file."""


class NoEffectError(ArgumentError):
    """Parameters of a search change nothing.

    Attributes:
        result: the result of the search over the other parameters.
    """

    def __init__(self, message: str, result: object = None) -> None:
        super().__init__(message)
        self.result = result


class CudaError(MarketsimError, RuntimeError):
    """A GPU call failed."""


class CudaMemoryError(CudaError, MemoryError):
    """The GPU has too little free memory for the call."""


class UnsupportedTypeError(MarketsimError, TypeError):
    """A value has a type that cannot be stored or compared safely."""


class FileFormatError(MarketsimError, ValueError):
    """A file cannot be read in the format that its name says."""


class BarsFileNotFoundError(MarketsimError, FileNotFoundError):
    """A file or folder of bars does not exist, or the folder holds no bars."""


class InvalidNameError(MarketsimError, ValueError):
    """A symbol holds characters that may not become part of a path or page."""


class NotEnoughBarsError(MarketsimError, ValueError):
    """There are too few bars for one simulation."""


class LegacyInstallError(MarketsimError, ImportError):
    """An old module was imported before its replacement was installed."""


class MissingDependencyError(MarketsimError, ImportError):
    """An optional package is required and not installed."""


class CheckpointError(MarketsimError, ValueError):
    """A model's files cannot be read, or do not match its configuration."""


class CheckpointNotFoundError(MarketsimError, FileNotFoundError):
    """A model's folder, file or hub id does not exist or cannot be downloaded."""


class StrategyError(MarketsimError, RuntimeError):
    """A strategy raised; the message names the bar, `__cause__` is the strategy's own error."""


class LookaheadError(MarketsimError, ValueError):
    """A strategy or model reads the future; the message names output, bar and size of the leak."""


class OrderError(MarketsimError, ValueError):
    """A strategy placed an invalid order; the message names bar, got and expected."""


class ModelReleasedError(MarketsimError, RuntimeError):
    """A model was used after its release."""


class ForecastTableError(MarketsimError, ValueError):
    """A table of forecasts has gaps, duplicates, unknown columns or rows known too late."""


class SourceError(MarketsimError, ConnectionError):
    """A data source cannot be reached, or does not know the symbol."""


class ClusterError(MarketsimError, RuntimeError):
    """A cluster does not answer, or a node of it cannot do the work; the message names it."""


class StoreError(MarketsimError):
    """Base of the prediction store's errors."""


class StoreNotFoundError(StoreError, FileNotFoundError):
    """A store, or the requested part of it, does not exist."""


class StoreMissError(StoreError, LookupError):
    """Forecasts are missing from a store that must hold all of them."""


class StoreWriteError(StoreError, OSError):
    """Records could not be written; records written before are unchanged."""


class StoreReadOnlyError(StoreWriteError):
    """The store is open for reading only, or lies in a read-only place."""


class ShortSeriesWarning(MarketsimWarning):
    """A window is longer than the series; the values are NaN."""


class LookaheadWarning(MarketsimWarning):
    """A strategy could not be checked for look-ahead."""


class MissingOpenWarning(MarketsimWarning):
    """A profit is an upper bound over all possible opens, because no opens were given."""


class StoreWarning(MarketsimWarning):
    """The prediction store cannot be used; the run continues without it."""


class UnknownNameError(MarketsimError, ValueError):
    """No such name; the message lists the known ones."""

    def __init__(self, kind: str, got: object, known: Iterable[str], hint: str = "") -> None:
        self.kind = kind
        self.got = got
        self.known = tuple(known)
        self.hint = hint
        super().__init__(f"unknown {kind} {got!r}: expected one of {', '.join(self.known)}{hint}")

    def __reduce__(self) -> tuple[type[UnknownNameError], tuple[object, ...]]:
        return type(self), (self.kind, self.got, self.known, self.hint)


class UnknownSymbolError(UnknownNameError, KeyError):
    """A folder holds no bars of this symbol; a KeyError too, as for any mapping.

    Attributes:
        known: every symbol that the folder holds; the message names the first 20.

    """

    def __init__(self, got: object, known: Iterable[str], where: str) -> None:
        super().__init__("symbol", got, known)
        self.where = where
        shown = ", ".join(self.known[:20]) or "none"
        more = f" and {len(self.known) - 20} more" if len(self.known) > 20 else ""
        self.args = (f"unknown symbol {got!r}: {where} holds {shown}{more}",)

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show the message in quotes

    def __reduce__(self) -> tuple[type[UnknownSymbolError], tuple[object, ...]]:
        return type(self), (self.got, self.known, self.where)


class LegacyReplacementError(MarketsimError, TypeError):
    """A program replaced a function of the old modules, and the replacement cannot be used."""


class BarsError(MarketsimError, ValueError):
    """OHLCV data have defects.

    Attributes:
        defects: one `marketsim.bars.Defect` for each kind of defect.
        understood: how the source was read (layout, dates, columns), in words.

    """

    def __init__(
        self, message: str, defects: Iterable[object] = (), understood: Iterable[str] = ()
    ) -> None:
        self.defects = tuple(defects)
        self.understood = tuple(understood)
        super().__init__(message)


class GenesisBarError(MarketsimError, RuntimeError):
    """A bar of a Genesis-Core run cannot be computed; the message names bar, time and cause."""


class UnreadSettingError(MarketsimError, ValueError):
    """A setting exists that nothing reads; the message names its path and the nearest known one."""


class GenesisWarning(UserWarning):
    """A Genesis-Core setting or file has no effect, or less than its name says."""
