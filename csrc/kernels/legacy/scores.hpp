// What the daily returns of a strategy amount to: totals, means and Sharpe ratios, many at a time.
//
// Rows are scored by themselves. Sums are added in NumPy's order, so that every figure is to the
// last bit what the old code's NumPy calls give for the row: below eight numbers one after the
// other, up to 128 in eight partial sums, beyond that by halves.
#pragma once

#include <cstddef>

namespace marketsim {

// One value for each row.
struct Scores {
  double* total;
  double* mean;    // of the returns that are finite
  double* annual;  // that times the periods of a year
  double* sharpe;  // 0 where the deviation is 0 or undefined
  double* size;    // the mean size of a return
};

// Returns [row][day] that add up; the deviation is the population's. At least one day.
void score_sums(const double* returns, size_t rows, size_t days, double periods, const Scores& to);

struct HoldingTerms {
  double fee;     // fraction of the value traded
  double spread;  // ask / bid, of which half is paid
  double periods;
};

// Signals held over returns, [row][day] each, which compound. A change of position costs its size
// times the fee and half the spread; a row that is long, short and flat pays part of the fee. Days
// without a number are left out of mean and deviation, which is the sample's; without the last one
// the total is NaN. `net` receives the returns after costs. At least one day.
void score_signals(const double* signals, const double* returns, size_t rows, size_t days,
                   const HoldingTerms& terms, double* net, const Scores& to);

}  // namespace marketsim
