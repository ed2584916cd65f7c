"""Arguments that several sub-commands share: model, bars and store."""

from __future__ import annotations

import argparse
import functools
import math
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketsim.cli.flags import as_flags
from marketsim.cli.parser import give_back_source
from marketsim.errors import ArgumentError, MarketsimError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marketsim.bars import Bars, BarsFolder
    from marketsim.forecasts import ForecastStore
    from marketsim.models import Model


EXIT_PARTIAL = 3  # some symbols of a folder could not be run
EXIT_INTERRUPTED = 130


class Names(argparse.Action):
    """Parse names given as separate arguments, with commas, or both."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: Any
    ) -> None:
        """Set the names; an empty list is an error."""
        values = give_back_source(parser, namespace, values)
        names = [name for value in values for name in value.split(",") if name]
        if not names:
            parser.error(f"{self.option_strings[0]}: expected at least one name")
        setattr(namespace, self.dest, names)


# Options of an argument that accepts names.
NAMES: dict[str, Any] = {"nargs": "+", "action": Names}


def add_with_default(
    group: argparse._ArgumentGroup, flag: str, help: str, default: Any, **options: Any
) -> None:
    """Add an option whose help states its default."""
    group.add_argument(flag, default=default, help=f"{help} (default: {default})", **options)


# Options of models, passed to `load_model` only if present on the command line: a model without an
# option then refuses it only when the user states it.
_MODEL_OPTIONS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("--device", {"metavar": "DEVICE"}, "device: cpu, cuda or cuda:<index> (default: cpu)"),
    (
        "--dtype",
        {"metavar": "NAME"},
        "precision of matrix products: float32, bfloat16, or float16 on a GPU (default: float32)",
    ),
    ("--compile", {"action": "store_true"}, "compile the network with torch.compile"),
    (
        "--context-length",
        {"metavar": "N"},
        "number of last values that a forecast reads, or all (default: the model's own)",
    ),
    (
        "--variates",
        {"metavar": "KIND"},
        "independent: each target from its own past; joint: from the past of all targets "
        "(default: independent)",
    ),
    (
        "--scale",
        {"metavar": "MODEL"},
        "model of range that forecasts the log variance (default: a regression)",
    ),
    ("--tokenizer", {"metavar": "PATH"}, "folder or hub id of the tokenizer of Kronos"),
    (
        "--option",
        {"metavar": "NAME=VALUE", **NAMES},
        "other options of load_model, such as samples=128 temperature=0.8 top_p=0.95 (Kronos) or "
        "window=500 (range)",
    ),
    ("--quantize", {"metavar": "KIND"}, "int8: weights in 8 bits, through torchao"),
    ("--revision", {"metavar": "NAME"}, "branch, tag or commit of a hub id"),
    ("--offline", {"action": "store_true"}, "use downloaded files only, contact no server"),
)


def add_model_arguments(group: argparse._ArgumentGroup, *, several: bool = False) -> None:
    """Add the arguments of the model; `several` accepts a list of models."""
    more: dict[str, Any] = NAMES if several else {}
    add_with_default(
        group,
        "--model",
        "range, ewma, climatology, garch, persistence, a checkpoint folder, or a hub id such as "
        "Datadog/Toto-2.0-22m",
        "range",
        metavar="NAME",
        **more,
    )
    group.add_argument(
        "--targets",
        choices=("close", "own"),
        help="kind of forecast. close: moves of the four prices against the previous close; own: "
        "each column's own one-bar returns (default: close if the model forecasts it)",
    )
    for flag, options, help in _MODEL_OPTIONS:
        group.add_argument(flag, default=argparse.SUPPRESS, help=help, **options)


def model_names(args: argparse.Namespace) -> list[str]:
    """Return the names of --model as a list."""
    return [args.model] if isinstance(args.model, str) else list(args.model)


def loaded_model(args: argparse.Namespace, name: str | None = None) -> Model:
    """Load the model of `add_model_arguments`, or the named one of several.

    Its weights are read on first use. One of several models is given the options that it has; each
    option must be one of a model's.

    Raises:
        ArgumentError: an option that has no such value, or that none of the models has; else as
            `load_model`.
    """
    from marketsim.models import load_model

    given = vars(args)
    names = [flag.removeprefix("--").replace("-", "_") for flag, _, _ in _MODEL_OPTIONS]
    options = {name: given[name] for name in names if name in given}
    options |= _further(options.pop("option", []))
    if "context_length" in options:
        options["context_length"] = _context_length(str(options["context_length"]))
    chosen = args.model if name is None else name
    several = model_names(args)
    return load_model(chosen, **(_shared(several, chosen, options) if name else options))


def _shared(models: list[str], chosen: str, options: dict[str, Any]) -> dict[str, Any]:
    """Select the options that one of several models has."""
    from marketsim.models.load import model_options

    if len(models) < 2 or not options:
        return options
    where = {key: options[key] for key in ("revision", "offline") if key in options}
    known = {model: model_options(model, **where) for model in models}
    for option in options:
        if not any(option in one for one in known.values()):
            raise ArgumentError(f"none of the models {', '.join(models)} has the option {option}")
    return {key: value for key, value in options.items() if key in known[chosen]}


def _further(entries: list[str]) -> dict[str, Any]:
    """Parse NAME=VALUE; values are numbers, true, false, none or text."""
    wrong = [entry for entry in entries if "=" not in entry]
    if wrong:
        raise ArgumentError(f"--option takes NAME=VALUE, as in samples=128: got {', '.join(wrong)}")
    return {name: _value(text) for name, text in (entry.split("=", 1) for entry in entries)}


def _value(text: str) -> Any:
    for parse in (int, float):
        try:
            return parse(text)
        except ValueError:
            continue
    return {"true": True, "false": False, "none": None}.get(text.lower(), text)


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
    """Add the arguments that determine the forecasts of a run, besides the model."""
    group.add_argument(
        "--simulations",
        type=_simulations,
        metavar="N|all",
        help="number of newest simulations, or all (default: 70, or all from --start on)",
    )
    group.add_argument("--start", metavar="DATE", help="first date to evaluate (default: none)")
    group.add_argument("--end", metavar="DATE", help="last date to evaluate (default: the last)")
    for flag, help, default, unit in (
        ("--window", "bars of each validation window", 7, "BARS"),
        ("--offset-window", "bars that offsets are fitted on", 60, "BARS"),
        ("--purge", "bars between fit and decision", 0, "BARS"),
        ("--embargo", "bars skipped between as-of dates", 0, "BARS"),
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
    ("--layout", {"metavar": "NAME"}, "file layout, such as metatrader5 (default: detected)"),
    (
        "--columns",
        NAMES | {"metavar": "ROLE=NAME"},
        "columns of the file by role: open=o timestamp=MTS ignored=note",
    ),
    (
        "--date-format",
        {"metavar": "FORMAT"},
        "format of dates, such as %%d/%%m/%%Y; s, ms, us or ns; excel; or roc, buddhist",
    ),
    ("--dayfirst", {"choices": ("yes", "no")}, "whether ambiguous dates start with the day"),
    ("--decimal", {"choices": (".", ",")}, "decimal mark of ambiguous numbers"),
    ("--splits", {"choices": ("adjust", "ignore")}, "treatment of splits missing in the prices"),
    ("--min-bars", {"metavar": "N", "type": int}, "fewer bars are a defect (default: 2)"),
    (
        "--calendar",
        {"metavar": "NAME"},
        "24/7, 24/5 or an exchange such as XNYS (default: inferred from the bars)",
    ),
)


def read_options(args: argparse.Namespace) -> dict[str, Any]:
    """Convert the options of `add_data_arguments` to arguments of `read_bars`.

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
        "min_bars": 2 if args.min_bars is None else args.min_bars,
        "calendar": args.calendar,
    }


