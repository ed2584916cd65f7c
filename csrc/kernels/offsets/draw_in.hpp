// Draws the best pair in towards (0, 0) as far as its total stays the same: h first, then l.
//
// The best h is the last float before a flip, or the upper bound. Where h is above 0, floats nearer
// to 0 may have the same total: rounding hides small steps of h, and where nobody's price follows h
// all the way back to the flip before is one plateau. Between that flip, where the total is lower
// (or it had been preferred), and h the total does not fall as h grows. So the floats with the same
// total are one run that ends at h, and its other end is found by bisection over the bits of |h|.
// Where h is below 0 its neighbour towards 0 lies beyond the flip, and the total is lower from
// there up to the next candidate. For l all this holds with the signs changed.
//
// Only translation units built once per instruction set, or for a device, include this header.
#pragma once

#include <cstring>

#include "kernels/offsets/candidates.hpp"

namespace marketsim::MARKETSIM_ISA {

inline MARKETSIM_FN uint32_t magnitude_bits(float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, sizeof bits);
  return bits & 0x7fffffffu;
}
inline MARKETSIM_FN float from_magnitude(uint32_t bits, bool negative) {
  bits |= negative ? 0x80000000u : 0u;
  float v;
  std::memcpy(&v, &bits, sizeof v);
  return v;
}

// A float v near the smallest with float(p + v) >= limit, for which that holds if it holds for
// `start`. Where the limit is above 0 it mostly is the smallest.
//
// That is where p + v lies half way between the limit and the float below, or just above. `error`
// is what rounding took from limit - p, exactly (Knuth's TwoSum).
inline MARKETSIM_FN F first_reaching(F p, F limit, F start) {
  const F difference = limit - p, back = difference - limit;
  const F error = (limit - (difference - back)) - (p + back);
  const F gap = next_outwards(limit) - limit;
  const F guess = difference + (error - maximum(gap, -gap) * broadcast(0.5f));
  const F first = choose(less_equal(limit, p + guess), guess, next_up(guess));
  return choose(less_equal(limit, p + first), first, start);
}

// To where at least |high| (or |low|) can shrink without a change of what these legs earn, fees on
// touches aside; often a size or a cost rounds changes away beyond. -inf: as far as may be.
//
// The price on that axis is X = pred + |offset| in the mirror in which it falls: the exit of some
// legs, minus the entry of the others. Beyond a limit it may fall to the float above the limit;
// elsewhere to what the difference of the two prices rounds to no less for.
MARKETSIM_INLINE F contract_same_from(const Legs& legs, M exits, F entry, F exit) {
  const F none = broadcast(-__builtin_inff());
  const M enters = less_equal(legs.entry_limit, entry);
  const M open = both(enters, less_equal(legs.open_limit, entry));
  const F paid = choose(open, legs.open, entry);
  const F limit = choose(open, legs.exit_limit, legs.proven_limit);
  const F left_at =
      choose(less_equal(exit, limit), maximum(exit, choose(open, legs.open, none)), legs.close);
  // An exit: it leaves where it left, or stays beyond its limit. One that has fallen to the open
  // stays there.
  const M beyond = choose_mask(exits, invert(less_equal(exit, limit)), invert(enters));
  const F above = next_up(choose(exits, limit, -legs.entry_limit));
  const F price = choose(exits, exit, -entry), other = choose(exits, -paid, left_at);
  F least = first_reaching(other, price + other, price);
  // An entry inside the bar stays there.
  least = choose(exits, least, maximum(least, next_up(-legs.open_limit)));
  least = choose(beyond, above, least);
  const M at_floor = both(open, less_equal(exit, legs.open));
  const M fixed = choose_mask(exits, either(invert(enters), both(at_floor, invert(beyond))), open);
  return choose(fixed, none, least);
}

// The same under `optimistic`, for an offset that shrinks to less than the next candidate at most:
// every change of a fill is one there, so that no leg passes a limit.
MARKETSIM_INLINE F optimistic_same_from(const Legs& legs, F high, F low, bool on_high) {
  const M exits = on_high ? legs.is_long : invert(legs.is_long);
  const Levels levels = levels_of<Formula::contract>(legs, high, low);
  const F entry = levels.entry, exit = levels.exit;
  const M enters = less_equal(legs.entry_limit, entry), open = less_equal(legs.open_limit, entry);
  const M leaves = less_equal(exit, legs.exit_limit);
  const M at_floor = both(open, less_equal(exit, legs.open));
  const M follows = choose_mask(exits, both(leaves, invert(at_floor)), invert(open));
  const F price = choose(exits, exit, -entry);
  const F other = choose(exits, -choose(open, legs.open, entry), choose(leaves, exit, legs.close));
  const F least = first_reaching(other, price + other, price);
  const F pred = choose(exits, legs.exit_pred, -legs.entry_pred);
  return keep(both(enters, follows), first_reaching(pred, least, on_high ? high : -low));
}

