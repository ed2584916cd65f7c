// The last n numbers in order of size, for quantiles. O(n) a number.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace marketsim::indicators {

// The value below which `share` of the ascending numbers lies, linear between order statistics
// (Hyndman and Fan, 1996, definition 7).
inline double quantile_of(const double* ascending, size_t count, double share) {
  const double position = share * static_cast<double>(count - 1);
  const size_t below = static_cast<size_t>(position);
  if (below + 1 >= count) return ascending[count - 1];
  const double low = ascending[below], high = ascending[below + 1];
  const double fraction = position - static_cast<double>(below);
  return fraction == 0.0 ? low : low + (high - low) * fraction;
}

class SortedWindow {
 public:
  explicit SortedWindow(size_t capacity) : ring_(capacity) { sorted_.reserve(capacity); }

  void push(double value) {
    if (filled_ == ring_.size()) {
      const double oldest = ring_[next_];
      if (std::isnan(oldest)) {
        --missing_;
      } else {
        sorted_.erase(std::lower_bound(sorted_.begin(), sorted_.end(), oldest));
      }
    } else {
      ++filled_;
    }
    if (std::isnan(value)) {
      ++missing_;
    } else {
      sorted_.insert(std::upper_bound(sorted_.begin(), sorted_.end(), value), value);
    }
    ring_[next_] = value;
    next_ = next_ + 1 == ring_.size() ? 0 : next_ + 1;
  }

  size_t capacity() const { return ring_.size(); }
  // The numbers in the window, the oldest first.
  std::vector<double> rows() const {
    std::vector<double> all;
    all.reserve(filled_);
    for (size_t i = 0; i < filled_; ++i) {
      all.push_back(ring_[(next_ + ring_.size() - filled_ + i) % ring_.size()]);
    }
    return all;
  }

  // NaN until the window is full, and while a NaN is in it.
  double quantile(double share) const {
    if (filled_ < ring_.size() || missing_ > 0) return std::nan("");
    return quantile_of(sorted_.data(), sorted_.size(), share);
  }

 private:
  std::vector<double> ring_;
  std::vector<double> sorted_;
  size_t next_ = 0, filled_ = 0, missing_ = 0;
};

}  // namespace marketsim::indicators
