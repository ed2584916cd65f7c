// One-step forecasts of a series by simple statistics, for every day in one pass.
#pragma once

#include <cstddef>

namespace marketsim {

// The levels of the quantiles, ascending in (0, 1), with the standard normal's quantiles at them.
struct Levels {
  const double* level;
  const double* normal;
  size_t count;
};

// One row for each forecast: mean[i], std[i], quantile[i * levels.count + j].
struct ForecastRows {
  double* mean;
  double* std;
  double* quantile;
};

// Row i forecasts series[start + i] from series[0, start + i) alone, for i = 0 .. size - start; the
// last row forecasts the value after the series. NaN values are missing and skipped.
//
// Scale: exponentially weighted root mean square with weights decay^k, normalised (RiskMetrics
// Technical Document, 4th edition, 1996, section 5.2, zero mean). Shape: the empirical quantiles of
// the last `window` returns divided by the scale forecast for them (filtered historical simulation,
// Barone-Adesi, Giannopoulos and Vosper, 1999); the normal's until there are `least` of them.
void ewma_forecasts(const double* series, size_t size, size_t start, double decay, size_t window,
                    size_t least, const Levels& levels, const ForecastRows& to);

// As above. The forecast is the last value; its quantiles lie around it by the empirical quantiles
// of the absolute one-step changes among the last `window`, which makes them symmetric.
void persistence_forecasts(const double* series, size_t size, size_t start, size_t window,
                           const Levels& levels, const ForecastRows& to);

// Row by row sum over j of weight[j] * values[row][j], added to 0 in the order of j: the sum of a
// row does not depend on how many stand beside it.
void weighted_sums(const double* values, size_t rows, const double* weights, size_t count,
                   double* to);

}  // namespace marketsim
