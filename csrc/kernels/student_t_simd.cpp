// Sums over the components of a mixture, and the search for its quantiles. Lanes are components.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/student_t.hpp"
#include "kernels/student_t_component.hpp"

namespace marketsim::MARKETSIM_ISA {
namespace {

using student_t::kLanes;
using student_t::Lanes;
using student_t::Points;
using student_t::StudentTs;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLargest = std::numeric_limits<double>::max();

// Components side by side. The last of a mixture repeat one without weight.
struct Block {
  StudentTs shapes;
  alignas(64) Lanes loc, scale, weight;
  alignas(64) Lanes inverse;  // of the scale in units of the mixture's spread
};

// What a mixture says of one value x.
struct Sums {
  double tail;     // P(X <= x), or P(X > x) where the upper one is asked
  double density;  // and its first two derivatives, by x in units of the mixture's spread
  double first;
  double second;
};

// Added in one order, whatever vectors the loops over lanes become.
double total(const Lanes& of) {
  double sum = 0.0;
  for (double value : of) sum += value;
  return sum;
}

// One row of mixtures, with what all its values share.
class Mixture {
 public:
  void read(const Mixtures& from, size_t row);

  double tail(double x, bool upper) const { return sums(x, upper).tail; }

  // The value at a level.
  double quantile(const NormalLevel& at) const;

  // The mean between two values that lie at two levels.
  double mean_between(double low, double high, double mass) const;

 private:
  Sums sums(double x, bool upper) const;

  std::vector<Block> blocks_;
  double mean_ = 0.0;
  double spread_ = 0.0;  // about a standard deviation, finite always
  double finest_ = 0.0;  // the smallest scale
};

void Mixture::read(const Mixtures& from, size_t row) {
  const size_t begin = row * from.components, end = begin + from.components;
  const double *df = from.df, *loc = from.loc, *scale = from.scale, *weight = from.weight;
  double sum = 0.0, mean = 0.0;
  for (size_t i = begin; i < end; ++i) sum += weight[i];
  for (size_t i = begin; i < end; ++i) mean += weight[i] / sum * loc[i];
  mean_ = mean;
  double squares = 0.0;
  spread_ = 0.0;
  finest_ = kInfinity;
  blocks_.clear();
  Lanes degrees;
  size_t lane = 0;
  const auto put = [&](size_t i, double share) {
    if (lane == 0) blocks_.emplace_back();
    Block& block = blocks_.back();
    degrees[lane] = df[i];
    block.loc[lane] = loc[i];
    block.scale[lane] = scale[i];
    block.weight[lane] = share;
    lane = lane + 1 == kLanes ? 0 : lane + 1;
    if (lane == 0) block.shapes.set(degrees);
  };
  size_t last = begin;
  for (size_t i = begin; i < end; ++i) {
    if (weight[i] == 0.0) continue;
    const double share = weight[i] / sum, off = loc[i] - mean;
    // Heavier tails have no variance, or one that says little of the quantiles.
    const double factor = df[i] > 4.0 ? df[i] / (df[i] - 2.0) : 2.0;
    squares += share * (factor * scale[i] * scale[i] + off * off);
    spread_ += share * (scale[i] + std::fabs(off));
    finest_ = std::min(finest_, scale[i]);
    put(i, share);
    last = i;
  }
  while (lane != 0) put(last, 0.0);
  if (std::isfinite(squares) && squares > 0.0) spread_ = std::sqrt(squares);
  spread_ = std::min(spread_, kLargest);
  for (Block& block : blocks_) {
    for (size_t i = 0; i < kLanes; ++i) block.inverse[i] = spread_ / block.scale[i];
  }
}

Sums Mixture::sums(double x, bool upper) const {
  alignas(64) Lanes tails{}, densities{}, firsts{}, seconds{}, t;
  alignas(64) Points points;
  for (const Block& block : blocks_) {
    for (size_t i = 0; i < kLanes; ++i) t[i] = std::fabs(x - block.loc[i]) / block.scale[i];
    block.shapes.at(t, points);
    for (size_t i = 0; i < kLanes; ++i) {
      const bool left = x < block.loc[i];
      const double tail = left == upper ? 1.0 - points.tail[i] : points.tail[i];
      const double density = block.weight[i] * points.density[i] * block.inverse[i];
      const double slope = (left ? -points.slope[i] : points.slope[i]) * block.inverse[i];
      tails[i] += block.weight[i] * tail;
      densities[i] += density;
      firsts[i] += density * slope;
      seconds[i] +=
          density * (slope * slope + points.bend[i] * block.inverse[i] * block.inverse[i]);
    }
  }
  return {total(tails), total(densities), total(firsts), total(seconds)};
}

// A search for the value at a level: between the bounds that were met, by steps of third order.
class Search {
 public:
  Search(const NormalLevel& at, double start, double spread, double finest)
      : start_(start),
        upper_(at.level > 0.5),
        target_(upper_ ? 1.0 - at.level : at.level),
        logit_(std::log(target_) - std::log1p(-target_)),
        unit_(spread),
        spread_(spread),
        reach_(std::max(kReach * (finest / spread), 1e-11)) {}

  bool upper() const { return upper_; }
  bool done() const { return done_; }

  // The next value to look at, or the result.
  double next(double x, const Sums& at) {
    // How much probability is to be added on the way upwards.
    const double missing = upper_ ? at.tail - target_ : target_ - at.tail;
    if (missing == 0.0) return finish(x);
    (missing > 0.0 ? low_ : high_) = x;
    const double step = missing / at.density;
    if (is_last(step, at)) return finish(inside(x + unit_ * last_step(step, at), x));
    ++steps_;
    double to = x + unit_ * far_step(at);
    // Every fourth step halves, so that no shape of the mixture makes the search long.
    if (!(to > low_ && to < high_) || steps_ % 4 == 0) to = halfway(x, missing > 0.0);
    if (to == low_ || to == high_ || steps_ > kMostSteps) return finish(to);
    return to;
  }

