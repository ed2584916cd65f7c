#include "kernels/statistical.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace marketsim {
namespace {

// The last `capacity` values, in order of size. They are sorted when the order is first asked for:
// until then, a value costs one write.
class SortedWindow {
 public:
  explicit SortedWindow(size_t capacity) : ring_(capacity) { sorted_.reserve(capacity); }

  void push(double value) {
    if (ordered_) {
      if (count_ == ring_.size()) {
        sorted_.erase(std::lower_bound(sorted_.begin(), sorted_.end(), ring_[next_]));
      }
      sorted_.insert(std::upper_bound(sorted_.begin(), sorted_.end(), value), value);
    }
    ring_[next_] = value;
    next_ = next_ + 1 == ring_.size() ? 0 : next_ + 1;
    if (count_ < ring_.size()) ++count_;
  }

  size_t size() const { return count_; }

  // Sort the values; equal ones stay in the order of their pushes, as inserting them keeps it.
  void order() {
    if (ordered_) return;
    const auto next = ring_.begin() + static_cast<ptrdiff_t>(next_);
    if (count_ == ring_.size()) sorted_.assign(next, ring_.end());
    sorted_.insert(sorted_.end(), ring_.begin(), next);
    std::stable_sort(sorted_.begin(), sorted_.end());
    ordered_ = true;
  }

  // Linear interpolation between order statistics (Hyndman and Fan, 1996, definition 7).
  double quantile(double level) const {
    const double position = level * static_cast<double>(sorted_.size() - 1);
    const size_t below = static_cast<size_t>(position);
    if (below + 1 >= sorted_.size()) return sorted_.back();
    const double fraction = position - static_cast<double>(below);
    return sorted_[below] + (sorted_[below + 1] - sorted_[below]) * fraction;
  }

  // The mean of f(value): four partial sums over the ordered values, added in a fixed order.
  template <typename Function>
  double mean(const Function& f) const {
    double sums[4] = {0.0, 0.0, 0.0, 0.0};
    const size_t whole = sorted_.size() / 4 * 4;
    for (size_t i = 0; i < whole; i += 4) {
      for (size_t j = 0; j < 4; ++j) sums[j] += f(sorted_[i + j]);
    }
    for (size_t i = whole; i < sorted_.size(); ++i) sums[i - whole] += f(sorted_[i]);
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) / static_cast<double>(sorted_.size());
  }

 private:
  std::vector<double> ring_;
  std::vector<double> sorted_;
  size_t next_ = 0;
  size_t count_ = 0;
  bool ordered_ = false;
};

}  // namespace

void ewma_forecasts(const double* series, size_t size, size_t start, double decay, size_t window,
                    size_t least, const Levels& levels, const ForecastRows& to) {
  SortedWindow residuals(window);
  double squares = 0.0, weights = 0.0;
  for (size_t t = 0; t <= size; ++t) {
    const double scale = weights > 0.0 ? std::sqrt(squares / weights) : 0.0;
    if (t >= start) {
      residuals.order();
      const size_t row = t - start;
      double* quantile = to.quantile + row * levels.count;
      if (residuals.size() < least) {
        to.mean[row] = 0.0;
        to.std[row] = scale;
        for (size_t j = 0; j < levels.count; ++j) quantile[j] = scale * levels.normal[j];
      } else {
        const double mean = residuals.mean([](double z) { return z; });
        const double variance = residuals.mean([=](double z) { return (z - mean) * (z - mean); });
        to.mean[row] = scale * mean;
        to.std[row] = scale * std::sqrt(variance);
        for (size_t j = 0; j < levels.count; ++j) {
          quantile[j] = scale * residuals.quantile(levels.level[j]);
        }
      }
    }
    if (t == size || std::isnan(series[t])) continue;
    if (scale > 0.0) residuals.push(series[t] / scale);
    squares = decay * squares + series[t] * series[t];
    weights = decay * weights + 1.0;
  }
}

void persistence_forecasts(const double* series, size_t size, size_t start, size_t window,
                           const Levels& levels, const ForecastRows& to) {
  SortedWindow changes(window);
  double last = std::nan("");
  for (size_t t = 0; t <= size; ++t) {
    if (t >= start) {
      changes.order();
      const size_t row = t - start;
      double* quantile = to.quantile + row * levels.count;
      to.mean[row] = last;
      to.std[row] =
          changes.size() == 0 ? 0.0 : std::sqrt(changes.mean([](double d) { return d * d; }));
      for (size_t j = 0; j < levels.count; ++j) {
        const double side = 2.0 * levels.level[j] - 1.0;
        const double reach = changes.size() == 0 ? 0.0 : changes.quantile(std::fabs(side));
        quantile[j] = side < 0.0 ? last - reach : side > 0.0 ? last + reach : last;
      }
    }
    if (t == size || std::isnan(series[t])) continue;
    if (!std::isnan(last)) changes.push(std::fabs(series[t] - last));
    last = series[t];
  }
}

void weighted_sums(const double* values, size_t rows, const double* weights, size_t count,
                   double* to) {
  for (size_t row = 0; row < rows; ++row, values += count) {
    double sum = 0.0;
    for (size_t j = 0; j < count; ++j) sum += weights[j] * values[j];
    to[row] = sum;
  }
}

}  // namespace marketsim
