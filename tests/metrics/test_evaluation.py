"""evaluate_forecasts judges what it says: right bars, right benchmarks, no look-ahead."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import marketsim as ms
from marketsim.bars import TARGETS, Bars
from marketsim.metrics import Skill, diebold_mariano
from marketsim.metrics.evaluation import evaluate_forecasts
from marketsim.metrics.evaluation_result import LEVELS
from marketsim.walkforward.evaluation_page import render_evaluation, write_evaluation

QUIET: dict[str, Any] = {"store": False, "progress": False}


@pytest.fixture(scope="module")
def bars() -> Bars:
    return Bars(ms.demo_bars().frame.iloc[:900], "SPX")


@pytest.fixture(scope="module")
def found(bars: Bars) -> ms.ForecastEvaluation:
    return evaluate_forecasts(bars, ["ewma", "range"], horizons=(1, 3), start="2002-01-01", **QUIET)


def noise(seed: int, count: int = 700) -> Bars:
    """A random walk with bars around it."""
    generator = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(generator.normal(0.0, 0.01, count)))
    opened = np.append(100.0, close[:-1])
    reach = np.exp(np.abs(generator.normal(0.0, 0.005, (2, count))))
    frame = pd.DataFrame(
        {
            "open": opened, "high": np.maximum(opened, close) * reach[0],
            "low": np.minimum(opened, close) / reach[1], "close": close, "volume": 1.0,
        },
        index=pd.date_range("2020-01-01", periods=count, tz="UTC", name="timestamp"),
    )  # fmt: skip
    return Bars(frame, f"N{seed}")


def test_figures_are_those_of_plain_loops(bars: Bars, found: ms.ForecastEvaluation) -> None:
    table = found.table().set_index(["model", "horizon", "target"])
    model = ms.load_model("ewma")
    first = int(bars.frame.index.searchsorted(pd.Timestamp("2002-01-01", tz="UTC")))
    stop = len(bars) - 2  # three steps ahead
    for step in (1, 3):
        for target in ("open", "close"):  # the others are put in order
            prices = getattr(bars, target)
            returns = np.log(prices[1:] / bars.close[:-1])
            made = model.predict_each(returns[: stop - 1], first - 1, horizon=step)
            quantiles = np.asarray(made.quantile(LEVELS))[:, step - 1]
            errors, walks, losses, usual, inside = [], [], [], [], 0
            points = np.asarray(made.aggregate("trimmed_mean_10"))[:, step - 1]
            for i, t in enumerate(range(first, stop)):
                came = math.log(prices[t + step - 1] / bars.close[t + step - 2])
                stay = math.log(prices[t - 1] / bars.close[t - 1])
                before = returns[: t - 1][-250:]
                errors.append(abs(came - points[i]))
                walks.append(abs(came - stay))
                for loss, stated in (
                    (losses, quantiles[i]), (usual, np.quantile(before, LEVELS)),
                ):  # fmt: skip
                    loss.append(
                        np.mean([max(p * (came - q), (p - 1) * (came - q))
                                 for p, q in zip(LEVELS, stated, strict=True)])
                    )  # fmt: skip
                inside += quantiles[i][0] <= came <= quantiles[i][-1]
            row = table.loc[("ewma", step, target)]
            count = stop - first
            assert row["bars"] == count
            assert row["mae_ratio"] == pytest.approx(np.sum(errors) / np.sum(walks), rel=1e-6)
            assert row["pinball_ratio"] == pytest.approx(np.sum(losses) / np.sum(usual), rel=1e-5)
            assert row["coverage"] == pytest.approx(inside / count, abs=2 / count)


def test_later_bars_change_no_earlier_forecast(bars: Bars, found: ms.ForecastEvaluation) -> None:
    frame = bars.frame
    frame.iloc[800:, :4] *= 3.0
    other = evaluate_forecasts(
        Bars(frame, "SPX"), ["ewma", "range"], horizons=(1, 3), start="2002-01-01", **QUIET
    )
    for key, one in found.judged.items():
        known = one.rows - key[2] + 1 <= 800
        assert known.sum() > 40
        for name in ("point", "quantiles", "usual", "walk"):
            got = getattr(other.judged[key], name)[known]
            np.testing.assert_array_equal(got, getattr(one, name)[known])
        later = ~known
        assert not np.array_equal(other.judged[key].usual[later], one.usual[later])


def test_noise_has_no_skill_and_what_is_usual_scores_one() -> None:
    table = evaluate_forecasts(noise(1), ["climatology", "ewma"], **QUIET).table()
    close = table[table["target"] == "close"].set_index("model")
    assert close.loc["climatology", "pinball_ratio"] == pytest.approx(1.0, abs=1e-3)
    assert close.loc["ewma", "mae_ratio"] == pytest.approx(1.0, abs=0.02)
    assert close.loc["ewma", "mae_p_value"] > 0.01
    assert close.loc["ewma", "coverage_low"] < 0.8 < close.loc["ewma", "coverage_high"]


def test_a_narrow_model_is_found_out() -> None:
    def narrow(context: Any) -> Any:
        return np.quantile(np.asarray(context)[-250:] / 3.0, LEVELS)

    model = ms.model_from(narrow, levels=LEVELS, name="narrow")
    found = evaluate_forecasts(noise(2, 400), model, **QUIET)
    close = found.table().set_index("target").loc["close"]
    assert close["coverage_high"] < 0.6 and close["pit_p_value"] < 1e-6
    assert close["pinball_ratio"] > 1.05
    calibration = found.calibration
    tail = calibration[(calibration["target"] == "close") & (calibration["level"] == 0.1)].iloc[0]
    assert tail["low"] > 0.1
    assert found.unknown_cutoffs == ("narrow",) and "unknown end" in found.heading()


def test_models_beside_one_another(found: ms.ForecastEvaluation) -> None:
    compared = found.compare("high")
    assert compared["model"].tolist() == ["range", "ewma"]
    assert compared["ratio"].iloc[0] == 1.0 and math.isnan(compared["p_value"].iloc[0])
    one, other = (found.judged[m, "SPX", 1].loss("pinball")[:, 1] for m in ("ewma", "range"))
    assert compared["p_value"].iloc[1] == diebold_mariano(one, other).p_value < 0.1
    assert compared["loss"].iloc[1] == pytest.approx(one.mean())
    assert found.compare("high", horizon=3)["model"].tolist() == ["range", "ewma"]
    own = ms.model_from(
        lambda past: np.quantile(past[-50:], LEVELS), levels=LEVELS, targets=("own",),
        name="own alone",
    )  # fmt: skip
    mixed = evaluate_forecasts(noise(3, 200), [own, "range"], **QUIET)
    assert mixed.judged["own alone", "N3", 1].kind == "own"
    with pytest.raises(ms.ArgumentError, match="different kinds of moves"):
        mixed.compare("high")
    with pytest.raises(ms.ArgumentError, match="targets='close', got targets='own'"):
        evaluate_forecasts(noise(3, 200), "range", targets="own", **QUIET)
    for wrong in ({"target": "mid"}, {"horizon": 2}, {"loss": "squared"}, {"symbol": "X"}):
        with pytest.raises(ms.UnknownNameError):
            found.compare(**wrong)  # type: ignore[arg-type]
    pytest.importorskip("arch")
    chosen = found.compare("high", confidence_set=True)
    assert chosen["in_set"].iloc[0]
    assert chosen["set_p_value"].iloc[1] < 0.2


def test_several_symbols() -> None:
    symbols = {f"N{i}": noise(i, 400) for i in range(4)}
    found = evaluate_forecasts(symbols, ["ewma", "climatology"], **QUIET)
    table = found.table()
    pooled = table[(table["symbol"] == "all") & (table["target"] == "close")].set_index("model")
    each = table[(table["symbol"] != "all") & (table["target"] == "close")]
    ewma = each[each["model"] == "ewma"]
    assert pooled.loc["ewma", "pinball_ratio"] == pytest.approx(ewma["pinball_ratio"].mean())
    assert pooled.loc["ewma", "bars"] == ewma["bars"].sum()
    assert pooled.loc["ewma", "coverage"] == pytest.approx(
        (ewma["coverage"] * ewma["bars"]).sum() / ewma["bars"].sum()
    )
    assert 0.0 < pooled.loc["ewma", "mae_p_value"] <= 1.0
    assert set(found.rank_correlation()) == {"ewma", "climatology"}
    assert abs(found.rank_correlation()["ewma"].mean) < 0.2
    alone = evaluate_forecasts(symbols["N2"], ["ewma", "climatology"], **QUIET).table()
    mine = table[table["symbol"] == "N2"].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, alone)
    assert found.compare("close")["ratio"].iloc[0] == 1.0
    with pytest.raises(ms.ArgumentError, match="at least three"):
        evaluate_forecasts(symbols["N2"], "ewma", **QUIET).rank_correlation()


def test_regimes_and_cutoffs(bars: Bars) -> None:
    found = evaluate_forecasts(
        bars, ["ewma", "range"], start="2001-01-01", cutoffs={"range": "2001-12-31"}, **QUIET
    )
    plain = found.table()
    parts = plain[plain["target"] == "close"].groupby(["model", "regime"])["bars"].sum()
    assert (
        parts["range", "may have been seen"] + parts["range", "after the cutoff"]
        == (parts["range", "all"])
    )
    assert ("ewma", "after the cutoff") not in parts.index
    regimes = found.table(regimes=True)
    close = regimes[(regimes["target"] == "close") & (regimes["model"] == "ewma")]
    years = close[close["regime"].str.fullmatch(r"\d{4}")]
    total = close[close["regime"] == "all"]["bars"].iloc[0]
    assert years["bars"].sum() == total
    thirds = close[close["regime"].str.contains("volatility")]
    assert thirds["bars"].sum() == total and len(thirds) == 3
    with pytest.raises(ms.UnknownNameError, match="cutoffs"):
        evaluate_forecasts(bars, "ewma", cutoffs={"other": "2001-01-01"}, **QUIET)
    with pytest.raises(ms.ArgumentError, match="cutoffs must be dates"):
        evaluate_forecasts(bars, "ewma", cutoffs={"ewma": "soon"}, **QUIET)


def test_output(found: ms.ForecastEvaluation) -> None:
    text = str(found)
    assert (
        f"{len(found.judged['ewma', 'SPX', 1].rows)} of 900 bars judged" in text
        and "Diebold" in text
        and "us a forecast" in text
    )
    assert "unknown end" not in text  # models without weights have seen nothing
    facts = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert {row["target"] for row in facts["rows"]} == set(TARGETS)
    assert set(Skill._fields) <= set(facts["rows"][0])
    assert len(facts["calibration"]) == 2 * 2 * 4 * len(LEVELS)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"models": []}, ms.ArgumentError, "at least one"),
        ({"models": ["ewma", "ewma"]}, ms.ArgumentError, "own name"),
        ({"models": "nothing"}, ms.UnknownNameError, "model"),
        ({"horizons": ()}, ms.ArgumentError, "ascend"),
        ({"horizons": (2, 1)}, ms.ArgumentError, "ascend"),
        ({"horizons": (0,)}, ms.ArgumentError, "horizons"),
        ({"start": "2050-01-01"}, ms.NotEnoughBarsError, "0 bars to judge"),
        ({"start": "soon"}, ms.ArgumentError, "dates"),
        ({"horizons": (899,)}, ms.NotEnoughBarsError, "SPX: 0 bars to judge"),
    ],
)
def test_wrong_arguments(
    bars: Bars, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        evaluate_forecasts(bars, **({"models": "ewma"} | QUIET | arguments))
    with pytest.raises(ms.ArgumentError, match="given twice"):
        evaluate_forecasts([bars, bars], "ewma", **QUIET)


def test_the_page(found: ms.ForecastEvaluation, tmp_path: Path) -> None:
    page = write_evaluation(found, tmp_path / "skill.html").read_text()
    for text in ("Skill against no change", "Models beside one another", "Coverage by level",
                 "By volatility, year", "Where the close lies", "Diebold and Mariano"):  # fmt: skip
        assert text in page
    assert " src=" not in page and " href=" not in page.replace('href="data:,"', "")
    one = found.judged["ewma", "SPX", 1]
    inside = (one.actual[:, 3] > one.quantiles[:, 3, 0]) & (
        one.actual[:, 3] <= one.quantiles[:, 3, -1]
    )
    assert f"{100 * inside.mean():.1f} %" in page
    assert render_evaluation(found) == page
    with pytest.raises(ms.ArgumentError, match="must end in"):
        write_evaluation(found, tmp_path / "skill.csv")


def test_forecasts_that_cross_are_counted(bars: Bars) -> None:
    made = evaluate_forecasts(bars, ["ewma", "range"], **QUIET)
    assert set(made.crossed) == {"ewma"}  # range forecasts whole bars
    judged = made.forecasts // 4
    told = f"ewma forecasts the four prices independently, and on {made.crossed['ewma']:,} of "
    assert any(note.startswith(told + f"{judged:,} bars") for note in made.notes)
