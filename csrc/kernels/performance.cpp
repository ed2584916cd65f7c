#include "kernels/performance.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "common/parallel.hpp"

namespace marketsim {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Rounding leaves a trace of variation in constant returns; it is none.
bool varies(double squares, double count, double mean) {
  return squares > 1e-24 * count * std::max(mean * mean, 1e-300);
}

// The first bar that loses everything, or `bars`.
size_t ruin_of(const double* net, size_t bars) {
  constexpr size_t kBlock = 64;  // compared without a branch each
  size_t bar = 0;
  for (; bar + kBlock <= bars; bar += kBlock) {
    std::int64_t lost = 0;
    for (size_t i = bar; i < bar + kBlock; ++i) lost |= !(net[i] > -1.0);
    if (lost) break;
  }
  while (bar < bars && net[bar] > -1.0) ++bar;
  return bar;
}

// Returns of an account that is ruined at `ruin`: that bar is -1, later ones 0.
void account_returns(const double* net, size_t bars, size_t ruin, double* to) {
  std::copy(net, net + ruin, to);
  if (ruin == bars) return;
  to[ruin] = -1.0;
  std::fill(to + ruin + 1, to + bars, 0.0);
}

// Sums of value(0) .. value(count - 1) in four lanes, so that a processor can add them side by side
// and the order never depends on it.
template <typename Value>
double lane_sum(size_t count, const Value& value) {
  double lane[4] = {0.0, 0.0, 0.0, 0.0};
  size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    for (size_t k = 0; k < 4; ++k) lane[k] += value(i + k);
  }
  double sum = (lane[0] + lane[1]) + (lane[2] + lane[3]);
  for (; i < count; ++i) sum += value(i);
  return sum;
}

struct Moments {
  double mean, squares, cubes, fourths;
};

Moments moments_of(const double* values, size_t count) {
  const double mean =
      lane_sum(count, [=](size_t i) { return values[i]; }) / static_cast<double>(count);
  double lane[3][4] = {};
  size_t i = 0;
  const auto add = [&](size_t at, size_t k) {
    const double d = values[at] - mean, square = d * d;
    lane[0][k] += square;
    lane[1][k] += square * d;
    lane[2][k] += square * square;
  };
  for (; i + 4 <= count; i += 4) {
    for (size_t k = 0; k < 4; ++k) add(i + k, k);
  }
  for (; i < count; ++i) add(i, 0);
  const auto total = [&](size_t m) {
    return (lane[m][0] + lane[m][1]) + (lane[m][2] + lane[m][3]);
  };
  return {mean, total(0), total(1), total(2)};
}

// Sharpe ratio and its standard error for returns that need not be normal (Mertens, 2002).
void sharpe_of(const Moments& m, double count, double* to) {
  to[kSharpe] = to[kSharpeError] = kNan;
  if (count < 2.0 || !varies(m.squares, count, m.mean)) return;
  const double sharpe = m.mean / std::sqrt(m.squares / (count - 1.0));
  const double variance = m.squares / count;
  const double skew = m.cubes / count / (variance * std::sqrt(variance));
  const double kurtosis = m.fourths / count / (variance * variance);
  const double spread =
      1.0 + 0.5 * sharpe * sharpe - skew * sharpe + (kurtosis - 3.0) / 4.0 * sharpe * sharpe;
  to[kSharpe] = sharpe;
  to[kSharpeError] = std::sqrt(std::max(spread, 0.0) / count);
}

struct Fall {
  double depth = 0.0;
  double peak = kNan, trough = kNan, recovery = kNan;
};

// Growth of an equity of 1, its largest fall, and its longest stay below a peak in bars.
struct Growth {
  double equity = 1.0;
  Fall fall;
  std::ptrdiff_t longest = 0;
};

Growth growth_of(const double* account, size_t end) {
  Growth g;
  double peak = 1.0, low = 1.0;  // the lowest equity since the peak
  std::ptrdiff_t peak_bar = -1;
  const auto bars = static_cast<std::ptrdiff_t>(end);
  for (std::ptrdiff_t bar = 0; bar < bars; ++bar) {
    g.equity *= 1.0 + account[bar];
    if (g.equity >= peak) {
      if (low < peak) {
        g.longest = std::max(g.longest, bar - peak_bar);
        if (g.fall.peak == static_cast<double>(peak_bar)) {
          g.fall.recovery = static_cast<double>(bar);
        }
      }
      peak = low = g.equity;
      peak_bar = bar;
    } else if (g.equity < low) {
      low = g.equity;
      const double depth = 1.0 - low / peak;
      if (depth > g.fall.depth) {
        g.fall = {depth, static_cast<double>(peak_bar), static_cast<double>(bar), kNan};
      }
    }
  }
  if (low < peak) g.longest = std::max(g.longest, bars - 1 - peak_bar);
  return g;
}

