// What one axis contributes to the profit of a leg.
//
// What a leg earns is the price it leaves at less the price it paid, and less costs: one of the two
// prices depends on h only, the other on l only, and so does whether it enters. So it is
//
//     sum over terms of high.factor[h] * low.factor[l]  -  high.base[h] - low.base[l]
//
// where the factor of one axis is what the leg leaves with, costs taken off, that of the other 1
// where it enters and else 0, and the base what it pays then. (Two terms: one for legs that enter
// at the open, and leave at another price therefore, and one for the others.) In float32 that is
// nearly the profit, for a multiplication and an addition a term.
//
// Only translation units built once per instruction set, or for a device, include this header.
#pragma once

#include "kernels/leg.hpp"

namespace marketsim::MARKETSIM_ISA {

struct SideTerms {
  F factor;
  F at_open;  // contract: the factor of the second term
  F base;
};

inline MARKETSIM_FN constexpr bool has_two_terms(Formula formula) {
  return formula == Formula::contract;
}

// The side of the high offset or of the low offset. In the lanes of `entering` the level of this
// axis is where the leg enters, in the others where it leaves.
MARKETSIM_INLINE SideTerms contract_side(const Legs& legs, M entering, F level) {
  const F one = broadcast(1.0f);
  const M enters = both(entering, less_equal(legs.entry_limit, level));
  const M at_open = both(enters, less_equal(legs.open_limit, level));
  const F at_close = legs.weight * legs.close - legs.close_cost;
  const auto leaves = [&](F limit, F price) {
    const F at_limit = legs.weight * price - legs.limit_cost;
    return choose(less_equal(level, limit), at_limit, at_close);
  };
  SideTerms side;
  side.factor =
      choose(entering, keep(both(enters, invert(at_open)), one), leaves(legs.proven_limit, level));
  side.at_open =
      choose(entering, keep(at_open, one), leaves(legs.exit_limit, maximum(level, legs.open)));
  side.base = keep(enters, legs.weight * choose(at_open, legs.open, level));
  return side;
}

template <Formula kFormula>
MARKETSIM_INLINE SideTerms legacy_side(const Legs& legs, M entering, F level) {
  const F one = broadcast(1.0f);
  const M enters = both(entering, less_equal(legs.entry_limit, level));
  const M touches = choose_mask(entering, enters, less_equal(level, legs.proven_limit));
  F leaves = legs.weight * choose(less_equal(level, legs.exit_limit), level, legs.close);
  if constexpr (kFormula == Formula::legacy_both_touched) {
    leaves = leaves - keep(touches, legs.close_cost);
  }
  if constexpr (kFormula == Formula::legacy_any_touched) {
    leaves = leaves + keep(touches, legs.close_cost);
  }
  SideTerms side;
  side.factor = choose(entering, keep(enters, one), leaves);
  side.at_open = broadcast(0.0f);
  side.base = keep(enters, legs.weight * level);
  if constexpr (kFormula == Formula::legacy_on_entry) {
    side.base = side.base + keep(enters, legs.close_cost);
  }
  if constexpr (kFormula == Formula::legacy_any_touched) {
    side.base = side.base + keep(touches, legs.close_cost);
  }
  return side;
}

template <Formula kFormula>
MARKETSIM_INLINE SideTerms side_terms(const Legs& legs, bool is_high, F offset) {
  const M is_long = legs.is_long, entering = is_high ? invert(is_long) : is_long;
  const F pred = choose(entering, legs.entry_pred, legs.exit_pred);
  const F level = pred + choose(is_long, offset, -offset);
  if constexpr (kFormula == Formula::contract) return contract_side(legs, entering, level);
  const F zero = broadcast(0.0f), most = broadcast(is_high ? 10.0f : 1.0f);
  const F floor = choose(entering, -most, zero), cap = choose(entering, zero, most);
  return legacy_side<kFormula>(legs, entering, clamp(level, floor, cap));
}

}  // namespace marketsim::MARKETSIM_ISA
