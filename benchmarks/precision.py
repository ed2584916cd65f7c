"""What precisions cost in exactness: prints the tables of docs/precision.md.

Each forecast is compared with the same network's in float32, on random weights of the official
sizes, in units of the scale by which the last patch of its context is divided; in the last column,
of the forecast's own spread. `make precision` runs it; folders with checkpoints may be named
instead, and --device cuda adds float16.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from checkpoints import toto1_weights, write_checkpoint, write_toto2
from torch import Tensor, nn
from upstream_worker import TOTO1_BASE, TOTO2_22M

import marketsim as ms
from marketsim.bars import bar_returns
from marketsim.models.toto1.scaler import patch_scales
from marketsim.models.toto2.scaler import patch_units

DAYS, STEPS = 76, 512
LEVELS = (0.1, 0.5, 0.9)
COLUMNS = (
    "mean",
    *(f"quantile {level}" for level in LEVELS),
    "the quantiles, in standard deviations",
)


@dataclass(frozen=True)
class Way:
    """A way to compute: options of `load_model`, and what is changed in the network then."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    change: Callable[[Any], None] = lambda network: None
    missing: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, help="checkpoints; random weights if none")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--days", type=int, default=DAYS, help="contexts of each of four targets")
    args = parser.parse_args()
    print(machine(args.device))
    returns = contexts(args.days)
    with tempfile.TemporaryDirectory() as scratch:
        for folder in args.folders or random_checkpoints(Path(scratch)):
            tables = [("returns", 1.0)]
            if type(ms.load_model(folder)).__name__ == "Toto1Model":
                tables.append(("returns in per cent", 100.0))
            for what, factor in tables:
                print(f"\n{folder.name}, {returns.shape[0]} contexts of {STEPS} {what}\n")
                for line in table(folder, factor * returns, args.device):
                    print(line, flush=True)


def random_checkpoints(folder: Path) -> Iterator[Path]:
    # With weights as large as the others', the head's components lie far apart: a quantile between
    # two of them then jumps where one of their weights changes a little. Those of a trained one
    # overlap, and so do these.
    weights = toto1_weights(TOTO1_BASE, 1)
    for name in weights:
        if "output_distribution" in name:
            weights[name] = weights[name] * np.float32(0.2)
    yield write_checkpoint(folder / "Toto 1.0 (base)", TOTO1_BASE, weights, 1)
    yield write_toto2(folder / "Toto 2.0 (22m)", 1, **TOTO2_22M)


def contexts(days: int) -> np.ndarray:
    """[context, step]: the last returns before days spread over the demo's, of each target."""
    returns = bar_returns(ms.demo_bars())
    ends = np.linspace(STEPS, returns.shape[-1], days).astype(int)
    return np.concatenate([[row[end - STEPS : end] for end in ends] for row in returns])


def table(folder: Path, values: np.ndarray, device: str) -> Iterator[str]:
    """Markdown: of each way and each part of a forecast, median / 99th percentile / most."""
    yield f"| | {' | '.join(COLUMNS)} |"
    yield f"|---|{'---|' * len(COLUMNS)}"
    exact = forecasts(folder, Way("float32"), values, device)
    scale = scales(folder, values)
    # A standard deviation as the outer quantiles give it: those of mixtures follow their tails.
    spread = (exact[-1] - exact[1]) / (2.0 * NormalDist().inv_cdf(LEVELS[-1]))
    for way in ways(device):
        if way.missing:
            yield f"| {way.name} | not measured: {way.missing} |{' |' * (len(COLUMNS) - 1)}"
            continue
        error = np.abs(forecasts(folder, way, values, device) - exact)
        cells = [shown(part) for part in error / scale]
        yield f"| {way.name} | {' | '.join([*cells, shown(error[1:] / spread)])} |"


def ways(device: str) -> list[Way]:
    half, int8 = {"dtype": "bfloat16"}, {"quantize": "int8"}
    no_torchao = "" if find_spec("torchao") else "torchao is not installed"
    no_gpu = "" if device != "cpu" else "there is no GPU here"
    return [
        Way("bfloat16", half),
        Way("float16", {"dtype": "float16"}, missing=no_gpu),
        Way("int8 layers", int8, missing=no_torchao),
        Way("int8 layers, bfloat16", half | int8, missing=no_torchao),
        Way("bfloat16, the ends too", half, round_ends),
        Way("bfloat16, the sums too", half, round_stream),
        Way(
            "bfloat16, both too",
            half,
            lambda network: (round_ends(network), round_stream(network)),
        ),
    ]


def forecasts(folder: Path, way: Way, values: np.ndarray, device: str) -> np.ndarray:
    """[mean and quantiles, context] of the next step."""
    model: Any = ms.load_model(folder, device=device, **way.options)
    way.change(model.network)
    made = model.predict(values)
    return np.stack([made.mean[:, 0], *np.moveaxis(made.quantile(LEVELS)[:, 0], -1, 0)])


def scales(folder: Path, values: np.ndarray) -> np.ndarray:
    """[context]: what the last patch of each is divided by."""
    model: Any = ms.load_model(folder)
    narrow, observed = values.astype(np.float32), np.ones(values.shape, dtype=np.bool_)
    if type(model).__name__ == "Toto1Model":
        found = patch_scales(narrow, observed, model.patch, model.config.clamp_exponent)[1]
    else:
        found = patch_units(narrow, observed, model.patch, model.fallback_observations, model.cap)
        found = found.scale
    return found[:, -1].astype(np.float64)


class Rounded(nn.Module):
    """A part of a network that computes in bfloat16 what it is handed in float32."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part.to(torch.bfloat16)

    def forward(self, values: Tensor, *rest: Any) -> Tensor:
        return self.part(values.bfloat16(), *rest).float()


def round_ends(network: Any) -> None:
    """What reads the forecasts off, and what embeds the patches, in bfloat16."""
    network.head = Rounded(network.head)
    if hasattr(network, "unembed"):
        network.unembed.to(torch.bfloat16)
    else:
        network.embed = Rounded(network.embed)


def round_stream(network: Any) -> None:
    """The sums of what the layers add, rounded after each layer."""
    for layer in network.layers:
        finish = layer.finish

        def rounding(hidden: Tensor, attended: Tensor, finish: Any = finish) -> Tensor:
            return finish(hidden, attended).bfloat16().float()

        layer.finish = rounding


def shown(errors: np.ndarray) -> str:
    """Median / 99th percentile / most."""
    parts = (np.median(errors), np.quantile(errors, 0.99), errors.max())
    return " / ".join(f"{part:.2g}" for part in parts)


def machine(device: str) -> str:
    names = ("torch", *(["torchao"] if find_spec("torchao") else []))
    libraries = ", ".join(f"{name} {version(name)}" for name in names)
    where = torch.cuda.get_device_name(device) if device != "cpu" else processor()
    return f"{where}; Python {platform.python_version()}, {libraries}; {' '.join(sys.argv)}"


def processor() -> str:
    """The processor and what it has for other precisions."""
    file = Path("/proc/cpuinfo")
    if not file.is_file():
        return platform.processor() or platform.machine()
    lines = dict(line.split(":", 1) for line in file.read_text().splitlines() if ":" in line)
    found = {key.strip(): value.strip() for key, value in lines.items()}
    flags = [flag for flag in found.get("flags", "").split() if flag in ("avx512_bf16", "amx_bf16")]
    return f"{found.get('model name', 'unknown processor')} ({', '.join(flags) or 'no bfloat16'})"


if __name__ == "__main__":
    main()
