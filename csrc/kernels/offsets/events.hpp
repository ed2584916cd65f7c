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

// What the writers of both kinds of formula share.
template <typename Work>
class EventBase {
 protected:
  MARKETSIM_FN EventBase(const OffsetRules& rules, Work& work)
      : work_(work),
        legs_(work.legs, work.leg_capacity),
        rows_(work.rows),
        columns_(work.columns),
        formula_(formula_of(rules.rules)),
        proven_(proven_at(rules.rules)),
        floor_(floor_at(rules.rules)) {}

  // Takes a leg; its levels are high_pred_ + h and low_pred_ + l.
  MARKETSIM_FN void start(size_t leg) {
    leg_ = leg;
    weight_ = field(kWeight);
    is_long_ = field(kDirection) < 0.0;
    high_pred_ = is_long_ ? field(kExitPred) : -field(kEntryPred);
    low_pred_ = is_long_ ? field(kEntryPred) : -field(kExitPred);
  }

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

  static MARKETSIM_FN size_t larger(size_t x, size_t y) { return x > y ? x : y; }
  static MARKETSIM_FN size_t smaller(size_t x, size_t y) { return x < y ? x : y; }
  static MARKETSIM_FN size_t between(size_t v, size_t low, size_t high) {
    return v < low ? low : v > high ? high : v;
  }

  Work& work_;
  const LegArrays legs_;
  const size_t rows_, columns_;
  const Formula formula_;
  const Condition proven_, floor_;
  size_t leg_ = 0;
  double weight_ = 0.0, high_pred_ = 0.0, low_pred_ = 0.0;
  bool is_long_ = false;
};

// Events of the fill contract (kernels/leg.hpp).
template <typename Work>
class ContractEvents : EventBase<Work> {
 public:
  MARKETSIM_FN ContractEvents(const OffsetRules& rules, Work& work)
      : EventBase<Work>(rules, work) {}

  MARKETSIM_FN void add(size_t leg) {
    this->start(leg);
    close_ = field(kClose), open_ = field(kOpen);
    cheaper_ = field(kCloseCost) - field(kLimitCost);
    if (this->is_long_) {
      add_long();
    } else {
      add_short();
    }
  }

 private:
  using Base = EventBase<Work>;
  using Base::columns_up_to, Base::rows_before, Base::field, Base::emit, Base::emit_row,
      Base::rounding, Base::fixed_excess, Base::larger, Base::smaller, Base::between, Base::rows_,
      Base::columns_, Base::weight_, Base::high_pred_, Base::low_pred_, Base::proven_, Base::floor_;

  // What a long earns in a range of columns less what it earns at the close: alpha + gamma * h.
  struct Part {
    double alpha, gamma;
  };
  MARKETSIM_FN Part at_high() const {
    return {weight_ * (high_pred_ - close_) + cheaper_, weight_};
  }

  // A long enters with its row: L up to its open, which fills it from there on.
  MARKETSIM_FN void add_long() {
    const size_t enters = rows_before(kMain);
    if (enters >= rows_) return;
    const size_t at_open = between(rows_before(kSecond), enters, rows_);
    emit_row(enters, weight_ * close_ - field(kCloseCost) + rounding(), 0.0);
    if (at_open > enters) {
      emit_row(enters, -weight_ * low_pred_, -weight_);
      const Part part = at_high();
      emit(enters, 0, columns_up_to(proven_), part.alpha, 0.0, part.gamma);
      emit_row(at_open, weight_ * low_pred_, weight_);
    }
    if (at_open >= rows_) return;
    emit_row(at_open, -weight_ * open_, 0.0);
    turn_long_to_open(at_open, at_open > enters ? columns_up_to(proven_) : 0);
  }

