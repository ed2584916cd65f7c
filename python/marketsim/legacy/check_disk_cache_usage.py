"""What is kept of the old functions' results: successor of the old program of that name.

python -m marketsim.legacy.check_disk_cache_usage

Lists the functions that `disk_cache` keeps results of, and the prediction store that
`cached_predict` and `backtest_forecasts` use.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from marketsim.errors import MarketsimError
from marketsim.forecasts import user_cache_folder
from marketsim.legacy.stock.pipelines import prediction_store
from marketsim.legacy.stock.settings import setting


def main() -> None:
    """Print one line a function, and one for the store."""
    told = setting("disk_cache")
    if told is not None and told.lower() == "off":
        print("disk_cache: off (MARKETSIM_DISK_CACHE)")
    else:
        root = user_cache_folder() / "functions" if told is None else Path(told).expanduser()
        functions = sorted(path for path in root.glob("*") if path.is_dir())
        print(f"disk_cache: {root}, {len(functions)} functions")
        for folder in functions:
            print(f"  {folder.name}: {_usage(folder)}")
    if setting("testing"):
        print("forecasts: not kept (TESTING)")
    elif not setting("cache_predictions"):
        print("forecasts: not kept (MARKETSIM_CACHE_PREDICTIONS=0)")
    else:
        store = prediction_store()
        print(f"forecasts: {getattr(store, 'path', store)}; `marketsim store stat` counts them")


def _usage(folder: Path) -> str:
    stats = [path.stat() for path in folder.glob("*.npz")]
    if not stats:
        return "no results"
    newest = datetime.fromtimestamp(max(stat.st_mtime for stat in stats))
    size = sum(stat.st_size for stat in stats)
    return f"{len(stats):,} results, {size:,} bytes, the newest of {newest:%Y-%m-%d %H:%M:%S}"


if __name__ == "__main__":
    try:
        main()
    except MarketsimError as error:
        sys.exit(f"check_disk_cache_usage: {error}")
