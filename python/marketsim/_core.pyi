"""
Compiled kernels of marketsim. Private: call them through marketsim.
"""

from __future__ import annotations

import collections.abc
import os
import typing

import numpy
import numpy.typing

__all__: list[str] = [
    "FeatureProgram",
    "FeatureStream",
    "GenesisOutcome",
    "GenesisSettings",
    "GenesisSide",
    "GridComparisons",
    "IndicatorCall",
    "IndicatorStream",
    "ReplayBars",
    "ReplayLeg",
    "ReplayRun",
    "ReplaySettings",
    "ReplaySignals",
    "SharedRun",
    "StoreCounters",
    "StoreFile",
    "StoreView",
    "benchmark_performance",
    "best_offsets",
    "best_offsets_of_fills",
    "best_offsets_of_tensors",
    "bootstrap_bars",
    "bootstrap_maxima",
    "bootstrap_performance",
    "close_moves",
    "compiler",
    "context_digests",
    "cross_validate",
    "environment_variable",
    "ewma_forecasts",
    "fills",
    "genesis_features",
    "genesis_probabilities",
    "genesis_run",
    "high_low_returns",
    "indicator_kinds",
    "isa",
    "mixture_cdf",
    "mixture_means_between",
    "mixture_quantiles",
    "persistence_forecasts",
    "profit",
    "profit_of_rows",
    "record_keys",
    "replay_callback",
    "replay_callback_leg",
    "replay_grid",
    "replay_portfolio",
    "replay_shared",
    "replay_signals",
    "replay_signals_leg",
    "replay_strategy",
    "replay_strategy_leg",
    "replay_targets",
    "replay_targets_leg",
    "rolling_quantiles",
    "rolling_sharpe",
    "row_performance",
    "rows_of_tensors",
    "score_signals",
    "score_sums",
    "set_isa",
    "set_thread_limit",
    "shutdown_signals",
    "store_inspect",
    "store_layout",
    "store_lock_holder",
    "store_network_file_system",
    "supported_isas",
    "take_profit_returns",
    "thread_limit",
    "weighted_sums",
    "window_performance",
]

class FeatureStream:
    """
    Features, one bar at a time.
    """
    def copy(self) -> FeatureStream:
        """
        An independent copy.
        """
    def load(self, parts: collections.abc.Sequence[bytes]) -> None:
        """
        Take up a saved state.
        """
    def save(self) -> list[bytes]:
        """
        The state as bytes.
        """
    def update(
        self, row: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]
    ) -> numpy.typing.NDArray[numpy.float64]:
        """
        Take one bar; its features.
        """

class FeatureProgram:
    """
    Features as numbered steps.
    """
    def __init__(
        self,
        inputs: typing.SupportsInt | typing.SupportsIndex,
        steps: collections.abc.Sequence[
            tuple[
                typing.SupportsInt | typing.SupportsIndex,
                collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
                typing.SupportsInt | typing.SupportsIndex,
                typing.SupportsFloat | typing.SupportsIndex,
            ]
        ],
        indicators: collections.abc.Sequence[
            tuple[
                str,
                collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex],
                typing.SupportsInt | typing.SupportsIndex,
                typing.SupportsInt | typing.SupportsIndex,
                typing.SupportsInt | typing.SupportsIndex,
                collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
                collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
            ]
        ],
        features: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    ) -> None: ...
    def run(
        self,
        columns: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
        first: typing.SupportsInt | typing.SupportsIndex = 0,
    ) -> numpy.typing.NDArray[numpy.float64]:
        """
        Features [row, feature] of columns [input, row], from row `first` on.
        """
    def stream(self) -> FeatureStream:
        """
        A form that takes one bar at a time.
        """