  // From `row` on a long leaves up to `reach` at max(H, open), and no longer up to `proven` at H.
  MARKETSIM_FN void turn_long_to_open(size_t row, size_t proven) {
    const size_t reach = columns_up_to(kMain), floor = smaller(columns_up_to(floor_), reach);
    // Both prices are fixed up to `floor` and from `reach` on: there the profit is known. Where the
    // exit did not change, what rounding may add is left as it was: an event less.
    const bool was_inside = proven > 0;
    const Part at_floor{weight_ * (open_ - close_) + cheaper_ - rounding(), 0.0};
    const Part at_close{was_inside && proven == reach ? 0.0 : fixed_excess() - rounding(), 0.0};
    const Part level = at_high();
    size_t begin = 0;
    while (begin < columns_) {
      const Part& to = begin < floor ? at_floor : begin < reach ? level : at_close;
      size_t end = begin < floor ? floor : begin < reach ? reach : columns_;
      const bool was_high = begin < proven;
      if (was_high) end = smaller(end, proven);
      const double alpha = to.alpha - (was_high ? level.alpha : 0.0);
      const double gamma = to.gamma - (was_high ? level.gamma : 0.0);
      if (alpha != 0.0 || gamma != 0.0) emit(row, begin, end, alpha, 0.0, gamma);
      begin = end;
    }
  }

  // A short enters with its column: at the open up to it, at H beyond.
  MARKETSIM_FN void add_short() {
    const size_t enters = columns_up_to(kMain);
    if (enters == 0) return;
    const size_t at_open = smaller(columns_up_to(kSecond), enters);
    emit(0, 0, at_open, -weight_ * open_, 0.0, 0.0);
    add_short_exit(0, at_open, rows_before(kMain), rows_before(floor_), fixed_excess());
    emit(0, at_open, enters, weight_ * high_pred_, 0.0, weight_);
    add_short_exit(at_open, enters, rows_before(proven_), rows_, rounding());
  }

  // -weight * exit price of a short on columns [begin, end), and its cost: the close, L from row
  // `reach` on, the open from row `floor` on. `above_close` is what rounding may add at the close.
  MARKETSIM_FN void add_short_exit(size_t begin, size_t end, size_t reach, size_t floor,
                                   double above_close) {
    if (begin >= end) return;
    emit(0, begin, end, weight_ * close_ - field(kCloseCost) + above_close, 0.0, 0.0);
    if (reach >= rows_) return;
    const double from_close = cheaper_ - weight_ * close_ - above_close;
    if (floor > reach) {
      emit(reach, begin, end, from_close + rounding() - weight_ * low_pred_, -weight_, 0.0);
      emit(floor, begin, end, weight_ * (low_pred_ + open_) - rounding(), weight_, 0.0);
    } else {
      emit(reach, begin, end, from_close + weight_ * open_, 0.0, 0.0);
    }
  }

  double close_ = 0.0, open_ = 0.0;  // mirrored for a short
  double cheaper_ = 0.0;             // by how much a limit is cheaper than the close to leave at
};

// Events of the legacy formulas.
template <typename Work>
class LegacyEvents : EventBase<Work> {
 public:
  MARKETSIM_FN LegacyEvents(const OffsetRules& rules, Work& work) : EventBase<Work>(rules, work) {}

  MARKETSIM_FN void add(size_t leg) {
    this->start(leg);
    if (this->is_long_) {
      add_long();
    } else {
      add_short();
    }
    if (charges_touches(this->formula_)) add_touch_fee();
  }

 private:
  using Base = EventBase<Work>;
  using Base::columns_up_to, Base::rows_before, Base::field, Base::emit, Base::emit_row,
      Base::rounding, Base::between, Base::rows_, Base::columns_, Base::weight_, Base::high_pred_,
      Base::low_pred_, Base::work_, Base::formula_;

