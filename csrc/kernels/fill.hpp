// The rules of one day's trade that the profit and offset kernels share.
#pragma once

#include <cstddef>

#include "common/annotate.hpp"

namespace marketsim {

// How an OHLC bar that touches entry and exit is read; python/marketsim/kernels/rules.py says more.
// The last three are the formulas of older programs, for marketsim.legacy alone.
enum class Fill {
  optimistic = 0,
  open_aware = 1,
  close_only = 2,
  legacy = 3,
  legacy_close_only = 4,
  legacy_proven = 5,
};
constexpr int kFills = 6;

inline MARKETSIM_FN constexpr bool is_legacy(Fill fill) {
  return fill == Fill::legacy || fill == Fill::legacy_close_only || fill == Fill::legacy_proven;
}

// When the legacy formulas charge their one fee.
enum class FeeRule { per_entry = 0, touched_both = 1 };

struct Rules {
  Fill fill = Fill::open_aware;
  FeeRule fee_rule = FeeRule::per_entry;
  // What entry and exit cost together, as a fraction of the position: for an exit at a limit and
  // for one at the close. The legacy formulas charge close_cost once.
  float limit_cost = 0.0f;
  float close_cost = 0.0f;
};

// Returns of each day against the previous close, and the forecasts of high and low.
// `open` is null for the legacy formulas alone.
struct Days {
  const float* close;
  const float* high;
  const float* low;
  const float* high_pred;
  const float* low_pred;
  const float* position;
  const float* open;
};

// What happened on one day, as bits.
enum FillFlag : unsigned char {
  kLongEntered = 1,
  kLongExited = 2,  // at the exit limit, not at the close
  kShortEntered = 4,
  kShortExited = 8,
  kOpenFilled = 16,  // the open lay beyond the entry limit, and filled it
  kAmbiguous = 32,   // the bar passed entry and exit and does not tell the order
};

}  // namespace marketsim
