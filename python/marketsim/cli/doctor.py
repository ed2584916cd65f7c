"""marketsim doctor: versions, devices and a self-test of this installation."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the sub-command and its arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "doctor",
        help="versions, instruction set, threads, CUDA",
        description="Print versions and devices of this installation, and test its kernels.",
        epilog="example:\n  marketsim doctor --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the facts; returns 0, or 1 if a kernel gives a wrong result."""
    from marketsim.build_info import doctor

    facts = doctor()
    passed = [_self_test("cpu")]
    cuda = facts["cuda"]
    if isinstance(cuda, dict) and cuda["usable"]:
        passed.append(_self_test("cuda"))
        cuda["self_test"] = passed[-1]
    facts["self_test"] = passed[0]
    if args.json:
        print(json.dumps(facts, indent=2))
    else:
        print("\n".join(_lines(facts)))
    return 0 if all(text == "passed" for text in passed) else 1


def _self_test(device: str) -> str:
    """Compare the kernels once with their references."""
    import numpy as np

    from marketsim.errors import MarketsimError
    from marketsim.kernels.offsets import best_offsets
    from marketsim.kernels.profit import profit
    from marketsim.kernels.reference import best_offsets_reference, profit_reference

    generator = np.random.default_rng(0)
    close, gap = generator.normal(0.0, 0.01, (2, 8))
    high, low = np.maximum(close, gap) + 0.005, np.minimum(close, gap) - 0.005
    days = (close, high, low, high * 0.8, low * 0.8, np.resize([1.0, -1.0], 8))
    try:
        for fill in ("optimistic", "open_aware"):
            if not np.array_equal(
                profit(*days, fill=fill, open=gap, device=device),
                profit_reference(*days, fill=fill, open=gap),
            ):
                return f"failed: profit differs from its reference ({fill})"
            if best_offsets(*days, fill=fill, open=gap, device=device) != best_offsets_reference(
                *days, fill=fill, open=gap
            ):
                return f"failed: best_offsets differs from its reference ({fill})"
    except MarketsimError as error:
        return f"failed: {error}"
    return "passed"


def _lines(facts: dict[str, Any], indent: str = "") -> Iterator[str]:
    for name, value in facts.items():
        label = name.replace("_", " ")
        if isinstance(value, dict):
            yield f"{indent}{label}:"
            yield from _lines(value, indent + "  ")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield f"{indent}{label}: {text}"