// Whether a bar of a row is in the market.
struct Held {
  const std::uint8_t* active;
  const double* position;
  bool operator()(size_t bar) const {
    return active ? active[bar] != 0 : position ? position[bar] != 0.0 : true;
  }
};

// The figures that windows and rows share. `excess` receives the returns above the risk-free rate,
// where there is one.
Moments measure(const double* account, const Held& held, const double* risk_free, size_t bars,
                size_t end, const Growth& growth, double* excess, double* to) {
  const auto count = static_cast<double>(bars);
  const Moments m = moments_of(account, bars);
  size_t hits = 0, active = 0;
  for (size_t i = 0; i < end; ++i) {
    const bool is_in = held(i);
    active += is_in;
    hits += is_in & (account[i] > 0.0);
  }
  to[kTotalReturn] = growth.equity - 1.0;
  to[kMeanReturn] = m.mean;
  to[kStdReturn] = bars > 1 ? std::sqrt(m.squares / (count - 1.0)) : kNan;
  to[kMaxDrawdown] = growth.fall.depth;
  to[kHitRate] = active ? static_cast<double>(hits) / static_cast<double>(active) : kNan;
  to[kActiveBars] = static_cast<double>(active);
  if (!risk_free) {
    sharpe_of(m, count, to);
  } else {
    for (size_t i = 0; i < bars; ++i) excess[i] = account[i] - risk_free[i];
    sharpe_of(moments_of(excess, bars), count, to);
  }
  return m;
}

// The `wanted` smallest values, ascending, at the front of `to`; there are that many. Most values
// lie above mean - deviation, so that few are left to sort; where too few lie below, all are
// sorted.
void smallest_of(const double* values, size_t count, size_t wanted, const Moments& m, double* to) {
  const double limit = m.mean - std::sqrt(m.squares / static_cast<double>(count));
  size_t found = 0;
  for (size_t i = 0; i < count; ++i) {
    to[found] = values[i];
    found += values[i] < limit;
  }
  if (found < wanted) {
    std::copy(values, values + count, to);
    found = count;
  }
  if (wanted < found) std::nth_element(to, to + wanted, to + found);
  std::sort(to, to + wanted);
}

// Quantile and mean of the worst share of the returns; `worst` is scratch of their size.
//
// The mean is over a mass of share * count returns, the last of them in part: Acerbi and Tasche
// (2002), On the coherence of expected shortfall, whatever the distribution.
void measure_tail(const double* account, size_t count, double share, const Moments& m,
                  double* worst, double* to) {
  const double at = share * static_cast<double>(count - 1);
  const auto below = static_cast<size_t>(at);
  const double mass = share * static_cast<double>(count);
  const size_t wanted = std::min(count, static_cast<size_t>(mass) + 2);
  smallest_of(account, count, wanted, m, worst);
  const double next = worst[std::min(below + 1, count - 1)];
  to[kValueAtRisk] = worst[below] + (at - static_cast<double>(below)) * (next - worst[below]);
  double sum = 0.0, left = mass;
  for (size_t i = 0; i < wanted && left > 0.0; ++i, left -= 1.0) {
    sum += std::min(left, 1.0) * worst[i];
  }
  to[kConditionalValueAtRisk] = sum / mass;
}

