"""The `marketsim` command: one module a sub-command."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from marketsim.cli.terminal import printable_output
from marketsim.errors import MarketsimError

EXIT_FAILURE = 1  # a defect of marketsim
EXIT_USAGE = 2  # wrong arguments or data
EXIT_INTERRUPTED = 130

COMMANDS = (
    "backtest",
    "inspect",
    "convert",
    "forecast",
    "orders",
    "evaluate",
    "replay",
    "search",
    "check",
    "profile",
    "store",
    "params",
    "genesis",
    "doctor",
)
"""Sub-commands in the order of --help; each is a module of this room."""

_EXAMPLES = """examples:
  marketsim backtest demo                          the S&P 500 bars that a package carries
  marketsim backtest AAPL.csv --report AAPL.html   one symbol, and an offline report
  marketsim inspect AAPL.csv                       how a file of bars is understood
  marketsim convert export.csv AAPL.parquet        clean bars of any export
  marketsim orders AAPL.csv --tick 0.01            what to order for the next bar
  marketsim forecast bars/ --plan                  what a folder's forecasts would cost
  marketsim profile AAPL.csv                       where the time of a backtest goes
  marketsim search AAPL.csv --strategy sma_cross --space space.yaml   parameters
  marketsim store stat                             what has been forecast and kept
  marketsim params show                            parameters of the old functions, by symbol
  marketsim genesis run-backtest --help            the second old system's commands
  marketsim doctor                                 what this installation can do
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, or 1 (defect), 2 (wrong input), 130 (Ctrl-C)."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # inherited from a shell's background job
        with contextlib.suppress(ValueError):  # not the main thread
            signal.signal(signal.SIGINT, signal.default_int_handler)
    with printable_output():
        given = _with_command(sys.argv[1:] if argv is None else argv)
        return _run(_parser(given).parse_args(given))


def _with_command(arguments: Sequence[str]) -> list[str]:
    """The arguments with the word that `marketsim search FILE` leaves out."""
    if list(arguments[:1]) != ["search"]:
        return list(arguments)
    return import_module("marketsim.cli.search").with_command(arguments)  # type: ignore[no-any-return]


def _run(args: argparse.Namespace) -> int:
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code = int(args.run(args))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        _explain("interrupted", args.debug)
        return EXIT_INTERRUPTED
    # ImportError: the kernels refuse to load under a wrong MARKETSIM_ISA or MARKETSIM_NUM_THREADS.
    except (MarketsimError, OSError, ImportError) as error:
        _explain(f"error: {error}", args.debug)
        return EXIT_USAGE
    except Exception as error:
        _explain(
            f"internal error: {type(error).__name__}: {error}\n"
            "this is a defect of marketsim; --debug shows where it happened",
            args.debug,
        )
        return EXIT_FAILURE


def _explain(message: str, debug: bool) -> None:
    """Says what went wrong: in words, or with --debug by the traceback of the error."""
    if debug:
        traceback.print_exc()
    else:
        print(message, file=sys.stderr)


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of the command that the arguments name, or of all."""
    parser = argparse.ArgumentParser(
        prog="marketsim",
        description="Walk-forward backtests of forecast-driven strategies.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    named = argv[0] if argv and argv[0] in COMMANDS else None
    for name in COMMANDS if named is None else (named,):  # building all parsers takes 50 ms
        module = import_module(f"marketsim.cli.{name}")
        command = module.add_parser(commands)
        command.add_argument(
            "--debug", action="store_true", help="show where an error comes from (traceback)"
        )
        command.set_defaults(run=module.run)
    return parser


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from marketsim.build_info import version

        print(f"marketsim {version()}")
        parser.exit()


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)
