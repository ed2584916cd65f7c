// Few days, many problems: each lane solves its own problem by looking at every candidate pair.
//
// What a leg earns is weight * (a(h) + b(l)) - fee: one of the two is the price it leaves at, the
// other the negated price it paid. Both are computed once per candidate and leg; a pair then costs
// an addition, a multiplication, a masked subtraction and an ordered float64 addition for each leg.
// Most pairs are far below the best: float32 sums, which take half the time, rule them out.
#include <cstring>

#include "kernels/offsets_draw.hpp"
#include "kernels/offsets_tables.hpp"

namespace marketsim::MARKETSIM_ISA {
namespace {

enum class Sides { mixed, longs, shorts };

void clear(D& sum) {
  sum = broadcast_double(0.0);
}
void clear(F& sum) {
  sum = broadcast(0.0f);
}
void add(D& sum, F v) {
  sum = sum + to_double(v);
}
void add(F& sum, F v) {
  sum = sum + v;
}

// Adds up kPairs pairs a lane: high candidates from `high` on, and one low candidate.
template <bool kOpenAware, Charge kCharge, size_t kPairs, Sides kSides, typename Sum>
void add_legs(const Shape& shape, const Scratch& scratch, size_t from, size_t to, size_t high,
              size_t low, Sum* totals) {
  const LegArrays legs(scratch.legs, shape.legs * kLanes);
  const Side &highs = scratch.high, &lows = scratch.low;
  Sum sums[kPairs];
  for (size_t pair = 0; pair < kPairs; ++pair) clear(sums[pair]);
  for (size_t leg = from; leg < to; ++leg) {
    const size_t lc = leg * shape.candidates + low, first = leg * shape.candidates + high;
    const F b_level = load(lows.value + lc * kLanes);
    const F weight = load(legs.at(kWeight) + leg * kLanes);
    const float *values = highs.value + first * kLanes,
                *opens = highs.value_at_open + first * kLanes;
    const M* high_enters = highs.enters + first;
    const M low_enters = lows.enters[lc];
#pragma GCC unroll 4
    for (size_t pair = 0; pair < kPairs; ++pair) {
      F a = load(values + pair * kLanes), b = b_level;
      if constexpr (kOpenAware && kSides != Sides::shorts) {
        a = choose(lows.at_open[lc], load(opens + pair * kLanes), a);
      }
      if constexpr (kOpenAware && kSides != Sides::longs) {
        b = choose(highs.at_open[first + pair], load(lows.value_at_open + lc * kLanes), b);
      }
      const M enters = kSides == Sides::longs    ? low_enters
                       : kSides == Sides::shorts ? high_enters[pair]
                                                 : both(high_enters[pair], low_enters);
      F earned = weight * (a + b);
      if constexpr (kCharge == Charge::on_entry) {
        earned = earned - load(legs.at(kFee) + leg * kLanes);
      }
      earned = keep(enters, earned);
      if constexpr (kCharge == Charge::both_touched || kCharge == Charge::any_touched) {
        const M high_touches = highs.touches[first + pair], low_touches = lows.touches[lc];
        const M pays = kCharge == Charge::both_touched ? both(high_touches, low_touches)
                                                       : either(high_touches, low_touches);
        earned = earned - keep(pays, load(legs.at(kFee) + leg * kLanes));
      }
      add(sums[pair], earned);
    }
  }
  for (size_t pair = 0; pair < kPairs; ++pair) totals[pair] = sums[pair];
}

template <bool kOpenAware, Charge kCharge, size_t kPairs, typename Sum>
void pair_totals(const Shape& shape, const Scratch& scratch, size_t high, size_t low, Sum* totals) {
  if (shape.legs == shape.split) {
    return add_legs<kOpenAware, kCharge, kPairs, Sides::mixed>(shape, scratch, 0, shape.legs, high,
                                                               low, totals);
  }
  Sum of_shorts[kPairs];
  add_legs<kOpenAware, kCharge, kPairs, Sides::longs>(shape, scratch, 0, shape.split, high, low,
                                                      totals);
  add_legs<kOpenAware, kCharge, kPairs, Sides::shorts>(shape, scratch, shape.split, shape.legs,
                                                       high, low, of_shorts);
  for (size_t pair = 0; pair < kPairs; ++pair) totals[pair] = totals[pair] + of_shorts[pair];
}

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
    most = most + (field(kWeight) * prices + field(kFee));
  }
  const F share = broadcast(static_cast<float>(shape.legs + 8) * 1.5e-7f);
  const F floor = highest - (most * share + broadcast(1e-30f));
  return choose(less_equal(most, broadcast(1e30f)), floor, broadcast(__builtin_nanf("")));
}

template <bool kOpenAware, Charge kCharge>
F search_roughly(const Shape& shape, const Scratch& scratch) {
  constexpr size_t kPairs = 4;
  const size_t columns = scratch.high.count;
  F highest = broadcast(-__builtin_inff());
  for (size_t j = 0; j < scratch.low.count; ++j) {
    float* to = scratch.rough + j * columns * kLanes;
    F totals[kPairs];
    size_t i = 0;
    for (; i + kPairs <= columns; i += kPairs) {
      pair_totals<kOpenAware, kCharge, kPairs>(shape, scratch, i, j, totals);
      for (size_t pair = 0; pair < kPairs; ++pair) {
        store(to + (i + pair) * kLanes, totals[pair]);
        highest = maximum(totals[pair], highest);
      }
    }
    for (; i < columns; ++i) {
      pair_totals<kOpenAware, kCharge, 1>(shape, scratch, i, j, totals);
      store(to + i * kLanes, totals[0]);
      highest = maximum(totals[0], highest);
    }
  }
  return highest;
}

