"""Argument parser of the commands: errors print the error first, then one line of usage."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from marketsim.text import printable

EXIT_USAGE = 2


class Parser(argparse.ArgumentParser):
    """ArgumentParser that prints an error before its usage line, with a suggestion."""

    def error(self, message: str) -> NoReturn:
        """Print the error and one line of usage; exit with 2."""
        text = printable(message).removeprefix("argument ")
        missing = "the following arguments are required: "
        if text.startswith(missing):
            text = f"expected {text.removeprefix(missing)}: got nothing"
        sys.stderr.write(f"error: {text}{self._suggestion(message)}\n{self._usage_line()}\n")
        raise SystemExit(EXIT_USAGE)

    def _suggestion(self, message: str) -> str:
        """Suggest the option or choice nearest to an unknown one."""
        unknown, known = "", list[str]()
        start = "unrecognized arguments: "
        if message.startswith(start):
            words = message.removeprefix(start).split()
            unknown = next((word for word in words if word.startswith("--")), "").partition("=")[0]
            known = [option for action in self._actions for option in action.option_strings]
        elif found := re.search(r"invalid choice: '(.*)' \(choose from (.*)\)$", message):
            unknown, known = found[1], [name.strip(" '") for name in found[2].split(",")]
        near = difflib.get_close_matches(unknown, known, 1, 0.6) if unknown else []
        return f"; did you mean {near[0]}?" if near else ""

    def _usage_line(self) -> str:
        parts = []
        for action in self._actions:
            if not action.option_strings and action.help is not argparse.SUPPRESS:
                parts.append(str(action.metavar or action.dest).partition("{")[0] or action.dest)
        named = " ".join([self.prog, *parts, "[options]"])
        return f"usage: {named}; see --help"

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse arguments; report an unknown one as an error of its sub-command."""
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            parser = self._of_command(args if args is not None else sys.argv[1:])
            parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found

    def _of_command(self, arguments: Sequence[str]) -> Parser:
        """Return the parser of the innermost command in the arguments."""
        parser: Parser = self
        for argument in arguments:
            for action in parser._actions:
                if isinstance(action, argparse._SubParsersAction) and argument in action.choices:
                    parser = action.choices[argument]
                    break
            else:
                if not any(isinstance(a, argparse._SubParsersAction) for a in parser._actions):
                    break
        return parser


def give_back_source(
    parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: list[str]
) -> list[str]:
    """Remove a file from the values of a list option before it, and set it as the source.

    `--strategies simple maxdiff AAPL.csv` names a file, not a third strategy: the last value is the
    command's file if it exists and the command line has no other.
    """
    source = next((a for a in parser._actions if a.dest == "source" and not a.option_strings), None)
    if source is None or len(values) < 2 or getattr(namespace, "source", None) is not None:
        return values
    if values[-1] != "demo" and not Path(values[-1]).exists():
        return values
    namespace.source = values[-1]
    source.required = False
    return values[:-1]


class Source(argparse.Action):
    """Argument of a command's file or folder; a second one is an error."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: Any
    ) -> None:
        """Set the path."""
        before = getattr(namespace, self.dest, None)
        if before is not None:
            parser.error(
                f"got two files, {before} and {values}: expected one; an option that takes a list "
                "ends at the next option or at a file"
            )
        setattr(namespace, self.dest, values)