// Gains and losses over the bars that count, and where the best and the worst are.
void measure_bars(const double* account, size_t end, double* to) {
  double best[4], worst[4];
  for (size_t k = 0; k < 4; ++k) best[k] = worst[k] = account[0];
  size_t done = 0;
  for (; done + 4 <= end; done += 4) {
    for (size_t k = 0; k < 4; ++k) {
      best[k] = std::max(best[k], account[done + k]);
      worst[k] = std::min(worst[k], account[done + k]);
    }
  }
  for (; done < end; ++done) {
    best[0] = std::max(best[0], account[done]);
    worst[0] = std::min(worst[0], account[done]);
  }
  to[kBest] = *std::max_element(best, best + 4);
  to[kWorst] = *std::min_element(worst, worst + 4);
  const auto first = [=](double value) {
    return static_cast<double>(std::find(account, account + end, value) - account);
  };
  to[kBestBar] = first(to[kBest]);
  to[kWorstBar] = first(to[kWorst]);
  to[kGains] = lane_sum(end, [=](size_t i) { return std::max(account[i], 0.0); });
  to[kLosses] = lane_sum(end, [=](size_t i) { return std::min(account[i], 0.0); });
  to[kWins] = lane_sum(end, [=](size_t i) { return account[i] > 0.0 ? 1.0 : 0.0; });
  to[kDefeats] = lane_sum(end, [=](size_t i) { return account[i] < 0.0 ? 1.0 : 0.0; });
}

// Leverage and the value traded over the bars that count.
void measure_use(const double* position, const double* traded, size_t end, double* to) {
  const auto lived = static_cast<double>(end);
  to[kMeanLeverage] = to[kMaxLeverage] = to[kMeanTraded] = kNan;
  if (position) {
    to[kMeanLeverage] = lane_sum(end, [=](size_t i) { return std::fabs(position[i]); }) / lived;
    double most = 0.0;
    for (size_t i = 0; i < end; ++i) most = std::max(most, std::fabs(position[i]));
    to[kMaxLeverage] = most;
  }
  if (traded) to[kMeanTraded] = lane_sum(end, [=](size_t i) { return traded[i]; }) / lived;
}

void measure_row(const NetReturns& given, size_t row, double share, double* account, double* excess,
                 double* to) {
  const size_t bars = given.bars, at = row * bars;
  const auto count = static_cast<double>(bars);
  const size_t ruin = ruin_of(given.net + at, bars), end = std::min(ruin + 1, bars);
  const auto from = [at](auto* values) { return values ? values + at : nullptr; };
  account_returns(given.net + at, bars, ruin, account);
  const Growth growth = growth_of(account, end);
  const Held held{from(given.active), from(given.position)};
  const Moments m = measure(account, held, given.risk_free, bars, end, growth, excess, to);
  const double* const above = given.risk_free ? excess : account;
  const bool moves = bars > 1 && varies(m.squares, count, m.mean);
  const double variance = m.squares / count;
  const auto downside = [=](size_t i) {
    const double loss = std::min(above[i], 0.0);
    return loss * loss;
  };
  to[kSkew] = moves ? m.cubes / count / (variance * std::sqrt(variance)) : kNan;
  to[kExcessKurtosis] = moves ? m.fourths / count / (variance * variance) - 3.0 : kNan;
  to[kMeanExcess] = lane_sum(bars, [=](size_t i) { return above[i]; }) / count;
  to[kDownsideDeviation] = std::sqrt(lane_sum(bars, downside) / count);
  to[kPeakBar] = growth.fall.peak;
  to[kTroughBar] = growth.fall.trough;
  to[kRecoveryBar] = growth.fall.recovery;
  to[kLongestDrawdown] = static_cast<double>(growth.longest);
  to[kRuinBar] = ruin < bars ? static_cast<double>(ruin) : kNan;
  measure_bars(account, end, to);
  measure_use(from(given.position), from(given.traded), end, to);
  measure_tail(account, bars, share, m, excess, to);  // the last to need `excess`
}

// Mean and sum of squared differences of the values so far (Welford, 1962).
struct Running {
  double mean = 0.0, squares = 0.0;
  void add(double value, double count) {
    const double change = value - mean;
    mean += change / count;
    squares += change * (value - mean);
  }
};

void rolling_row(const double* values, size_t bars, size_t window, std::vector<Running>& suffix,
                 double* to) {
  const auto count = static_cast<double>(window);
  std::fill(to, to + std::min(window - 1, bars), kNan);
  // A window is the end of one block of `window` bars and the beginning of the next: nothing is
  // ever subtracted, so that no error adds up. Merged after Chan, Golub and LeVeque (1983).
  for (size_t begin = 0; begin + window <= bars; begin += window) {
    Running end_part;
    for (size_t k = 1; k <= window; ++k) {
      end_part.add(values[begin + window - k], static_cast<double>(k));
      suffix[window - k] = end_part;
    }
    Running next;
    for (size_t k = 0; k < window && begin + window - 1 + k < bars; ++k) {
      if (k) next.add(values[begin + window - 1 + k], static_cast<double>(k));
      const auto ahead = static_cast<double>(k), behind = count - ahead;
      const double gap = next.mean - suffix[k].mean;
      const double mean = suffix[k].mean + gap * (ahead / count);
      const double squares =
          suffix[k].squares + next.squares + gap * gap * (ahead * behind / count);
      to[begin + window - 1 + k] =
          varies(squares, count, mean) ? mean / std::sqrt(squares / (count - 1.0)) : kNan;
    }
  }
}

}  // namespace