def _columns(entries: list[str] | None) -> dict[str, str | list[str]] | None:
    if not entries:
        return None
    wrong = [entry for entry in entries if "=" not in entry]
    if wrong:
        raise ArgumentError(f"--columns takes ROLE=NAME, such as open=o: got {', '.join(wrong)}")
    found: dict[str, str | list[str]] = {}
    for role, name in (entry.split("=", 1) for entry in entries):
        found.setdefault(role, []).append(name)  # type: ignore[union-attr]  # ignored=a ignored=b
    return found


def report_reading(bars: Bars, args: argparse.Namespace) -> None:
    """Print the repairs above the table, and on stderr how the source was read.

    Nothing is printed for plain sources; every change is printed.
    """
    for text in bars.repairs:
        print(f"{bars.symbol}: {text}", file=sys.stderr if getattr(args, "json", False) else None)
    for text in bars.notes:
        if text != "timestamps read as ISO dates":
            print(f"{bars.symbol}: {as_flags(text)}", file=sys.stderr)


def folder_exit(found: int, errors: int) -> int:
    """Return the exit code: 0 if all symbols ran, 3 if some did, 2 if none."""
    return 0 if not errors else EXIT_PARTIAL if found else 2


def add_data_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the arguments that select symbols and control reading."""
    group.add_argument(
        "--symbols",
        **NAMES,
        metavar="SYMBOL",
        help="symbols of a folder (default: all); for a file, the name of its symbol",
    )
    group.add_argument(
        "--symbol", metavar="SYMBOL", help="one symbol of a table, or the name of the bars"
    )
    group.add_argument(
        "--timezone",
        metavar="ZONE",
        help="time zone of timestamps without one (default: as documented, else UTC)",
    )
    group.add_argument(
        "--adjusted",
        choices=("yes", "no", "auto"),
        help="scale prices by adj close, ignore it, or scale if the column exists",
    )
    for flag, options, help in _READING:
        group.add_argument(flag, help=help, **options)
    group.add_argument(
        "--repair", **NAMES, metavar="NAME", help="defects to repair; errors name the repairs"
    )


def add_store_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the arguments of the store."""
    choice = group.add_mutually_exclusive_group()
    choice.add_argument(
        "--store",
        type=store_location,
        metavar="PATH",
        help="folder of the store (default: MARKETSIM_STORE, or marketsim/store in the "
        "user's cache folder)",
    )
    choice.add_argument("--no-store", action="store_true", help="do not store forecasts")
    add_lock_timeout(group)


