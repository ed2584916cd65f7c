// Few days, many problems: each lane solves its own problem by looking at every candidate pair.
//
// All pairs are added up in float32 first (tables.hpp), which is quick and rules out most
// of them: they are far below the best. The others are evaluated exactly.
#include <cstring>

#include "kernels/offsets/draw_in.hpp"
#include "kernels/offsets/tables.hpp"

namespace marketsim::MARKETSIM_ISA {
namespace {

struct Best {
  D total;
  F high, low;
};

void improve(Best& best, D total, F high, F low) {
  const M same = both(equal(high, best.high), equal(low, best.low));
  uint32_t ties = bits(both(equal(total, best.total), invert(same)));
  const M better = greater(total, best.total);
  best = {larger(total, best.total), choose(better, high, best.high),
          choose(better, low, best.low)};
  if (ties == 0) return;
  float highs[kLanes], lows[kLanes], best_highs[kLanes], best_lows[kLanes];
  store(highs, high);
  store(lows, low);
  store(best_highs, best.high);
  store(best_lows, best.low);
  for (; ties; ties &= ties - 1) {
    const int lane = __builtin_ctz(ties);
    if (!preferred(highs[lane], lows[lane], best_highs[lane], best_lows[lane])) continue;
    best_highs[lane] = highs[lane];
    best_lows[lane] = lows[lane];
  }
  best.high = load(best_highs);
  best.low = load(best_lows);
}

// A rough total below this is not the best one of its lane: the highest less what the float32 sums
// may be off. NaN, which nothing is below, where they may overflow.
F floor_of(const OffsetRules& rules, const Shape& shape, const Scratch& scratch, F highest) {
  const LegArrays legs(scratch.legs, shape.legs * kLanes);
  const auto size = [](F v) { return maximum(v, -v); };
  const OffsetBounds& b = rules.bounds;
  const F reach = size(broadcast(b.high_min)) + size(broadcast(b.high_max)) +
                  size(broadcast(b.low_min)) + size(broadcast(b.low_max));
  F most = broadcast(0.0f);
  for (size_t leg = 0; leg < shape.legs; ++leg) {
    const auto field = [&](LegField index) { return load(legs.at(index) + leg * kLanes); };
    const F prices = size(field(kEntryPred)) + size(field(kExitPred)) + size(field(kClose)) +
                     size(field(kOpen)) + reach;
    const F costs = maximum(size(field(kLimitCost)), size(field(kCloseCost)));
    most = most + (field(kWeight) * prices + costs);
  }
  const F share = broadcast(static_cast<float>(2 * shape.legs + 8) * 1.5e-7f);
  const F floor = highest - (most * share + broadcast(1e-30f));
  return choose(less_equal(most, broadcast(1e30f)), floor, broadcast(__builtin_nanf("")));
}

// The float32 totals of kLows low candidates with kHighs high ones.
template <size_t kLows, size_t kHighs>
F add_block(const Shape& shape, const Scratch& scratch, size_t low, size_t high, F highest) {
  const Side &lows = scratch.low, &highs = scratch.high;
  F totals[kLows][kHighs];
#pragma GCC unroll 4
  for (size_t j = 0; j < kLows; ++j) {
    const F base = load(lows.base + (low + j) * kLanes);
#pragma GCC unroll 4
    for (size_t i = 0; i < kHighs; ++i)
      totals[j][i] = base + load(highs.base + (high + i) * kLanes);
  }
  const size_t stride = shape.candidates * kLanes;
  const float* of_lows = lows.factor + low * kLanes;
  const float* of_highs = highs.factor + high * kLanes;
  const size_t fours = (highs.count + 3) / 4;
  for (size_t term = 0; term < shape.terms; ++term, of_lows += stride, of_highs += stride) {
#pragma GCC unroll 4
    for (size_t j = 0; j < kLows; ++j) {
#pragma GCC unroll 4
      for (size_t i = 0; i < kHighs; ++i) {
        totals[j][i] =
            multiply_add(load(of_lows + j * kLanes), load(of_highs + i * kLanes), totals[j][i]);
      }
    }
  }
#pragma GCC unroll 4
  for (size_t j = 0; j < kLows; ++j) {
    float* to = scratch.rough + ((low + j) * highs.count + high) * kLanes;
    F of_row = totals[j][0];
#pragma GCC unroll 4
    for (size_t i = 0; i < kHighs; ++i) {
      store(to + i * kLanes, totals[j][i]);
      of_row = maximum(totals[j][i], of_row);
    }
    store(scratch.peaks + ((low + j) * fours + high / 4) * kLanes, of_row);
    highest = maximum(of_row, highest);
  }
  return highest;
}

template <size_t kLows>
F add_rows(const Shape& shape, const Scratch& scratch, size_t low, F highest) {
  const size_t count = scratch.high.count;
  size_t high = 0;
  for (; high + 4 <= count; high += 4) {
    highest = add_block<kLows, 4>(shape, scratch, low, high, highest);
  }
  switch (count - high) {
    case 3:
      return add_block<kLows, 3>(shape, scratch, low, high, highest);
    case 2:
      return add_block<kLows, 2>(shape, scratch, low, high, highest);
    case 1:
      return add_block<kLows, 1>(shape, scratch, low, high, highest);
    default:
      return highest;
  }
}

// Returns the highest of the float32 totals.
F add_roughly(const Shape& shape, const Scratch& scratch) {
  constexpr size_t kTall = kLanes == 16 ? 4 : 2;  // as many totals as there are registers for
  F highest = broadcast(-__builtin_inff());
  const size_t count = scratch.low.count;
  size_t low = 0;
  for (; low + kTall <= count; low += kTall) {
    highest = add_rows<kTall>(shape, scratch, low, highest);
  }
  if (kTall > 2 && low + 2 <= count) {
    highest = add_rows<2>(shape, scratch, low, highest);
    low += 2;
  }
  return low < count ? add_rows<1>(shape, scratch, low, highest) : highest;
}

// The totals of one pair a lane.
template <Formula kFormula>
D evaluate(const Shape& shape, const Scratch& scratch, F high, F low) {
  const LegArrays legs(scratch.legs, shape.legs * kLanes);
  const auto add_legs = [&](size_t from, size_t to) {
    D total = broadcast_double(0.0);
    for (size_t leg = from; leg < to; ++leg) {
      total = total + to_double(leg_profit<kFormula>(load_legs(legs, leg * kLanes), high, low));
    }
    return total;
  };
  return add_legs(0, shape.split) + add_legs(shape.split, shape.legs);
}

// Lists the pairs that are not below the floor in some lane: first the fours that have one, then
// the pairs of these. Which they are cannot be predicted, so no branch asks.
size_t list_near(const Scratch& scratch, F floor) {
  const uint32_t all = bits(equal(broadcast(0.0f), broadcast(0.0f)));
  const auto is_near = [&](const float* totals) {
    return static_cast<size_t>(bits(less_equal(load(totals), floor)) != all);
  };
  const uint32_t highs = static_cast<uint32_t>(scratch.high.count), fours = (highs + 3) / 4;
  const uint32_t lows = static_cast<uint32_t>(scratch.low.count);
  size_t four_count = 0;
#pragma GCC unroll 4
  for (uint32_t i = 0; i < lows * fours; ++i) {
    scratch.near_fours[four_count] = i;
    four_count += is_near(scratch.peaks + i * kLanes);
  }
  size_t count = 0;
  for (size_t at = 0; at < four_count; ++at) {
    const uint32_t four = scratch.near_fours[at], first = four % fours * 4;
    const uint32_t pair = four / fours * highs + first;
#pragma GCC unroll 4
    for (uint32_t i = 0; i < 4; ++i) {
      scratch.near[count] = pair + i;
      count += is_near(scratch.rough + (pair + i) * kLanes) & (first + i < highs ? 1u : 0u);
    }
  }
  return count;
}

// Calls take(near, high, low) for each pair listed.
template <typename Take>
void for_near(const Scratch& scratch, size_t count, F floor, const Take& take) {
  const uint32_t highs = static_cast<uint32_t>(scratch.high.count);
  for (size_t i = 0; i < count; ++i) {
    const uint32_t pair = scratch.near[i];
    const M near = invert(less_equal(load(scratch.rough + pair * kLanes), floor));
    take(near, load(scratch.high.offset + pair % highs * kLanes),
         load(scratch.low.offset + pair / highs * kLanes));
  }
}

template <Formula kFormula>
Best search(const OffsetRules& rules, const Shape& shape, const Scratch& scratch) {
  const F highest = add_roughly(shape, scratch);
  const F floor = floor_of(rules, shape, scratch, highest);
  const size_t near_count = list_near(scratch, floor);
  Best best{broadcast_double(-__builtin_inf()), load(scratch.high.offset),
            load(scratch.low.offset)};
  // Most lanes have one such pair only, each another one: they are evaluated together.
  F first_high = best.high, first_low = best.low;
  M seen = less_equal(highest, broadcast(-__builtin_inff()));  // no lane
  uint32_t more = 0;
  for_near(scratch, near_count, floor, [&](M near, F high, F low) {
    more |= bits(both(near, seen));
    const M first = both(near, invert(seen));
    first_high = choose(first, high, first_high);
    first_low = choose(first, low, first_low);
    seen = either(seen, near);
  });
  const auto offer = [&](F high, F low) {
    improve(best, evaluate<kFormula>(shape, scratch, high, low), high, low);
  };
  offer(first_high, first_low);
  if (more == 0) return best;
  for_near(scratch, near_count, floor, [&](M near, F high, F low) {
    const M first = both(equal(high, first_high), equal(low, first_low));
    if (bits(both(near, invert(first))) != 0) offer(high, low);
  });
  return best;
}

// The candidate of each lane that is next to `of` towards 0 and lies on its side of 0.
F next_inwards(const Side& side, F of, bool negative) {
  F inner = broadcast(0.0f);
  for (size_t i = 0; i < side.count; ++i) {
    const F v = load(side.offset + i * kLanes);
    if (negative) {
      inner = choose(less_equal(v, of), inner, minimum(v, inner));
    } else {
      inner = choose(less_equal(of, v), inner, maximum(v, inner));
    }
  }
  return inner;
}

// See draw_in.hpp.
template <Formula kFormula>
void draw_in(const OffsetRules& rules, const Shape& shape, const Scratch& scratch, Best& best) {
  const Nearest nearest = nearest_to_zero(rules.bounds);
  const LegArrays legs(scratch.legs, shape.legs * kLanes);
  const F zero = broadcast(0.0f);
  const auto known = [&](F of, bool on_high) {
    if constexpr (charges_touches(kFormula)) return maximum(of, -of);
    F from = zero;
    if (kFormula == Formula::contract && rules.rules.fill == Fill::optimistic) {
      for (size_t leg = 0; leg < shape.legs; ++leg) {
        const Legs vector = load_legs(legs, leg * kLanes);
        from = maximum(optimistic_same_from(vector, best.high, best.low, on_high), from);
      }
      return from;
    }
    for (size_t leg = 0; leg < shape.legs; ++leg) {
      const Legs vector = load_legs(legs, leg * kLanes);
      from = maximum(same_from<kFormula>(vector, best.high, best.low, on_high), from);
    }
    return from;
  };
  const M high_stays = less_equal(best.high, maximum(broadcast(nearest.high), zero));
  if (bits(invert(high_stays)) != 0) {
    const F inner = choose(high_stays, best.high, next_inwards(scratch.high, best.high, false));
    best.high = draw_in_lanes(inner, best.high, known(best.high, true), false, [&](F at) {
      return bits(equal(evaluate<kFormula>(shape, scratch, at, best.low), best.total));
    });
  }
  const M low_stays = less_equal(minimum(broadcast(nearest.low), zero), best.low);
  if (bits(invert(low_stays)) != 0) {
    const F inner = choose(low_stays, best.low, next_inwards(scratch.low, best.low, true));
    best.low = draw_in_lanes(inner, best.low, known(best.low, false), true, [&](F at) {
      return bits(equal(evaluate<kFormula>(shape, scratch, best.high, at), best.total));
    });
  }
}

bool all_above_minus_infinity(D totals) {
  const D lowest = broadcast_double(-__builtin_inf());
  return bits(greater(totals, lowest)) == bits(equal(broadcast(0.0f), broadcast(0.0f)));
}

template <Formula kFormula>
Best solve_group(const OffsetRules& rules, const OffsetProblems& problems, size_t first,
                 size_t count, const Shape& shape, Scratch& scratch) {
  read_legs(rules, problems, first, count, shape, rules.margin, scratch);
  write_candidates(rules, shape, scratch);
  tabulate<kFormula>(shape, scratch);
  Best best = search<kFormula>(rules, shape, scratch);
  draw_in<kFormula>(rules, shape, scratch, best);
  if (rules.margin != 0.0f || !all_above_minus_infinity(best.total)) {
    // With a margin the search saw narrower bars; where every total overflowed it saw no number.
    read_legs(rules, problems, first, count, shape, 0.0f, scratch);
    best.total = evaluate<kFormula>(shape, scratch, best.high, best.low);
  }
  return best;
}

}  // namespace

size_t lanes_scratch_bytes(const OffsetRules& rules, size_t days) {
  Scratch unused;
  return lay_out(shape_of(rules, days), nullptr, &unused);
}

void solve_lanes(const OffsetRules& rules, const OffsetProblems& problems,
                 const OffsetAnswers& answers, size_t begin, size_t end, char* memory) {
  const Shape shape = shape_of(rules, problems.days);
  Scratch scratch;
  lay_out(shape, memory, &scratch);
  with_rules(rules.rules, [&]<Formula kFormula>() {
    for (size_t first = begin; first < end; first += kLanes) {
      const size_t count = end - first < kLanes ? end - first : kLanes;
      const Best best = solve_group<kFormula>(rules, problems, first, count, shape, scratch);
      double totals[kLanes];
      store_double(totals, best.total);
      store_first(answers.high + first, best.high, count);
      store_first(answers.low + first, best.low, count);
      std::memcpy(answers.profit + first, totals, count * sizeof(double));
    }
  });
}

}  // namespace marketsim::MARKETSIM_ISA
