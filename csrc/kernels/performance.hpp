// Figures of sequences of net returns: growth, moments, drawdowns, tails, and a benchmark.
//
// A sequence stands for an account that starts with an equity of 1. A return at or below -1 ruins
// it: that bar counts as -1 and every later one as 0, and figures that count bars end there. All
// sums run from the first bar to the last in double, so a row's figures do not depend on other rows
// or on the number of threads. Nothing is annualised here.
#pragma once

#include <cstddef>
#include <cstdint>

namespace marketsim {

// What a window or a row is measured by. The first kWindowFigures are all that windows get.
enum Figure : size_t {
  kTotalReturn,  // compounded
  kMeanReturn,   // arithmetic
  kStdReturn,    // ddof 1; NaN of a single bar
  kSharpe,       // mean / standard deviation of the excess return; NaN without variation
  kSharpeError,  // Mertens (2002)
  kMaxDrawdown,  // largest fall from a peak, as a fraction of it
  kHitRate,      // share of the active bars with a net return above 0
  kActiveBars,
  kWindowFigures,
  kSkew = kWindowFigures,  // population moments
  kExcessKurtosis,
  kDownsideDeviation,  // sqrt(mean(min(excess, 0)^2))
  kMeanExcess,
  kPeakBar,  // last bar at the peak before the largest fall; -1: the start
  kTroughBar,
  kRecoveryBar,             // first bar at or above that peak again; NaN: not yet
  kLongestDrawdown,         // bars from a peak until it is reached again, or until the end
  kValueAtRisk,             // quantile of the returns, linear between order statistics
  kConditionalValueAtRisk,  // mean of the worst share of the returns
  kBest,
  kBestBar,
  kWorst,
  kWorstBar,
  kGains,         // sum of the positive returns
  kLosses,        // sum of the negative returns
  kWins,          // bars with a positive return
  kDefeats,       // bars with a negative return
  kRuinBar,       // NaN: not ruined
  kMeanLeverage,  // of the size of the position, over the bars up to a ruin
  kMaxLeverage,
  kMeanTraded,  // value bought and sold a bar, over the same bars
  kFigures
};

// What a row has against a benchmark, per bar.
enum BenchmarkFigure : size_t {
  kBeta,
  kAlpha,  // mean excess return - beta * the benchmark's
  kCorrelation,
  kActiveReturn,   // mean of the difference of the returns
  kTrackingError,  // its standard deviation, ddof 1
  kBenchmarkFigures
};

struct NetReturns {
  const double* net;           // [row][bar]
  const std::uint8_t* active;  // [row][bar], in the market; null: all bars
  const double* risk_free;     // [bar], or null: 0
  size_t rows, bars;
  // Multiples of the equity, [row][bar], or null: figures that need them are NaN. Without `active`,
  // a position other than 0 is in the market.
  const double* position = nullptr;
  const double* traded = nullptr;
};

// The figures one looks at first, NaN of no bars.
struct CurveFigures {
  double total_return, max_drawdown, sharpe;
};

// Measures an equity at each bar that begins with `start`: the bits of the figures that
// window_performance finds of its returns. The curve is handed over in parts, each but the last of
// a multiple of four bars: all of it by way of returns() to grow(), then once more to vary().
class CurveMeasure {
 public:
  CurveMeasure(size_t bars, double start) : bars_(bars), ruin_(bars), before_(start) {}
  // Returns of a part of the curve, from the last bar of the part before or from `start` on.
  void returns(const double* equity, size_t count, double* to);
  void grow(const double* returns, size_t count);
  // Goes back to the start of the curve.
  void restart(double start);
  void vary(const double* returns, size_t count);
  CurveFigures figures() const;

 private:
  void add(double change);
  void compound(double change);

  size_t bars_, ruin_, at_ = 0;
  double before_;
  double growth_ = 1.0, peak_ = 1.0, worst_ = 0.0, least_ = 1.0;
  double lanes_[4] = {}, rest_ = 0.0, mean_ = 0.0, squares_[4] = {};
};

// Figures [window][row][kWindowFigures] of each window of `length` bars; length is at least 1.
void window_performance(const NetReturns& given, const std::int64_t* starts, size_t windows,
                        size_t length, double* to);

// Figures [row][kFigures] of whole rows, at least one bar; tail: the share that value at risk and
// its conditional mean are about, in (0, 1).
void row_performance(const NetReturns& given, double tail, double* to);

// Figures [row][kBenchmarkFigures] against benchmark returns [bar].
void benchmark_performance(const NetReturns& given, const double* benchmark, double* to);

// Mean / standard deviation (ddof 1) of the excess return over the `window` bars that end at each
// bar, [row][bar]; NaN before the first whole window and without variation. window is at least 2.
void rolling_sharpe(const NetReturns& given, size_t window, double* to);

}  // namespace marketsim
