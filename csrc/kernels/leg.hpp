// One day's trade, and its profit: the one formula that every kernel evaluates.
//
// A day with position s > 0 buys at the low level L and sells at the high level H, with s < 0 it
// sells at H and buys back at L:
//
//     H = clamp(high_pred + h, 0, 10)      L = clamp(low_pred + l, -1, 0)
//
// A short is a long in a mirror: with all returns and forecasts negated and high and low exchanged,
// -H is where it enters and -L is where it leaves, and its profit is that of the mirrored long, to
// the last bit, since negation is exact. So each day becomes a leg that buys at `entry`, sells at
// `exit`, and
//
//     enters                        iff entry > low      written  entry >= entry_limit
//     leaves at the exit limit      iff exit <= high     written  exit <= exit_limit
//     leaves at the close           otherwise
//     earns                         weight * (price left at - price paid) - fee
//
// with every operation rounded once to float32. What the exit condition is, is the fill policy:
//
//     optimistic    exit <= high
//     pessimistic   exit <= close: a bar that closes beyond the limit passed it after the entry
//     open_aware    entry >= open fills at the open, then exit <= high; else as pessimistic
//     close_only    never
//
// Only translation units built once per instruction set, or for a device, include this header.
#pragma once

#include "common/simd.hpp"
#include "kernels/fill.hpp"
#include "kernels/leg_arrays.hpp"