 private:
  static constexpr double kReach = 4e-3;
  static constexpr int kMostSteps = 2000;

  double finish(double x) {
    done_ = true;
    return x;
  }

  double inside(double to, double otherwise) const {
    return to >= low_ && to <= high_ ? to : otherwise;
  }

  // Whether the series of the inverse function ends within the accuracy wanted: what is left out
  // is of the order of step * (first / density * step)^3.
  bool is_last(double step, const Sums& at) const {
    return std::fabs(step) <= reach_ && std::fabs(at.first * step) <= kReach * at.density &&
           std::fabs(at.second * step * step) <= kReach * kReach * at.density;
  }

  // The inverse of the distribution function up to the third derivative.
  static double last_step(double step, const Sums& at) {
    const double a = at.first / at.density * step, b = at.second / at.density * step * step;
    return step * (1.0 - 0.5 * a + (0.5 * a * a - b / 6.0));
  }

  // By the log odds, which are close to linear in x in the middle and bend slowly in the tails:
  // their inverse up to the second derivative.
  double far_step(const Sums& at) const {
    const double rest = 1.0 - at.tail, both = at.tail * rest;
    const double odds = std::log(at.tail) - std::log1p(-at.tail);
    const double missing = upper_ ? odds - logit_ : logit_ - odds;
    const double step = missing * (both / at.density);
    const double lean = upper_ ? at.tail - rest : rest - at.tail;
    const double bend = (at.first / at.density - at.density * lean / both) * step;
    return std::fabs(bend) < 1.0 ? step * (1.0 - 0.5 * bend) : step;
  }

  double halfway(double x, bool upwards) {
    if (std::isfinite(low_) && std::isfinite(high_)) {
      // Between values of one sign and very different size by their ratio.
      if (low_ > 0.0 && high_ > 16.0 * low_) return std::sqrt(low_) * std::sqrt(high_);
      if (high_ < 0.0 && low_ < 16.0 * high_) return -std::sqrt(-low_) * std::sqrt(-high_);
      return 0.5 * low_ + 0.5 * high_;
    }
    spread_ = 8.0 * std::max(spread_, std::fabs(x - start_));
    return std::clamp(upwards ? x + spread_ : x - spread_, -kLargest, kLargest);
  }

  double start_;
  bool upper_;
  double target_;
  double logit_;
  double unit_;    // of steps
  double spread_;  // how far the next step without a bound goes
  double reach_;
  double low_ = -kInfinity;
  double high_ = kInfinity;
  int steps_ = 0;
  bool done_ = false;
};

double Mixture::quantile(const NormalLevel& at) const {
  double x = std::clamp(mean_ + spread_ * at.normal, -kLargest, kLargest);
  Search search(at, x, spread_, finest_);
  while (!search.done()) x = search.next(x, sums(x, search.upper()));
  return x;
}

double Mixture::mean_between(double low, double high, double mass) const {
  // Relative to a value between the two: an error of the quantiles then counts only by as much as
  // they differ from it.
  const double middle = std::isinf(low) ? high : std::isinf(high) ? low : 0.5 * low + 0.5 * high;
  Lanes sum{}, from, to;
  Points below, above;
  for (const Block& block : blocks_) {
    const StudentTs& shapes = block.shapes;
    for (size_t i = 0; i < kLanes; ++i) {
      from[i] = std::fabs(low - block.loc[i]) / block.scale[i];
      to[i] = std::fabs(high - block.loc[i]) / block.scale[i];
    }
    shapes.at(from, below);
    shapes.at(to, above);
    for (size_t i = 0; i < kLanes; ++i) {
      // Both on one side: the difference of the tails; else all but the tails.
      const double inside = low >= block.loc[i]    ? below.tail[i] - above.tail[i]
                            : high <= block.loc[i] ? above.tail[i] - below.tail[i]
                                                   : (1.0 - above.tail[i]) - below.tail[i];
      const double moment =
          shapes.moment(i, to[i], above.density[i]) - shapes.moment(i, from[i], below.density[i]);
      sum[i] += block.weight[i] * ((block.loc[i] - middle) * inside + block.scale[i] * moment);
    }
  }
  return middle + total(sum) / mass;
}

}  // namespace

void cdf_rows(const Mixtures& mixtures, const double* at, double* to, size_t begin, size_t end) {
  Mixture mixture;
  for (size_t row = begin; row < end; ++row) {
    mixture.read(mixtures, row);
    const double below = mixture.tail(at[row], false);
    to[row] = below < 1.0 ? below : 1.0;
  }
}

void quantile_rows(const Mixtures& mixtures, const NormalLevel* levels, size_t count, double* to,
                   size_t begin, size_t end) {
  Mixture mixture;
  for (size_t row = begin; row < end; ++row) {
    mixture.read(mixtures, row);
    for (size_t j = 0; j < count; ++j) to[row * count + j] = mixture.quantile(levels[j]);
  }
}

void mean_rows(const Mixtures& mixtures, const NormalLevel& low, const NormalLevel& high,
               double* to, size_t begin, size_t end) {
  Mixture mixture;
  for (size_t row = begin; row < end; ++row) {
    mixture.read(mixtures, row);
    const double from = low.level > 0.0 ? mixture.quantile(low) : -kInfinity;
    const double until = high.level < 1.0 ? mixture.quantile(high) : kInfinity;
    to[row] = mixture.mean_between(from, until, high.level - low.level);
  }
}

}  // namespace marketsim::MARKETSIM_ISA
