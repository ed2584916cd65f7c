// One day's trade, and its profit: the one formula that every kernel evaluates.
//
// A day with position s > 0 buys at the low level L and sells at the high level H, with s < 0 it
// sells at H and buys back at L, where H = high_pred + h and L = low_pred + l are the limits as
// ordered. A short is a long in a mirror: with all returns and forecasts negated and high and low
// exchanged, -H is where it enters and -L is where it leaves, and its profit is that of the
// mirrored long, to the last bit, since negation is exact. So each day becomes a leg that buys at
// `entry`, sells at `exit`, and
//
//     enters             iff entry > low    at min(entry, open): a gap fills at the open
//     at the open        iff entry > open   then all else happens after it
//     leaves at a limit  iff exit < high    entered at the open: at max(exit, open)
//                        iff exit < high    entered inside the bar, optimistic: at exit
//                        iff exit < close   entered inside the bar, open_aware: at exit
//     leaves at close    otherwise, and always under close_only
//     earns              weight * (price left at - price paid) - cost of the exit's kind
//
// with every operation rounded once to float32. Policies differ in numbers alone: "exit < limit" is
// written exit <= the float below the limit, and a limit of -inf is never passed.
//
// The legacy formulas clamp levels instead, H = clamp(H, 0, 10) and L = clamp(L, -1, 0), know no
// open, leave at exit <= high and charge one fee.
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
  F weight;                  // |position|, at most 10; 0 where the leg cannot trade
  F limit_cost, close_cost;  // rates times weight, rounded once
  F entry_limit;             // enters iff entry_limit <= entry
  F exit_limit;              // passed iff exit <= exit_limit; legacy: reached
  F open_limit;              // at the open iff open_limit <= entry
  F proven_limit;  // entered inside the bar: as exit_limit; legacy: exit <= this is "exit < high"
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

// `margin` keeps clear of knife edges: a level counts as through a price only that far beyond it.
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
  legs.limit_cost = broadcast(rules.limit_cost) * legs.weight;
  legs.close_cost = broadcast(rules.close_cost) * legs.weight;
  const F never = broadcast(__builtin_inff());
  legs.entry_limit = choose(trades, next_up(low), never);
  const F below_high = choose(trades, next_down(high), -never);
  if (is_legacy(rules.fill)) {
    legs.exit_limit = rules.fill == Fill::legacy_proven       ? legs.close
                      : rules.fill == Fill::legacy_close_only ? -never
                                                              : high;
    legs.open_limit = never;
    legs.proven_limit = below_high;
    return legs;
  }
  // An entry at the open changes nothing under close_only but the price, which does not jump.
  const bool closes = rules.fill == Fill::close_only;
  const F close = next_down(legs.close - broadcast(margin));
  legs.open_limit = next_up(closes ? legs.open : legs.open + broadcast(margin));
  legs.exit_limit = closes ? -never : below_high;
  legs.proven_limit =
      rules.fill == Fill::open_aware ? choose(trades, close, -never) : legs.exit_limit;
  return legs;
}

inline MARKETSIM_FN void store_legs(const Legs& legs, LegArrays to, size_t at) {
  store(to.at(kEntryPred) + at, legs.entry_pred);
  store(to.at(kExitPred) + at, legs.exit_pred);
  store(to.at(kClose) + at, legs.close);
  store(to.at(kOpen) + at, legs.open);
  store(to.at(kWeight) + at, legs.weight);
  store(to.at(kLimitCost) + at, legs.limit_cost);
  store(to.at(kCloseCost) + at, legs.close_cost);
  store(to.at(kEntryLimit) + at, legs.entry_limit);
  store(to.at(kExitLimit) + at, legs.exit_limit);
  store(to.at(kOpenLimit) + at, legs.open_limit);
  store(to.at(kProvenLimit) + at, legs.proven_limit);
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
          field(kLimitCost),
          field(kCloseCost),
          field(kEntryLimit),
          field(kExitLimit),
          field(kOpenLimit),
          field(kProvenLimit)};
}

