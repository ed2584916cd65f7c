"""Arguments that several sub-commands share: the model, where bars come from, and the store."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketsim.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marketsim.bars import Bars
    from marketsim.forecasts import ForecastStore
    from marketsim.models import Model


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


def add_model_arguments(group: argparse._ArgumentGroup) -> None:
    """What forecasts, and how it computes."""
    add_with_default(
        group,
        "--model",
        "ewma, persistence, a checkpoint's folder, or a hub id such as Datadog/Toto-2.0-22m",
        "ewma",
        metavar="NAME",
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
    for flag, help, default, unit in (
        ("--simulations", "as-of dates, the newest ones", 70, "N"),
        ("--window", "days each simulation is validated on", 7, "DAYS"),
        ("--offset-window", "days that offsets are fitted on", 60, "DAYS"),
        ("--purge", "days between fit and decision", 0, "DAYS"),
        ("--embargo", "days skipped between as-of dates", 0, "DAYS"),
    ):
        add_with_default(group, flag, help, default, type=int, metavar=unit)


def add_data_arguments(group: argparse._ArgumentGroup) -> None:
    """Which symbols are read, and how."""
    group.add_argument(
        "--symbols",
        **NAMES,
        metavar="SYMBOL",
        help="which of a folder (default: all); for a file what to call its symbol",
    )
    group.add_argument("--timezone", metavar="ZONE", help="of bare timestamps (default: UTC)")
    group.add_argument(
        "--adjusted", choices=("yes", "no"), help="scale prices by adj close, or ignore it"
    )
    group.add_argument(
        "--repair", **NAMES, metavar="NAME", help="mend defects; an error names them"
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
    if args.symbols and len(args.symbols) > 1:
        raise ArgumentError(
            f"--symbols takes one name for a file, which is what its symbol is called: got "
            f"{', '.join(args.symbols)} for {args.source}; several choose from a folder"
        )
    return read_bars(
        args.source,
        symbol=args.symbols[0] if args.symbols else None,
        timezone=timezone(args),
        adjusted=adjusted(args),
        repair=args.repair or (),
    )


def _refuse_for_demo(args: argparse.Namespace) -> None:
    names = ("symbols", "timezone", "adjusted", "repair")
    got = [f"--{name}" for name in names if getattr(args, name) is not None]
    if got:
        every = ", ".join(f"--{name}" for name in names)
        raise ArgumentError(
            f"the demo data are read as they are: got {', '.join(got)}, expected none of {every}; "
            "leave them away, or give a file (./demo for one of that name)"
        )


def read_folder_source(args: argparse.Namespace) -> Mapping[str, Bars]:
    """The bars of a folder by symbol, read when they are asked for."""
    from marketsim.bars import read_folder

    return read_folder(
        args.source,
        symbols=args.symbols,
        timezone=timezone(args),
        adjusted=adjusted(args),
        repair=args.repair or (),
    )


def timezone(args: argparse.Namespace) -> str:
    """What --timezone says, as `timezone=` takes it."""
    return "UTC" if args.timezone is None else str(args.timezone)


def adjusted(args: argparse.Namespace) -> bool | None:
    """What --adjusted says, as `adjusted=` takes it."""
    return None if args.adjusted is None else bool(args.adjusted == "yes")
