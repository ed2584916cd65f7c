"""The exceptions that marketsim raises; each is also the builtin a caller would expect.

MarketsimError
├── BarsError (ValueError)            OHLCV data with defects; `.defects` lists them all
├── BarsFileNotFoundError (FileNotFoundError)  a path, or a folder's content, that does not exist
├── FileFormatError (ValueError)      a file that is not what its name says
├── InvalidNameError (ValueError)     a symbol that must not become a path
├── UnsupportedTypeError (TypeError)  a value of a kind that cannot be kept or compared safely
├── UnknownNameError (ValueError)     a model, strategy, policy or column that does not exist
│   └── UnknownSymbolError (KeyError)  a folder of bars holds no file of that symbol
├── ArgumentError (ValueError)        a value out of its range, or lengths that differ
│   ├── CudaUnavailableError (RuntimeError)  a GPU is asked for and cannot be had
│   └── NoEffectError                a parameter of a search changes nothing; `.result` has the rest
├── CudaError (RuntimeError)          a GPU could not do its work
│   └── CudaMemoryError (MemoryError)  it has not enough memory
├── StorageError (ValueError)         a storage of Optuna that cannot be read
├── NotEnoughBarsError (ValueError)   too few rows for one simulation
├── LegacyInstallError (ImportError)   an old module is imported already, and cannot be replaced
├── MissingDependencyError (ImportError)  an optional package is not installed
├── CheckpointError (ValueError)      a model's files that cannot be read or do not fit together
├── CheckpointNotFoundError (FileNotFoundError)  a model's folder, file or hub id does not exist
├── StrategyError (RuntimeError)     a strategy raised; names the bar, with its own error as cause
├── LookaheadError (ValueError)       a strategy or model reads what it cannot know yet
├── OrderError (ValueError)           a strategy asked for what is no order
├── ModelReleasedError (RuntimeError)  a model is asked for a forecast after it was let go
├── ForecastTableError (ValueError)   a table of forecasts with gaps, duplicates or late rows
└── StoreError                        the prediction store
    ├── StoreNotFoundError (FileNotFoundError)  a store, or part of one, that does not exist
    ├── StoreMissError (LookupError)  forecasts that had to be there are not
    └── StoreWriteError (OSError)     records could not be kept; what was kept is as it was
        └── StoreReadOnlyError        the store may only be read
"""

from __future__ import annotations

from collections.abc import Iterable

from marketsim.text import printable_lines


class MarketsimError(Exception):
    """Base of every error that marketsim raises on purpose.

    Names from outside in its message are made printable: a traceback may end up on a terminal.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*map(_clean, args))


class MarketsimWarning(UserWarning):
    """Base of every warning that marketsim gives; its message is printable."""

    def __init__(self, *args: object) -> None:
        super().__init__(*map(_clean, args))


def _clean(value: object) -> object:
    return printable_lines(value) if isinstance(value, str) else value


class ArgumentError(MarketsimError, ValueError):
    """An argument is out of its range, or lengths differ."""


class CudaUnavailableError(ArgumentError, RuntimeError):
    """A GPU is asked for and cannot be had."""


class StorageError(MarketsimError, ValueError):
    """A storage of Optuna cannot be read: another version wrote it, or it is something else."""


class NoEffectError(ArgumentError):
    """Parameters of a search change nothing.

    Attributes:
        result: what the search found all the same.
    """

    def __init__(self, message: str, result: object = None) -> None:
        super().__init__(message)
        self.result = result


class CudaError(MarketsimError, RuntimeError):
    """A GPU could not do its work."""


class CudaMemoryError(CudaError, MemoryError):
    """A GPU has not enough memory for it."""


class UnsupportedTypeError(MarketsimError, TypeError):
    """A value is of a kind that cannot be kept or compared safely."""


class FileFormatError(MarketsimError, ValueError):
    """A file cannot be read as the format that its name promises."""


class BarsFileNotFoundError(MarketsimError, FileNotFoundError):
    """A file or folder of bars does not exist, or a folder holds no file of bars."""


class InvalidNameError(MarketsimError, ValueError):
    """A symbol holds characters that must not become part of a path or a page."""


class NotEnoughBarsError(MarketsimError, ValueError):
    """There are too few bars for one simulation."""


class LegacyInstallError(MarketsimError, ImportError):
    """A module that is to be replaced has been imported already."""


class MissingDependencyError(MarketsimError, ImportError):
    """An optional package is needed and not installed."""


class CheckpointError(MarketsimError, ValueError):
    """A model's files cannot be read, or do not fit its configuration."""


