// The search for a value at a level of a mixture, and what else of a mixture is the same however
// many of its components are computed at a time.
#pragma once

#include "kernels/student_t.hpp"
#include "kernels/student_t_component.hpp"

namespace marketsim::MARKETSIM_ISA::student_t {

// The standard library's are not for a GPU.
inline MARKETSIM_FN double smaller(double x, double y) {
  return y < x ? y : x;
}
inline MARKETSIM_FN double larger(double x, double y) {
  return x < y ? y : x;
}
inline MARKETSIM_FN bool is_finite(double x) {
  return fabs(x) <= kLargest;
}
inline MARKETSIM_FN double finite_part(double x) {
  return x < -kLargest ? -kLargest : x > kLargest ? kLargest : x;
}

// What all values of a mixture share.
struct Outline {
  double weight;  // sum of the weights
  double mean;
  double spread;  // about a standard deviation, finite always
  double finest;  // the smallest scale
};

inline MARKETSIM_FN Outline outline_of(const Mixtures& from, size_t row) {
  const size_t begin = row * from.components, end = begin + from.components;
  const double *df = from.df, *loc = from.loc, *scale = from.scale, *weight = from.weight;
  double sum = 0.0, mean = 0.0, squares = 0.0, spread = 0.0, finest = kInfinity;
  for (size_t i = begin; i < end; ++i) sum += weight[i];
  for (size_t i = begin; i < end; ++i) mean += weight[i] / sum * loc[i];
  for (size_t i = begin; i < end; ++i) {
    if (weight[i] == 0.0) continue;
    const double share = weight[i] / sum, off = loc[i] - mean;
    // Heavier tails have no variance, or one that says little of the quantiles.
    const double factor = df[i] > 4.0 ? df[i] / (df[i] - 2.0) : 2.0;
    squares += share * (factor * scale[i] * scale[i] + off * off);
    spread += share * (scale[i] + fabs(off));
    finest = smaller(finest, scale[i]);
  }
  if (is_finite(squares) && squares > 0.0) spread = sqrt(squares);
  return {sum, mean, smaller(spread, kLargest), finest};
}

// What a mixture says of one value x.
struct Sums {
  double tail;     // P(X <= x), or P(X > x) where the upper one is asked
  double density;  // and its first two derivatives, by x in units of the mixture's spread
  double first;
  double second;
};

// What a component adds to them; `inverse` is 1 / its scale in units of the mixture's spread.
inline MARKETSIM_FN Sums sums_of(double x, bool upper, double loc, double weight, double inverse,
                                 const PointsOf<double>& points) {
  const bool left = x < loc;
  const double tail = left == upper ? 1.0 - points.tail : points.tail;
  const double density = weight * points.density * inverse;
  const double slope = (left ? -points.slope : points.slope) * inverse;
  return {weight * tail, density, density * slope,
          density * (slope * slope + points.bend * inverse * inverse)};
}

// What a component adds to the mean between two values, above `middle`.
inline MARKETSIM_FN double part_between(double low, double high, double middle, double df,
                                        double loc, double scale, double weight,
                                        const PointsOf<double>& below,
                                        const PointsOf<double>& above) {
  // Both on one side: the difference of the tails; else all but the tails.
  const double inside = low >= loc    ? below.tail - above.tail
                        : high <= loc ? above.tail - below.tail
                                      : (1.0 - above.tail) - below.tail;
  const double moment = moment_of(df, fabs(high - loc) / scale, above.density) -
                        moment_of(df, fabs(low - loc) / scale, below.density);
  return weight * ((loc - middle) * inside + scale * moment);
}

// The value that the mean between two is reckoned from: an error of the two then counts only by as
// much as they differ from it.
inline MARKETSIM_FN double middle_of(double low, double high) {
  return low < -kLargest ? high : high > kLargest ? low : 0.5 * low + 0.5 * high;
}

// A search for the value at a level: between the bounds that were met, by steps of third order.
class Search {
 public:
  MARKETSIM_FN Search(const NormalLevel& at, double start, double spread, double finest)
      : start_(start),
        upper_(at.level > 0.5),
        target_(upper_ ? 1.0 - at.level : at.level),
        logit_(log_of_ratio(target_, 1.0 - target_)),
        unit_(spread),
        spread_(spread),
        reach_(larger(kReach * (finest / spread), 1e-11)) {}

  MARKETSIM_FN bool upper() const { return upper_; }
  MARKETSIM_FN bool done() const { return done_; }

  // The next value to look at, or the result.
  MARKETSIM_FN double next(double x, const Sums& at) {
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

  MARKETSIM_FN double finish(double x) {
    done_ = true;
    return x;
  }

  MARKETSIM_FN double inside(double to, double otherwise) const {
    return to >= low_ && to <= high_ ? to : otherwise;
  }

  // Whether the series of the inverse function ends within the accuracy wanted: what is left out
  // is of the order of step * (first / density * step)^3.
  MARKETSIM_FN bool is_last(double step, const Sums& at) const {
    return fabs(step) <= reach_ && fabs(at.first * step) <= kReach * at.density &&
           fabs(at.second * step * step) <= kReach * kReach * at.density;
  }

  // The inverse of the distribution function up to the third derivative.
  static MARKETSIM_FN double last_step(double step, const Sums& at) {
    const double a = at.first / at.density * step, b = at.second / at.density * step * step;
    return step * (1.0 - 0.5 * a + (0.5 * a * a - b / 6.0));
  }

  // By the log odds, which are close to linear in x in the middle and bend slowly in the tails:
  // their inverse up to the second derivative.
  MARKETSIM_FN double far_step(const Sums& at) const {
    const double rest = 1.0 - at.tail, both = at.tail * rest;
    const double odds = log_of_ratio(at.tail, rest);
    const double missing = upper_ ? odds - logit_ : logit_ - odds;
    const double step = missing * (both / at.density);
    const double lean = upper_ ? at.tail - rest : rest - at.tail;
    const double bend = (at.first / at.density - at.density * lean / both) * step;
    return fabs(bend) < 1.0 ? step * (1.0 - 0.5 * bend) : step;
  }

  MARKETSIM_FN double halfway(double x, bool upwards) {
    if (is_finite(low_) && is_finite(high_)) {
      // Between values of one sign and very different size by their ratio.
      if (low_ > 0.0 && high_ > 16.0 * low_) return sqrt(low_) * sqrt(high_);
      if (high_ < 0.0 && low_ < 16.0 * high_) return -sqrt(-low_) * sqrt(-high_);
      return 0.5 * low_ + 0.5 * high_;
    }
    spread_ = 8.0 * larger(spread_, fabs(x - start_));
    return finite_part(upwards ? x + spread_ : x - spread_);
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

}  // namespace marketsim::MARKETSIM_ISA::student_t
