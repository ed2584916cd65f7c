// Bars in which only the value of a position moves, one build for each instruction set.
#pragma once

#include <cstddef>

namespace marketsim {

namespace replay {

// What a position and its orders are, and from where on the bars are looked at.
struct Quiet {
  const double *open, *high, *low, *close;
  double below, above;     // a low at or below, or a high at or above, is not quiet
  double cash, position;   // equity = cash + position * close
  double maintenance;      // an equity below this many times the close is not quiet
  double lowest, highest;  // receive the extremes of the quiet bars
};

}  // namespace replay

#define MARKETSIM_DECLARE(isa)                                                                \
  namespace isa {                                                                             \
  /* How many of the first `count` bars are quiet: their prices are known, reach no order and \
   * leave the account alive. */                                                              \
  size_t quiet_bars(replay::Quiet& of, size_t count);                                         \
  }
MARKETSIM_DECLARE(baseline)
MARKETSIM_DECLARE(avx2)
MARKETSIM_DECLARE(avx512)
#undef MARKETSIM_DECLARE

}  // namespace marketsim
