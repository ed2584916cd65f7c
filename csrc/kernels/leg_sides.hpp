// What one axis contributes to the profit of a leg.
//
// What a leg earns is the price it leaves at less the price it paid, and less a fee: one of the two
// prices depends on h only, the other on l only, and so does whether it enters. So it is
//
//     sum over terms of high.factor[h] * low.factor[l]  -  high.base[h] - low.base[l]
//
// where the factor of one axis is what the leg leaves with, that of the other 1 where it enters and
// else 0, and the base what it pays then. (open_aware: one term for legs that enter at the open,
// and leave at another price therefore, and one for the others.) In float32 that is nearly the
// profit, for a multiplication and an addition a term.
//
// Only translation units built once per instruction set, or for a device, include this header.
#pragma once

#include "kernels/leg.hpp"

namespace marketsim::MARKETSIM_ISA {

struct SideTerms {
  F factor;
  F at_open;  // open_aware: the factor of the second term
  F base;
};

// The side of the high offset or of the low offset. In the lanes of `entering` the level of this
// axis is where the leg enters, in the others where it leaves.
template <bool kOpenAware, Charge kCharge>
MARKETSIM_INLINE SideTerms side_terms(const Legs& legs, bool is_high, F offset) {
  const M is_long = legs.is_long, entering = is_high ? invert(is_long) : is_long;
  const F zero = broadcast(0.0f), one = broadcast(1.0f), most = broadcast(is_high ? 10.0f : 1.0f);
  const F pred = choose(entering, legs.entry_pred, legs.exit_pred);
  const F floor = choose(entering, -most, zero), cap = choose(entering, zero, most);
  const F level = clamp(pred + choose(is_long, offset, -offset), floor, cap);
  const M enters = both(entering, less_equal(legs.entry_limit, level));
  const M touches = choose_mask(entering, enters, less_equal(level, legs.exit_touch));
  const auto leaves = [&](F limit) {
    const F with = legs.weight * choose(less_equal(level, limit), level, legs.close);
    if constexpr (kCharge == Charge::both_touched) return with - keep(touches, legs.fee);
    if constexpr (kCharge == Charge::any_touched) return with + keep(touches, legs.fee);
    return with;
  };
  SideTerms side;
  F paid = level;
  if constexpr (kOpenAware) {
    const M at_open = both(enters, less_equal(legs.open, level));
    paid = choose(at_open, legs.open, level);
    const M later = both(enters, invert(at_open));
    side.factor = choose(entering, keep(later, one), leaves(legs.close));
    side.at_open = choose(entering, keep(at_open, one), leaves(legs.exit_limit));
  } else {
    side.factor = choose(entering, keep(enters, one), leaves(legs.exit_limit));
    side.at_open = zero;
  }
  side.base = keep(enters, legs.weight * paid);
  if constexpr (kCharge == Charge::on_entry) side.base = side.base + keep(enters, legs.fee);
  if constexpr (kCharge == Charge::any_touched) side.base = side.base + keep(touches, legs.fee);
  return side;
}

}  // namespace marketsim::MARKETSIM_ISA
