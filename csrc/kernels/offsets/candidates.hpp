// The offsets at which the conditions of a leg change: exact thresholds, and the candidates they
// give.
//
// Only translation units built once per instruction set, or for a device, include this header.
#pragma once

#include "kernels/leg.hpp"
#include "kernels/offsets/offsets.hpp"

namespace marketsim::MARKETSIM_ISA {

// The largest float v with float(p + v) <= limit, for finite p; infinite where the limit is.
//
// p + v rounds to at most `limit` up to the midpoint between limit and the float above it, so the
// answer is one of the two floats around midpoint - p, and the comparison itself decides between
// them. (The nearest float of limit - p breaks the condition at one breakpoint in twelve.) `guess`
// is one of the two: it is limit - p in float32, and what rounding took from that (exactly: Knuth's
// TwoSum) with half of the gap above limit, a sum so small that its own rounding moves it by far
// less than a float. Where limit - p is infinite there is nothing to add.
inline MARKETSIM_FN F largest_offset(F p, F limit) {
  const F difference = limit - p, back = difference - limit;
  const F error = (limit - (difference - back)) - (p + back);
  const F gap = next_up(limit) - limit;
  const F sum = difference + multiply_add(gap, broadcast(0.5f), error);
  const F guess = choose(equal(sum, sum), sum, difference);
  const F above = next_up(guess);
  const F best = choose(less_equal(p + guess, limit), guess, next_down(guess));
  return choose(less_equal(p + above, limit), above, best);
}

// The t with: clamp(p + v, 0, cap) <= limit exactly where v <= t; infinite for always or never.
inline MARKETSIM_FN F clamped_threshold(F p, F limit, F cap) {
  const F zero = broadcast(0.0f), infinite = broadcast(__builtin_inff());
  const M never = invert(less_equal(zero, limit)), always = less_equal(cap, limit);
  const M neither = invert(either(never, always));
  const F t = largest_offset(p, keep(neither, limit));
  return choose(never, -infinite, choose(always, infinite, t));
}

// Conditions of legs as inequalities of the offsets h and l:
//
//     long     exit <= limit  iff  h <= high[i]      entry >= limit  iff  l >= low[i]
//     short    entry >= limit iff  h <= high[i]      exit <= limit   iff  l >= low[i]
//
// so high[i] is +inf where the condition always holds and -inf where it never does; low[i] the
// other way round. What the limits of each index are depends on the direction:
//
//     i          high, long      high, short     low, long      low, short
//     kMain      exit_limit      entry_limit     entry_limit    exit_limit
//     kSecond    proven_limit    open_limit      open_limit     proven_limit   (contract)
//                proven_limit    entry_limit     entry_limit    proven_limit   (touched_both)
//     kFloor     open            -               -              open           (contract)
//
// kFloor is where the price left at stops following the offset: at the open (contract); where the
// legacy formulas clamp a level at 0, in real numbers, on both axes. Under `optimistic`
// proven_limit is exit_limit, so kSecond has the open there instead (proven_at, floor_at).
enum Condition { kMain, kSecond, kFloor, kConditions };

inline MARKETSIM_FN Condition proven_at(const Rules& rules) {
  return rules.fill == Fill::optimistic ? kMain : kSecond;
}
inline MARKETSIM_FN Condition floor_at(const Rules& rules) {
  return rules.fill == Fill::optimistic ? kSecond : kFloor;
}

struct Thresholds {
  F high[kConditions];
  F low[kConditions];
};

inline MARKETSIM_FN bool uses(const Rules& rules, Condition condition) {
  if (condition == kFloor) return rules.fill != Fill::optimistic;
  return condition == kMain || !is_legacy(rules.fill) || rules.fee_rule == FeeRule::touched_both;
}

// Where prices stop following the offset, which only the sweep asks, is left out unless `floors`.
inline MARKETSIM_FN Thresholds find_thresholds(const Rules& rules, const Legs& legs, bool floors) {
  const M is_long = legs.is_long;
  const F infinite = broadcast(__builtin_inff());
  Thresholds found;
  const auto put = [&](Condition condition, F exit_side, F entry_side) {
    found.high[condition] = choose(is_long, exit_side, entry_side);
    found.low[condition] = -choose(is_long, entry_side, exit_side);
  };
  if (!is_legacy(rules.fill)) {
    const auto exit_at = [&](F limit) { return largest_offset(legs.exit_pred, limit); };
    const auto entry_at = [&](F limit) { return largest_offset(-legs.entry_pred, -limit); };
    put(kMain, exit_at(legs.exit_limit), entry_at(legs.entry_limit));
    const F floor = floors ? exit_at(legs.open) : infinite;
    if (rules.fill == Fill::optimistic) {
      put(kSecond, floor, entry_at(legs.open_limit));
      return found;
    }
    put(kSecond, exit_at(legs.proven_limit), entry_at(legs.open_limit));
    put(kFloor, floor, infinite);
    return found;
  }
  const F exit_cap = choose(is_long, broadcast(10.0f), broadcast(1.0f));
  const F entry_cap = choose(is_long, broadcast(1.0f), broadcast(10.0f));
  const auto exit_at = [&](F limit) { return clamped_threshold(legs.exit_pred, limit, exit_cap); };
  const F entry = clamped_threshold(-legs.entry_pred, -legs.entry_limit, entry_cap);
  put(kMain, exit_at(legs.exit_limit), entry);
  if (uses(rules, kSecond)) put(kSecond, exit_at(legs.proven_limit), entry);
  if (floors) put(kFloor, -legs.exit_pred, legs.entry_pred);
  return found;
}

inline MARKETSIM_FN F clip(F v, float min, float max) {
  return clamp(v, broadcast(min), broadcast(max)) + broadcast(0.0f);  // + 0 turns -0 into 0
}

// The point of the bounds nearest to (0, 0): always a candidate, and the answer where nothing
// trades.
struct Nearest {
  float high, low;
};

inline MARKETSIM_FN Nearest nearest_to_zero(const OffsetBounds& bounds) {
  const auto nearest = [](float min, float max) {
    return min > 0.0f ? min : max < 0.0f ? max : 0.0f;
  };
  return {nearest(bounds.high_min, bounds.high_max), nearest(bounds.low_min, bounds.low_max)};
}

// What legs contribute to the lists of candidates; the second of each is used where
// candidates_per_leg is 2. A condition that never holds, or whose change cannot lower the profit,
// contributes the point nearest to 0. The latter is so for an exit that counts only where the close
// proves it: at its limit the exit price is the close either way, and it is a candidate only where
// leaving at a limit is cheaper than leaving at the close.
struct Candidates {
  F high[2];
  F low[2];
};

inline MARKETSIM_FN Candidates list_candidates(const Rules& rules, const OffsetBounds& bounds,
                                               const Legs& legs, const Thresholds& at) {
  const Nearest nearest = nearest_to_zero(bounds);
  const F none = broadcast(__builtin_inff());
  const M is_long = legs.is_long;
  const bool contract = !is_legacy(rules.fill);
  const bool reach_matters = rules.fill == Fill::optimistic || rules.fill == Fill::open_aware ||
                             rules.fill == Fill::legacy;
  const bool open_matters = contract && reach_matters;
  const bool second_exit =
      contract ? rules.fill == Fill::open_aware && rules.limit_cost < rules.close_cost
               : rules.fee_rule == FeeRule::touched_both;

  F high_main = at.high[kMain], low_main = at.low[kMain];
  if (!reach_matters) {
    high_main = choose(is_long, -none, high_main);
    low_main = choose(is_long, low_main, none);
  }
  const F high_second = choose(is_long, second_exit ? at.high[kSecond] : -none,
                               open_matters ? at.high[kSecond] : -none);
  const F low_second =
      choose(is_long, open_matters ? at.low[kSecond] : none, second_exit ? at.low[kSecond] : none);
  const auto high_at = [&](F t) {
    const M use = invert(either(equal(t, -none), equal(legs.weight, broadcast(0.0f))));
    return choose(use, clip(t, bounds.high_min, bounds.high_max), broadcast(nearest.high));
  };
  const auto low_at = [&](F t) {
    const M use = invert(either(equal(t, none), equal(legs.weight, broadcast(0.0f))));
    return choose(use, clip(t, bounds.low_min, bounds.low_max), broadcast(nearest.low));
  };
  return {{high_at(high_main), high_at(high_second)}, {low_at(low_main), low_at(low_second)}};
}

// Whether (high, low) is to be preferred to (best_high, best_low) at the same total: the nearer to
// (0, 0), then the smaller |high|, |low|, high and low. Of all pairs of some highs with some lows
// the preferred one then is the preferred high with the preferred low, roundings included.
inline MARKETSIM_FN bool preferred(float high, float low, float best_high, float best_low) {
  const double h = high, l = low, bh = best_high, bl = best_low;
  const double distance = h * h + l * l, best = bh * bh + bl * bl;
  if (distance != best) return distance < best;
  const auto size = [](double v) { return v < 0 ? -v : v; };
  if (size(h) != size(bh)) return size(h) < size(bh);
  if (size(l) != size(bl)) return size(l) < size(bl);
  return h != bh ? h < bh : l < bl;
}

// The position of a leg: as given, or with always_on one long and one short of size 1 a day.
inline MARKETSIM_FN F leg_position(const OffsetRules& rules, F position, bool second) {
  const F zero = broadcast(0.0f);
  if (rules.always_on) {
    return keep(equal(position * zero, zero), broadcast(second ? -1.0f : 1.0f));
  }
  return rules.long_only ? choose(less_equal(position, zero), zero, position) : position;
}

}  // namespace marketsim::MARKETSIM_ISA