void window_performance(const NetReturns& given, const std::int64_t* starts, size_t windows,
                        size_t length, double* to) {
  const size_t items = windows * given.rows;
  parallel_for(items, threads_for(items * length, 1 << 16), [&](int, size_t begin, size_t end) {
    std::vector<double> account(length), excess(length);
    for (size_t item = begin; item < end; ++item) {
      const auto start = static_cast<size_t>(starts[item / given.rows]);
      const size_t at = item % given.rows * given.bars + start;
      const size_t ruin = ruin_of(given.net + at, length), counted = std::min(ruin + 1, length);
      account_returns(given.net + at, length, ruin, account.data());
      const Held held{given.active ? given.active + at : nullptr, nullptr};
      measure(account.data(), held, given.risk_free ? given.risk_free + start : nullptr, length,
              counted, growth_of(account.data(), counted), excess.data(),
              to + item * kWindowFigures);
    }
  });
}

// Whether four returns are 0.
inline bool rests(const double* returns) {
  return returns[0] == 0.0 && returns[1] == 0.0 && returns[2] == 0.0 && returns[3] == 0.0;
}

void CurveMeasure::returns(const double* equity, size_t count, double* to) {
  if (count == 0) return;
  to[0] = equity[0] / before_ - 1.0;
  for (size_t i = 1; i < count; ++i) to[i] = equity[i] / equity[i - 1] - 1.0;
  before_ = equity[count - 1];
}

// Compounds a return, and looks for a deeper fall.
inline void CurveMeasure::compound(double change) {
  // No growth at or above peak * least_ can deepen the fall; the slack covers the rounding of
  // 1 - growth / peak.
  constexpr double kSlack = 1e-15;
  growth_ *= 1.0 + change;
  peak_ = growth_ > peak_ ? growth_ : peak_;
  if (growth_ < peak_ * least_) {
    worst_ = std::max(worst_, 1.0 - growth_ / peak_);
    least_ = (1.0 - worst_) + kSlack;
  }
}

// Adds the return of the bar at_, the first one of ruin or any other.
inline void CurveMeasure::add(double change) {
  if (at_ < ruin_ && !(change > -1.0)) ruin_ = at_;
  if (at_ >= ruin_) change = at_ == ruin_ ? -1.0 : 0.0;
  if (at_ <= ruin_) compound(change);
  const size_t whole = bars_ / 4 * 4;
  if (at_ < whole) {
    lanes_[at_ % 4] += change;
  } else {
    if (at_ == whole) rest_ = (lanes_[0] + lanes_[1]) + (lanes_[2] + lanes_[3]);
    rest_ += change;
  }
  ++at_;
}

void CurveMeasure::grow(const double* returns, size_t count) {
  size_t i = 0;
  if (ruin_ == bars_) {
    CurveMeasure m = *this;  // its figures stay in registers
    for (; i + 4 <= count; i += 4) {
      const double* const r = returns + i;
      m.at_ += 4;
      if (rests(r)) continue;  // they change no figure but the mean
      if (!(r[0] > -1.0 && r[1] > -1.0 && r[2] > -1.0 && r[3] > -1.0)) {
        m.at_ -= 4;
        break;
      }
      for (size_t k = 0; k < 4; ++k) m.compound(r[k]);
      for (size_t k = 0; k < 4; ++k) m.lanes_[k] += r[k];
    }
    *this = m;
  }
  for (; i < count; ++i) add(returns[i]);
  if (at_ < bars_) return;
  if (bars_ % 4 == 0) rest_ = (lanes_[0] + lanes_[1]) + (lanes_[2] + lanes_[3]);
  mean_ = rest_ / static_cast<double>(bars_);
}

void CurveMeasure::restart(double start) {
  at_ = 0;
  before_ = start;
}