// As above for X = clamp(pred + |offset|, 0, cap).
MARKETSIM_INLINE F legacy_same_from(const Legs& legs, M exits, F entry, F exit) {
  const F zero = broadcast(0.0f), none = broadcast(-__builtin_inff());
  const M enters = less_equal(legs.entry_limit, entry);
  const F left_at = choose(less_equal(exit, legs.exit_limit), exit, legs.close);
  const F price = choose(exits, exit, -entry), other = choose(exits, -entry, left_at);
  // Leaving at a limit that is the close is leaving at the close. Prices are not negative, so all
  // negative limits are alike; -0 is made 0.
  const M at_close = both(exits, equal(legs.exit_limit, legs.close));
  const F limit =
      maximum(choose(exits, legs.exit_limit, -legs.entry_limit) + zero, broadcast(-1.0f));
  const F above = choose(at_close, limit, next_outwards(limit));
  const M beyond = less_equal(above, price);
  const M fixed = either(either(both(exits, invert(enters)), less_equal(price, zero)),
                         both(beyond, less_equal(above, zero)));
  const F least = choose(beyond, above, first_reaching(other, price + other, price));
  return choose(fixed, none, least);
}

template <Formula kFormula>
MARKETSIM_FN F same_from(const Legs& legs, F high, F low, bool on_high) {
  const F none = broadcast(-__builtin_inff());
  const M exits = on_high ? legs.is_long : invert(legs.is_long);
  const Levels levels = levels_of<kFormula>(legs, high, low);
  const F least = kFormula == Formula::contract
                      ? contract_same_from(legs, exits, levels.entry, levels.exit)
                      : legacy_same_from(legs, exits, levels.entry, levels.exit);
  const F pred = choose(exits, legs.exit_pred, -legs.entry_pred);
  const F offset = on_high ? high : -low;
  return choose(equal(least, none), none, first_reaching(pred, least, offset));
}

#if !defined(MARKETSIM_DEVICE)

// One problem, kLanes floats at a time: the float nearest to 0 of those from beyond `inner` to
// `outer` for which same(floats) holds. It does not hold for `inner`, which lies between 0 and
// `outer`, and holds from the size `known` on. same(const float* from) returns one bit a lane.
template <typename Same>
float draw_in_one(float inner, float outer, float known, const Same& same) {
  const bool negative = outer < 0.0f;
  uint32_t low = magnitude_bits(inner), high = magnitude_bits(outer);
  if (magnitude_bits(known) < high) high = magnitude_bits(known);
  if (high <= low) high = low + 1;
  for (bool first = true; high - low > 1; first = false) {
    uint32_t at[kLanes];
    float values[kLanes];
    const uint64_t inside = high - low - 1;
    for (uint32_t i = 0; i < kLanes; ++i) {
      const uint32_t back = uint32_t{1} << i;
      if (first) at[i] = back <= inside ? high - back : low + 1;
      if (!first) at[i] = low + 1 + static_cast<uint32_t>(inside * i / kLanes);
      values[i] = from_magnitude(at[i], negative);
    }
    const uint32_t found = same(values);
    for (uint32_t i = 0; i < kLanes; ++i) {
      const bool holds = found >> i & 1u;
      if (holds && at[i] < high) high = at[i];
      if (!holds && at[i] > low) low = at[i];
    }
  }
  return from_magnitude(high, negative);
}

// One problem a lane: as draw_in_one for each of them. Lanes with inner == outer stay as they are.
template <typename Same>
F draw_in_lanes(F inner, F outer, F known, bool negative, const Same& same) {
  float inners[kLanes], outers[kLanes], from[kLanes];
  uint32_t low[kLanes], high[kLanes], step[kLanes];  // the next float to try is `step` below high
  store(inners, inner);
  store(outers, outer);
  store(from, known);
  uint32_t open = 0;
  for (size_t i = 0; i < kLanes; ++i) {
    low[i] = magnitude_bits(inners[i]);
    high[i] = magnitude_bits(outers[i]);
    const uint32_t least = magnitude_bits(from[i]), after = low[i] + 1;
    const uint32_t start = least > after ? least : after;
    high[i] = start < high[i] ? start : high[i];
    step[i] = high[i] > after ? 1 : 0;
    open |= step[i];
  }
  uint32_t missed = 0;  // steps double until they go too far; from then on they bisect
  while (open != 0) {
    float values[kLanes];
    for (size_t i = 0; i < kLanes; ++i) values[i] = from_magnitude(high[i] - step[i], negative);
    const uint32_t found = same(load(values));
    missed |= ~found;
    open = 0;
    for (size_t i = 0; i < kLanes; ++i) {
      const uint32_t holds = 0 - (found >> i & 1u), at = high[i] - step[i];
      const uint32_t next = missed >> i & 1u ? 0 : 2 * step[i];
      low[i] = (low[i] & holds) | (at & ~holds);
      high[i] = (at & holds) | (high[i] & ~holds);
      const uint32_t room = high[i] - low[i];
      step[i] = next > 0 && next < room ? next : room / 2;
      open |= step[i];
    }
  }
  for (size_t i = 0; i < kLanes; ++i) outers[i] = from_magnitude(high[i], negative);
  return choose(equal(inner, outer), outer, load(outers));
}

#endif

}  // namespace marketsim::MARKETSIM_ISA
