"""The `marketsim` command: one module per sub-command."""

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

from marketsim.cli.flags import as_flags
from marketsim.cli.parser import EXIT_USAGE, Parser
from marketsim.cli.terminal import printable_output
from marketsim.errors import MarketsimError

EXIT_FAILURE = 1  # a defect of marketsim
EXIT_INTERRUPTED = 130

COMMANDS = (
    "backtest",
    "compare",
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
    "fetch",
    "demo-data",
    "doctor",
)
"""Sub-commands in the order of --help; each is a module of this package (- as _)."""

_EXAMPLES = """examples:
  marketsim demo-data demo.csv                     write simulated bars
  marketsim backtest demo.csv                      backtest them
  marketsim backtest demo                          the S&P 500, with the extra `demo`
  marketsim backtest AAPL.csv --report AAPL.html   one symbol, and an offline report
  marketsim compare ewma.json range.json           runs that `backtest --save` wrote
  marketsim fetch AAPL --source yfinance --to bars/   download new bars
  marketsim inspect AAPL.csv                       show how a file of bars is read
  marketsim convert export.csv AAPL.parquet        clean the bars of an export
  marketsim orders AAPL.csv --tick 0.01            orders for the next bar
  marketsim forecast bars/ --plan                  estimate the cost of a folder's forecasts
  marketsim profile AAPL.csv                       time the stages of a backtest
  marketsim search AAPL.csv --strategy sma_cross --space space.yaml   search parameters
  marketsim store stat                             count stored forecasts
  marketsim params show                            parameters of the legacy functions, by symbol
  marketsim genesis run-backtest --help            commands of the legacy genesis system
  marketsim doctor                                 versions, devices and a self-test
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
    """Insert the sub-command that `marketsim search FILE` omits."""
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
    except BrokenPipeError:  # the reader of the pipe, such as `head`, has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        _explain("interrupted", args.debug)
        return EXIT_INTERRUPTED
    # ImportError: the kernels do not load under a wrong MARKETSIM_ISA or MARKETSIM_NUM_THREADS.
    except (MarketsimError, OSError, ImportError) as error:
        _explain(f"error: {as_flags(error)}", args.debug)
        return EXIT_USAGE
    except Exception as error:
        _explain(
            f"internal error: {type(error).__name__}: {error}\n"
            "this is a defect of marketsim; --debug prints the traceback",
            args.debug,
        )
        return EXIT_FAILURE


def _explain(message: str, debug: bool) -> None:
    """Print an error message, or with --debug the traceback."""
    if debug:
        traceback.print_exc()
    else:
        print(message, file=sys.stderr)


def _parser(argv: Sequence[str]) -> Parser:
    """Build the parser of the named command, or of all commands."""
    parser = Parser(
        prog="marketsim",
        description="Walk-forward backtests of forecast-driven strategies.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    named = argv[0] if argv and argv[0] in COMMANDS else None
    for name in COMMANDS if named is None else (named,):  # building all parsers takes 50 ms
        module = import_module(f"marketsim.cli.{name.replace('-', '_')}")
        command = module.add_parser(commands)
        command.add_argument("--debug", action="store_true", help="print the traceback of an error")
        command.set_defaults(run=module.run)
    return parser


class _Version(argparse.Action):
    """Print the version; looked up on use only."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from marketsim.build_info import version

        print(f"marketsim {version()}")
        parser.exit()


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)