class CheckpointNotFoundError(MarketsimError, FileNotFoundError):
    """A model's folder, one of its files, or its hub id does not exist or cannot be had."""


class StrategyError(MarketsimError, RuntimeError):
    """A strategy raised; the message names the bar, and its own error is the cause."""


class LookaheadError(MarketsimError, ValueError):
    """A strategy or a model reads what it cannot know yet: which output, which bar, how much."""


class OrderError(MarketsimError, ValueError):
    """A strategy asked for what is no order: after which bar, what was got and expected."""


class ModelReleasedError(MarketsimError, RuntimeError):
    """A model is asked for a forecast after it was let go."""


class ForecastTableError(MarketsimError, ValueError):
    """A table of forecasts cannot be used as it is."""


class StoreError(MarketsimError):
    """Base of the errors of the prediction store."""


class StoreNotFoundError(StoreError, FileNotFoundError):
    """A store, or a part of it that was asked for, does not exist."""


class StoreMissError(StoreError, LookupError):
    """Forecasts are not in a store that was required to hold them all."""


class StoreWriteError(StoreError, OSError):
    """Records could not be kept; what had been kept before is as it was."""


class StoreReadOnlyError(StoreWriteError):
    """The store is open for reading, or lies where it must not be written."""


class ShortSeriesWarning(MarketsimWarning):
    """A window is longer than the rows there are: its values are NaN."""


class LookaheadWarning(MarketsimWarning):
    """A strategy could not be checked for look-ahead."""


class MissingOpenWarning(MarketsimWarning):
    """A profit is a bound over all opens that the bars allow, since none were given."""


class StoreWarning(MarketsimWarning):
    """The prediction store cannot do its work; the run goes on without it."""


class UnknownNameError(MarketsimError, ValueError):
    """A name was given that does not exist; the message lists the ones that do."""

    def __init__(self, kind: str, got: object, known: Iterable[str], hint: str = "") -> None:
        self.kind = kind
        self.got = got
        self.known = tuple(known)
        self.hint = hint
        super().__init__(f"unknown {kind} {got!r}: expected one of {', '.join(self.known)}{hint}")

    def __reduce__(self) -> tuple[type[UnknownNameError], tuple[object, ...]]:
        return type(self), (self.kind, self.got, self.known, self.hint)


class UnknownSymbolError(UnknownNameError, KeyError):
    """A folder of bars holds no file of that symbol; a KeyError too, as mappings promise.

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
    """A function of the old modules was replaced by a program, and that cannot be honoured."""


class BarsError(MarketsimError, ValueError):
    """OHLCV data that cannot be used as they are.

    Attributes:
        defects: one `marketsim.bars.Defect` for each kind of defect found, in one pass.
        understood: how the source was read before the defects were found, in words.

    """

    def __init__(
        self, message: str, defects: Iterable[object] = (), understood: Iterable[str] = ()
    ) -> None:
        self.defects = tuple(defects)
        self.understood = tuple(understood)
        super().__init__(message)


class GenesisBarError(MarketsimError, RuntimeError):
    """A bar of a run of the second old system cannot be computed: which, when and why."""


class UnreadSettingError(MarketsimError, ValueError):
    """A setting is given that nothing reads; the message names its path, and the right one."""


class GenesisWarning(UserWarning):
    """A setting or file of the second old system has no effect, or less than its name says."""
