"""The files of hyperparameters: read with every defect named, edited atomically with a backup."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from marketsim.arguments import is_whole
from marketsim.atomic import new_file, replace_file
from marketsim.bars.symbol import check_symbol
from marketsim.errors import ArgumentError, FileFormatError, UnknownNameError, UnknownSymbolError

KINDS = ("toto", "kronos", "chronos2", "best", "close_policy")
# A file of parameters has a few hundred bytes.
_LARGEST = 1 << 20
# Whatever bounds clamp to, no more than this is meant.
MOST_SAMPLES = 1_000_000


@dataclass(frozen=True)
class ParameterFile:
    """A file of parameters.

    Attributes:
        path: where it is.
        symbol: whose.
        content: all that it says.
    """

    path: Path
    symbol: str
    content: dict[str, Any]

    @property
    def config(self) -> dict[str, Any]:
        """What it says under "config"; nothing where it has no such part."""
        config = self.content.get("config", {})
        if not isinstance(config, dict):
            raise FileFormatError(f'{self.path}: "config" must be an object: got {config!r}')
        return config

    def text(self, name: str, default: str) -> str:
        """What it says under a name, which must be text."""
        value = self.content.get(name, default)
        if not isinstance(value, str):
            raise FileFormatError(f'{self.path}: "{name}" must be text: got {value!r}')
        return value


@dataclass(frozen=True)
class SamplingEdit:
    """What becomes of a symbol's file.

    Attributes:
        path, symbol: the file and whose it is.
        before, after: its config.
        backup: the copy of the file as it was; None where nothing was written.
    """

    path: Path
    symbol: str
    before: dict[str, Any]
    after: dict[str, Any]
    backup: Path | None = None

    @property
    def changes(self) -> bool:
        """Whether the file says something else afterwards."""
        return self.before != self.after


@lru_cache(maxsize=256)
def parameter_path(kind: str, symbol: str, *, root: Path) -> Path:
    """Where the parameters of a symbol are.

    Raises:
        UnknownNameError: no such kind.
        InvalidNameError: the symbol must not become a path.
    """
    if kind not in KINDS:
        raise UnknownNameError("kind of parameters", kind, KINDS)
    return root / kind / f"{check_symbol(symbol)}.json"


def read_parameters(kind: str, symbol: str, *, root: Path) -> ParameterFile | None:
    """The file of a symbol; None where there is none.

    Raises:
        InvalidNameError: the symbol must not become a path.
        FileFormatError: it is no JSON object, names another symbol, or is too large.
        OSError: the system does not let it be read.
    """
    path = parameter_path(kind, symbol, root=root)
    found = _read(path)
    return None if found is None else ParameterFile(path, symbol, _parsed(path, symbol, found))


def list_symbols(kind: str, *, root: Path) -> list[str]:
    """The symbols that have a file, sorted; none where there is no folder.

    Raises:
        InvalidNameError: a file's name is no symbol.
    """
    folder = root / kind
    if not folder.is_dir():
        return []
    return sorted(check_symbol(path.stem) for path in folder.glob("*.json") if path.is_file())


def set_sampling(
    num_samples: int | None,
    samples_per_batch: int | None,
    *,
    root: Path,
    symbols: Iterable[str] | None = None,
    dry_run: bool = False,
    kind: str = "toto",
) -> list[SamplingEdit]:
    """Change num_samples and samples_per_batch in Toto's files, or sample_count in Kronos's.

    All else in them stays.

    All files are read and checked before the first is written. Each is replaced in one step, after
    a copy of it has been made beside it: {SYMBOL}.json.bak-<time in UTC>.

    Args:
        num_samples, samples_per_batch: whole numbers from 1 to 1,000,000; None keeps what each file
            says.
        root: the folder of the parameter files.
        symbols: whose files; all by default.
        dry_run: write nothing.
        kind: "toto" or "kronos", whose `num_samples` is sample_count; it has no batches.

    Returns:
        One entry a file, by symbol; those that said so already have no backup.

    Raises:
        ArgumentError: a number is out of range.
        UnknownSymbolError: there is no file of one of `symbols`, or none at all.
        InvalidNameError: a symbol must not become a path.
        FileFormatError: a file cannot be understood; no file has been changed.
        OSError: the system refuses; files before that one are changed and have their backups.
    """
    wanted = {"num_samples": num_samples, "samples_per_batch": samples_per_batch}
    if kind == "kronos":
        if samples_per_batch is not None:
            raise ArgumentError("Kronos draws its samples in one batch: set num_samples alone")
        wanted = {"sample_count": num_samples}
    changes = {name: _checked(name, n) for name, n in wanted.items() if n is not None}
    known = list_symbols(kind, root=root)
    names = known if symbols is None else sorted({check_symbol(symbol) for symbol in symbols})
    missing = [name for name in names if name not in known]
    if missing or not names:
        raise UnknownSymbolError(missing[0] if missing else "*", known, str(root / kind))
    edits = []
    for name in names:
        file = read_parameters(kind, name, root=root)
        if file is not None:  # nobody has removed it meanwhile
            edits.append((file, SamplingEdit(file.path, name, file.config, file.config | changes)))
    if dry_run:
        return [edit for _, edit in edits]
    return [_write(file, edit, changes) if edit.changes else edit for file, edit in edits]


def _write(file: ParameterFile, edit: SamplingEdit, changes: dict[str, int]) -> SamplingEdit:
    target = file.path.resolve()
    before = target.read_bytes()
    mode = stat.S_IMODE(target.stat().st_mode)
    content = _parsed(file.path, file.symbol, before)
    content["config"] = ParameterFile(file.path, file.symbol, content).config | changes
    backup = _back_up(target, before, mode)
    text = json.dumps(content, indent=2) + "\n"
    replace_file(target, text.encode(), mode)
    return replace(edit, backup=backup)


def _back_up(target: Path, content: bytes, mode: int) -> Path:
    """A copy beside the file, under a name that nothing has yet."""
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    for number in range(1, 1000):
        suffix = stamp if number == 1 else f"{stamp}-{number}"
        backup = target.with_name(f"{target.name}.bak-{suffix}")
        try:
            new_file(backup, content, mode)
        except FileExistsError:
            continue
        return backup
    raise ArgumentError(f"{target} has 999 backups of this second: wait, or remove some")


def _read(path: Path) -> bytes | None:
    try:
        path.stat()  # most symbols have no file: this says so in a fraction of the time of opening
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return None
    if len(content) > _LARGEST:
        raise FileFormatError(f"{path} has more than {_LARGEST:,} bytes: expected parameters")
    return content


def _parsed(path: Path, symbol: str, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content.decode(), object_pairs_hook=_without_repeats)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise FileFormatError(f"{path} is no JSON file of parameters: {error}") from None
    if not isinstance(found, dict):
        raise FileFormatError(f"{path} must hold a JSON object: got {type(found).__name__}")
    if found.get("symbol", symbol) != symbol:
        raise FileFormatError(
            f"{path} is of symbol {found['symbol']!r}: expected {symbol!r}, as its name says"
        )
    return found


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{repeated!r} stands twice in an object")
    return found


def _checked(name: str, value: int) -> int:
    if is_whole(value) and 1 <= value <= MOST_SAMPLES:
        return int(value)
    raise ArgumentError(f"{name} must be a whole number from 1 to {MOST_SAMPLES:,}: got {value!r}")
