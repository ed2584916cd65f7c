// What the kernels for few and for many days share: comparing pairs, drawing the best one in, and
// what it earns behind its window.
#pragma once

#include "cuda/batch.hpp"
#include "cuda/team.hpp"
#include "kernels/offsets/candidates.hpp"
#include "kernels/offsets/draw_in.hpp"

namespace marketsim::MARKETSIM_ISA {

using cuda::Application;
using cuda::OffsetGroup;
using cuda::OffsetGroups;

struct Best {
  double total;
  float high, low;
};

// Whether x is the better pair; of equal totals the preferred one.
struct Better {
  MARKETSIM_FN Best operator()(Best x, Best y) const {
    if (x.total != y.total) return x.total > y.total ? x : y;
    return preferred(x.high, x.low, y.high, y.low) ? x : y;
  }
};

inline MARKETSIM_FN void improve(Best& best, double total, float high, float low) {
  if (total > best.total || (total == best.total && preferred(high, low, best.high, best.low))) {
    best = {total, high, low};
  }
}

// What the legs before `split` earn, in order, and what the rest earns.
template <Formula kFormula, typename LegAt>
MARKETSIM_BODY D add_in_order(size_t split, size_t legs, const LegAt& leg_at, F high, F low) {
  const auto add_legs = [&](size_t from, size_t to) {
    D total = broadcast_double(0.0);
    for (size_t i = from; i < to; ++i) {
      total = total + to_double(leg_profit<kFormula>(leg_at(i), high, low));
    }
    return total;
  };
  return add_legs(0, split) + add_legs(split, legs);
}

// The exact total of a pair, by one thread. Apart, because a loop for each rule is long.
template <typename LegAt>
MARKETSIM_APART double exact_total(const Rules& rules, size_t split, size_t legs,
                                   const LegAt& leg_at, float high, float low) {
  double total = 0.0;
  with_rules(rules, [&]<Formula kFormula>() {
    total = add_in_order<kFormula>(split, legs, leg_at, broadcast(high), broadcast(low)).v;
  });
  return total;
}

// What some of the legs earn, added up in any order.
//
// Every profit is a multiple of the last place of the smallest of them, and so is every sum. As
// long as no sum can reach 2^53 of these places none of the additions rounds, and any order gives
// the same total: that of the CPU, which adds leg by leg.
struct Addends {
  double sum;
  float size;      // sum of the magnitudes, nearly
  uint32_t least;  // bits of the smallest magnitude above 0, less 1

