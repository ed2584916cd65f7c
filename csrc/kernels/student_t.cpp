#include "kernels/student_t.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "common/parallel.hpp"
#include "kernels/student_t_component.hpp"

namespace marketsim {
namespace {

using student_t::Point;
using student_t::StudentT;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Component evaluations that are worth a thread.
constexpr size_t kWorthAThread = 20000;

struct Component {
  StudentT shape;
  double loc;
  double scale;
  double weight;
};

// What a mixture says of one value x.
struct Sums {
  double tail;     // P(X <= x), or P(X > x) where the upper one is asked
  double density;  // and its first two derivatives by x
  double first;
  double second;
};

// One row of mixtures, with what all its values share.
class Mixture {
 public:
  void read(const Mixtures& from, size_t row) {
    parts_.clear();
    const size_t begin = row * from.components, end = begin + from.components;
    double total = 0.0;
    for (size_t i = begin; i < end; ++i) total += from.weight[i];
    mean_ = 0.0;
    for (size_t i = begin; i < end; ++i) {
      if (from.weight[i] == 0.0) continue;
      parts_.push_back({StudentT(from.df[i]), from.loc[i], from.scale[i], from.weight[i] / total});
      mean_ += parts_.back().weight * from.loc[i];
    }
    double squares = 0.0;
    spread_ = 0.0;
    finest_ = kInfinity;
    for (size_t i = begin, j = 0; i < end; ++i) {
      if (from.weight[i] == 0.0) continue;
      const Component& part = parts_[j++];
      const double df = from.df[i], off = part.loc - mean_;
      // Heavier tails have no variance, or one that says little of the quantiles.
      const double factor = df > 4.0 ? df / (df - 2.0) : 2.0;
      squares += part.weight * (factor * part.scale * part.scale + off * off);
      spread_ += part.weight * (part.scale + std::fabs(off));
      finest_ = std::min(finest_, part.scale);
    }
    if (std::isfinite(squares) && squares > 0.0) spread_ = std::sqrt(squares);
  }

  double tail(double x, bool upper) const { return sums(x, upper).tail; }

  // The value at a level.
  double quantile(const NormalLevel& at) const;

  // The mean between two values that lie at two levels.
  double mean_between(double low, double high, double mass) const;

 private:
  Sums sums(double x, bool upper) const {
    Sums to{0.0, 0.0, 0.0, 0.0};
    for (const Component& part : parts_) {
      const double t = (x - part.loc) / part.scale;
      const Point point = part.shape.at(std::fabs(t));
      const double tail = (t < 0.0) == upper ? 1.0 - point.tail : point.tail;
      const double density = part.weight * point.density / part.scale;
      const double slope = (t < 0.0 ? -point.slope : point.slope) / part.scale;
      to.tail += part.weight * tail;
      to.density += density;
      to.first += density * slope;
      to.second += density * (slope * slope + point.bend / part.scale / part.scale);
    }
    return to;
  }

  std::vector<Component> parts_;
  double mean_ = 0.0;
  double spread_ = 0.0;  // about a standard deviation, finite always
  double finest_ = 0.0;  // the smallest scale
};

// A search for the value at a level: between the bounds that were met, by steps of third order.
class Search {
 public:
  Search(const NormalLevel& at, double start, double spread, double finest)
      : start_(start),
        upper_(at.level > 0.5),
        target_(upper_ ? 1.0 - at.level : at.level),
        logit_(std::log(target_) - std::log1p(-target_)),
        spread_(spread),
        reach_(std::max(kReach * finest, 1e-11 * spread)) {}

  bool upper() const { return upper_; }
  bool done() const { return done_; }

  // The next value to look at, or the result.
  double next(double x, const Sums& at) {
    // How much probability is to be added on the way upwards.
    const double missing = upper_ ? at.tail - target_ : target_ - at.tail;
    if (missing == 0.0) return finish(x);
    (missing > 0.0 ? low_ : high_) = x;
    const double step = missing / at.density;
    if (is_last(step, at)) return finish(inside(x + last_step(step, at), x));
    ++steps_;
    double to = x + far_step(at);
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
    constexpr double kLargest = std::numeric_limits<double>::max();
    return std::clamp(upwards ? x + spread_ : x - spread_, -kLargest, kLargest);
  }

  double start_;
  bool upper_;
  double target_;
  double logit_;
  double spread_;
  double reach_;
  double low_ = -kInfinity;
  double high_ = kInfinity;
  int steps_ = 0;
  bool done_ = false;
};

double Mixture::quantile(const NormalLevel& at) const {
  double x = mean_ + spread_ * at.normal;
  Search search(at, x, spread_, finest_);
  while (!search.done()) x = search.next(x, sums(x, search.upper()));
  return x;
}

double Mixture::mean_between(double low, double high, double mass) const {
  // Relative to a value between the two: an error of the quantiles then counts only by as much as
  // they differ from it.
  const double middle = std::isinf(low) ? high : std::isinf(high) ? low : 0.5 * low + 0.5 * high;
  double sum = 0.0;
  for (const Component& part : parts_) {
    const double from = (low - part.loc) / part.scale, to = (high - part.loc) / part.scale;
    const double below = std::isinf(from) ? 0.0 : part.shape.at(std::fabs(from)).tail;
    const double above = std::isinf(to) ? 0.0 : part.shape.at(std::fabs(to)).tail;
    // Both on one side: the difference of the tails; else all but the tails.
    const double inside = from >= 0.0 ? below - above
                          : to <= 0.0 ? above - below
                                      : (1.0 - above) - below;
    const double moment = part.shape.moment(to) - part.shape.moment(from);
    sum += part.weight * ((part.loc - middle) * inside + part.scale * moment);
  }
  return middle + sum / mass;
}

template <typename Work>
void each_row(const Mixtures& mixtures, size_t values, const Work& work) {
  const size_t share = kWorthAThread / std::max<size_t>(1, mixtures.components * values);
  const int threads = threads_for(mixtures.rows, std::max<size_t>(1, share));
  parallel_for(mixtures.rows, threads, [&](int, size_t begin, size_t end) {
    Mixture mixture;
    for (size_t row = begin; row < end; ++row) {
      mixture.read(mixtures, row);
      work(mixture, row);
    }
  });
}

}  // namespace

void mixture_cdf(const Mixtures& mixtures, const double* at, double* to) {
  each_row(mixtures, 1, [&](const Mixture& mixture, size_t row) {
    to[row] = std::min(1.0, mixture.tail(at[row], false));
  });
}

void mixture_quantiles(const Mixtures& mixtures, const NormalLevel* levels, size_t count,
                       double* to) {
  each_row(mixtures, 3 * count, [&](const Mixture& mixture, size_t row) {
    for (size_t j = 0; j < count; ++j) to[row * count + j] = mixture.quantile(levels[j]);
  });
}

void mixture_means_between(const Mixtures& mixtures, const NormalLevel& low,
                           const NormalLevel& high, double* to) {
  const double mass = high.level - low.level;
  each_row(mixtures, 6, [&](const Mixture& mixture, size_t row) {
    const double from = low.level > 0.0 ? mixture.quantile(low) : -kInfinity;
    const double until = high.level < 1.0 ? mixture.quantile(high) : kInfinity;
    to[row] = mixture.mean_between(from, until, mass);
  });
}

}  // namespace marketsim
