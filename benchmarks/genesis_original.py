"""Times the second old system in a process of its own: python genesis_original.py CHECKOUT BARS.

Prints CPU seconds as JSON. Its timestamps are repaired in memory: unrepaired it swallows every bar
after the first entry.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from pathlib import Path


def main() -> None:
    checkout, rows = Path(sys.argv[1]), int(sys.argv[2])
    sys.path[:0] = [str(checkout / "src"), str(checkout)]
    import numpy as np
    import pandas as pd
    from core.backtest.engine import BacktestEngine
    from core.strategy import features_asof
    from scripts import optimizer

    frame = pd.read_parquet(sys.argv[3]).iloc[:rows]
    columns = {x: frame[x].to_numpy() for x in ("open", "high", "low", "close", "volume")}
    stamps = frame["timestamp"].tolist()
    out = {}
    begin = time.process_time()
    for bar in range(300, 340):
        window = {key: values[bar - 199 : bar + 1] for key, values in columns.items()}
        window["timestamp"] = stamps[bar - 199 : bar + 1]
        features_asof._feature_cache.clear()
        features_asof.extract_features_live(window, timeframe="1h", symbol="tX")
    out["windowed"] = (time.process_time() - begin) / 40
    begin = time.process_time()
    for bar in range(rows - 5, rows):
        features_asof._feature_cache.clear()
        whole = {**columns, "timestamp": stamps}
        features_asof.extract_features_backtest(whole, bar, timeframe="1h", symbol="tX")
    out["full"] = (time.process_time() - begin) / 5
    engine = BacktestEngine("tX", "1h", warmup_bars=120)
    engine.candles_df = frame.iloc[:420].reset_index(drop=True)
    engine._prepare_numpy_arrays()
    repaired = np.empty(420, dtype=object)
    repaired[:] = stamps[:420]
    engine._np_arrays["timestamp"] = repaired
    begin = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        engine.run()
    out["backtest"] = (time.process_time() - begin) / 300
    optimizer.RESULTS_DIR = Path(sys.argv[4])
    optimizer.summarize_run("r", use_cache=False)
    first = []
    for _ in range(20):
        begin = time.process_time()
        optimizer.summarize_run("r", use_cache=False)
        first.append(time.process_time() - begin)
    out["summary"] = min(first)
    print(json.dumps(out))


if __name__ == "__main__":
    main()
