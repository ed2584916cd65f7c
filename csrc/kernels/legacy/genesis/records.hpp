// What the engine of the second old system is told and what it leaves. The layout of the two rows
// is that of python/marketsim/legacy/genesis/backtest/records.py.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace marketsim::genesis {

// What ended a bar's decision.
enum Gate : int8_t {
  kSkipped = -1,
  kExpectedValue = 0,
  kEventBlock,
  kRiskCap,
  kThreshold,
  kTie,
  kHigherMissing,
  kHigherBlock,
  kLowerMissing,
  kLowerBlock,
  kConfidence,
  kEdge,
  kHysteresis,
  kCooldown,
  kEntry
};
// What a Fibonacci gate found; a row keeps the finding of its own bar, 0 where it made none.
enum Finding : int8_t {
  kNone = 0,
  kUnavailable,
  kUnavailablePass,
  kTarget,
  kBeyondLevel,
  kOffTarget,
  kPass,
  kDisabled,
  kOverriddenByThreshold = 8,  // added to kBeyondLevel or kOffTarget
  kOverriddenByRange = 16
};
// Why a trade ended.
enum Reason : int32_t {
  kTrail = 0,
  kStopLoss,
  kTakeProfit,
  kConfidenceDrop,
  kOpposite,
  kPartial  // kPartial + k: the k-th partial exit
};

struct BarRow {
  double equity, capital, unrealized, held, trail, size, override_threshold;
  int32_t steps, cooldown, higher_bar, lower_bar, summary_bar, history;
  int8_t action, gate, zone, overridden, higher, lower, candidate, last_action, exit, side,
      processed, unused[5];
};

struct TradeRow {
  int64_t entry_bar, exit_bar;
  int32_t side, reason, is_partial, unused;
  double size, entry_price, exit_price, pnl, pnl_percent, commission, remaining, asked;
};

// Levels are indices into a context's levels, -1: none. A number that is not set is NaN.
struct Settings {
  // Decision. Zones are base, low, mid, high; regimes bear, bull, ranging, balanced.
  double reward = 1.0;
  bool event_block = false, risk_cap = false;
  bool adapts = false;
  int64_t percentile = -1;  // which of 14, 28, 56 rows
  std::vector<double> zone_entry = std::vector<double>(4, 0.7);
  std::vector<double> zone_threshold = std::vector<double>(16, 0.7);  // [zone][regime]
  bool higher_gate = false, higher_pass = false, higher_disabled = false;
  double higher_tolerance = 0.5;
  int64_t long_min = -1, short_max = -1;
  std::vector<int64_t> long_targets, short_targets;
  bool lower_gate = false, lower_pass = false;
  double lower_tolerance = 0.5;
  int64_t long_max = -1, short_min = -1;
  bool may_override = false, adaptive = false, range_override = false;
  double override_threshold = 0.85, override_fallback = 0.85, override_share = 0.85;
  double override_floor, override_ceiling, range_min = 0.0, range_max = 1.0;
  std::vector<double> override_multiplier = std::vector<double>(4, 1.0);
  int64_t history_rows = 120, history_least = 30;
  double min_edge = 0.0;
  int64_t hysteresis = 2, cooldown = 0;
  std::vector<double> risk_confidence, risk_size;
  // Exits.
  bool exits = true, partials = true, trailing = true;
  double stop_loss = 0.02, take_profit = 0.05, exit_confidence = 0.45;
  double even_trigger, even_offset = 0.0, partial_even_offset = 0.0;
  bool partial_even = false;
  std::vector<double> partial = {0.5, 0.3, 0.2, 0.1};
  double trail = 1.6;
  // Money.
  double capital = 10000.0, commission = 0.001, slippage = 0.0005;
  int64_t warmup = 120;
  bool skip_errors = false;

  Settings();
};

struct Inputs {
  size_t bars;
  const double *high, *low, *close, *p_buy, *p_sell, *atr, *percentiles, *exit_atr;
  const int8_t* regime;
  const int8_t* higher_ok;
  const double *higher_levels, *higher_high, *higher_low;  // levels [level][bar]
  const int8_t* lower_ok;
  const double* lower_levels;  // [level][bar]
};

struct Outcome {
  std::vector<TradeRow> trades;
  std::vector<double> buy_history, sell_history;
  double capital, commission, max_capital, min_capital;
  int64_t processed = 0, failed = 0, failed_bar = -1;  // failed_bar: the first
};

}  // namespace marketsim::genesis