// Adds up all pairs in float32 first, which is quicker, and those near the highest exactly.
template <bool kOpenAware, Charge kCharge>
Best search(const OffsetRules& rules, const Shape& shape, const Scratch& scratch) {
  const F highest = search_roughly<kOpenAware, kCharge>(shape, scratch);
  const F floor = floor_of(rules, shape, scratch, highest);
  Best best{broadcast_double(-__builtin_inf()), load(scratch.high.offset),
            load(scratch.low.offset)};
  for (size_t j = 0; j < scratch.low.count; ++j) {
    const float* rough = scratch.rough + j * scratch.high.count * kLanes;
    for (size_t i = 0; i < scratch.high.count; ++i) {
      const M low = less_equal(load(rough + i * kLanes), floor);
      const M fresh = both(scratch.high.fresh[i], scratch.low.fresh[j]);
      if (bits(both(fresh, invert(low))) == 0) continue;
      D total;
      pair_totals<kOpenAware, kCharge, 1>(shape, scratch, i, j, &total);
      improve(best, total, load(scratch.high.offset + i * kLanes),
              load(scratch.low.offset + j * kLanes));
    }
  }
  return best;
}

// The totals of one pair a lane.
template <bool kOpenAware, Charge kCharge>
D evaluate(const Shape& shape, const Scratch& scratch, F high, F low) {
  const LegArrays legs(scratch.legs, shape.legs * kLanes);
  const auto add_legs = [&](size_t from, size_t to) {
    D total = broadcast_double(0.0);
    for (size_t leg = from; leg < to; ++leg) {
      total = total +
              to_double(leg_profit<kOpenAware, kCharge>(load_legs(legs, leg * kLanes), high, low));
    }
    return total;
  };
  return add_legs(0, shape.split) + add_legs(shape.split, shape.legs);
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

// See offsets_draw.hpp.
template <bool kOpenAware, Charge kCharge>
void draw_in(const OffsetRules& rules, const Shape& shape, const Scratch& scratch, Best& best) {
  const Nearest nearest = nearest_to_zero(rules.bounds);
  const LegArrays legs(scratch.legs, shape.legs * kLanes);
  const F zero = broadcast(0.0f);
  const auto known = [&](F of, bool on_high) {
    constexpr bool kTouch = kCharge == Charge::both_touched || kCharge == Charge::any_touched;
    if constexpr (kTouch) return maximum(of, -of);
    F from = zero;
    for (size_t leg = 0; leg < shape.legs; ++leg) {
      const Legs vector = load_legs(legs, leg * kLanes);
      from = maximum(same_from<kOpenAware>(vector, best.high, best.low, on_high), from);
    }
    return from;
  };
  const M high_stays = less_equal(best.high, maximum(broadcast(nearest.high), zero));
  if (bits(invert(high_stays)) != 0) {
    const F inner = choose(high_stays, best.high, next_inwards(scratch.high, best.high, false));
    best.high = draw_in_lanes(inner, best.high, known(best.high, true), false, [&](F at) {
      return bits(equal(evaluate<kOpenAware, kCharge>(shape, scratch, at, best.low), best.total));
    });
  }
  const M low_stays = less_equal(minimum(broadcast(nearest.low), zero), best.low);
  if (bits(invert(low_stays)) != 0) {
    const F inner = choose(low_stays, best.low, next_inwards(scratch.low, best.low, true));
    best.low = draw_in_lanes(inner, best.low, known(best.low, false), true, [&](F at) {
      return bits(equal(evaluate<kOpenAware, kCharge>(shape, scratch, best.high, at), best.total));
    });
  }
}

bool all_above_minus_infinity(D totals) {
  const D lowest = broadcast_double(-__builtin_inf());
  return bits(greater(totals, lowest)) == bits(equal(broadcast(0.0f), broadcast(0.0f)));
}

template <bool kOpenAware, Charge kCharge>
Best solve_group(const OffsetRules& rules, const OffsetProblems& problems, size_t first,
                 size_t count, const Shape& shape, Scratch& scratch) {
  read_legs(rules, problems, first, count, shape, rules.margin, scratch);
  write_candidates(rules, shape, scratch);
  tabulate<kOpenAware, kCharge>(shape, scratch);
  Best best = search<kOpenAware, kCharge>(rules, shape, scratch);
  draw_in<kOpenAware, kCharge>(rules, shape, scratch, best);
  if (rules.margin != 0.0f || !all_above_minus_infinity(best.total)) {
    // With a margin the search saw narrower bars; where every total overflowed it saw no number.
    read_legs(rules, problems, first, count, shape, 0.0f, scratch);
    best.total = evaluate<kOpenAware, kCharge>(shape, scratch, best.high, best.low);
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
  with_rules(rules.rules, [&]<bool kOpenAware, Charge kCharge>() {
    for (size_t first = begin; first < end; first += kLanes) {
      const size_t count = end - first < kLanes ? end - first : kLanes;
      const Best best =
          solve_group<kOpenAware, kCharge>(rules, problems, first, count, shape, scratch);
      double totals[kLanes];
      store_double(totals, best.total);
      store_first(answers.high + first, best.high, count);
      store_first(answers.low + first, best.low, count);
      std::memcpy(answers.profit + first, totals, count * sizeof(double));
    }
  });
}

}  // namespace marketsim::MARKETSIM_ISA
