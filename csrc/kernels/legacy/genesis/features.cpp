#include "kernels/legacy/genesis/features.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace marketsim::genesis {
namespace {

constexpr double kRatios[kLevels] = {0.382, 0.5, 0.618, 0.786};
constexpr double kWeights[kLevels] = {0.6, 1.0, 1.0, 0.7};
constexpr double kLeastRows = 51.0;

// NaN becomes 0, as in the original.
double clip(double x, double low, double high) {
  if (x != x) return 0.0;
  const double below = x < high ? x : high;  // min(high, x): high where they are equal
  return below > low ? below : low;
}

struct Nearness {
  double least, from_nearest, score, to_618, to_half, retraced;
};

// Distances of the price to the levels between two swings, in average ranges.
Nearness nearness(double price, double high, double low, double atr) {
  Nearness out{0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
  if (atr <= 0.0) return out;
  double level[kLevels], distance[kLevels], closeness[kLevels];
  const double range = high - low;
  size_t nearest = 0;
  double score = 0.0, weight = 0.0;
  for (size_t k = 0; k < kLevels; ++k) {
    level[k] = high - range * kRatios[k];
    distance[k] = std::abs(price - level[k]);
    if (distance[k] < distance[nearest]) nearest = k;
    closeness[k] = std::exp(-distance[k] / (0.6 * atr));
    score += kWeights[k] * closeness[k];
    weight += kWeights[k];
  }
  out.least = distance[nearest] / atr;
  out.from_nearest = (price - level[nearest]) / atr;
  out.score = score / weight;
  out.to_half = closeness[1];
  out.to_618 = closeness[2];
  if (high > low) out.retraced = clip((high - price) / range, 0.0, 1.0);
  return out;
}

double shift_of(const FeatureInputs& in, size_t lag, size_t bar) {
  const double longer = in.atr_long.at(lag, bar);
  return longer > 0.0 ? in.atr_short.at(lag, bar) / longer : 1.0;
}

void features_at(const FeatureInputs& in, size_t bar, double* out) {
  const double v0 = shift_of(in, 0, bar), v1 = shift_of(in, 1, bar), v2 = shift_of(in, 2, bar);
  const double rsi = (in.rsi[bar] - 50.0) / 50.0;
  const double b = (1.0 - in.band_position.at(2, bar)) + (1.0 - in.band_position.at(1, bar)) +
                   (1.0 - in.band_position.at(0, bar));
  const double atr = in.atr_short.at(0, bar);
  out[0] = clip((in.rsi_before[bar] - 50.0) / 50.0, -1.0, 1.0);
  out[1] = clip((v2 + v1 + v0) / 3.0, 0.5, 2.0);
  out[2] = clip(b / 3.0, 0.0, 1.0);
  out[3] = clip(rsi * clip(v0, 0.5, 2.0), -2.0, 2.0);
  out[4] = v0 > 1.0 ? 1.0 : 0.0;
  out[5] = atr;
  const Nearness near = nearness(in.close[bar], in.swing_high[bar], in.swing_low[bar], atr);
  out[6] = clip(near.least, 0.0, 10.0);
  out[7] = clip(near.from_nearest, -10.0, 10.0);
  out[8] = clip(near.score, 0.0, 1.0);
  out[9] = clip(near.to_618, 0.0, 1.0);
  out[10] = clip(near.to_half, 0.0, 1.0);
  out[11] = clip(near.retraced, 0.0, 1.0);
  const double before = in.ema_before[bar];
  const double slope = clip((in.ema[bar] - before) / before, -0.10, 0.10);
  out[12] = clip(out[10] * slope, -0.10, 0.10);
  out[13] = clip(out[8] * (in.adx[bar] / 100.0), 0.0, 1.0);
  out[14] = clip(out[10] * -rsi, -1.0, 1.0);
}

// The order of the newest values, kept from bar to bar: neighbouring bars differ in few places.
class Ranking {
 public:
  // Ranks lags 0 .. count - 1.
  void update(const Lagged& values, size_t bar, size_t count) {
    size_t kept = 0;
    for (size_t k = 0; k < size_; ++k) {
      if (order_[k] + 1 < count) order_[kept++] = order_[k] + 1;
    }
    size_ = kept;
    while (size_ < count) order_[size_++] = missing(count);
    for (size_t k = 0; k < count; ++k) value_[k] = values.at(k, bar);
    for (size_t k = 1; k < count; ++k) {
      const size_t lag = order_[k];
      size_t place = k;
      for (; place > 0 && value_[lag] < value_[order_[place - 1]]; --place) {
        order_[place] = order_[place - 1];
      }
      order_[place] = lag;
    }
  }
  // Values of lags below `rows` in order, one pass for all periods.
  template <size_t N>
  void split(const size_t (&periods)[N], double (&out)[N][kAtrRows + 1]) const {
    size_t count[N] = {};
    for (size_t k = 0; k < size_; ++k) {
      const size_t lag = order_[k];
      for (size_t j = 0; j < N; ++j) {
        out[j][count[j]] = value_[lag];  // written again by the next where it does not count
        count[j] += lag < periods[j];
      }
    }
  }

 private:
  // The first lag that is not ranked yet; lags come back one at a time, mostly lag 0.
  size_t missing(size_t count) const {
    for (size_t lag = 0; lag < count; ++lag) {
      if (std::find(order_, order_ + size_, lag) == order_ + size_) return lag;
    }
    return 0;
  }
  size_t order_[kAtrRows] = {}, size_ = 0;
  double value_[kAtrRows] = {};
};

// Linear between ranks, as NumPy's percentile.
double percentile(const double* ordered, size_t rows, double share) {
  const double place = static_cast<double>(rows - 1) * share;
  const double whole = std::floor(place), part = place - whole;
  const auto rank = static_cast<size_t>(whole);
  const double low = ordered[rank], high = ordered[std::min(rank + 1, rows - 1)];
  const double step = high - low;
  return part >= 0.5 ? high - step * (1.0 - part) : low + step * part;
}

double logistic(const Side& side, const double* features, size_t bars, size_t bar, size_t regime) {
  double sum = 0.0;
  for (size_t k = 0; k < side.weights.size(); ++k) {
    const std::ptrdiff_t column = side.columns[k];
    const double x = column < 0 ? 0.0 : features[static_cast<size_t>(column) * bars + bar];
    sum += side.weights[k] * (x == x ? x : 0.0);
  }
  const double z = side.slope[regime] * (sum + side.bias) + side.shift[regime];
  return 1.0 / (1.0 + std::exp(-z));
}

}  // namespace

void compute_features(const FeatureInputs& in, double* features, double* percentiles) {
  constexpr size_t kPeriods[3] = {14, 28, 56};
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Ranking ranking;
  for (size_t bar = 0; bar < in.bars; ++bar) {
    double row[kFeatures], shares[kPercentiles];
    std::fill(row, row + kFeatures, nan);
    std::fill(shares, shares + kPercentiles, nan);
    if (in.rows[bar] >= kLeastRows) {
      features_at(in, bar, row);
      const size_t seen = std::min(static_cast<size_t>(in.rows[bar]), kAtrRows);
      ranking.update(in.atr_short, bar, seen);
      double ordered[3][kAtrRows + 1];
      ranking.split(kPeriods, ordered);
      for (size_t k = 0; k < 3; ++k) {
        if (kPeriods[k] > seen) continue;
        shares[2 * k] = percentile(ordered[k], kPeriods[k], 40.0 / 100.0);
        shares[2 * k + 1] = percentile(ordered[k], kPeriods[k], 80.0 / 100.0);
      }
    }
    for (size_t k = 0; k < kFeatures; ++k) features[k * in.bars + bar] = row[k];
    for (size_t k = 0; k < kPercentiles; ++k) percentiles[k * in.bars + bar] = shares[k];
  }
}

void compute_probabilities(const double* features, size_t bars, const signed char* regime,
                           const Side& buy, const Side& sell, double* p_buy, double* p_sell,
                           double* p_hold) {
  for (size_t bar = 0; bar < bars; ++bar) {
    const auto now = static_cast<size_t>(regime[bar]);
    const double up = logistic(buy, features, bars, bar, now);
    const double down = logistic(sell, features, bars, bar, now);
    const double rest = 1.0 - (up + down), hold = rest > 0.0 ? rest : 0.0;
    const double total = up + down + hold;
    p_buy[bar] = total <= 0.0 ? 0.0 : up / total;
    p_sell[bar] = total <= 0.0 ? 0.0 : down / total;
    p_hold[bar] = total <= 0.0 ? 1.0 : hold / total;
  }
}

}  // namespace marketsim::genesis
