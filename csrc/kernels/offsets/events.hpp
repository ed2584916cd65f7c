// What changes in the totals from row to row of the sweep.
//
// Work is the sweep's (workspace.hpp) or that of a GPU's block (cuda/large_work.hpp). It has the
// members that are named here, and functions that add to it:
//
//     add_event(work, leg, row, begin, end, alpha, beta, gamma)
//     add_start(work, begin, end, alpha, beta, gamma)
//     add_row(work, row, constant, slope)
#pragma once

#include "kernels/offsets/candidates.hpp"

namespace marketsim::MARKETSIM_ISA {

template <typename Work>
class EventWriter {
 public:
  MARKETSIM_FN EventWriter(const OffsetRules& rules, Work& work)
      : work_(work),
        legs_(work.legs, work.leg_capacity),
        rows_(work.rows),
        columns_(work.columns),
        charge_(charge_of(rules.rules)),
        open_aware_(rules.rules.fill == Fill::open_aware) {}

  MARKETSIM_FN void add(size_t leg) {
    leg_ = leg;
    weight_ = field(kWeight);
    if (field(kDirection) < 0.0) {
      high_pred_ = field(kExitPred), low_pred_ = field(kEntryPred);
      add_long();
    } else {
      high_pred_ = -field(kEntryPred), low_pred_ = -field(kExitPred);
      add_short();
    }
    if (charge_ == Charge::both_touched || charge_ == Charge::any_touched) add_touch_fee();
  }

 private:
  MARKETSIM_FN double field(LegField index) const { return legs_.at(index)[leg_]; }
  MARKETSIM_FN size_t columns_up_to(Condition i) const { return work_.columns_of.at[i][leg_]; }
  MARKETSIM_FN size_t rows_before(Condition i) const { return work_.rows_of.at[i][leg_]; }
  MARKETSIM_FN double rounding() const { return work_.rounding[leg_]; }
  // The float32 profit of a leg that fills at the open and leaves at the close, less the exact one.
  MARKETSIM_FN double fixed_excess() const { return work_.fixed_excess[leg_]; }

  // From `row` on, adds alpha + beta * l + gamma * h to columns [begin, end).
  MARKETSIM_FN void emit(size_t row, size_t begin, size_t end, double alpha, double beta,
                         double gamma) {
    if (begin >= end || row >= rows_) return;
    if (begin == 0 && end == columns_ && gamma == 0.0) {
      emit_row(row, alpha, beta);
    } else if (row == 0) {
      add_start(work_, begin, end, alpha, beta, gamma);
    } else {
      add_event(work_, leg_, row, begin, end, alpha, beta, gamma);
    }
  }
  MARKETSIM_FN void emit_row(size_t row, double constant, double slope) {
    add_row(work_, row, constant, slope);
  }

  // From `row` on, adds factor * (H - from) to columns [begin, end).
  MARKETSIM_FN void add_high(size_t row, size_t begin, size_t end, double factor, double from) {
    if (begin >= end || row >= rows_) return;
    const size_t zero = between(work_.columns_of.zero[leg_], begin, end);
    const size_t ten = between(first_above(work_.high, columns_, 10.0 - high_pred_), zero, end);
    emit(row, begin, zero, -factor * from, 0.0, 0.0);
    emit(row, zero, ten, factor * (high_pred_ - from), 0.0, factor);
    emit(row, ten, end, factor * (10.0 - from), 0.0, 0.0);
  }

  // The first of the ascending values above `limit`; the ends are looked at first, since a level
  // hardly ever reaches its clamp.
  static MARKETSIM_FN size_t first_above(const float* values, size_t size, double limit) {
    if (values[size - 1] <= limit) return size;
    if (values[0] > limit) return 0;
    size_t low = 0, high = size - 1;  // values[low] <= limit < values[high]
    while (high - low > 1) {
      const size_t middle = (low + high) / 2;
      (values[middle] <= limit ? low : high) = middle;
    }
    return high;
  }

  static MARKETSIM_FN size_t between(size_t v, size_t low, size_t high) {
    return v < low ? low : v > high ? high : v;
  }

  // Calls piece(row, change of constant, change of slope) for L = constant + slope * l from row
  // `start` on; the first call is for `start`.
  template <typename Piece>
  MARKETSIM_FN void low_pieces(size_t start, const Piece& piece) const {
    const size_t ramp = between(first_above(work_.low, rows_, -1.0 - low_pred_), start, rows_);
    const size_t zero = between(work_.rows_of.zero[leg_], start, rows_);
    double constant = 0.0, slope = 0.0;
    bool first = true;
    const auto turn = [&](size_t row, double to_constant, double to_slope) {
      piece(row, to_constant - constant, to_slope - slope);
      constant = to_constant, slope = to_slope, first = false;
    };
    if (ramp > start) turn(start, -1.0, 0.0);
    if (ramp < zero) turn(ramp, low_pred_, 1.0);
    if (zero < rows_ || first) turn(zero, 0.0, 0.0);
  }

