// Features of the second old system (docs/migration.md), from indicators that are computed already.
// Arrays hold one number a bar. "as-of row" is the newest row that a bar's features may see.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

namespace marketsim::genesis {

constexpr size_t kFeatures = 15, kPercentiles = 6, kAtrRows = 56, kLevels = 4;

// A value of the as-of row and of rows before it: at(lag, bar).
struct Lagged {
  const double* data;
  std::ptrdiff_t stride;  // from one lag to the next
  double at(size_t lag, size_t bar) const {
    return data[static_cast<std::ptrdiff_t>(lag) * stride + static_cast<std::ptrdiff_t>(bar)];
  }
};

// Inputs by bar, each as of the bar's as-of row.
struct FeatureInputs {
  size_t bars;
  const double *close, *rsi, *rsi_before, *ema, *ema_before, *adx, *swing_high, *swing_low;
  Lagged atr_short, atr_long, band_position;
  const double* rows;  // rows that the indicators have seen, the as-of row included
};

// features [feature][bar], NaN below 51 rows seen; percentiles [14, 28, 56 rows][40 %, 80 %][bar]
// of the newest values of atr_short, NaN where there are fewer.
void compute_features(const FeatureInputs& in, double* features, double* percentiles);

// A logistic model: weight w of feature `column` (-1: a feature that is missing, 0), in order.
struct Side {
  std::vector<std::ptrdiff_t> columns;
  std::vector<double> weights;
  double bias;
  std::array<double, 4> slope, shift;  // calibration by regime
};

// p_buy, p_sell and p_hold [bar]; features [feature][bar], NaN counts as 0.
void compute_probabilities(const double* features, size_t bars, const signed char* regime,
                           const Side& buy, const Side& sell, double* p_buy, double* p_sell,
                           double* p_hold);

}  // namespace marketsim::genesis
