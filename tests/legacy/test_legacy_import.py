from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from legacy_pickles import PICKLES, SAMPLES
from market import random_bars

from marketsim.bars import TARGETS, Bars, bar_returns, read_bars
from marketsim.errors import StoreMissError
from marketsim.forecasts import (
    Flag,
    ForecastPlan,
    MemoryStore,
    PlanKeys,
    PredictionStore,
    ReturnTable,
    Schema,
    SeriesId,
    run_plan,
)
from marketsim.legacy.stock.cache.files import legacy_key
from marketsim.legacy.stock.cache.take_over import import_legacy
from marketsim.models import FunctionModel, SampleDistribution, model_from

LEVELS = (0.25, 0.5, 0.75)
MODEL = "0123abcd"
DAYS = range(60, 80)


def old_model(context_length: int | None = None) -> FunctionModel:
    """Stands for the model that filled the old cache; it must not be asked again."""

    def unwilling(past: np.ndarray) -> np.ndarray:
        raise AssertionError("the forecast was not imported")

    model = model_from(unwilling, levels=LEVELS, rows=context_length, version="1")
    vars(model)["fingerprint"] = MODEL
    return model


def old_cache(folder: Path, bars: Bars) -> Path:
    """One file for every target of DAYS, named as the old code did."""
    returns = bar_returns(bars)
    folder.mkdir()
    for target in range(len(TARGETS)):
        for day in DAYS:
            context = returns[target, : day - 1].astype(np.float32)
            key = legacy_key(context, num_samples=128, samples_per_batch=32, symbol=bars.symbol)
            (folder / f"{key}.pkl").write_bytes(PICKLES["numpy1-forecast-p4"])
    return folder


@pytest.fixture(scope="module")
def bars() -> Bars:
    return random_bars(100)


def test_a_run_finds_what_was_imported(bars: Bars, tmp_path: Path) -> None:
    folder = old_cache(tmp_path / "old", bars)
    store = PredictionStore(tmp_path / "store", require_complete=True)
    report = import_legacy(bars, folder, store, model=MODEL, levels=LEVELS)
    assert (report.found, report.imported, report.held, report.skipped) == (80, 80, 0, 0)
    assert report.unreadable == []
    plan = ForecastPlan(DAYS.start, DAYS.stop, 1, 1)
    cube = run_plan(ReturnTable.of(bars, "own"), old_model(), plan, store=store, progress=False)
    expected = SampleDistribution(np.array(SAMPLES)[:, None])
    assert np.unique(cube.records[..., 0]) == np.float32(expected.mean[0])
    np.testing.assert_array_equal(
        cube.records[3, 0, 2, 2:], expected.quantile(LEVELS)[0].astype(np.float32)
    )
    with pytest.raises(StoreMissError, match="4 of|1 of 21"):
        wider = ForecastPlan(DAYS.start, DAYS.stop + 1, 1, 1)
        run_plan(ReturnTable.of(bars, "own"), old_model(), wider, store=store, progress=False)


def test_imported_records_are_flagged_and_come_once(bars: Bars, tmp_path: Path) -> None:
    folder = old_cache(tmp_path / "old", bars)
    store = PredictionStore(tmp_path / "store")
    import_legacy(bars, folder, store, model=MODEL)
    again = import_legacy(bars, folder, store, model=MODEL)
    assert (again.imported, again.held) == (0, 80)
    schema = Schema.of_samples(len(SAMPLES))
    table = store._file(SeriesId(MODEL, bars.symbol, schema.text)).table()
    _, as_of, target, horizon, flags, records = table
    assert set(flags.tolist()) == {Flag.IMPORTED}
    assert set(horizon.tolist()) == {1}
    assert sorted(set(target.tolist())) == [0, 1, 2, 3]
    stamps = bars.timestamps.astype(np.int64)
    assert sorted(set(as_of.tolist())) == [stamps[day - 1] for day in DAYS]
    np.testing.assert_array_equal(records, np.tile(np.float32(SAMPLES), (80, 1)))


@pytest.mark.parametrize("context_length", [None, 30])
def test_contexts_of_a_later_download(
    bars: Bars, tmp_path: Path, context_length: int | None
) -> None:
    """A rolling download saw fewer rows: its forecasts are those of a model that saw as few."""
    short = read_bars(bars.frame.iloc[20:], symbol=bars.symbol)
    folder = old_cache(tmp_path / "old", short)
    store = MemoryStore()
    report = import_legacy(
        bars, folder, store, model=MODEL, levels=LEVELS, context_length=context_length,
        first_rows=(20,), num_samples=(128,), samples_per_batch=(32,),
    )  # fmt: skip
    assert report.imported == 80
    for seen, first, hits in ((bars, 20, context_length is not None), (short, 0, True)):
        plan = ForecastPlan(DAYS.start + first, DAYS.stop + first, 1, 1)
        keys = PlanKeys.of(ReturnTable.of(seen, "own"), old_model(context_length), plan)
        found = [store.read(keys.series, batch)[1].all() for batch in keys.keys]
        assert found == [hits] * 4


def test_what_is_no_forecast_is_passed_over_and_named(bars: Bars, tmp_path: Path) -> None:
    folder = old_cache(tmp_path / "old", bars)
    broken = sorted(folder.iterdir())[0]
    broken.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    report = import_legacy(bars, folder, MemoryStore(), model=MODEL)
    assert report.imported == 79
    ((path, why),) = report.unreadable
    assert path == broken
    assert "system" in why
    assert report.to_dict()["unreadable"] == [{"path": str(broken), "why": why}]


def test_command_line(bars: Bars, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from marketsim.cli import main

    folder = old_cache(tmp_path / "old", bars)
    file = tmp_path / f"{bars.symbol}.csv"
    bars.frame.to_csv(file)
    command = ["store", "import-legacy", str(folder), str(file), "--model-fingerprint", MODEL]
    command += ["--store", str(tmp_path / "store"), "--num-samples", "128", "--quiet"]
    assert main(command) == 0
    assert "80 old forecasts of these bars; 80 imported, 0 held already" in capsys.readouterr().out
    (sorted(folder.iterdir())[0]).write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    assert main([*command, "--first-row", "any", "--samples-per-batch", "32", "0"]) == 2
    out = capsys.readouterr().out
    assert "79 imported" not in out
    assert "79 held already" in out
    assert "skipped" in out
    assert main([*command, "--first-row", "100"]) == 2
    assert "--first-row must be any, or a row from 0 to 99: got '100'" in capsys.readouterr().err
    assert main(["store", "stat", "--store", str(tmp_path / "store")]) == 0
    assert "80" in capsys.readouterr().out