  MARKETSIM_FN void add(F profit) {
    const uint32_t bits = magnitude_bits(profit.v);
    sum += static_cast<double>(profit.v);
    size += from_magnitude(bits, false);
    least = Smaller{}(least, bits - 1);
  }
  MARKETSIM_FN bool any_order() const {
    if (least == 0xffffffffu) return true;  // zeros alone, of whatever sign: the sum is +0
    const uint32_t exponent = Larger{}((least + 1) >> 23, 1u), most = exponent + 29;
    return most < 255 && size < from_magnitude(most << 23, false);  // half of what may be
  }
};
struct AddAddends {
  MARKETSIM_FN Addends operator()(const Addends& x, const Addends& y) const {
    return {x.sum + y.sum, x.size + y.size, Smaller{}(x.least, y.least)};
  }
};

template <typename Team, typename LegAt>
MARKETSIM_BODY Addends addends_of(const Rules& rules, size_t legs, const LegAt& leg_at, float high,
                                  float low, unsigned rank) {
  Addends of{0.0, 0.0f, 0xffffffffu};
  with_rules(rules, [&]<Formula kFormula>() {
    for (size_t i = rank; i < legs; i += Team::kSize) {
      of.add(leg_profit<kFormula>(leg_at(i), broadcast(high), broadcast(low)));
    }
  });
  return of;
}

// The exact total of a pair, by all threads together; one after the other only where the order of
// the additions matters.
template <typename Team, typename LegAt>
MARKETSIM_APART double total_together(Team team, const Rules& rules, size_t split, size_t legs,
                                      const LegAt& leg_at, float high, float low) {
  typename Team::template Per<Addends> parts;
  team.each(
      [&](unsigned rank) { parts[rank] = addends_of<Team>(rules, legs, leg_at, high, low, rank); });
  const Addends all = team.reduce(parts, AddAddends{});
  return all.any_order() ? all.sum : exact_total(rules, split, legs, leg_at, high, low);
}

// Leg `leg` of a window: with always_on the longs of all days come first.
inline MARKETSIM_FN Legs read_leg(const OffsetRules& rules, float margin, const Days& days,
                                  size_t count, size_t leg) {
  const bool second = leg >= count;
  LegInput input = read_days(days, second ? leg - count : leg, 1);
  input.position = leg_position(rules, input.position, second);
  return make_legs(rules.rules, margin, input);
}

// The float nearest to 0 of those from beyond `inner` to `outer` for which the total of the pair is
// the same: as draw_in_one() of kernels/offsets/draw_in.hpp. All threads together first try the
// float next to what is known to be the same, which settles nearly all problems (99 of 100 random
// ones), and if that is the same as well a float a rank at a time. together(v) and same(v) tell
// whether it is, by all threads and by one.
template <typename Team, typename Together, typename Same>
MARKETSIM_BODY float draw_in_wide(Team& team, float inner, float outer, uint32_t known,
                                  const Together& together, const Same& same) {
  const bool negative = outer < 0.0f;
  uint32_t low = magnitude_bits(inner), high = magnitude_bits(outer);
  if (known < high) high = known;
  if (high <= low) high = low + 1;
  if (high - low > 1) {
    if (!together(from_magnitude(high - 1, negative))) return from_magnitude(high, negative);
    --high;
  }
  for (bool first = true; high - low > 1; first = false) {
    const uint64_t inside = high - low - 1;
    typename Team::template Per<uint32_t> holds, misses;
    team.each([&](unsigned rank) {
      uint32_t at = low + 1 + static_cast<uint32_t>(inside * rank / Team::kSize);
      if (first && rank < 32) {  // most often it is near the outer end
        const uint32_t back = uint32_t{1} << rank;
        at = back <= inside ? high - back : low + 1;
      }
      const bool is_same = same(from_magnitude(at, negative));
      holds[rank] = is_same ? at : high;
      misses[rank] = is_same ? low : at;
    });
    high = team.reduce(holds, Smaller{});
    low = team.reduce(misses, Larger{});
  }
  return from_magnitude(high, negative);
}

constexpr uint32_t kFewPairs = 4;  // so few that all threads evaluate each of them together

struct CandidateLists {
  const float* high;
  size_t highs;
  const float* low;
  size_t lows;
};

// The candidate next to `of` towards 0, on its side of 0.
template <typename Team>
MARKETSIM_BODY float next_inwards(Team& team, const float* values, size_t count, float of) {
  typename Team::template Per<float> found;
  team.each([&](unsigned rank) {
    float inner = 0.0f;
    for (size_t i = rank; i < count; i += Team::kSize) {
      const float v = values[i];
      if (of < 0.0f ? v > of && v < inner : v < of && v > inner) inner = v;
    }
    found[rank] = inner;
  });
  return of < 0.0f ? team.reduce(found, Smaller{}) : team.reduce(found, Larger{});
}

// The size from which on an offset of the best pair is known to leave its total as it is.
template <typename Team, typename LegAt>
MARKETSIM_BODY uint32_t same_from_size(Team& team, const Rules& rules, size_t legs,
                                       const LegAt& leg_at, const Best& best, bool on_high) {
  const Formula formula = formula_of(rules);
  if (charges_touches(formula)) return magnitude_bits(on_high ? best.high : best.low);
  const F high = broadcast(best.high), low = broadcast(best.low);
  typename Team::template Per<uint32_t> known;
  team.each([&](unsigned rank) {
    F from = broadcast(0.0f);
    for (size_t i = rank; i < legs; i += Team::kSize) {
      const Legs leg = leg_at(i);
      from = maximum(formula == Formula::contract
                         ? same_from<Formula::contract>(leg, high, low, on_high)
                         : same_from<Formula::legacy_on_entry>(leg, high, low, on_high),
                     from);
    }
    known[rank] = magnitude_bits(from.v);  // not negative: in the order of the floats
  });
  return team.reduce(known, Larger{});
}

// See kernels/offsets/draw_in.hpp.
template <typename Team, typename LegAt>
MARKETSIM_BODY void draw_in(Team& team, const OffsetRules& rules, const CandidateLists& lists,
                            size_t split, size_t legs, const LegAt& leg_at, Best& best) {
  const Nearest nearest = nearest_to_zero(rules.bounds);
  MARKETSIM_ONCE
  for (int axis = 0; axis < 2; ++axis) {
    const bool on_high = axis == 0;
    const float from = on_high ? best.high : best.low;
    const bool stays =
        on_high ? from <= nearest.high || from <= 0.0f : from >= nearest.low || from >= 0.0f;
    if (stays) continue;
    const float inner = on_high ? next_inwards(team, lists.high, lists.highs, from)
                                : next_inwards(team, lists.low, lists.lows, from);
    const uint32_t known = same_from_size(team, rules.rules, legs, leg_at, best, on_high);
    const auto high_of = [&](float at) { return on_high ? at : best.high; };
    const auto low_of = [&](float at) { return on_high ? best.low : at; };
    const float end = draw_in_wide(
        team, inner, from, known,
        [&](float at) {
          return total_together(team, rules.rules, split, legs, leg_at, high_of(at), low_of(at)) ==
                 best.total;
        },
        [&](float at) {
          return exact_total(rules.rules, split, legs, leg_at, high_of(at), low_of(at)) ==
                 best.total;
        });
    (on_high ? best.high : best.low) = end;
  }
}

// What the pair earns on the days behind window `row` of the group.
template <typename Team>
MARKETSIM_BODY void apply(Team& team, const OffsetGroup& group, size_t row, float high, float low) {
  const Application& to = group.application;
  if (!to.out) return;
  const OffsetRules& rules = group.rules;
  const size_t skipped = group.windows.problems.days + to.gap;
  const Days days = group.windows.row(row);
  const bool both_sides = rules.always_on && !rules.long_only;
  team.each([&](unsigned rank) {
    with_rules(rules.rules, [&]<Formula kFormula>() {
      for (size_t i = rank; i < to.days; i += Team::kSize) {
        const auto of_side = [&](bool second) {
          LegInput input = read_days(days, skipped + i, 1);
          input.position = leg_position(rules, input.position, second);
          return leg_profit<kFormula>(make_legs(rules.rules, 0.0f, input), broadcast(high),
                                      broadcast(low));
        };
        F earned = of_side(false);
        if (both_sides) earned = earned + of_side(true);
        store(to.out + row * to.days + i, earned);
      }
    });
  });
}

template <typename Team>
MARKETSIM_BODY void write_answer(Team& team, const OffsetGroup& group, size_t row,
                                 const Best& best) {
  team.each([&](unsigned rank) {
    if (rank != 0) return;
    group.answers.high[row] = best.high;
    group.answers.low[row] = best.low;
    group.answers.profit[row] = best.total;
  });
  apply(team, group, row, best.high, best.low);
}

}  // namespace marketsim::MARKETSIM_ISA
