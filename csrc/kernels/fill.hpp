// The rules of one day's trade that the profit and offset kernels share.
#pragma once

#include <cstddef>

namespace marketsim {

// How an OHLC bar that touches entry and exit is read; python/marketsim/kernels/rules.py says more.
enum class Fill { optimistic = 0, pessimistic = 1, open_aware = 2, close_only = 3 };

enum class FeeRule { per_entry = 0, touched_both = 1 };

struct Rules {
  Fill fill = Fill::optimistic;
  FeeRule fee_rule = FeeRule::per_entry;
  float fee = 0.0f;  // fraction of the position
};

// Returns of each day against the previous close, and the forecasts of high and low.
// `open` is null unless the fill policy needs it.
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
  kOpenFilled = 16,  // the entry limit was better than the open
  kAmbiguous = 32,   // the bar touched entry and exit and does not tell the order
};

}  // namespace marketsim
