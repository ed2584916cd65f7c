// Swing highs and lows that are confirmed: which ones a bar knows.
//
// 1. Row i is a high pivot when every other high of i - depth .. i + depth is below it (low pivots
//    likewise), so it is known at row i + depth.
// 2. A pivot counts where high - low >= threshold * average true range at its row (exponential, k =
//    1 / 14, from high - low of the first row).
// 3. Highs and lows are thinned apart: those more than `reach` rows before the newest go; from the
//    oldest on a pivot stays when it is more than `spacing` rows after the last that stayed; the
//    newest `most` stay.
// 4. The threshold starts at `threshold` and falls by `step` down to `least`, until there is both a
//    high and a low. Where there still is none, the first row of the largest high (smallest low)
//    stands in, with a count of 0.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace marketsim::indicators {

struct SwingSettings {
  size_t depth, most, reach, spacing;
  double threshold, least, step;
};

// What one bar knows of one side: the newest swing, and how many there are.
struct Swing {
  double price, row, known_at, count;
};

// A pivot and the first round of falling thresholds in which it counts.
struct Pivot {
  size_t row;
  double price;
  int round;
};

class SwingRounds {
 public:
  explicit SwingRounds(const SwingSettings& settings) : settings_(settings) {
    double at = settings.threshold;
    thresholds_.push_back(at);
    while (settings.step > 0.0 && at > settings.least && thresholds_.size() < kMostRounds) {
      at = std::max(at - settings.step, settings.least);
      thresholds_.push_back(at);
    }
  }

  static constexpr size_t kMostRounds = 1000;

  // The first round in which a bar of that height counts; kNever.
  int round_of(double height, double range) const {
    for (size_t i = 0; i < thresholds_.size(); ++i) {
      if (height >= thresholds_[i] * range) return static_cast<int>(i);
    }
    return kNever;
  }
  static constexpr int kNever = 1 << 20;

  // The round in which the search ends, for the pivots of both sides.
  int last_round(const std::vector<Pivot>& highs, const std::vector<Pivot>& lows) const {
    return std::min(std::max(least_round(highs), least_round(lows)),
                    static_cast<int>(thresholds_.size()) - 1);
  }

  // The newest swing of a side in that round, from pivots in order of rows, thinned.
  Swing newest(const std::vector<Pivot>& pivots, int round, size_t first_row) const {
    return pick(pivots, round, first_row, nullptr);
  }
  // The rows of the swings of a side, oldest first.
  std::vector<size_t> rows(const std::vector<Pivot>& pivots, int round) const {
    std::vector<size_t> kept;
    pick(pivots, round, 0, &kept);
    if (kept.size() > settings_.most) {
      kept.erase(kept.begin(), kept.end() - static_cast<std::ptrdiff_t>(settings_.most));
    }
    return kept;
  }

 private:
  static int least_round(const std::vector<Pivot>& pivots) {
    int least = kNever;
    for (const Pivot& pivot : pivots) least = std::min(least, pivot.round);
    return least;
  }

  Swing pick(const std::vector<Pivot>& pivots, int round, size_t first_row,
             std::vector<size_t>* kept) const {
    size_t end = pivots.size();
    while (end > 0 && pivots[end - 1].round > round) --end;
    if (end == 0) return {std::nan(""), std::nan(""), std::nan(""), 0.0};
    const size_t newest = pivots[end - 1].row;
    size_t begin = end;
    while (begin > 0 && pivots[begin - 1].row + settings_.reach >= newest) --begin;
    const Pivot* last = nullptr;
    size_t count = 0;
    for (size_t i = begin; i < end; ++i) {
      if (pivots[i].round > round) continue;
      if (last && pivots[i].row - last->row <= settings_.spacing) continue;
      last = &pivots[i];
      ++count;
      if (kept) kept->push_back(last->row);
    }
    const double row = static_cast<double>(last->row - first_row);
    return {last->price, row, row + static_cast<double>(settings_.depth),
            static_cast<double>(std::min(count, settings_.most))};
  }

  SwingSettings settings_;
  std::vector<double> thresholds_;
};

// The largest high or smallest low so far, and its first row.
struct Extreme {
  double price = std::nan("");
  size_t row = 0;

  void see(double value, size_t at, bool high) {
    if (std::isnan(value)) return;
    if (std::isnan(price) || (high ? value > price : value < price)) {
      price = value;
      row = at;
    }
  }
  Swing swing(size_t first_row) const {
    const double at = std::isnan(price) ? std::nan("") : static_cast<double>(row - first_row);
    return {price, at, at, 0.0};
  }
};

// Takes one bar at a time; keeps the last 2 * depth + 1 bars and the pivots that can still matter.
class SwingState {
 public:
  explicit SwingState(const SwingSettings& settings);

  // out: price, row, known_at, count of the newest swing high, then of the newest swing low.
  void step(double high, double low, double close, double* out);

  // The state as numbers, and back: false where these are none.
  std::vector<double> save() const;
  bool load(const std::vector<double>& numbers);

 private:
  void look_for_pivot();
  void add(std::vector<Pivot>& pivots, const Pivot& pivot);

  SwingSettings settings_;
  SwingRounds rounds_;
  size_t span_, seen_ = 0;
  double range_ = 0.0, close_ = 0.0;
  std::vector<double> highs_, lows_, ranges_;  // rings of `span_` rows
  std::vector<Pivot> tops_, bottoms_;
  Extreme top_, bottom_;
  Swing found_[2] = {};
};

SwingSettings swing_settings(const double* parameters);

// Results of every row: of all rows before it, or (lookback > 0) of the last `lookback` alone, with
// rows counted from the series' first. out[8] columns; for lags, one after the other.
void run_swings(const double* high, const double* low, const double* close, size_t rows,
                const SwingSettings& settings, double* const* out);
void run_swings_windowed(const double* high, const double* low, const double* close, size_t rows,
                         size_t lookback, const size_t* lags, size_t lag_count,
                         const SwingSettings& settings, double* const* out);

}  // namespace marketsim::indicators