class GenesisSettings:
    """
    Settings of one run of the second old system's bar loop.
    """

    adaptive: bool
    adapts: bool
    event_block: bool
    exits: bool
    higher_disabled: bool
    higher_gate: bool
    higher_pass: bool
    lower_gate: bool
    lower_pass: bool
    may_override: bool
    partial_even: bool
    partials: bool
    range_override: bool
    risk_cap: bool
    skip_errors: bool
    trailing: bool
    def __init__(self) -> None: ...
    @property
    def capital(self) -> float: ...
    @capital.setter
    def capital(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def commission(self) -> float: ...
    @commission.setter
    def commission(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def cooldown(self) -> int: ...
    @cooldown.setter
    def cooldown(self, arg0: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    @property
    def even_offset(self) -> float: ...
    @even_offset.setter
    def even_offset(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def even_trigger(self) -> float: ...
    @even_trigger.setter
    def even_trigger(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def exit_confidence(self) -> float: ...
    @exit_confidence.setter
    def exit_confidence(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def higher_tolerance(self) -> float: ...
    @higher_tolerance.setter
    def higher_tolerance(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def history_least(self) -> int: ...
    @history_least.setter
    def history_least(self, arg0: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    @property
    def history_rows(self) -> int: ...
    @history_rows.setter
    def history_rows(self, arg0: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    @property
    def hysteresis(self) -> int: ...
    @hysteresis.setter
    def hysteresis(self, arg0: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    @property
    def long_max(self) -> int: ...
    @long_max.setter
    def long_max(self, arg0: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    @property
    def long_min(self) -> int: ...
    @long_min.setter
    def long_min(self, arg0: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    @property
    def long_targets(self) -> list[int]: ...
    @long_targets.setter
    def long_targets(
        self, arg0: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]
    ) -> None: ...
    @property
    def lower_tolerance(self) -> float: ...
    @lower_tolerance.setter
    def lower_tolerance(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def min_edge(self) -> float: ...
    @min_edge.setter
    def min_edge(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def override_ceiling(self) -> float: ...
    @override_ceiling.setter
    def override_ceiling(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def override_fallback(self) -> float: ...
    @override_fallback.setter
    def override_fallback(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def override_floor(self) -> float: ...
    @override_floor.setter
    def override_floor(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def override_multiplier(self) -> list[float]: ...
    @override_multiplier.setter
    def override_multiplier(
        self, arg0: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex]
    ) -> None: ...
    @property
    def override_share(self) -> float: ...
    @override_share.setter
    def override_share(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def override_threshold(self) -> float: ...
    @override_threshold.setter
    def override_threshold(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def partial(self) -> list[float]: ...
    @partial.setter
    def partial(
        self, arg0: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex]
    ) -> None: ...
    @property
    def partial_even_offset(self) -> float: ...
    @partial_even_offset.setter
    def partial_even_offset(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def percentile(self) -> int: ...
    @percentile.setter
    def percentile(self, arg0: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    @property
    def range_max(self) -> float: ...
    @range_max.setter
    def range_max(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def range_min(self) -> float: ...
    @range_min.setter
    def range_min(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def reward(self) -> float: ...
    @reward.setter
    def reward(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def risk_confidence(self) -> list[float]: ...
    @risk_confidence.setter
    def risk_confidence(
        self, arg0: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex]
    ) -> None: ...
    @property
    def risk_size(self) -> list[float]: ...
    @risk_size.setter
    def risk_size(
        self, arg0: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex]
    ) -> None: ...
    @property
    def short_max(self) -> int: ...
    @short_max.setter
    def short_max(self, arg0: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    @property
    def short_min(self) -> int: ...
    @short_min.setter
    def short_min(self, arg0: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    @property
    def short_targets(self) -> list[int]: ...
    @short_targets.setter
    def short_targets(
        self, arg0: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]
    ) -> None: ...
    @property
    def slippage(self) -> float: ...
    @slippage.setter
    def slippage(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def stop_loss(self) -> float: ...
    @stop_loss.setter
    def stop_loss(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def take_profit(self) -> float: ...
    @take_profit.setter
    def take_profit(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def trail(self) -> float: ...
    @trail.setter
    def trail(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def warmup(self) -> int: ...
    @warmup.setter
    def warmup(self, arg0: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    @property
    def zone_entry(self) -> list[float]: ...
    @zone_entry.setter
    def zone_entry(
        self, arg0: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex]
    ) -> None: ...
    @property
    def zone_threshold(self) -> list[float]: ...
    @zone_threshold.setter
    def zone_threshold(
        self, arg0: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex]
    ) -> None: ...

class GenesisSide:
    """
    One side of a logistic model.
    """
    def __init__(
        self,
        columns: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
        weights: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex],
        bias: typing.SupportsFloat | typing.SupportsIndex,
        slope: typing.Annotated[
            collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(4)"
        ],
        shift: typing.Annotated[
            collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(4)"
        ],
    ) -> None: ...

class GenesisOutcome:
    """
    What a run leaves beside its rows.
    """
    @property
    def buy_history(self) -> list[float]: ...
    @property
    def capital(self) -> float: ...
    @property
    def commission(self) -> float: ...
    @property
    def failed(self) -> int: ...
    @property
    def failed_bar(self) -> int: ...
    @property
    def max_capital(self) -> float: ...
    @property
    def min_capital(self) -> float: ...
    @property
    def processed(self) -> int: ...
    @property
    def sell_history(self) -> list[float]: ...

class IndicatorCall:
    """
    An indicator with its parameters.
    """
    def __init__(
        self,
        name: str,
        parameters: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
        shape: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
        option: typing.SupportsInt | typing.SupportsIndex,
        longest: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...
    def fresh(self, arrays: tuple[typing.Any, ...]) -> typing.Any:
        """
        A tuple of results in fresh arrays, for small float64 arrays [row]; else None.
        """
    def run(
        self,
        inputs: collections.abc.Sequence[typing.Annotated[numpy.typing.ArrayLike, numpy.float64]],
        lookback: typing.SupportsInt | typing.SupportsIndex,
        lags: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
        outputs: collections.abc.Sequence[typing.Annotated[numpy.typing.ArrayLike, numpy.float64]],
    ) -> None:
        """
        Fill the outputs; lookback 0 sees all rows before each.
        """

class IndicatorStream:
    """
    An indicator that takes one bar at a time.
    """
    def __copy__(self) -> IndicatorStream: ...
    def __deepcopy__(self, arg0: typing.Any) -> IndicatorStream: ...
    def __getstate__(self) -> tuple[str, list[float], int, int, int, list[int], bytes]: ...
    def __init__(
        self,
        name: str,
        parameters: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex],
        option: typing.SupportsInt | typing.SupportsIndex,
        longest: typing.SupportsInt | typing.SupportsIndex,
        lookback: typing.SupportsInt | typing.SupportsIndex = 0,
        lags: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex] = [],
    ) -> None: ...
    def __setstate__(
        self,
        arg0: tuple[
            str,
            collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex],
            typing.SupportsInt | typing.SupportsIndex,
            typing.SupportsInt | typing.SupportsIndex,
            typing.SupportsInt | typing.SupportsIndex,
            collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
            bytes,
        ],
    ) -> None: ...
    def copy(self) -> IndicatorStream:
        """
        An independent copy.
        """
    @typing.overload
    def update(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> typing.Any:
        """
        Take one bar; its value.
        """
    @typing.overload
    def update(
        self,
        arg0: typing.SupportsFloat | typing.SupportsIndex,
        arg1: typing.SupportsFloat | typing.SupportsIndex,
    ) -> typing.Any: ...
    @typing.overload
    def update(
        self,
        arg0: typing.SupportsFloat | typing.SupportsIndex,
        arg1: typing.SupportsFloat | typing.SupportsIndex,
        arg2: typing.SupportsFloat | typing.SupportsIndex,
    ) -> typing.Any: ...
    @typing.overload
    def update(
        self,
        arg0: typing.SupportsFloat | typing.SupportsIndex,
        arg1: typing.SupportsFloat | typing.SupportsIndex,
        arg2: typing.SupportsFloat | typing.SupportsIndex,
        arg3: typing.SupportsFloat | typing.SupportsIndex,
    ) -> typing.Any: ...
    @typing.overload
    def update(
        self,
        arg0: typing.SupportsFloat | typing.SupportsIndex,
        arg1: typing.SupportsFloat | typing.SupportsIndex,
        arg2: typing.SupportsFloat | typing.SupportsIndex,
        arg3: typing.SupportsFloat | typing.SupportsIndex,
        arg4: typing.SupportsFloat | typing.SupportsIndex,
    ) -> typing.Any: ...
    @property
    def name(self) -> str: ...

class ReplayBars:
    """
    OHLCV arrays [bar] of a replay, kept alive.
    """
    def __init__(
        self,
        open: numpy.typing.NDArray[numpy.float64],
        high: numpy.typing.NDArray[numpy.float64],
        low: numpy.typing.NDArray[numpy.float64],
        close: numpy.typing.NDArray[numpy.float64],
        volume: numpy.typing.NDArray[numpy.float64] | None,
        time: numpy.typing.NDArray[numpy.int64] | None,
        split: numpy.typing.NDArray[numpy.float64] | None,
        dividend: numpy.typing.NDArray[numpy.float64] | None,
        trail: numpy.typing.NDArray[numpy.float64] | None,
    ) -> None: ...
    def add_finer(
        self,
        columns: collections.abc.Sequence[typing.Annotated[numpy.typing.ArrayLike, numpy.float64]],
        volumes: typing.Annotated[numpy.typing.ArrayLike, numpy.float64] | None,
        first: numpy.typing.NDArray[numpy.int64],
    ) -> None:
        """
        Gives each bar finer bars: rows first[t] .. first[t + 1] - 1 of the columns.
        """

class ReplaySettings:
    """
    Cash, costs and rules of a replay.
    """
    def __init__(
        self,
        cash: typing.SupportsFloat | typing.SupportsIndex,
        limit_cost: typing.SupportsFloat | typing.SupportsIndex,
        market_cost: typing.SupportsFloat | typing.SupportsIndex,
        fixed_cost: typing.SupportsFloat | typing.SupportsIndex,
        borrow: typing.SupportsFloat | typing.SupportsIndex,
        financing: typing.SupportsFloat | typing.SupportsIndex,
        leverage: typing.SupportsFloat | typing.SupportsIndex,
        maintenance: typing.SupportsFloat | typing.SupportsIndex,
        lot: typing.SupportsFloat | typing.SupportsIndex,
        participation: typing.SupportsFloat | typing.SupportsIndex,
        policy: typing.SupportsInt | typing.SupportsIndex,
        same_close: bool,
        close_at_end: bool,
    ) -> None: ...

class ReplaySignals:
    """
    Entries and exits as flags [bar], kept alive.
    """
    def __init__(
        self,
        long_entry: numpy.typing.NDArray[numpy.bool] | None,
        long_exit: numpy.typing.NDArray[numpy.bool] | None,
        short_entry: numpy.typing.NDArray[numpy.bool] | None,
        short_exit: numpy.typing.NDArray[numpy.bool] | None,
        size: typing.SupportsInt | typing.SupportsIndex,
        quantity: typing.SupportsFloat | typing.SupportsIndex,
        quantities: numpy.typing.NDArray[numpy.float64] | None,
        stop_loss: typing.SupportsFloat | typing.SupportsIndex,
        take_profit: typing.SupportsFloat | typing.SupportsIndex,
        trailing_stop: typing.SupportsFloat | typing.SupportsIndex,
        stop_losses: numpy.typing.NDArray[numpy.float64] | None,
        take_profits: numpy.typing.NDArray[numpy.float64] | None,
        cooldown: typing.SupportsInt | typing.SupportsIndex,
        time_stop: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...

class ReplayRun:
    """
    What a replay left.
    """
    def fills(self) -> numpy.typing.NDArray[numpy.uint8]: ...
    def metrics(self, annual_root: typing.SupportsFloat | typing.SupportsIndex) -> dict[str, float]:
        """
        Figures by name.
        """
    def orders(self) -> numpy.typing.NDArray[numpy.uint8]: ...
    def trades(self) -> numpy.typing.NDArray[numpy.uint8]: ...
    @property
    def ended(self) -> int:
        """
        0 done, 1 the strategy raised, 2 a request was no order.
        """
    @property
    def equity(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        Equity at each close [bar], made at each access.
        """
    @property
    def position(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        Units held at each close [bar], made at each access.
        """
    @property
    def refusal(self) -> tuple[int, int, int]:
        """
        (bar, request, defect) of the first request that was no order.
        """

class GridComparisons:
    """
    Signals of many sets as comparisons between rows of indicators.
    """
    def __init__(
        self,
        rows: numpy.typing.NDArray[numpy.float64],
        entry_up: numpy.typing.NDArray[numpy.int64],
        entry_over: numpy.typing.NDArray[numpy.int64],
        exit_up: numpy.typing.NDArray[numpy.int64],
        exit_over: numpy.typing.NDArray[numpy.int64],
        crosses: bool,
    ) -> None: ...

class ReplayLeg:
    """
    One instrument of a shared account.
    """

class SharedRun:
    """
    What a replay of a shared account left.
    """
    def fills(
        self, leg: typing.SupportsInt | typing.SupportsIndex
    ) -> numpy.typing.NDArray[numpy.uint8]: ...
    def metrics(self, annual_root: typing.SupportsFloat | typing.SupportsIndex) -> dict[str, float]:
        """
        Figures by name.
        """
    def orders(
        self, leg: typing.SupportsInt | typing.SupportsIndex
    ) -> numpy.typing.NDArray[numpy.uint8]: ...
    def position(
        self, leg: typing.SupportsInt | typing.SupportsIndex
    ) -> numpy.typing.NDArray[numpy.float64]:
        """
        Units of an instrument held at each of its closes [bar].
        """
    def trades(
        self, leg: typing.SupportsInt | typing.SupportsIndex
    ) -> numpy.typing.NDArray[numpy.uint8]: ...
    @property
    def cash(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        Cash at each close [bar].
        """
    @property
    def ended(self) -> int:
        """
        0 done, 1 a strategy raised, 2 a request was no order.
        """
    @property
    def equity(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        Equity at each close [bar].
        """
    @property
    def gross(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        Sum of the sizes held at each close [bar].
        """
    @property
    def refusal(self) -> tuple[int, int, int, int]:
        """
        (instrument, its bar, request, defect) of what stopped it.
        """

class StoreView:
    """
    Keeps the bytes of records that were given out.
    """

class StoreCounters:
    """
    Counts of all files of a store.
    """
    def __init__(self) -> None: ...
    def counts(self) -> dict[str, int]:
        """
        The counts by name.
        """
    @property
    def held(self) -> int:
        """
        Bytes of memory that the records of all files take.
        """

class StoreFile:
    """
    One file of records; see csrc/kernels/store/file.hpp.
    """
    def __init__(
        self,
        path: os.PathLike[str] | str | bytes,
        model: str,
        series: str,
        schema: str,
        width: typing.SupportsInt | typing.SupportsIndex,
        counters: StoreCounters,
        writable: bool,
        sync: bool,
        lock_timeout: typing.SupportsFloat | typing.SupportsIndex = 10.0,
        use_maps: bool = False,
    ) -> None: ...
    def append(
        self,
        keys: numpy.typing.NDArray[numpy.uint8],
        as_of: numpy.typing.NDArray[numpy.int64],
        target: numpy.typing.NDArray[numpy.uint8],
        horizon: numpy.typing.NDArray[numpy.uint16],
        flags: numpy.typing.NDArray[numpy.uint8],
        records: numpy.typing.NDArray[numpy.float32],
    ) -> int:
        """
        Appends what is not there yet; returns how many.
        """
    def compact(self) -> int:
        """
        Rewrites the file with what counts; returns the bytes saved.
        """
    def contents(self) -> dict[str, int]:
        """
        Bytes, slots and what is in them.
        """
    def get(self, key: bytes) -> numpy.typing.NDArray[numpy.float32] | None:
        """
        The values of a record, not writable, or None.
        """
    def read(
        self, keys: numpy.typing.NDArray[numpy.uint8]
    ) -> tuple[numpy.typing.NDArray[numpy.float32], numpy.typing.NDArray[numpy.bool], int]:
        """
        (records [n, width], found [n], how many were found).
        """
    def table(
        self,
    ) -> tuple[
        numpy.typing.NDArray[numpy.uint8],
        numpy.typing.NDArray[numpy.int64],
        numpy.typing.NDArray[numpy.uint8],
        numpy.typing.NDArray[numpy.uint16],
        numpy.typing.NDArray[numpy.uint8],
        numpy.typing.NDArray[numpy.float32],
    ]:
        """
        (keys, as_of, target, horizon, flags, records) of all records.
        """

def benchmark_performance(
    net: numpy.typing.NDArray[numpy.float64],
    benchmark: numpy.typing.NDArray[numpy.float64],
    risk_free: numpy.typing.NDArray[numpy.float64] | None = None,
) -> numpy.typing.NDArray[numpy.float64]:
    """
    Beta, alpha, correlation, active return, tracking error: [strategy, 5], per bar.
    """

def best_offsets(
    close: numpy.typing.NDArray[numpy.float32],
    high: numpy.typing.NDArray[numpy.float32],
    low: numpy.typing.NDArray[numpy.float32],
    high_pred: numpy.typing.NDArray[numpy.float32],
    low_pred: numpy.typing.NDArray[numpy.float32],
    position: numpy.typing.NDArray[numpy.float32],
    open: numpy.typing.NDArray[numpy.float32] | None,
    high_min: typing.SupportsFloat | typing.SupportsIndex,
    high_max: typing.SupportsFloat | typing.SupportsIndex,
    low_min: typing.SupportsFloat | typing.SupportsIndex,
    low_max: typing.SupportsFloat | typing.SupportsIndex,
    fill: typing.SupportsInt | typing.SupportsIndex,
    fee_rule: typing.SupportsInt | typing.SupportsIndex,
    limit_cost: typing.SupportsFloat | typing.SupportsIndex,
    close_cost: typing.SupportsFloat | typing.SupportsIndex,
    margin: typing.SupportsFloat | typing.SupportsIndex,
    always_on: bool,
    long_only: bool,
) -> tuple[
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float64],
]:
    """
    Best offsets and their profit for each row: (high, low, profit).
    """

def best_offsets_of_fills(
    close: numpy.typing.NDArray[numpy.float32],
    high: numpy.typing.NDArray[numpy.float32],
    low: numpy.typing.NDArray[numpy.float32],
    high_pred: numpy.typing.NDArray[numpy.float32],
    low_pred: numpy.typing.NDArray[numpy.float32],
    position: numpy.typing.NDArray[numpy.float32],
    high_min: typing.SupportsFloat | typing.SupportsIndex,
    high_max: typing.SupportsFloat | typing.SupportsIndex,
    low_min: typing.SupportsFloat | typing.SupportsIndex,
    low_max: typing.SupportsFloat | typing.SupportsIndex,
    fills: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    fee_rule: typing.SupportsInt | typing.SupportsIndex,
    fee: typing.SupportsFloat | typing.SupportsIndex,
    always_on: bool,
) -> tuple[
    numpy.typing.NDArray[numpy.uint8],
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float64],
]:
    """
    For each row the best of several fills: (number among `fills`, high, low, profit).
    """

def best_offsets_of_tensors(
    close: typing.Any,
    high: typing.Any,
    low: typing.Any,
    high_pred: typing.Any,
    low_pred: typing.Any,
    position: typing.Any,
    second: typing.Any,
    bounds: typing.Any,
    fill: int,
    fee_rule: int,
    fee: float,
) -> tuple[float, float, float] | None:
    """
    Best offsets of one problem of tensors: (high, low, profit); None where none fit.
    """

def bootstrap_bars(
    bars: typing.SupportsInt | typing.SupportsIndex,
    mean_length: typing.SupportsFloat | typing.SupportsIndex,
    seed: typing.SupportsInt | typing.SupportsIndex,
    repetitions: typing.SupportsInt | typing.SupportsIndex,
) -> numpy.typing.NDArray[numpy.int64]:
    """
    The bars that each repetition draws: [repetition, bar].
    """

def bootstrap_maxima(
    values: numpy.typing.NDArray[numpy.float64],
    offsets: numpy.typing.NDArray[numpy.float64],
    scale: numpy.typing.NDArray[numpy.float64],
    mean_length: typing.SupportsFloat | typing.SupportsIndex,
    seed: typing.SupportsInt | typing.SupportsIndex,
    repetitions: typing.SupportsInt | typing.SupportsIndex,
) -> numpy.typing.NDArray[numpy.float64]:
    """
    Largest (resampled centred mean + offset) * scale of all strategies: [repetition, kind].
    """

def bootstrap_performance(
    net: numpy.typing.NDArray[numpy.float64],
    active: numpy.typing.NDArray[numpy.bool] | None,
    mean_length: typing.SupportsFloat | typing.SupportsIndex,
    seed: typing.SupportsInt | typing.SupportsIndex,
    repetitions: typing.SupportsInt | typing.SupportsIndex,
) -> numpy.typing.NDArray[numpy.float64]:
    """
    Window figures of resampled net returns: [strategy, repetition, figure].
    """

def close_moves(
    open: numpy.typing.NDArray[numpy.float64],
    high: numpy.typing.NDArray[numpy.float64],
    low: numpy.typing.NDArray[numpy.float64],
    close: numpy.typing.NDArray[numpy.float64],
) -> numpy.typing.NDArray[numpy.float64]:
    """
    Log moves of the four prices against the close before: [price, bars - 1].
    """

def compiler() -> str:
    """
    Compiler of this build.
    """

def context_digests(
    timestamps: numpy.typing.NDArray[numpy.int64],
    values: numpy.typing.NDArray[numpy.float64],
    ends: numpy.typing.NDArray[numpy.int64],
    context_length: typing.SupportsInt | typing.SupportsIndex,
) -> numpy.typing.NDArray[numpy.uint8]:
    """
    Digest [n, 16] of the last context_length rows (0: all) before each end; values is [column, row].
    """

def cross_validate(
    net: numpy.typing.NDArray[numpy.float64],
    blocks: typing.SupportsInt | typing.SupportsIndex,
    sharpe: bool,
) -> tuple[
    numpy.typing.NDArray[numpy.int64],
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.float64],
]:
    """
    (best in sample, its statistic in sample, out of sample, its rank there) of every split.
    """

def environment_variable(name: str) -> str | None:
    """
    What os.environ.get(name) gives, in a tenth of its time where there is none.
    """

def ewma_forecasts(
    series: numpy.typing.NDArray[numpy.float64],
    start: typing.SupportsInt | typing.SupportsIndex,
    decay: typing.SupportsFloat | typing.SupportsIndex,
    window: typing.SupportsInt | typing.SupportsIndex,
    least: typing.SupportsInt | typing.SupportsIndex,
    levels: numpy.typing.NDArray[numpy.float64],
    normal: numpy.typing.NDArray[numpy.float64],
) -> tuple[
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.float64],
]:
    """
    (mean, std, quantile) of the forecasts for start .. len(series).
    """

def fills(
    close: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    high: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    low: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    high_pred: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    low_pred: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    position: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    open: typing.Annotated[numpy.typing.ArrayLike, numpy.float32] | None,
    fill: typing.SupportsInt | typing.SupportsIndex,
    fee_rule: typing.SupportsInt | typing.SupportsIndex,
    limit_cost: typing.SupportsFloat | typing.SupportsIndex,
    close_cost: typing.SupportsFloat | typing.SupportsIndex,
) -> tuple[
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.uint8],
]:
    """
    Gross profit, cost and FillFlag bits of each day.
    """

def genesis_features(
    close: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    rsi: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    rsi_before: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    ema: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    ema_before: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    adx: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    swing_high: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    swing_low: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    atr_short: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    atr_long: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    band_position: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    rows: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
) -> tuple[numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.float64]]:
    """
    (features [15, bar], percentiles [6, bar]) from indicators as of each bar.
    """

def genesis_probabilities(
    features: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    regime: typing.Annotated[numpy.typing.ArrayLike, numpy.int8],
    buy: GenesisSide,
    sell: GenesisSide,
) -> numpy.typing.NDArray[numpy.float64]:
    """
    Probabilities [buy sell hold, bar].
    """

def genesis_run(
    high: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    low: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    close: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    p_buy: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    p_sell: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    atr: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    percentiles: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    exit_atr: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    regime: typing.Annotated[numpy.typing.ArrayLike, numpy.int8],
    higher_ok: typing.Annotated[numpy.typing.ArrayLike, numpy.int8],
    higher_levels: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    higher_high: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    higher_low: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    lower_ok: typing.Annotated[numpy.typing.ArrayLike, numpy.int8],
    lower_levels: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    settings: GenesisSettings,
) -> tuple[numpy.typing.NDArray[numpy.uint8], numpy.typing.NDArray[numpy.uint8], GenesisOutcome]:
    """
    (rows, trades, outcome) of the bar loop; rows and trades as bytes [row, size].
    """

@typing.overload
def high_low_returns(
    close_pred: numpy.typing.NDArray[numpy.float32],
    high_pred: numpy.typing.NDArray[numpy.float32],
    low_pred: numpy.typing.NDArray[numpy.float32],
    close: numpy.typing.NDArray[numpy.float32],
    high: numpy.typing.NDArray[numpy.float32],
    low: numpy.typing.NDArray[numpy.float32],
    fee: typing.SupportsFloat | typing.SupportsIndex,
    long_only: bool,
) -> typing.Any:
    """
    Returns [row, day] of entry at the forecast low or high.
    """

@typing.overload
def high_low_returns(
    close_pred: numpy.typing.NDArray[numpy.float64],
    high_pred: numpy.typing.NDArray[numpy.float64],
    low_pred: numpy.typing.NDArray[numpy.float64],
    close: numpy.typing.NDArray[numpy.float64],
    high: numpy.typing.NDArray[numpy.float64],
    low: numpy.typing.NDArray[numpy.float64],
    fee: typing.SupportsFloat | typing.SupportsIndex,
    long_only: bool,
) -> typing.Any:
    """
    Returns [row, day] of entry at the forecast low or high.
    """

def indicator_kinds() -> dict[str, tuple[int, int, bool]]:
    """
    {name: (inputs, outputs, recursive)} of every indicator.
    """

def isa() -> str:
    """
    Instruction set the kernels run on.
    """

def mixture_cdf(
    df: numpy.typing.NDArray[numpy.float64],
    loc: numpy.typing.NDArray[numpy.float64],
    scale: numpy.typing.NDArray[numpy.float64],
    weight: numpy.typing.NDArray[numpy.float64],
    at: numpy.typing.NDArray[numpy.float64],
) -> numpy.typing.NDArray[numpy.float64]:
    """
    P(X <= at) of mixtures [row, component] of Student-t distributions, [row].
    """

def mixture_means_between(
    df: numpy.typing.NDArray[numpy.float64],
    loc: numpy.typing.NDArray[numpy.float64],
    scale: numpy.typing.NDArray[numpy.float64],
    weight: numpy.typing.NDArray[numpy.float64],
    low: tuple[
        typing.SupportsFloat | typing.SupportsIndex, typing.SupportsFloat | typing.SupportsIndex
    ],
    high: tuple[
        typing.SupportsFloat | typing.SupportsIndex, typing.SupportsFloat | typing.SupportsIndex
    ],
) -> numpy.typing.NDArray[numpy.float64]:
    """
    Means [row] of the parts between two levels, given as for mixture_quantiles.
    """

def mixture_quantiles(
    df: numpy.typing.NDArray[numpy.float64],
    loc: numpy.typing.NDArray[numpy.float64],
    scale: numpy.typing.NDArray[numpy.float64],
    weight: numpy.typing.NDArray[numpy.float64],
    levels: collections.abc.Sequence[
        tuple[
            typing.SupportsFloat | typing.SupportsIndex, typing.SupportsFloat | typing.SupportsIndex
        ]
    ],
) -> numpy.typing.NDArray[numpy.float64]:
    """
    Quantiles [row, level] at (level, the standard normal's quantile at it).
    """

def persistence_forecasts(
    series: numpy.typing.NDArray[numpy.float64],
    start: typing.SupportsInt | typing.SupportsIndex,
    window: typing.SupportsInt | typing.SupportsIndex,
    levels: numpy.typing.NDArray[numpy.float64],
    normal: numpy.typing.NDArray[numpy.float64],
) -> tuple[
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.float64],
]:
    """
    (mean, std, quantile) of the forecasts for start .. len(series).
    """

def profit(
    close: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    high: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    low: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    high_pred: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    low_pred: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    position: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    open: typing.Annotated[numpy.typing.ArrayLike, numpy.float32] | None,
    high_offset: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    low_offset: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    fill: typing.SupportsInt | typing.SupportsIndex,
    fee_rule: typing.SupportsInt | typing.SupportsIndex,
    limit_cost: typing.SupportsFloat | typing.SupportsIndex,
    close_cost: typing.SupportsFloat | typing.SupportsIndex,
) -> numpy.typing.NDArray[numpy.float32]:
    """
    Profit of each candidate and day, float32 [candidate, day].
    """

def profit_of_rows(
    close: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    high: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    low: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    high_pred: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    low_pred: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    position: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    high_offset: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    low_offset: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    fill: numpy.typing.NDArray[numpy.uint8],
    fee_rule: typing.SupportsInt | typing.SupportsIndex,
    fee: typing.SupportsFloat | typing.SupportsIndex,
) -> numpy.typing.NDArray[numpy.float32]:
    """
    Profit of each day of rows, float32 [pair of offsets, position, row, day].
    """

def record_keys(
    head: bytes,
    as_of: numpy.typing.NDArray[numpy.int64],
    contexts: numpy.typing.NDArray[numpy.uint8],
) -> numpy.typing.NDArray[numpy.uint8]:
    """
    Key [n, 16] of each forecast, from a digest of what is the same for all of them.
    """

def replay_callback(
    bars: ReplayBars,
    settings: ReplaySettings,
    on_bar: collections.abc.Callable[[int], None],
    state: numpy.typing.NDArray[numpy.uint8],
    bar: numpy.typing.NDArray[numpy.uint8],
    requests: numpy.typing.NDArray[numpy.uint8],
) -> ReplayRun:
    """
    Replays a strategy in Python: on_bar(t) is called once a bar.
    """

def replay_callback_leg(
    bars: ReplayBars,
    time: numpy.typing.NDArray[numpy.int64],
    on_bar: collections.abc.Callable[[int], None],
    state: numpy.typing.NDArray[numpy.uint8],
    bar: numpy.typing.NDArray[numpy.uint8],
    requests: numpy.typing.NDArray[numpy.uint8],
) -> ReplayLeg:
    """
    An instrument of a strategy in Python.
    """

def replay_grid(
    bars: ReplayBars,
    settings: ReplaySettings,
    comparisons: GridComparisons | None,
    entries: numpy.typing.NDArray[numpy.bool] | None,
    exits: numpy.typing.NDArray[numpy.bool] | None,
    side: typing.SupportsInt | typing.SupportsIndex,
    size: typing.SupportsInt | typing.SupportsIndex,
    quantity: typing.SupportsFloat | typing.SupportsIndex,
    stop_loss: numpy.typing.NDArray[numpy.float64],
    take_profit: numpy.typing.NDArray[numpy.float64],
    trailing_stop: numpy.typing.NDArray[numpy.float64],
    cooldown: numpy.typing.NDArray[numpy.int64],
    time_stop: numpy.typing.NDArray[numpy.int64],
    net: numpy.typing.NDArray[numpy.float64] | None,
) -> dict[str, numpy.typing.NDArray[numpy.float64]]:
    """
    Figures by name [set] of a signal strategy with many sets of parameters; writes the returns of the equity to `net` [set, bar].
    """

def replay_portfolio(
    open: numpy.typing.NDArray[numpy.float64],
    close: numpy.typing.NDArray[numpy.float64],
    weights: numpy.typing.NDArray[numpy.float64],
    cash: typing.SupportsFloat | typing.SupportsIndex,
    cost: typing.SupportsFloat | typing.SupportsIndex,
    fixed_cost: typing.SupportsFloat | typing.SupportsIndex,
    lot: typing.SupportsFloat | typing.SupportsIndex,
    same_close: bool,
    keep_units: bool,
) -> tuple[
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.float64],
]:
    """
    (equity, cash, units, cost, turnover) of moving to target weights [bar, asset].
    """

def replay_shared(
    legs: collections.abc.Sequence[ReplayLeg],
    settings: ReplaySettings,
    times: numpy.typing.NDArray[numpy.int64],
    most_positions: typing.SupportsInt | typing.SupportsIndex,
    most_weight: typing.SupportsFloat | typing.SupportsIndex,
) -> SharedRun:
    """
    Replays orders on many instruments that share one account.
    """

def replay_signals(bars: ReplayBars, settings: ReplaySettings, signals: ReplaySignals) -> ReplayRun:
    """
    Replays entries and exits given as flags [bar].
    """

def replay_signals_leg(
    bars: ReplayBars, time: numpy.typing.NDArray[numpy.int64], signals: ReplaySignals
) -> ReplayLeg:
    """
    An instrument whose entries and exits are flags [bar].
    """

def replay_strategy(
    bars: ReplayBars,
    settings: ReplaySettings,
    address: typing.SupportsInt | typing.SupportsIndex,
    features: collections.abc.Sequence[typing.Annotated[numpy.typing.ArrayLike, numpy.float64]],
    state: numpy.typing.NDArray[numpy.uint8],
    requests: numpy.typing.NDArray[numpy.uint8],
) -> ReplayRun:
    """
    Replays a compiled strategy by the address of its function.
    """

def replay_strategy_leg(
    bars: ReplayBars,
    time: numpy.typing.NDArray[numpy.int64],
    address: typing.SupportsInt | typing.SupportsIndex,
    features: collections.abc.Sequence[typing.Annotated[numpy.typing.ArrayLike, numpy.float64]],
    state: numpy.typing.NDArray[numpy.uint8],
    requests: numpy.typing.NDArray[numpy.uint8],
) -> ReplayLeg:
    """
    An instrument of a compiled strategy.
    """

def replay_targets(
    bars: ReplayBars,
    settings: ReplaySettings,
    target: numpy.typing.NDArray[numpy.float64],
    fraction: bool,
) -> ReplayRun:
    """
    Replays target positions [bar], in units or as fractions of equity.
    """

def replay_targets_leg(
    bars: ReplayBars,
    time: numpy.typing.NDArray[numpy.int64],
    target: numpy.typing.NDArray[numpy.float64],
    fraction: bool,
) -> ReplayLeg:
    """
    An instrument with targets [bar].
    """

def rolling_quantiles(
    values: numpy.typing.NDArray[numpy.float64],
    start: typing.SupportsInt | typing.SupportsIndex,
    window: typing.SupportsInt | typing.SupportsIndex,
    levels: numpy.typing.NDArray[numpy.float64],
) -> numpy.typing.NDArray[numpy.float64]:
    """
    Quantiles of the last values before each bar: [series, bars - start + 1, level].
    """

def rolling_sharpe(
    net: numpy.typing.NDArray[numpy.float64],
    window: typing.SupportsInt | typing.SupportsIndex,
    risk_free: numpy.typing.NDArray[numpy.float64] | None = None,
) -> numpy.typing.NDArray[numpy.float64]:
    """
    Sharpe ratio per bar of the window that ends at each bar: [strategy, bar].
    """

def row_performance(
    net: numpy.typing.NDArray[numpy.float64],
    active: numpy.typing.NDArray[numpy.bool] | None,
    tail: typing.SupportsFloat | typing.SupportsIndex,
    risk_free: numpy.typing.NDArray[numpy.float64] | None = None,
    position: numpy.typing.NDArray[numpy.float64] | None = None,
    traded: numpy.typing.NDArray[numpy.float64] | None = None,
) -> numpy.typing.NDArray[numpy.float64]:
    """
    Figures [strategy, figure] of net returns [strategy, bar].
    """

def rows_of_tensors(tensors: typing.Any) -> typing.Any:
    """
    float32 [tensor, value] of float32 tensors of one size on the CPU; None of others.
    """

def score_signals(
    signals: numpy.typing.NDArray[numpy.float64],
    returns: numpy.typing.NDArray[numpy.float64],
    fee: typing.SupportsFloat | typing.SupportsIndex,
    spread: typing.SupportsFloat | typing.SupportsIndex,
    periods: typing.SupportsFloat | typing.SupportsIndex,
) -> tuple[numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.float64]]:
    """
    (the same figures [5, strategy, row], net returns) of signals held over returns.
    """

def score_sums(
    returns: numpy.typing.NDArray[numpy.float64],
    periods: typing.SupportsFloat | typing.SupportsIndex,
) -> numpy.typing.NDArray[numpy.float64]:
    """
    Total, mean, annual mean, Sharpe ratio, mean size: [5, ...] of returns [..., day].
    """

def set_isa(name: str) -> None:
    """
    Run the kernels on another supported instruction set (for tests).
    """

def set_thread_limit(threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Set that number; 0 returns to MARKETSIM_NUM_THREADS or the cores available.
    """

@typing.overload
def shutdown_signals(
    forecasts: numpy.typing.NDArray[numpy.float32],
    returns: numpy.typing.NDArray[numpy.float64],
    long_only: bool,
) -> numpy.typing.NDArray[numpy.float64]:
    """
    Positions [row, day] by the sign of forecasts, flat after one that was wrong.
    """

@typing.overload
def shutdown_signals(
    forecasts: numpy.typing.NDArray[numpy.float64],
    returns: numpy.typing.NDArray[numpy.float64],
    long_only: bool,
) -> numpy.typing.NDArray[numpy.float64]:
    """
    Positions [row, day] by the sign of forecasts, flat after one that was wrong.
    """

def store_inspect(
    path: os.PathLike[str] | str | bytes,
) -> tuple[tuple[str, str, str, int] | None, tuple[bool, bool], int]:
    """
    ((model, series, schema, width) or None, whether each header is whole, bytes).
    """

def store_layout(width: typing.SupportsInt | typing.SupportsIndex) -> tuple[int, int]:
    """
    (where records begin, how far they lie apart), in bytes.
    """

def store_lock_holder(folder: os.PathLike[str] | str | bytes) -> str:
    """
    Who holds the lock of a folder of the store, for people.
    """

def store_network_file_system(path: os.PathLike[str] | str | bytes) -> str:
    """
    The kind of network file system a path lies on, or an empty text.
    """

def supported_isas() -> list[str]:
    """
    Instruction sets of this processor.
    """

@typing.overload
def take_profit_returns(
    close_pred: numpy.typing.NDArray[numpy.float32],
    high_pred: numpy.typing.NDArray[numpy.float32],
    low_pred: numpy.typing.NDArray[numpy.float32],
    close: numpy.typing.NDArray[numpy.float32],
    high: numpy.typing.NDArray[numpy.float32],
    low: numpy.typing.NDArray[numpy.float32],
    fee: typing.SupportsFloat | typing.SupportsIndex,
) -> tuple[typing.Any, typing.Any, typing.Any]:
    """
    (returns, high_pred, close) [row, day] of entry at the previous close.
    """

@typing.overload
def take_profit_returns(
    close_pred: numpy.typing.NDArray[numpy.float64],
    high_pred: numpy.typing.NDArray[numpy.float64],
    low_pred: numpy.typing.NDArray[numpy.float64],
    close: numpy.typing.NDArray[numpy.float64],
    high: numpy.typing.NDArray[numpy.float64],
    low: numpy.typing.NDArray[numpy.float64],
    fee: typing.SupportsFloat | typing.SupportsIndex,
) -> tuple[typing.Any, typing.Any, typing.Any]:
    """
    (returns, high_pred, close) [row, day] of entry at the previous close.
    """

def thread_limit() -> int:
    """
    Threads that one call may use.
    """

def weighted_sums(
    values: numpy.typing.NDArray[numpy.float64],
    weights: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex],
) -> numpy.typing.NDArray[numpy.float64]:
    """
    Sums [...] of values [..., j] times the weight of each j, in the order of j.
    """

def window_performance(
    net: numpy.typing.NDArray[numpy.float64],
    active: numpy.typing.NDArray[numpy.bool] | None,
    starts: numpy.typing.NDArray[numpy.int64],
    length: typing.SupportsInt | typing.SupportsIndex,
    risk_free: numpy.typing.NDArray[numpy.float64] | None = None,
) -> numpy.typing.NDArray[numpy.float64]:
    """
    Figures [window, strategy, figure] of windows of net returns [strategy, bar].
    """
