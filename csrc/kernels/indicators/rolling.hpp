// Indicators of the last n rows alone: each is a function of a window that lies in memory.
//
//     const double* rows[] = {first row of the window, one pointer an input};
//     Bollinger::evaluate<R>(rows, window, option, out);
//
// R = double looks at one window; R = Pack looks at as many windows side by side, each one row
// later than the one before: a lane a bar. Sums run from left to right over each window, in two
// passes where a mean is subtracted: O(n) a bar, no drift, and the same bits in every form.
//
// `prepare` turns one row, and the row before it, into what the window is made of (a logarithm of
// two prices; kNeedsBefore: it looks at the row before); without it the inputs are the window. A
// NaN in a window makes its value NaN.
#pragma once

#include <cmath>

#include "common/lanes.hpp"
#include "kernels/indicators/options.hpp"

namespace marketsim::MARKETSIM_LANES::indicators {

using namespace lanes;
using marketsim::indicators::Option;

// Parameters of a window function: how many rows, and what else it takes.
struct Window {
  size_t rows;
  double extra[3];
};

template <class R>
inline R sum_of(const double* from, size_t rows) {
  R sum = spread<R>(0.0);
  for (size_t i = 0; i < rows; ++i) sum = sum + load<R>(from + i);
  return sum;
}
template <class R>
inline R mean_of(const double* from, size_t rows) {
  return share_of(sum_of<R>(from, rows), static_cast<double>(rows));
}
// A sum of squares around `mean`, 0 where the numbers are equal: their mean is rounded and may lie
// beside them. The sum is then below its bound, and only then are the numbers compared.
template <class R>
inline R without_rounding(R sum, const double* from, size_t rows, R mean) {
  const double count = static_cast<double>(rows);
  const R beside = spread<R>(count * 2.3e-16) * magnitude(mean);
  if (in_all_lanes(sum > spread<R>(count) * (beside * beside))) return sum;
  const R first = load<R>(from);
  MaskOf<R> equal = first == first;
  for (size_t i = 1; i < rows; ++i) equal = both(equal, load<R>(from + i) == first);
  return drop(equal, sum);
}
// The mean of the squares of what lies between the numbers and their mean; `less` off the count.
template <class R>
inline R variance_of(const double* from, size_t rows, R mean, double less, bool rounded = false) {
  R sum = spread<R>(0.0);
  for (size_t i = 0; i < rows; ++i) {
    const R apart = load<R>(from + i) - mean;
    sum = sum + apart * apart;
  }
  if (!rounded) sum = without_rounding(sum, from, rows, mean);
  return share_of(sum, static_cast<double>(rows) - less);
}
template <class R>
inline R largest_of(const double* from, size_t rows) {
  R top = load<R>(from);
  for (size_t i = 1; i < rows; ++i) top = larger(top, load<R>(from + i));
  return top;
}
template <class R>
inline R smallest_of(const double* from, size_t rows) {
  R least = load<R>(from);
  for (size_t i = 1; i < rows; ++i) least = smaller(least, load<R>(from + i));
  return least;
}

// What most windows are: the inputs as they are, `rows` of them.
struct OfInputs {
  static constexpr bool kPrepares = false, kNeedsBefore = false;
  static size_t span(const Window& window) { return window.rows; }
};

struct Sma : OfInputs {
  static constexpr size_t kInputs = 1, kColumns = 1, kOutputs = 1;
  template <class R>
  static void evaluate(const double* const* from, const Window& window, R* out) {
    out[0] = mean_of<R>(from[0], window.rows);
  }
};

// Weights 1 .. n, the newest row the heaviest.
struct Wma : OfInputs {
  static constexpr size_t kInputs = 1, kColumns = 1, kOutputs = 1;
  template <class R>
  static void evaluate(const double* const* from, const Window& window, R* out) {
    const double n = static_cast<double>(window.rows);
    R sum = spread<R>(0.0);
    for (size_t i = 0; i < window.rows; ++i) {
      sum = sum + load<R>(from[0] + i) * spread<R>(static_cast<double>(i + 1));
    }
    out[0] = sum / spread<R>(n * (n + 1.0) / 2.0);
  }
};

// Standard deviation; extra: degrees of freedom taken off.
struct RollingStd : OfInputs {
  static constexpr size_t kInputs = 1, kColumns = 1, kOutputs = 1;
  template <class R>
  static void evaluate(const double* const* from, const Window& window, R* out) {
    const R mean = mean_of<R>(from[0], window.rows);
    out[0] = root(variance_of<R>(from[0], window.rows, mean, window.extra[0]));
  }
};

// The newest number in standard deviations from the mean; NaN where all are equal.
struct ZScore : OfInputs {
  static constexpr size_t kInputs = 1, kColumns = 1, kOutputs = 1;
  template <class R>
  static void evaluate(const double* const* from, const Window& window, R* out) {
    const R mean = mean_of<R>(from[0], window.rows);
    const R deviation = root(variance_of<R>(from[0], window.rows, mean, window.extra[0]));
    const R apart = load<R>(from[0] + window.rows - 1) - mean;
    out[0] = select(deviation == spread<R>(0.0), nan<R>(), apart / deviation);
  }
};

// Bollinger (1983): middle, upper, lower, deviation, width, position. extra: multiple of the
// population deviation; not 0: the deviation is the variance to the power 0.5, not its root. width
// = (upper - lower) / middle, 0 where the middle is; position of the newest number between the
// bands, 0 .. 1, 0.5 where they meet.
struct Bollinger : OfInputs {
  static constexpr size_t kInputs = 1, kColumns = 1, kOutputs = 6;
  // Two halves: a loop over bars finishes the windows before while it sums the next, so that the
  // divisions of the one and the sums of the other share the processor.
  template <class R>
  struct Begun {
    R mean, deviation, newest;
  };
  template <class R>
  static Begun<R> begin(const double* const* from, const Window& window) {
    const R mean = mean_of<R>(from[0], window.rows);
    const bool power = window.extra[1] != 0.0;  // of a live system, which sums as it is
    const R variance = variance_of<R>(from[0], window.rows, mean, 0.0, power);
    return {mean, power ? power_half(variance) : root(variance),
            load<R>(from[0] + window.rows - 1)};
  }
  template <class R>
  static void finish(const Begun<R>& begun, const Window& window, R* out) {
    const R zero = spread<R>(0.0), one = spread<R>(1.0), mean = begun.mean;
    const R reach = spread<R>(window.extra[0]) * begun.deviation;
    const R upper = mean + reach, lower = mean - reach, band = upper - lower;
    const R inside = (begun.newest - lower) / band;
    const R position = select(inside < zero, zero, select(inside > one, one, inside));
    out[0] = mean;
    out[1] = upper;
    out[2] = lower;
    out[3] = begun.deviation;
    out[4] = select(mean == zero, zero, band / mean);
    out[5] = select(band == zero, spread<R>(0.5), position);
  }
  template <class R>
  static void evaluate(const double* const* from, const Window& window, R* out) {
    finish(begin<R>(from, window), window, out);
  }
};

// Pearson's correlation of two series; NaN where one does not move.
struct Correlation : OfInputs {
  static constexpr size_t kInputs = 2, kColumns = 2, kOutputs = 1;
  template <class R>
  static void evaluate(const double* const* from, const Window& window, R* out) {
    const R x_mean = mean_of<R>(from[0], window.rows), y_mean = mean_of<R>(from[1], window.rows);
    R xy = spread<R>(0.0), xx = xy, yy = xy;
    for (size_t i = 0; i < window.rows; ++i) {
      const R x = load<R>(from[0] + i) - x_mean, y = load<R>(from[1] + i) - y_mean;
      xy = xy + x * y;
      xx = xx + x * x;
      yy = yy + y * y;
    }
    xx = without_rounding(xx, from[0], window.rows, x_mean);
    yy = without_rounding(yy, from[1], window.rows, y_mean);
    const R scale = root(xx) * root(yy);
    const R limited = smaller(larger(xy / scale, spread<R>(-1.0)), spread<R>(1.0));
    out[0] = select(scale == spread<R>(0.0), nan<R>(), limited);
  }
};

struct RollingMax : OfInputs {
  static constexpr size_t kInputs = 1, kColumns = 1, kOutputs = 1;
  template <class R>
  static void evaluate(const double* const* from, const Window& window, R* out) {
    out[0] = largest_of<R>(from[0], window.rows);
  }
};

struct RollingMin : OfInputs {
  static constexpr size_t kInputs = 1, kColumns = 1, kOutputs = 1;
  template <class R>
  static void evaluate(const double* const* from, const Window& window, R* out) {
    out[0] = smallest_of<R>(from[0], window.rows);
  }
};

// The highest high, the lowest low and their middle: upper, lower, middle.
struct Donchian : OfInputs {
  static constexpr size_t kInputs = 2, kColumns = 2, kOutputs = 3;
  template <class R>
  static void evaluate(const double* const* from, const Window& window, R* out) {
    out[0] = largest_of<R>(from[0], window.rows);
    out[1] = smallest_of<R>(from[1], window.rows);
    out[2] = (out[0] + out[1]) / spread<R>(2.0);
  }
};

// Lane (1950s): %K, the close between the lowest low and the highest high of n bars in percent (0
// where they meet, as TA-Lib), averaged over `slow` bars; %D, its average over `signal` bars: k, d.
// extra: slow, signal.
struct Stochastic {
  static constexpr bool kPrepares = false, kNeedsBefore = false;
  static constexpr size_t kInputs = 3, kColumns = 3, kOutputs = 2, kMostKept = 8;
  static size_t span(const Window& window) {
    return window.rows + static_cast<size_t>(window.extra[0]) +
           static_cast<size_t>(window.extra[1]) - 2;
  }
  template <class R>
  static R raw(const double* const* from, size_t at, size_t rows) {
    const R low = smallest_of<R>(from[1] + at, rows), high = largest_of<R>(from[0] + at, rows);
    const R range = high - low, close = load<R>(from[2] + at + rows - 1);
    const R zero = spread<R>(0.0);
    return select(range == zero, zero, spread<R>(100.0) * (close - low) / range);
  }
  template <class R>
  static void evaluate(const double* const* from, const Window& window, R* out) {
    const size_t slow = static_cast<size_t>(window.extra[0]);
    const size_t signal = static_cast<size_t>(window.extra[1]);
    // The averages overlap: each %K is computed once where they are few.
    const size_t count = slow + signal - 1;
    R kept[kMostKept];
    if (count <= kMostKept) {
      for (size_t i = 0; i < count; ++i) kept[i] = raw<R>(from, i, window.rows);
    }
    R total = spread<R>(0.0);
    out[0] = total;
    for (size_t i = 0; i < signal; ++i) {
      R sum = spread<R>(0.0);
      for (size_t j = 0; j < slow; ++j) {
        sum = sum + (count <= kMostKept ? kept[i + j] : raw<R>(from, i + j, window.rows));
      }
      out[0] = sum / spread<R>(window.extra[0]);
      total = total + out[0];
    }
    out[1] = total / spread<R>(window.extra[1]);
  }
};

// Realised volatility a bar, not annualised, from logarithms of prices.
//
// Close to close: the sample deviation of n returns.
struct CloseVolatility {
  static constexpr bool kPrepares = true, kNeedsBefore = true;
  static constexpr size_t kInputs = 1, kColumns = 1, kOutputs = 1;
  static size_t span(const Window& window) { return window.rows; }
  static void prepare(const double* row, const double* before, double* to) {
    to[0] = before ? std::log(row[0] / before[0]) : __builtin_nan("");
  }
  template <class R>
  static void evaluate(const double* const* from, const Window& window, R* out) {
    RollingStd::evaluate<R>(from, {window.rows, {1.0, 0.0, 0.0}}, out);
  }
};

// Parkinson (1980), from high and low.
struct ParkinsonVolatility {
  static constexpr bool kPrepares = true, kNeedsBefore = false;
  static constexpr size_t kInputs = 2, kColumns = 1, kOutputs = 1;
  static size_t span(const Window& window) { return window.rows; }
  static void prepare(const double* row, const double*, double* to) {
    const double range = std::log(row[0] / row[1]);
    to[0] = range * range;
  }
  template <class R>
  static void evaluate(const double* const* from, const Window& window, R* out) {
    const double four_log_two = 2.772588722239781;
    out[0] = root(mean_of<R>(from[0], window.rows) / spread<R>(four_log_two));
  }
};

// Garman and Klass (1980), from open, high, low and close.
struct GarmanKlassVolatility {
  static constexpr bool kPrepares = true, kNeedsBefore = false;
  static constexpr size_t kInputs = 4, kColumns = 1, kOutputs = 1;
  static size_t span(const Window& window) { return window.rows; }
  static void prepare(const double* row, const double*, double* to) {
    const double two_log_two_less_one = 0.3862943611198906;
    const double range = std::log(row[1] / row[2]), body = std::log(row[3] / row[0]);
    to[0] = 0.5 * range * range - two_log_two_less_one * body * body;
  }
  template <class R>
  static void evaluate(const double* const* from, const Window& window, R* out) {
    out[0] = root(mean_of<R>(from[0], window.rows));
  }
};

// Yang and Zhang (2000): the variance overnight, that from open to close, and the Rogers-Satchell
// mean, weighted for the least variance: k = 0.34 / (1.34 + (n + 1) / (n - 1)).
struct YangZhangVolatility {
  static constexpr bool kPrepares = true, kNeedsBefore = true;
  static constexpr size_t kInputs = 4, kColumns = 3, kOutputs = 1;
  static size_t span(const Window& window) { return window.rows; }
  static void prepare(const double* row, const double* before, double* to) {
    const double up = std::log(row[1] / row[0]), down = std::log(row[2] / row[0]);
    const double body = std::log(row[3] / row[0]);
    to[0] = before ? std::log(row[0] / before[3]) : __builtin_nan("");
    to[1] = body;
    to[2] = up * (up - body) + down * (down - body);
  }
  template <class R>
  static void evaluate(const double* const* from, const Window& window, R* out) {
    const double n = static_cast<double>(window.rows);
    const double k = 0.34 / (1.34 + (n + 1.0) / (n - 1.0));
    const R night = variance_of<R>(from[0], window.rows, mean_of<R>(from[0], window.rows), 1.0);
    const R day = variance_of<R>(from[1], window.rows, mean_of<R>(from[1], window.rows), 1.0);
    const R inside = mean_of<R>(from[2], window.rows);
    out[0] = root(night + spread<R>(k) * day + spread<R>(1.0 - k) * inside);
  }
};

}  // namespace marketsim::MARKETSIM_LANES::indicators