namespace marketsim::MARKETSIM_ISA {

struct Legs {  // one a lane
  M is_long;
  F entry_pred, exit_pred, close, open;
  F weight;  // |position|, at most 10; 0 where the leg cannot trade
  F fee;     // fee rate * weight, rounded once
  F entry_limit, exit_limit;
  F exit_touch;  // touched_both: exit <= this is "exit < high"; "entry > low" is entry_limit
};

struct LegInput {
  F close, high, low, high_pred, low_pred, position, open;
};

// `count` days from `first` on; the other lanes are days without a position.
inline MARKETSIM_FN LegInput read_days(const Days& days, size_t first, size_t count) {
  const auto read = [&](const float* of) {
    return count == kLanes ? load(of + first) : load_first(of + first, count);
  };
  return {read(days.close),
          read(days.high),
          read(days.low),
          read(days.high_pred),
          read(days.low_pred),
          read(days.position),
          days.open ? read(days.open) : broadcast(0.0f)};
}

// `margin` narrows the bar: a level must lie that far inside high and low to count as touched.
// A day with a value that is not finite, or without a position, never enters.
inline MARKETSIM_FN Legs make_legs(const Rules& rules, float margin, const LegInput& day) {
  const F zero = broadcast(0.0f);
  const F zeros = day.close * zero + day.high * zero + day.low * zero + day.high_pred * zero +
                  day.low_pred * zero + day.position * zero + day.open * zero;
  const M trades = both(equal(zeros, zero), invert(equal(day.position, zero)));
  const M is_long = invert(is_negative(day.position));
  const auto mirrored = [&](F of_long, F of_short) {
    return keep(trades, choose(is_long, of_long, -of_short));
  };
  const F high = mirrored(day.high, day.low) - broadcast(margin);
  const F low = mirrored(day.low, day.high) + broadcast(margin);

  Legs legs;
  legs.is_long = is_long;
  legs.entry_pred = mirrored(day.low_pred, day.high_pred);
  legs.exit_pred = mirrored(day.high_pred, day.low_pred);
  legs.close = mirrored(day.close, day.close);
  legs.open = mirrored(day.open, day.open);
  legs.weight = keep(trades, minimum(maximum(day.position, -day.position), broadcast(10.0f)));
  legs.fee = broadcast(rules.fee) * legs.weight;
  const F never = broadcast(__builtin_inff());
  legs.entry_limit = choose(trades, next_up(low), never);
  legs.exit_touch = choose(trades, next_down(high), -never);
  legs.exit_limit = rules.fill == Fill::pessimistic  ? legs.close
                    : rules.fill == Fill::close_only ? -never
                                                     : high;
  return legs;
}

inline MARKETSIM_FN void store_legs(const Legs& legs, LegArrays to, size_t at) {
  store(to.at(kEntryPred) + at, legs.entry_pred);
  store(to.at(kExitPred) + at, legs.exit_pred);
  store(to.at(kClose) + at, legs.close);
  store(to.at(kOpen) + at, legs.open);
  store(to.at(kWeight) + at, legs.weight);
  store(to.at(kFee) + at, legs.fee);
  store(to.at(kEntryLimit) + at, legs.entry_limit);
  store(to.at(kExitLimit) + at, legs.exit_limit);
  store(to.at(kExitTouch) + at, legs.exit_touch);
  store(to.at(kDirection) + at, choose(legs.is_long, broadcast(-1.0f), broadcast(1.0f)));
}

template <typename Field>
inline MARKETSIM_FN Legs gather_legs(const Field& field) {
  return {is_negative(field(kDirection)),
          field(kEntryPred),
          field(kExitPred),
          field(kClose),
          field(kOpen),
          field(kWeight),
          field(kFee),
          field(kEntryLimit),
          field(kExitLimit),
          field(kExitTouch)};
}

inline MARKETSIM_FN Legs load_legs(LegArrays from, size_t at) {
  return gather_legs([&](LegField index) { return load(from.at(index) + at); });
}

// The same leg in all lanes.
inline MARKETSIM_FN Legs broadcast_leg(LegArrays from, size_t at) {
  return gather_legs([&](LegField index) { return broadcast(from.at(index)[at]); });
}

// How a fee is charged; `free` saves the work where the rate is zero.
enum class Charge { free, on_entry, both_touched, any_touched };

inline MARKETSIM_FN Charge charge_of(const Rules& rules) {
  if (rules.fee == 0.0f) return Charge::free;
  if (rules.fee_rule == FeeRule::per_entry) return Charge::on_entry;
  return rules.fill == Fill::close_only ? Charge::any_touched : Charge::both_touched;
}

// The levels of a leg for offsets h and l.
inline MARKETSIM_FN F entry_level(const Legs& legs, F high_offset, F low_offset) {
  const F floor = choose(legs.is_long, broadcast(-1.0f), broadcast(-10.0f));
  return clamp(legs.entry_pred + choose(legs.is_long, low_offset, -high_offset), floor,
               broadcast(0.0f));
}
inline MARKETSIM_FN F exit_level(const Legs& legs, F high_offset, F low_offset) {
  const F cap = choose(legs.is_long, broadcast(10.0f), broadcast(1.0f));
  return clamp(legs.exit_pred + choose(legs.is_long, high_offset, -low_offset), broadcast(0.0f),
               cap);
}

// What a leg earns that buys at `entry`, where it does, and sells at `exit` or at the close.
template <bool kOpenAware, Charge kCharge>
MARKETSIM_INLINE F profit_at(const Legs& legs, F entry, F exit) {
  F paid = entry, limit = legs.exit_limit;
  if constexpr (kOpenAware) {
    const M at_open = less_equal(legs.open, entry);
    paid = choose(at_open, legs.open, entry);
    limit = choose(at_open, limit, legs.close);
  }
  const M enters = less_equal(legs.entry_limit, entry);
  const F left_at = choose(less_equal(exit, limit), exit, legs.close);
  const F gross = legs.weight * (left_at - paid);
  if constexpr (kCharge == Charge::free) return keep(enters, gross);
  if constexpr (kCharge == Charge::on_entry) return keep(enters, gross - legs.fee);
  const M touches = less_equal(exit, legs.exit_touch);
  const M pays = kCharge == Charge::both_touched ? both(enters, touches) : either(enters, touches);
  return keep(enters, gross) - keep(pays, legs.fee);
}

template <bool kOpenAware, Charge kCharge>
inline MARKETSIM_FN F leg_profit(const Legs& legs, F high_offset, F low_offset) {
  const F zero = broadcast(0.0f);
  const Pair offsets = mirror(legs.is_long, low_offset, high_offset);
  const F floor = choose(legs.is_long, broadcast(-1.0f), broadcast(-10.0f));
  const F cap = choose(legs.is_long, broadcast(10.0f), broadcast(1.0f));
  const F entry = clamp(legs.entry_pred + offsets.first, floor, zero);
  const F exit = clamp(legs.exit_pred + offsets.second, zero, cap);
  return profit_at<kOpenAware, kCharge>(legs, entry, exit);
}

// Calls run.operator()<open_aware, charge>() for the rules given.
template <typename Run>
inline MARKETSIM_FN void with_rules(const Rules& rules, const Run& run) {
  const bool open_aware = rules.fill == Fill::open_aware;
  switch (charge_of(rules)) {
    case Charge::free:
      return open_aware ? run.template operator()<true, Charge::free>()
                        : run.template operator()<false, Charge::free>();
    case Charge::on_entry:
      return open_aware ? run.template operator()<true, Charge::on_entry>()
                        : run.template operator()<false, Charge::on_entry>();
    case Charge::both_touched:
      return open_aware ? run.template operator()<true, Charge::both_touched>()
                        : run.template operator()<false, Charge::both_touched>();
    case Charge::any_touched:  // close_only
      return run.template operator()<false, Charge::any_touched>();
  }
}

}  // namespace marketsim::MARKETSIM_ISA
