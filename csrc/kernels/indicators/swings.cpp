#include "kernels/indicators/swings.hpp"

#include "common/isa.hpp"
#include "common/lanes.hpp"
#include "kernels/indicators/run_simd.hpp"

namespace marketsim::indicators {
namespace {

constexpr double kRate = 1.0 / 14.0;

double true_range(double high, double low, double before) {
  using plain::lanes::larger;  // NaN where any of them is
  return larger(larger(high - low, std::fabs(high - before)), std::fabs(low - before));
}

void put(const Swing& top, const Swing& bottom, double* const* out, size_t at) {
  const double values[] = {top.price,    top.row,    top.known_at,    top.count,
                           bottom.price, bottom.row, bottom.known_at, bottom.count};
  for (size_t j = 0; j < 8; ++j) out[j][at] = values[j];
}

// After a NaN no range is known, and so no swing.
constexpr Swing kUnknown{__builtin_nan(""), __builtin_nan(""), __builtin_nan(""),
                         __builtin_nan("")};

bool is_pivot(const double* values, size_t row, size_t depth, bool high) {
  for (size_t k = 1; k <= depth; ++k) {
    const double before = values[row - k], after = values[row + k], at = values[row];
    if (high ? !(before < at && after < at) : !(before > at && after > at)) return false;
  }
  return true;
}

// All pivots of a series.
std::vector<size_t> pivot_rows(const double* values, size_t rows, size_t depth, bool high) {
  std::vector<size_t> found;
  for (size_t i = depth; i + depth < rows; ++i) {
    if (is_pivot(values, i, depth, high)) found.push_back(i);
  }
  return found;
}

// The first row of the largest high (smallest low) of each window of `length` rows, by a queue of
// candidates.
class Extremes {
 public:
  Extremes(const double* values, size_t length, bool high)
      : values_(values), length_(length), high_(high) {}
  Extreme at(size_t row) {
    const double value = values_[row];
    if (!std::isnan(value)) {
      while (queue_.size() > first_ &&
             (high_ ? values_[queue_.back()] < value : values_[queue_.back()] > value)) {
        queue_.pop_back();
      }
      queue_.push_back(row);
    }
    while (queue_.size() > first_ && queue_[first_] + length_ <= row) ++first_;
    if (queue_.size() == first_) return {};
    return {values_[queue_[first_]], queue_[first_]};
  }

 private:
  const double* values_;
  size_t length_;
  bool high_;
  std::vector<size_t> queue_;
  size_t first_ = 0;
};

struct Windows {
  const double *high, *low, *close;
  size_t rows;
  SwingSettings settings;
  SwingRounds rounds;
  std::vector<size_t> tops, bottoms;
  std::vector<Pivot> high_pivots, low_pivots;  // of the window at hand

  // `range(row)`: the average true range at a row as this window has it.
  template <class Range>
  void look(size_t first, size_t end, const Extreme& top, const Extreme& bottom, const Range& range,
            double* const* out, size_t at) {
    gather(tops, high, first, end, range, high_pivots);
    gather(bottoms, low, first, end, range, low_pivots);
    const int round = rounds.last_round(high_pivots, low_pivots);
    Swing up = rounds.newest(high_pivots, round, 0), down = rounds.newest(low_pivots, round, 0);
    if (up.count == 0.0) up = top.swing(0);
    if (down.count == 0.0) down = bottom.swing(0);
    if (std::isnan(range(end - 1))) up = down = kUnknown;
    put(up, down, out, at);
  }