def store_location(text: str) -> Path | str:
    """Read --store: a folder, or the URL of a store that the nodes of a cluster share."""
    return text if "://" in text else Path(text)


def add_lock_timeout(group: argparse._ActionsContainer) -> None:
    """Add --lock-timeout."""
    group.add_argument(
        "--lock-timeout",
        type=_seconds,
        default=10.0,
        metavar="SECONDS",
        help="time to wait for another process that writes to the store (default: 10)",
    )


def _seconds(text: str) -> float:
    value = float(text) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) else -1.0
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected seconds, 0 or more: got {text!r}")
    return value


def opened_store(args: argparse.Namespace) -> ForecastStore | None:
    """Open the store of `add_store_arguments`; None for --no-store."""
    from marketsim.forecasts import PredictionStore, open_store

    if isinstance(args.store, str):
        raise ArgumentError(f"--store {args.store} is a URL, which --cluster alone can use")
    store = open_store(False if args.no_store else args.store)
    if isinstance(store, PredictionStore):
        store.lock_timeout = args.lock_timeout
    return store


def read_source(args: argparse.Namespace) -> Bars:
    """Read the bars of one symbol: a file, or the demo.

    Raises:
        ArgumentError: several symbols for one file, or reading options with the demo; else as
            `read_bars`.
    """
    from marketsim.bars import demo_bars, read_bars

    if args.source == "demo":
        _refuse_for_demo(args)
        return demo_bars()
    if args.symbol is not None and args.symbols:
        raise ArgumentError("--symbol and --symbols exclude each other: got both")
    if args.symbols and len(args.symbols) > 1:
        raise ArgumentError(
            f"--symbols takes one name for a file, the name of its symbol: got "
            f"{', '.join(args.symbols)} for {args.source}; give a folder to select several"
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
            f"the demo takes no reading options: got {', '.join(got)}, expected none of {every}; "
            "leave them out, or give a file (./demo for one of that name)"
        )


def read_folder_source(args: argparse.Namespace) -> BarsFolder:
    """Open a folder of bars by symbol; each is read on access.

    Files that are not bars are named on stderr and do not count as failed symbols.
    """
    from marketsim.bars import read_folder

    symbols = [args.symbol] if args.symbol is not None else args.symbols
    folder = read_folder(args.source, symbols=symbols, **read_options(args))
    for name, why in folder.skipped.items():
        print(f"left out {name}: {why}", file=sys.stderr)
    return folder


def read_symbols(args: argparse.Namespace) -> Mapping[str, Bars]:
    """The bars of a folder or a table by symbol, of those that are chosen.

    Raises:
        UnknownSymbolError: a table holds none of that name; else as `read_bars` and `read_many`.
    """
    from marketsim.bars import read_bars
    from marketsim.bars.folder import BarsTable, open_many
    from marketsim.errors import UnknownSymbolError

    if Path(args.source).is_dir():
        return read_folder_source(args)
    chosen = [args.symbol] if args.symbol is not None else args.symbols or []
    options = read_options(args)
    if len(chosen) == 1:  # one of several, or what to call the only one
        bars = read_bars(args.source, symbol=chosen[0], **options)
        return BarsTable({bars.symbol: lambda: bars})
    many = open_many(args.source, **options)
    for name in chosen:
        if name not in many:
            raise UnknownSymbolError(name, many, str(args.source))
    if not chosen:
        return many
    return BarsTable({name: functools.partial(many.__getitem__, name) for name in chosen})


def number(text: str) -> float:
    """Parse a rate such as 5bps, 0.05% or 0.0005; infinity for other text."""
    match = re.fullmatch(r"\s*([-+]?[0-9.]+(?:[eE][-+]?\d+)?)\s*(bps?|%)?\s*", text)
    scale = {None: 1.0, "bp": 1e-4, "bps": 1e-4, "%": 1e-2}
    try:
        return float(match[1]) * scale[match[2]] if match else math.inf
    except ValueError:
        return math.inf


def fee(text: str) -> float:
    """Parse a fee such as 5bps, 0.05% or 0.0005 as a fraction."""
    value = number(text)
    if not abs(value) < 0.05:
        raise argparse.ArgumentTypeError(
            f"expected a fee below 5 %, as 5bps, 0.05%, 0.0005, or -1bps for a rebate: got {text!r}"
        )
    return value


def read_all(args: argparse.Namespace) -> tuple[list[Bars], dict[str, str]]:
    """Read all bars of a file, a folder or the demo; returns (bars, errors by symbol).

    Raises:
        ArgumentError: no symbol of the folder can be read; else as `read_source`.
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
            errors[symbol] = as_flags(error)
    if not bars:
        why = "; ".join(f"{name}: {text}" for name, text in list(errors.items())[:3])
        raise ArgumentError(f"{args.source} has no symbol that can be read: {why or 'it is empty'}")
    return bars, errors
