"""Arguments that several sub-commands share: the model, where bars come from, and the store."""

from __future__ import annotations

import argparse
import math
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketsim.errors import ArgumentError, MarketsimError

if TYPE_CHECKING:
    from marketsim.bars import Bars, BarsFolder
    from marketsim.forecasts import ForecastStore
    from marketsim.models import Model


EXIT_PARTIAL = 3  # some symbols of a folder could not be run


class Names(argparse.Action):
    """Names as separate arguments, with commas, or both."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: Any
    ) -> None:
        """Keep the names, or say that there are none."""
        names = [name for value in values for name in value.split(",") if name]
        if not names:
            parser.error(f"{self.option_strings[0]}: expected at least one name")
        setattr(namespace, self.dest, names)


# Options of an argument that takes names.
NAMES: dict[str, Any] = {"nargs": "+", "action": Names}


def add_with_default(
    group: argparse._ArgumentGroup, flag: str, help: str, default: Any, **options: Any
) -> None:
    """An option whose help names its default."""
    group.add_argument(flag, default=default, help=f"{help} (default: {default})", **options)


# Options of models: given to `load_model` only where the command line has them, so that a model
# that has no such option refuses nothing that nobody asked for.
_MODEL_OPTIONS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("--device", {"metavar": "DEVICE"}, "cpu, cuda or cuda:<index> (default: cpu)"),
    (
        "--dtype",
        {"metavar": "NAME"},
        "precision of matrix products: float32, bfloat16, or float16 on a GPU (default: float32)",
    ),
    ("--compile", {"action": "store_true"}, "translate the network with torch.compile"),
    (
        "--context-length",
        {"metavar": "N"},
        "last values that a forecast sees, or all (default: the model's own)",
    ),
    (
        "--variates",
        {"metavar": "KIND"},
        "independent: each target by itself; joint: from the past of all (default: independent)",
    ),
    ("--quantize", {"metavar": "KIND"}, "int8: weights in 8 bits, through torchao"),
    ("--revision", {"metavar": "NAME"}, "branch, tag or commit of a hub id"),
    ("--offline", {"action": "store_true"}, "use what has been downloaded, ask no server"),
)


def add_model_arguments(group: argparse._ArgumentGroup, *, several: bool = False) -> None:
    """What forecasts, and how it computes; `several` takes a list of models."""
    more: dict[str, Any] = {"nargs": "+"} if several else {}
    add_with_default(
        group,
        "--model",
        "ewma, range, climatology, persistence, a checkpoint's folder, or a hub id such as "
        "Datadog/Toto-2.0-22m",
        "ewma",
        metavar="NAME",
        **more,
    )
    for flag, options, help in _MODEL_OPTIONS:
        group.add_argument(flag, default=argparse.SUPPRESS, help=help, **options)


def loaded_model(args: argparse.Namespace) -> Model:
    """The model that `add_model_arguments` was told; its weights are read when they are needed.

    Raises:
        ArgumentError: --context-length is no whole number; else as `load_model`.
    """
    from marketsim.models import load_model

    given = vars(args)
    names = [flag.removeprefix("--").replace("-", "_") for flag, _, _ in _MODEL_OPTIONS]
    options = {name: given[name] for name in names if name in given}
    if "context_length" in options:
        options["context_length"] = _context_length(options["context_length"])
    return load_model(args.model, **options)


def _context_length(text: str) -> int | None:
    if text == "all":
        return None
    try:
        return int(text)
    except ValueError:
        raise ArgumentError(
            f"--context-length must be a whole number or all: got {text!r}"
        ) from None


def add_plan_arguments(group: argparse._ArgumentGroup) -> None:
    """What decides which forecasts a run needs, besides the model."""
    group.add_argument(
        "--simulations",
        type=_simulations,
        metavar="N|all",
        help="as-of dates, the newest ones, or all (default: 70, or all from --start on)",
    )
    group.add_argument("--start", metavar="DATE", help="first date to evaluate (default: any)")
    group.add_argument("--end", metavar="DATE", help="last date to evaluate (default: the last)")
    for flag, help, default, unit in (
        ("--window", "days each simulation is validated on", 7, "DAYS"),
        ("--offset-window", "days that offsets are fitted on", 60, "DAYS"),
        ("--purge", "days between fit and decision", 0, "DAYS"),
        ("--embargo", "days skipped between as-of dates", 0, "DAYS"),
    ):
        add_with_default(group, flag, help, default, type=int, metavar=unit)


def _simulations(text: str) -> int | str:
    if text == "all":
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number or all: got {text!r}") from None


_READING: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("--layout", {"metavar": "NAME"}, "of the file, such as metatrader5 (default: by evidence)"),
    (
        "--columns",
        NAMES | {"metavar": "ROLE=NAME"},
        "which column is what: open=o high=h timestamp=MTS",
    ),
    ("--date-format", {"metavar": "FORMAT"}, "such as %%d/%%m/%%Y, or a Unix unit: s, ms, us, ns"),
    ("--dayfirst", {"choices": ("yes", "no")}, "order of day and month where no row proves it"),
    ("--decimal", {"choices": (".", ",")}, "decimal mark where no cell proves it"),
    ("--splits", {"choices": ("adjust", "ignore")}, "splits that are not in the prices"),
    (
        "--calendar",
        {"metavar": "NAME"},
        "24/7, 24/5 or an exchange such as XNYS (default: judged by the bars)",
    ),
)


def read_options(args: argparse.Namespace) -> dict[str, Any]:
    """What `add_data_arguments` was told, as `read_bars` takes it.

    Raises:
        ArgumentError: an entry of --columns has no "=".
    """
    return {
        "timezone": args.timezone,
        "adjusted": {"yes": True, "no": False, "auto": "auto", None: None}[args.adjusted],
        "repair": args.repair or (),
        "layout": args.layout,
        "columns": _columns(args.columns),
        "date_format": args.date_format,
        "dayfirst": None if args.dayfirst is None else args.dayfirst == "yes",
        "decimal": args.decimal,
        "splits": args.splits,
        "calendar": args.calendar,
    }


def _columns(entries: list[str] | None) -> dict[str, str] | None:
    if not entries:
        return None
    wrong = [entry for entry in entries if "=" not in entry]
    if wrong:
        raise ArgumentError(f"--columns takes ROLE=NAME, such as open=o: got {', '.join(wrong)}")
    return dict(entry.split("=", 1) for entry in entries)


def report_reading(bars: Bars, args: argparse.Namespace) -> None:
    """Say what was repaired, above the table; and on stderr how the source was understood.

    Plain sources need no word; what was changed always gets one.
    """
    for text in bars.repairs:
        print(f"{bars.symbol}: {text}", file=sys.stderr if getattr(args, "json", False) else None)
    for text in bars.notes:
        if text != "timestamps read as ISO dates":
            print(f"{bars.symbol}: {text}", file=sys.stderr)


def folder_exit(found: int, errors: int) -> int:
    """0 if all symbols ran, 3 if some did, 2 if none."""
    return 0 if not errors else EXIT_PARTIAL if found else 2


def add_data_arguments(group: argparse._ArgumentGroup) -> None:
    """Which symbols are read, and how."""
    group.add_argument(
        "--symbols",
        **NAMES,
        metavar="SYMBOL",
        help="which of a folder (default: all); for a file what to call its symbol",
    )
    group.add_argument(
        "--symbol", metavar="SYMBOL", help="one of a table of several, or what to call the bars"
    )
    group.add_argument(
        "--timezone", metavar="ZONE", help="of bare timestamps (default: as documented, else UTC)"
    )
    group.add_argument(
        "--adjusted",
        choices=("yes", "no", "auto"),
        help="scale prices by adj close, ignore it, or scale where there is one",
    )
    for flag, options, help in _READING:
        group.add_argument(flag, help=help, **options)
    group.add_argument(
        "--repair", **NAMES, metavar="NAME", help="repair defects; an error names the repairs"
    )


def add_store_arguments(group: argparse._ArgumentGroup) -> None:
    """Where forecasts are kept."""
    choice = group.add_mutually_exclusive_group()
    choice.add_argument(
        "--store",
        type=Path,
        metavar="PATH",
        help="folder of kept forecasts (default: MARKETSIM_STORE, or marketsim/store in the "
        "user's cache folder)",
    )
    choice.add_argument(
        "--no-store", action="store_true", help="forget the forecasts when the run is over"
    )
    add_lock_timeout(group)


def add_lock_timeout(group: argparse._ActionsContainer) -> None:
    """How long to wait for another process that writes to the store."""
    group.add_argument(
        "--lock-timeout",
        type=_seconds,
        default=10.0,
        metavar="SECONDS",
        help="how long to wait for another process that writes to the store (default: 10)",
    )


def _seconds(text: str) -> float:
    value = float(text) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) else -1.0
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected seconds, 0 or more: got {text!r}")
    return value


def opened_store(args: argparse.Namespace) -> ForecastStore | None:
    """The store that `add_store_arguments` was told; None for none."""
    from marketsim.forecasts import PredictionStore, open_store

    store = open_store(False if args.no_store else args.store)
    if isinstance(store, PredictionStore):
        store.lock_timeout = args.lock_timeout
    return store


def read_source(args: argparse.Namespace) -> Bars:
    """The bars of one symbol: a file, or the demo.

    Raises:
        ArgumentError: several symbols for one file, or options that the demo has no use for; else
            as `read_bars`.
    """
    from marketsim.bars import demo_bars, read_bars

    if args.source == "demo":
        _refuse_for_demo(args)
        return demo_bars()
    if args.symbol is not None and args.symbols:
        raise ArgumentError("--symbol and --symbols exclude each other: got both")
    if args.symbols and len(args.symbols) > 1:
        raise ArgumentError(
            f"--symbols takes one name for a file, which is what its symbol is called: got "
            f"{', '.join(args.symbols)} for {args.source}; several choose from a folder"
        )
    symbol = args.symbols[0] if args.symbols else args.symbol
    bars = read_bars(args.source, symbol=symbol, **read_options(args))
    report_reading(bars, args)
    return bars


def _refuse_for_demo(args: argparse.Namespace) -> None:
    names = ("symbols", "symbol", "timezone", "adjusted", "repair")
    more = [flag.removeprefix("--").replace("-", "_") for flag, _, _ in _READING]
    got = [f"--{name}" for name in (*names, *more) if getattr(args, name) is not None]
    if got:
        every = ", ".join(f"--{name}" for name in names)
        raise ArgumentError(
            f"the demo data are read as they are: got {', '.join(got)}, expected none of {every}; "
            "leave them away, or give a file (./demo for one of that name)"
        )


def read_folder_source(args: argparse.Namespace) -> BarsFolder:
    """The bars of a folder by symbol, read when they are asked for.

    Files that are no bars are named on stderr, and do not count as symbols that failed.
    """
    from marketsim.bars import read_folder

    symbols = [args.symbol] if args.symbol is not None else args.symbols
    folder = read_folder(args.source, symbols=symbols, **read_options(args))
    for name, why in folder.skipped.items():
        print(f"left out {name}: {why}", file=sys.stderr)
    return folder


def number(text: str) -> float:
    """A rate as 5bps, 0.05% or 0.0005; infinite where it is none."""
    match = re.fullmatch(r"\s*([-+]?[0-9.]+(?:[eE][-+]?\d+)?)\s*(bps?|%)?\s*", text)
    scale = {None: 1.0, "bp": 1e-4, "bps": 1e-4, "%": 1e-2}
    try:
        return float(match[1]) * scale[match[2]] if match else math.inf
    except ValueError:
        return math.inf


def fee(text: str) -> float:
    """A fee as a fraction: 5bps, 0.05% or 0.0005."""
    value = number(text)
    if not abs(value) < 0.05:
        raise argparse.ArgumentTypeError(
            f"expected a fee below 5 %, as 5bps, 0.05%, 0.0005, or -1bps for a rebate: got {text!r}"
        )
    return value


def read_all(args: argparse.Namespace) -> tuple[list[Bars], dict[str, str]]:
    """The bars of a file, a folder or the demo, and why some symbols of a folder cannot be read.

    Raises:
        ArgumentError: a folder without a symbol that can be read; else as `read_source`.
    """
    if args.source == "demo" or not Path(args.source).is_dir():
        return [read_source(args)], {}
    folder = read_folder_source(args)
    errors = dict(folder.problems)
    bars = []
    for symbol in folder:
        try:
            bars.append(folder[symbol])
            report_reading(bars[-1], args)
        except (MarketsimError, OSError) as error:
            errors[symbol] = str(error)
    if not bars:
        why = "; ".join(f"{name}: {text}" for name, text in list(errors.items())[:3])
        raise ArgumentError(f"{args.source} has no symbol that can be read: {why or 'it is empty'}")
    return bars, errors
