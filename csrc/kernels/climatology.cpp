#include "kernels/climatology.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "common/parallel.hpp"

namespace marketsim {
namespace {

// The values of a window in ascending order.
class Window {
 public:
  explicit Window(size_t size) { sorted_.reserve(size); }
  void insert(double value) {
    if (std::isnan(value)) return;
    sorted_.insert(std::upper_bound(sorted_.begin(), sorted_.end(), value), value);
  }
  void remove(double value) {
    if (std::isnan(value)) return;
    sorted_.erase(std::lower_bound(sorted_.begin(), sorted_.end(), value));
  }
  double quantile(double level) const {
    if (sorted_.empty()) return std::numeric_limits<double>::quiet_NaN();
    const double at = level * static_cast<double>(sorted_.size() - 1);
    const auto below = static_cast<size_t>(at);
    const double low = sorted_[below], high = sorted_[std::min(below + 1, sorted_.size() - 1)];
    return low + (at - static_cast<double>(below)) * (high - low);
  }

 private:
  std::vector<double> sorted_;
};

}  // namespace

void rolling_quantiles(const double* values, size_t rows, size_t bars, size_t start, size_t window,
                       const double* levels, size_t level_count, double* to) {
  const size_t days = bars - start + 1;
  parallel_for(rows, threads_for(rows * days, 1 << 13), [&](int, size_t begin, size_t end) {
    for (size_t row = begin; row < end; ++row) {
      const double* const series = values + row * bars;
      double* out = to + row * days * level_count;
      Window last(std::min(window, bars) + 1);
      const size_t first = start > window ? start - window : 0;
      for (size_t t = first; t < start; ++t) last.insert(series[t]);
      for (size_t t = start;; ++t) {
        for (size_t i = 0; i < level_count; ++i) *out++ = last.quantile(levels[i]);
        if (t == bars) break;
        last.insert(series[t]);
        if (t >= window) last.remove(series[t - window]);
      }
    }
  });
}

}  // namespace marketsim