inline MARKETSIM_FN Legs load_legs(LegArrays from, size_t at) {
  return gather_legs([&](LegField index) { return load(from.at(index) + at); });
}

// The same leg in all lanes.
inline MARKETSIM_FN Legs broadcast_leg(LegArrays from, size_t at) {
  return gather_legs([&](LegField index) { return broadcast(from.at(index)[at]); });
}

// Which code a set of rules runs: one for all fill policies, and the legacy formulas by the days on
// which they charge their fee.
enum class Formula { contract, legacy_on_entry, legacy_both_touched, legacy_any_touched };

inline MARKETSIM_FN Formula formula_of(const Rules& rules) {
  if (!is_legacy(rules.fill)) return Formula::contract;
  if (rules.fee_rule == FeeRule::per_entry) return Formula::legacy_on_entry;
  return rules.fill == Fill::legacy_close_only ? Formula::legacy_any_touched
                                               : Formula::legacy_both_touched;
}
inline MARKETSIM_FN constexpr bool charges_touches(Formula formula) {
  return formula == Formula::legacy_both_touched || formula == Formula::legacy_any_touched;
}

// Where a leg buys and sells.
struct Levels {
  F entry, exit;
};

template <Formula kFormula>
MARKETSIM_INLINE Levels levels_of(const Legs& legs, F high_offset, F low_offset) {
  const Pair offsets = mirror(legs.is_long, low_offset, high_offset);
  const F entry = legs.entry_pred + offsets.first, exit = legs.exit_pred + offsets.second;
  if constexpr (kFormula == Formula::contract) return {entry, exit};
  const F zero = broadcast(0.0f);
  const F floor = choose(legs.is_long, broadcast(-1.0f), broadcast(-10.0f));
  const F cap = choose(legs.is_long, broadcast(10.0f), broadcast(1.0f));
  return {clamp(entry, floor, zero), clamp(exit, zero, cap)};
}

// What a leg earns that buys at `entry`, where it does, and sells at `exit` or at the close.
template <Formula kFormula>
MARKETSIM_INLINE F profit_at(const Legs& legs, F entry, F exit) {
  const M enters = less_equal(legs.entry_limit, entry);
  if constexpr (kFormula == Formula::contract) {
    const M at_open = less_equal(legs.open_limit, entry);
    const F paid = choose(at_open, legs.open, entry);
    const F least = choose(at_open, legs.open, broadcast(-__builtin_inff()));
    const M leaves = less_equal(exit, choose(at_open, legs.exit_limit, legs.proven_limit));
    const F left_at = choose(leaves, maximum(exit, least), legs.close);
    const F cost = choose(leaves, legs.limit_cost, legs.close_cost);
    return keep(enters, legs.weight * (left_at - paid) - cost);
  }
  const F left_at = choose(less_equal(exit, legs.exit_limit), exit, legs.close);
  const F gross = legs.weight * (left_at - entry);
  if constexpr (!charges_touches(kFormula)) return keep(enters, gross - legs.close_cost);
  const M touches = less_equal(exit, legs.proven_limit);
  const M pays =
      kFormula == Formula::legacy_both_touched ? both(enters, touches) : either(enters, touches);
  return keep(enters, gross) - keep(pays, legs.close_cost);
}

template <Formula kFormula>
inline MARKETSIM_FN F leg_profit(const Legs& legs, F high_offset, F low_offset) {
  const Levels levels = levels_of<kFormula>(legs, high_offset, low_offset);
  return profit_at<kFormula>(legs, levels.entry, levels.exit);
}

// Calls run.operator()<formula>() for the rules given.
template <typename Run>
inline MARKETSIM_FN void with_rules(const Rules& rules, const Run& run) {
  switch (formula_of(rules)) {
    case Formula::contract:
      return run.template operator()<Formula::contract>();
    case Formula::legacy_on_entry:
      return run.template operator()<Formula::legacy_on_entry>();
    case Formula::legacy_both_touched:
      return run.template operator()<Formula::legacy_both_touched>();
    case Formula::legacy_any_touched:
      return run.template operator()<Formula::legacy_any_touched>();
  }
}

}  // namespace marketsim::MARKETSIM_ISA