 private:
  template <class Range>
  void gather(const std::vector<size_t>& from, const double* price, size_t first, size_t end,
              const Range& range, std::vector<Pivot>& to) const {
    to.clear();
    auto at = std::lower_bound(from.begin(), from.end(), first + settings.depth);
    for (; at != from.end() && *at + settings.depth < end; ++at) {
      const int round = rounds.round_of(high[*at] - low[*at], range(*at));
      if (round != SwingRounds::kNever) to.push_back({*at, price[*at], round});
    }
  }
};

decltype(&baseline::swing_ranges) ranges_kernel() {
#if defined(__x86_64__)
  switch (active_isa()) {
    case Isa::avx512:
      return avx512::swing_ranges;
    case Isa::avx2:
      return avx2::swing_ranges;
    case Isa::baseline:
      break;
  }
#endif
  return baseline::swing_ranges;
}

}  // namespace

SwingSettings swing_settings(const double* p) {
  return {static_cast<size_t>(p[0]),
          static_cast<size_t>(p[1]),
          static_cast<size_t>(p[2]),
          static_cast<size_t>(p[3]),
          p[4],
          p[5],
          p[6]};
}

SwingState::SwingState(const SwingSettings& settings)
    : settings_(settings),
      rounds_(settings),
      span_(2 * settings.depth + 1),
      highs_(span_),
      lows_(span_),
      ranges_(span_) {}

void SwingState::step(double high, double low, double close, double* out) {
  const double wide = seen_ ? true_range(high, low, close_) : high - low;
  range_ = seen_ ? (1.0 - kRate) * range_ + kRate * wide : wide;
  close_ = close;
  const size_t slot = seen_ % span_;
  highs_[slot] = high;
  lows_[slot] = low;
  ranges_[slot] = range_;
  top_.see(high, seen_, true);
  bottom_.see(low, seen_, false);
  ++seen_;
  if (seen_ >= span_) look_for_pivot();
  Swing up = found_[0].count > 0.0 ? found_[0] : top_.swing(0);
  Swing down = found_[1].count > 0.0 ? found_[1] : bottom_.swing(0);
  if (std::isnan(range_)) up = down = kUnknown;
  double* columns[8];
  for (size_t j = 0; j < 8; ++j) columns[j] = out + j;
  put(up, down, columns, 0);
}

void SwingState::look_for_pivot() {
  const size_t row = seen_ - 1 - settings_.depth, middle = row % span_;
  bool top = true, bottom = true;
  for (size_t i = 0; i < span_; ++i) {
    if (i == middle) continue;
    top &= highs_[i] < highs_[middle];
    bottom &= lows_[i] > lows_[middle];
  }
  if (!top && !bottom) return;
  const int round = rounds_.round_of(highs_[middle] - lows_[middle], ranges_[middle]);
  if (round == SwingRounds::kNever) return;
  if (top) add(tops_, {row, highs_[middle], round});
  if (bottom) add(bottoms_, {row, lows_[middle], round});
  const int last = rounds_.last_round(tops_, bottoms_);
  found_[0] = rounds_.newest(tops_, last, 0);
  found_[1] = rounds_.newest(bottoms_, last, 0);
}

void SwingState::add(std::vector<Pivot>& pivots, const Pivot& pivot) {
  pivots.push_back(pivot);
  // An older pivot is thinned away in every round where a newer one, more than `reach` rows on,
  // counts too.
  size_t kept = 0;
  for (size_t i = 0; i < pivots.size(); ++i) {
    bool matters = true;
    for (size_t j = pivots.size();
         j-- > i + 1 && pivots[j].row > pivots[i].row + settings_.reach;) {
      if (pivots[j].round <= pivots[i].round) matters = false;
    }
    if (matters) pivots[kept++] = pivots[i];
  }
  pivots.resize(kept);
}

std::vector<double> SwingState::save() const {
  std::vector<double> to = {static_cast<double>(seen_),
                            range_,
                            close_,
                            top_.price,
                            static_cast<double>(top_.row),
                            bottom_.price,
                            static_cast<double>(bottom_.row)};
  for (const auto* ring : {&highs_, &lows_, &ranges_})
    to.insert(to.end(), ring->begin(), ring->end());
  for (const auto* side : {&tops_, &bottoms_}) {
    to.push_back(static_cast<double>(side->size()));
    for (const Pivot& pivot : *side) {
      to.insert(to.end(),
                {static_cast<double>(pivot.row), pivot.price, static_cast<double>(pivot.round)});
    }
  }
  return to;
}

bool SwingState::load(const std::vector<double>& from) {
  size_t at = 7 + 3 * span_;
  if (from.size() < at + 2 || !(from[0] >= 0.0 && from[0] < 9e15)) return false;
  std::vector<Pivot> sides[2];
  for (auto& side : sides) {
    const double count = at < from.size() ? from[at++] : -1.0;
    if (!(count >= 0.0 && count * 3.0 <= static_cast<double>(from.size() - at))) return false;
    for (size_t i = 0; i < static_cast<size_t>(count); ++i, at += 3) {
      if (!(from[at] >= 0.0 && from[at] < from[0] && from[at + 2] >= 0.0 && from[at + 2] < 1e6)) {
        return false;
      }
      side.push_back({static_cast<size_t>(from[at]), from[at + 1], static_cast<int>(from[at + 2])});
    }
  }
  if (at != from.size() ||
      !(from[4] >= 0.0 && from[4] < 9e15 && from[6] >= 0.0 && from[6] < 9e15)) {
    return false;
  }
  seen_ = static_cast<size_t>(from[0]);
  range_ = from[1];
  close_ = from[2];
  top_ = {from[3], static_cast<size_t>(from[4])};
  bottom_ = {from[5], static_cast<size_t>(from[6])};
  const auto rings = from.begin() + 7;
  const auto span = static_cast<std::ptrdiff_t>(span_);
  highs_.assign(rings, rings + span);
  lows_.assign(rings + span, rings + 2 * span);
  ranges_.assign(rings + 2 * span, rings + 3 * span);
  tops_ = sides[0];
  bottoms_ = sides[1];
  found_[0] = found_[1] = {};
  const int last = rounds_.last_round(tops_, bottoms_);
  found_[0] = rounds_.newest(tops_, last, 0);
  found_[1] = rounds_.newest(bottoms_, last, 0);
  return true;
}

void run_swings(const double* high, const double* low, const double* close, size_t rows,
                const SwingSettings& settings, double* const* out) {
  SwingSettings kept = settings;
  kept.depth = std::min(kept.depth, rows);  // as good as any larger: no row has so many around it
  SwingState state(kept);
  for (size_t t = 0; t < rows; ++t) {
    double values[8];
    state.step(high[t], low[t], close[t], values);
    for (size_t j = 0; j < 8; ++j) out[j][t] = values[j];
  }
}

void run_swings_windowed(const double* high, const double* low, const double* close, size_t rows,
                         size_t lookback, const size_t* lags, size_t lag_count,
                         const SwingSettings& settings, double* const* out) {
  for (size_t k = 0; k < lag_count; ++k) {
    // As seen k rows earlier from the same first row: a lookback shorter by k, moved by k.
    const size_t lag = lags[k], length = lookback - lag;
    double* to[8];
    for (size_t j = 0; j < 8; ++j) {
      to[j] = out[j] + k * rows;
      std::fill(to[j], to[j] + std::min(lag, rows), std::nan(""));
      to[j] += std::min(lag, rows);
    }
    const size_t count = rows - std::min(lag, rows);
    const size_t start = std::min(length, count);
    run_swings(high, low, close, start, settings, to);
    if (start == count) continue;
    Windows windows{high,
                    low,
                    close,
                    count,
                    settings,
                    SwingRounds(settings),
                    pivot_rows(high, count, settings.depth, true),
                    pivot_rows(low, count, settings.depth, false),
                    {},
                    {}};
    Extremes tops(high, length, true), bottoms(low, length, false);
    for (size_t t = 0; t < start; ++t) {
      tops.at(t);
      bottoms.at(t);
    }
    const auto ranges = ranges_kernel();
    std::vector<double> scratch(length * kRangeLanes);
    for (size_t t = start; t < count; t += kRangeLanes) {
      const size_t lanes = std::min(kRangeLanes, count - t), first = t + 1 - length;
      ranges(high, low, close, first, length, lanes, scratch.data());
      for (size_t i = 0; i < lanes; ++i) {
        const double* const of = scratch.data() + i;
        windows.look(
            first + i, t + i + 1, tops.at(t + i), bottoms.at(t + i),
            [&](size_t row) { return of[(row - first - i) * kRangeLanes]; }, to, t + i);
      }
    }
  }
}

}  // namespace marketsim::indicators