  MARKETSIM_FN void add_long() {
    const size_t enters = rows_before(kMain), reach = columns_up_to(kMain);
    if (enters >= rows_) return;
    const double close = field(kClose), open = field(kOpen);
    size_t at_open = rows_;
    if (open_aware_) at_open = between(rows_before(kAtOpen), enters, rows_);
    // Exit: the close, and H instead in the columns where the limit counts.
    emit_row(enters, weight_ * close, 0.0);
    if (!open_aware_ || at_open == enters) {
      add_high(enters, 0, reach, weight_, close);
    } else {
      const size_t proven = columns_up_to(kAtOpen);
      add_high(enters, 0, proven, weight_, close);
      add_high(at_open, proven, reach, weight_, close);
      add_high(at_open, reach, proven, -weight_, close);
    }
    // What the rounding may add, but where both prices are fixed: there the profit is known.
    emit_row(enters, rounding(), 0.0);
    if (open_aware_) emit(at_open, reach, columns_, fixed_excess() - rounding(), 0.0, 0.0);
    // Entry: L, and the open from where L reaches it.
    double constant = 0.0, slope = 0.0;
    low_pieces(enters, [&](size_t row, double c, double s) {
      if (row >= at_open) return;
      emit_row(row, -weight_ * c, -weight_ * s);
      constant += c, slope += s;
    });
    emit_row(at_open, weight_ * constant, weight_ * slope);
    if (at_open < rows_) emit_row(at_open, -weight_ * open, 0.0);
    if (charge_ == Charge::on_entry) emit_row(enters, -field(kFee), 0.0);
  }

  // -weight * exit price of a short on columns [begin, end): the close, L from row `reach` on.
  // `above_close` and `above_limit` are what the rounding may add to each.
  MARKETSIM_FN void add_short_exit(size_t begin, size_t end, size_t reach, double above_close,
                                   double above_limit) {
    if (begin >= end) return;
    const double at_close = above_close + weight_ * field(kClose);
    emit(0, begin, end, at_close, 0.0, 0.0);
    if (reach >= rows_) return;
    double step = above_limit - at_close;
    low_pieces(reach, [&](size_t row, double c, double s) {
      emit(row, begin, end, step - weight_ * c, -weight_ * s, 0.0);
      step = 0.0;
    });
  }

  MARKETSIM_FN void add_short() {
    const size_t enters = columns_up_to(kMain);
    if (enters == 0) return;
    size_t at_open = 0;
    if (open_aware_) {
      at_open = between(columns_up_to(kAtOpen), 0, enters);
      emit(0, 0, at_open, -weight_ * field(kOpen), 0.0, 0.0);
      add_short_exit(0, at_open, rows_before(kMain), fixed_excess(), rounding());
      add_short_exit(at_open, enters, rows_before(kAtOpen), rounding(), rounding());
    } else {
      add_short_exit(0, enters, rows_before(kMain), rounding(), rounding());
    }
    add_high(0, at_open, enters, weight_, 0.0);
    if (charge_ == Charge::on_entry) emit(0, 0, enters, -field(kFee), 0.0, 0.0);
  }

  MARKETSIM_FN void add_touch_fee() {
    const size_t column = columns_up_to(kTouch), row = rows_before(kTouch);
    const double fee = field(kFee);
    if (charge_ == Charge::both_touched) {
      emit(row, 0, column, -fee, 0.0, 0.0);
      return;
    }
    emit(0, 0, column, -fee, 0.0, 0.0);
    emit(row, 0, column, fee, 0.0, 0.0);
    if (row < rows_) emit_row(row, -fee, 0.0);
  }

  Work& work_;
  const LegArrays legs_;
  const size_t rows_, columns_;
  const Charge charge_;
  const bool open_aware_;
  size_t leg_ = 0;
  double weight_ = 0.0, high_pred_ = 0.0, low_pred_ = 0.0;
};

// Where a leg has entered, its float32 profit differs from the exact one by four roundings of 2^-24
// of the prices it is made of, and by as many of the smallest numbers there are. `spread` is twice
// the sum of that; `base` bounds the rounding of every float64 sum. Near the end of float32's range
// profits could overflow: then no pair is ruled out.
//
// Returns the sum of the prices that leg i is made of.
template <typename Work>
MARKETSIM_INLINE double bound_rounding(const OffsetRules& rules, double reach, Work& work,
                                       size_t i) {
  const LegArrays legs(work.legs, work.leg_capacity);
  const auto size = [](double v) { return v < 0.0 ? -v : v; };
  const auto field = [&](LegField index) { return legs.at(index)[i]; };
  const double prices = size(field(kEntryPred)) + size(field(kExitPred)) + size(field(kClose)) +
                        size(field(kOpen)) + reach;
  const double most = field(kWeight) * prices + field(kFee);
  work.rounding[i] = most * 2.5e-7 + 1e-44;
  const float fee = charge_of(rules.rules) == Charge::on_entry ? field(kFee) : 0.0f;
  const float gross = field(kWeight) * (field(kClose) - field(kOpen));
  const double exact = field(kWeight) * (static_cast<double>(field(kClose)) - field(kOpen)) - fee;
  work.fixed_excess[i] = static_cast<double>(gross - fee) - exact;
  return most;
}

inline MARKETSIM_FN double reach_of(const OffsetBounds& b) {
  const auto size = [](double v) { return v < 0.0 ? -v : v; };
  return size(b.high_min) + size(b.high_max) + size(b.low_min) + size(b.low_max);
}

template <typename Work>
inline MARKETSIM_FN void set_bounds(double magnitude, Work& work) {
  const double count = static_cast<double>(work.legs_used);
  work.spread = magnitude * 5e-7 + count * 2e-44;
  work.base = magnitude < 1e36 ? magnitude * (count + 10.0) * 1e-14 : __builtin_inf();
}

}  // namespace marketsim::MARKETSIM_ISA