void CurveMeasure::vary(const double* returns, size_t count) {
  const size_t whole = bars_ / 4 * 4;
  const double mean = mean_;
  size_t i = 0;
  double lane[4] = {squares_[0], squares_[1], squares_[2], squares_[3]};
  for (; i + 4 <= count && at_ + i + 4 <= ruin_; i += 4) {
    for (size_t k = 0; k < 4; ++k) lane[k] += (returns[i + k] - mean) * (returns[i + k] - mean);
  }
  for (; i < count; ++i) {
    const size_t bar = at_ + i;
    const double d = (bar < ruin_ ? returns[i] : bar == ruin_ ? -1.0 : 0.0) - mean;
    lane[bar < whole ? bar % 4 : 0] += d * d;
  }
  std::copy(lane, lane + 4, squares_);
  at_ += count;
}

CurveFigures CurveMeasure::figures() const {
  if (bars_ == 0) return {kNan, kNan, kNan};
  const auto count = static_cast<double>(bars_);
  const double squares = (squares_[0] + squares_[1]) + (squares_[2] + squares_[3]);
  const bool moves = bars_ > 1 && varies(squares, count, mean_);
  return {growth_ - 1.0, worst_, moves ? mean_ / std::sqrt(squares / (count - 1.0)) : kNan};
}

void row_performance(const NetReturns& given, double tail, double* to) {
  const int threads = threads_for(given.rows * given.bars, 1 << 14);
  parallel_for(given.rows, threads, [&](int, size_t begin, size_t end) {
    std::vector<double> account(given.bars), excess(given.bars);
    for (size_t row = begin; row < end; ++row) {
      measure_row(given, row, tail, account.data(), excess.data(), to + row * kFigures);
    }
  });
}

void benchmark_performance(const NetReturns& given, const double* benchmark, double* to) {
  const size_t bars = given.bars;
  const auto count = static_cast<double>(bars);
  std::vector<double> market(bars);
  for (size_t i = 0; i < bars; ++i) {
    market[i] = given.risk_free ? benchmark[i] - given.risk_free[i] : benchmark[i];
  }
  const Moments m = moments_of(market.data(), bars);
  const bool market_varies = bars > 1 && varies(m.squares, count, m.mean);
  const int threads = threads_for(given.rows * bars, 1 << 14);
  parallel_for(given.rows, threads, [&](int, size_t begin, size_t end) {
    std::vector<double> excess(bars), difference(bars);
    for (size_t row = begin; row < end; ++row) {
      double* const out = to + row * kBenchmarkFigures;
      const double* const net = given.net + row * bars;
      account_returns(net, bars, ruin_of(net, bars), excess.data());
      for (size_t i = 0; i < bars; ++i) {
        difference[i] = excess[i] - benchmark[i];
        if (given.risk_free) excess[i] -= given.risk_free[i];
      }
      const Moments own = moments_of(excess.data(), bars);
      const Moments apart = moments_of(difference.data(), bars);
      const double product =
          lane_sum(bars, [&](size_t i) { return (excess[i] - own.mean) * (market[i] - m.mean); });
      const bool own_varies = varies(own.squares, count, own.mean);
      out[kBeta] = market_varies ? product / m.squares : kNan;
      out[kAlpha] = own.mean - out[kBeta] * m.mean;
      out[kCorrelation] =
          market_varies && own_varies ? product / std::sqrt(m.squares * own.squares) : kNan;
      out[kActiveReturn] = apart.mean;
      out[kTrackingError] = bars > 1 && varies(apart.squares, count, apart.mean)
                                ? std::sqrt(apart.squares / (count - 1.0))
                                : (bars > 1 ? 0.0 : kNan);
    }
  });
}

void rolling_sharpe(const NetReturns& given, size_t window, double* to) {
  const size_t bars = given.bars;
  const int threads = threads_for(given.rows * bars, 1 << 14);
  parallel_for(given.rows, threads, [&](int, size_t begin, size_t end) {
    std::vector<double> excess(bars);
    std::vector<Running> suffix(window);
    for (size_t row = begin; row < end; ++row) {
      const double* const net = given.net + row * bars;
      account_returns(net, bars, ruin_of(net, bars), excess.data());
      if (given.risk_free) {
        for (size_t i = 0; i < bars; ++i) excess[i] -= given.risk_free[i];
      }
      rolling_row(excess.data(), bars, window, suffix, to + row * bars);
    }
  });
}

}  // namespace marketsim
