// Many parameter sets of a signal strategy over the same bars: their figures alone, on all cores.
#pragma once

#include "kernels/replay/run.hpp"

namespace marketsim::replay {

// Signals as comparisons between rows of indicators, so that a set is four row numbers. Entry: row
// `entry_up` lies above row `entry_over`; exit: row `exit_up` above row `exit_over`. `crosses`:
// only where it did not in the bar before. NaN compares with nothing.
struct Comparisons {
  const double* rows;                                          // [row, bar]
  const int64_t *entry_up, *entry_over, *exit_up, *exit_over;  // [set]
  bool crosses;
};

enum class Side : int64_t { both = 0, long_only = 1, short_only = -1 };

struct Grid {
  const Comparisons* comparisons;  // null: flags are given
  const uint8_t *entry, *exit;     // [set, bar]
  int64_t sets;
  Side side;  // both: entries open long and close short, exits the other way round
  int64_t size;
  double quantity;
  const double *stop_loss, *take_profit, *trailing_stop;  // [set], NaN: none
  const int64_t *cooldown, *time_stop;                    // [set]
};

// Writes a summary a set, each the bits that run_signals and Engine::summary give, and, where
// `net` is not null, the return of the equity in each bar [set, bar]. Throws std::bad_alloc.
void run_grid(const BarArrays& bars, const Settings& settings, const Grid& grid, int threads,
              Summary* summaries, double* net);

}  // namespace marketsim::replay
