"""Compare the forecasts of the statistical models on daily and intraday bars.

`make skill` measures and writes the table of docs/models.md. $MARKETSIM_DATA names the folder of
the bars (../shared/data by default); files that it lacks are left out and named.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import marketsim as ms
from marketsim.bars import TARGETS, Bars
from marketsim.metrics.evaluation_result import ForecastEvaluation

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("MARKETSIM_DATA") or ROOT.parent / "shared" / "data")
PAGE = ROOT / "docs" / "models.md"
BEGIN, END = "<!-- skill of the statistical models: make skill -->", "<!-- end of the skill -->"
MODELS = ("range", "ewma", "climatology", "persistence")
JUDGED = 400
# Each file, and how many of its last bars are read; None for all.
FILES: dict[str, int | None] = {
    "AAPL_1d_adj": 2600, "GOOG_1d": None, "MSTR_1d": None, "WPM_1d": None, "RIVN_1d": None,
    "HIMS_1d": 1200, "SUIUSDT_1d": None, "BTCUSD_1d": 1500, "EURUSD_1h": 3000, "BTCUSD_1h": 3000,
    "SSE600977_5m": None,
}  # fmt: skip


def evaluated(name: str, last: int | None, models: tuple[str, ...]) -> ForecastEvaluation:
    """Judge the models on the newest bars of a file."""
    bars = ms.read_bars(DATA / f"{name}.csv")
    frame = bars.frame if last is None else bars.frame.iloc[-last:]
    return ms.evaluate_forecasts(
        Bars(frame, name), models, start=frame.index[-JUDGED], store=False, progress=False
    )


def table(frame: pd.DataFrame, models: tuple[str, ...]) -> list[str]:
    """Lay out the figures as Markdown: geometric means over the files."""
    lines = [
        "| model | " + " | ".join(f"{target}" for target in TARGETS) + " | in 80 % | us |",
        "|---|" + "---|" * (len(TARGETS) + 2),
    ]
    for model in models:
        mine = frame[frame["model"] == model]
        cells = []
        for target in TARGETS:
            ratios = mine.loc[mine["target"] == target, "pinball_ratio"].to_numpy()
            ratios = ratios[np.isfinite(ratios) & (ratios > 0.0)]
            cells.append(f"{np.exp(np.log(ratios).mean()):.3f}")
        cells += [f"{100 * mine['coverage'].mean():.1f} %", f"{mine['us'].median():.0f}"]
        lines.append(f"| `{model}` | " + " | ".join(cells) + " |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the table into docs/models.md")
    parser.add_argument("--garch", action="store_true", help="garch, too: 10 to 30 s a file")
    args = parser.parse_args()
    models = (*MODELS, "garch") if args.garch else MODELS
    warnings.simplefilter("ignore")  # fits of garch on short series
    missing = [name for name in FILES if not (DATA / f"{name}.csv").is_file()]
    if missing:
        print(f"left out, not in {DATA}: {', '.join(missing)}", file=sys.stderr)
    frames = []
    for name, last in FILES.items():
        if name not in missing:
            found = evaluated(name, last, models)
            cost = {m: found.seconds[m] / found.forecasts * 1e6 for m in models}
            one = found.table()
            frames.append(one.assign(us=one["model"].map(cost)))
    if not frames:
        print("nothing to measure: MARKETSIM_DATA names the folder of the bars", file=sys.stderr)
        return 2
    lines = table(pd.concat(frames, ignore_index=True), models)
    print("\n".join(lines))
    if args.write:
        text = PAGE.read_text()
        before, rest = text.split(BEGIN)
        PAGE.write_text(before + "\n".join([BEGIN, *lines, END]) + rest.split(END)[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
