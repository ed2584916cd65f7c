// Quantiles of the values before each bar: the forecast that knows no more than what is usual.
#pragma once

#include <cstddef>

namespace marketsim {

// Quantiles of the last `window` values before bar t, for t = start .. bars: values [row][bar] to
// [row][bars - start + 1][level]. NaN are left out; NaN where no value is left. Linear between
// order statistics (Hyndman and Fan, 1996, type 7). levels in [0, 1].
void rolling_quantiles(const double* values, size_t rows, size_t bars, size_t start, size_t window,
                       const double* levels, size_t level_count, double* to);

}  // namespace marketsim
