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
// nearly the profit, for a multiplication and an addition a term. Nearly is enough: the terms rule
// pairs out, within a bound of their rounding, and multiplications are fused where that is quicker.
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

// One axis of legs under the contract, in numbers that do not depend on the offset.
//
// Lanes that enter on this axis do so from a level on, lanes that leave on it do up to one. Of
// `reach`, the level with its sign turned in the latter, both ask the same: whether it is at least
// a number; and both pick one of two numbers then. It is a number plus or minus the offset, in all
// lanes alike, and is rounded once, as leg_profit rounds the level.
class ContractSide {
 public:
  MARKETSIM_FN ContractSide(const Legs& legs, bool is_high) : is_high_(is_high) {
    const F zero = broadcast(0.0f), one = broadcast(1.0f);
    entering_ = is_high ? invert(legs.is_long) : legs.is_long;
    reach_pred_ = choose(entering_, legs.entry_pred, -legs.exit_pred);
    inside_from_ = choose(entering_, legs.entry_limit, -legs.proven_limit);
    open_from_ = choose(entering_, maximum(legs.entry_limit, legs.open_limit), -legs.exit_limit);
    slope_ = choose(entering_, zero, -legs.weight);
    constant_ = choose(entering_, one, -legs.limit_cost);
    least_ = multiply_add(slope_, -legs.open, constant_);
    otherwise_ = choose(entering_, zero, legs.weight * legs.close - legs.close_cost);
    paid_ = keep(entering_, legs.weight);
    paid_at_open_ = paid_ * legs.open;
  }

  MARKETSIM_INLINE SideTerms at(F offset) const {
    const F reach = is_high_ ? reach_pred_ - offset : reach_pred_ + offset;
    const M inside = less_equal(inside_from_, reach), at_open = less_equal(open_from_, reach);
    const M only_inside = both(inside, invert(both(entering_, at_open)));
    const F leaves = multiply_add(slope_, reach, constant_);
    return {
        choose(only_inside, leaves, otherwise_),
        choose(at_open, maximum(leaves, least_), otherwise_),
        keep(inside, choose(at_open, paid_at_open_, paid_ * reach)),
    };
  }

 private:
  const bool is_high_;
  M entering_;
  F reach_pred_;
  F inside_from_, open_from_;
  F slope_, constant_, least_, otherwise_;  // what a leg leaves with; 1 or 0 where it enters
  F paid_, paid_at_open_;
};

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
class LegacySide {
 public:
  MARKETSIM_FN LegacySide(const Legs& legs, bool is_high) : legs_(legs) {
    const F zero = broadcast(0.0f), most = broadcast(is_high ? 10.0f : 1.0f);
    entering_ = is_high ? invert(legs.is_long) : legs.is_long;
    pred_ = choose(entering_, legs.entry_pred, legs.exit_pred);
    floor_ = choose(entering_, -most, zero);
    cap_ = choose(entering_, zero, most);
  }

  MARKETSIM_INLINE SideTerms at(F offset) const {
    const F level = pred_ + choose(legs_.is_long, offset, -offset);
    return legacy_side<kFormula>(legs_, entering_, clamp(level, floor_, cap_));
  }

 private:
  const Legs& legs_;
  M entering_;
  F pred_, floor_, cap_;
};

template <Formula kFormula>
struct SideType {
  using Type = LegacySide<kFormula>;
};
template <>
struct SideType<Formula::contract> {
  using Type = ContractSide;
};
// The high or the low side of legs, which it refers to; `at(offset)` gives its terms.
template <Formula kFormula>
using SideOf = typename SideType<kFormula>::Type;

}  // namespace marketsim::MARKETSIM_ISA
