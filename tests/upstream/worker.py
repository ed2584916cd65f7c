"""Runs the original code of Toto and TimesFM for one request, where `make upstream` built it.

    python worker.py COMMAND FOLDER

reads FOLDER/request.json and FOLDER/request.npz, writes FOLDER/result.json and FOLDER/result.npz.
`support/upstream_worker.py` is the other end. Nothing here imports marketsim: this process has the
original's dependencies, and ours has none of them.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
Facts = dict[str, Any]
Command = Callable[[Facts, Arrays], tuple[Facts, Arrays]]


def command_named(name: str) -> Command:
    """The function of a command; only the model that it needs is imported."""
    model, _, action = name.partition("-")
    if model == "toto1":
        import worker_toto1 as worker
    elif model == "toto2":
        import worker_toto2 as worker
    elif model == "timesfm":
        import worker_timesfm as worker
    else:
        sys.exit(f"command {name!r} is for no model that is known: toto1-*, toto2-*, timesfm-*")
    actions = ("make", "forecast", "time")
    commands: dict[str, Command] = {
        action: getattr(worker, action) for action in actions if hasattr(worker, action)
    }
    if action not in commands:
        sys.exit(f"command {name!r} is unknown: {model}-{{{','.join(commands)}}}")
    return commands[action]


def main() -> None:
    """Answer the request in the folder."""
    command, folder = command_named(sys.argv[1]), Path(sys.argv[2])
    import torch

    facts: Facts = json.loads((folder / "request.json").read_text())
    torch.set_num_threads(facts.pop("threads"))
    with np.load(folder / "request.npz", allow_pickle=False) as file:
        arrays = dict(file)
    answer, results = command(facts, arrays)
    answer |= {"torch": torch.__version__, "threads": torch.get_num_threads()}
    (folder / "result.json").write_text(json.dumps(answer))
    np.savez(folder / "result.npz", **results)


if __name__ == "__main__":
    # The original warns that it does without xFormers, which is for CUDA.
    warnings.filterwarnings("ignore")
    main()