  // From `row` on, adds factor * (H - from) to columns [begin, end).
  MARKETSIM_FN void add_high(size_t row, size_t begin, size_t end, double factor, double from) {
    if (begin >= end || row >= rows_) return;
    const size_t zero = between(columns_up_to(kFloor), begin, end);
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

  // Calls piece(row, change of constant, change of slope) for L = constant + slope * l from row
  // `start` on; the first call is for `start`.
  template <typename Piece>
  MARKETSIM_FN void low_pieces(size_t start, const Piece& piece) const {
    const size_t ramp = between(first_above(work_.low, rows_, -1.0 - low_pred_), start, rows_);
    const size_t zero = between(rows_before(kFloor), start, rows_);
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
    const size_t enters = rows_before(kMain);
    if (enters >= rows_) return;
    const double close = field(kClose);
    // Exit: the close, and H instead in the columns where the limit counts.
    emit_row(enters, weight_ * close + rounding(), 0.0);
    add_high(enters, 0, columns_up_to(kMain), weight_, close);
    low_pieces(enters,
               [&](size_t row, double c, double s) { emit_row(row, -weight_ * c, -weight_ * s); });
    if (formula_ == Formula::legacy_on_entry) emit_row(enters, -field(kCloseCost), 0.0);
  }

  MARKETSIM_FN void add_short() {
    const size_t enters = columns_up_to(kMain), reach = rows_before(kMain);
    if (enters == 0) return;
    const double at_close = rounding() + weight_ * field(kClose);
    emit(0, 0, enters, at_close, 0.0, 0.0);
    if (reach < rows_) {
      double step = rounding() - at_close;
      low_pieces(reach, [&](size_t row, double c, double s) {
        emit(row, 0, enters, step - weight_ * c, -weight_ * s, 0.0);
        step = 0.0;
      });
    }
    add_high(0, 0, enters, weight_, 0.0);
    if (formula_ == Formula::legacy_on_entry) emit(0, 0, enters, -field(kCloseCost), 0.0, 0.0);
  }

  MARKETSIM_FN void add_touch_fee() {
    const size_t column = columns_up_to(kSecond), row = rows_before(kSecond);
    const double fee = field(kCloseCost);
    if (formula_ == Formula::legacy_both_touched) {
      emit(row, 0, column, -fee, 0.0, 0.0);
      return;
    }
    emit(0, 0, column, -fee, 0.0, 0.0);
    emit(row, 0, column, fee, 0.0, 0.0);
    if (row < rows_) emit_row(row, -fee, 0.0);
  }
};

// Writes the events of each leg: each(add) calls add(leg) for those wanted.
template <typename Work, typename EachLeg>
MARKETSIM_FN void write_events_of(const OffsetRules& rules, Work& work, const EachLeg& each) {
  if (is_legacy(rules.rules.fill)) {
    LegacyEvents<Work> writer(rules, work);
    each([&](size_t leg) { writer.add(leg); });
  } else {
    ContractEvents<Work> writer(rules, work);
    each([&](size_t leg) { writer.add(leg); });
  }
}

// Where a leg has entered, its float32 profit differs from the exact one by four roundings of 2^-24
// of the prices it is made of, and by as many of the smallest numbers there are. `spread` is twice
// the sum of that; `base` bounds the rounding of every float64 sum. Near the end of float32's range
// profits could overflow: then no pair is ruled out.
//
// Returns the sum of the prices that leg i is made of.
template <typename Work>
MARKETSIM_INLINE double bound_rounding(double reach, Work& work, size_t i) {
  const LegArrays legs(work.legs, work.leg_capacity);
  const auto size = [](double v) { return v < 0.0 ? -v : v; };
  const auto field = [&](LegField index) { return legs.at(index)[i]; };
  const double prices = size(field(kEntryPred)) + size(field(kExitPred)) + size(field(kClose)) +
                        size(field(kOpen)) + reach;
  const double at_limit = size(field(kLimitCost)), at_close = size(field(kCloseCost));
  const double most = field(kWeight) * prices + (at_limit > at_close ? at_limit : at_close);
  work.rounding[i] = most * 2.5e-7 + 1e-44;
  const float cost = field(kCloseCost);
  const float gross = field(kWeight) * (field(kClose) - field(kOpen));
  const double exact = field(kWeight) * (static_cast<double>(field(kClose)) - field(kOpen)) - cost;
  work.fixed_excess[i] = static_cast<double>(gross - cost) - exact;
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
