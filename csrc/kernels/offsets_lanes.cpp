// Few days, many problems: each lane solves its own problem by looking at every candidate pair.
//
// What a leg earns is weight * (a(h) + b(l)) - fee: one of the two is the price it leaves at, the
// other the negated price it paid. Both are computed once per candidate and leg; a pair then costs
// an addition, a multiplication, a masked subtraction and an ordered float64 addition for each leg.
#include <cstring>
#include <type_traits>

#include "kernels/candidates.hpp"

namespace marketsim::MARKETSIM_ISA {
namespace {

// All candidates of one axis, precomputed: [candidate][leg] vectors.
struct Side {
  float* offset;         // [candidate][lane]
  float* value;          // price left at, or negated price paid
  float* value_at_open;  // the price left at where the leg has entered at the open
  M* enters;             // all lanes where the other axis decides
  M* at_open;            // open_aware: the leg enters at the open; no lane where the other decides
  M* touches;            // touched_both: as enters, or exit < high
};

struct Scratch {
  float* legs;
  float* lanes;  // one problem a lane, for reading them in: [field][leg][lane]
  Side high, low;
};

struct Shape {
  size_t legs, split, candidates;
};

Shape shape_of(const OffsetRules& rules, size_t days) {
  const size_t legs = leg_count(rules, days);
  return {legs, days, legs * static_cast<size_t>(candidates_per_leg(rules.rules)) + 2};
}

size_t lay_out(const Shape& shape, char* memory, Scratch* scratch) {
  size_t used = 0;
  const auto take = [&](auto*& pointer, size_t count) {
    if (memory)
      pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(memory + used);
    used += (count * sizeof *pointer + 63) / 64 * 64;
  };
  const size_t cells = shape.candidates * shape.legs;
  take(scratch->legs, LegArrays::floats_needed(shape.legs * kLanes));
  take(scratch->lanes, 7 * shape.split * kLanes);
  Side* const sides[] = {&scratch->high, &scratch->low};
  for (Side* side : sides) {
    take(side->offset, shape.candidates * kLanes);
    take(side->value, cells * kLanes);
    take(side->value_at_open, cells * kLanes);
    take(side->enters, cells);
    take(side->at_open, cells);
    take(side->touches, cells);
  }
  return used;
}

// Reads up to kLanes problems from `first` on, a lane each; the last one is repeated where they are
// fewer.
void read_legs(const OffsetRules& rules, const OffsetProblems& problems, size_t first, size_t count,
               const Shape& shape, float margin, const Scratch& scratch) {
  const size_t days = shape.split;
  const bool has_open = problems.first.open != nullptr;
  for (size_t lane = 0; lane < kLanes; ++lane) {
    const Days row = problems.row(first + (lane < count ? lane : count - 1));
    const float* fields[7] = {row.close,    row.high,     row.low, row.high_pred,
                              row.low_pred, row.position, row.open};
    for (size_t field = 0; field < (has_open ? 7 : 6); ++field) {
      float* to = scratch.lanes + field * days * kLanes + lane;
      for (size_t day = 0; day < days; ++day) to[day * kLanes] = fields[field][day];
    }
  }
  const LegArrays legs(scratch.legs, shape.legs * kLanes);
  for (size_t leg = 0; leg < shape.legs; ++leg) {
    const size_t day = leg < days ? leg : leg - days;
    const auto field = [&](size_t index) {
      return load(scratch.lanes + (index * days + day) * kLanes);
    };
    const LegInput input{field(0),
                         field(1),
                         field(2),
                         field(3),
                         field(4),
                         leg_position(rules, field(5), leg >= days),
                         has_open ? field(6) : broadcast(0.0f)};
    store_legs(make_legs(rules.rules, margin, input), legs, leg * kLanes);
  }
}

void write_candidates(const OffsetRules& rules, const Shape& shape, const Scratch& scratch) {
  const LegArrays legs(scratch.legs, shape.legs * kLanes);
  const Nearest nearest = nearest_to_zero(rules.bounds);
  const size_t per_leg = static_cast<size_t>(candidates_per_leg(rules.rules));
  store(scratch.high.offset, broadcast(nearest.high));
  store(scratch.low.offset, broadcast(nearest.low));
  store(scratch.high.offset + kLanes, broadcast(rules.bounds.high_max + 0.0f));
  store(scratch.low.offset + kLanes, broadcast(rules.bounds.low_min + 0.0f));
  for (size_t leg = 0; leg < shape.legs; ++leg) {
    const Legs vector = load_legs(legs, leg * kLanes);
    const Candidates found =
        list_candidates(rules.rules, rules.bounds, vector, find_thresholds(rules.rules, vector));
    for (size_t i = 0; i < per_leg; ++i) {
      const size_t slot = (2 + leg * per_leg + i) * kLanes;
      store(scratch.high.offset + slot, found.high[i]);
      store(scratch.low.offset + slot, found.low[i]);
    }
  }
}

// Fills in one side of a leg; it decides the entry of the lanes in `entering` and the exit of the
// others.
template <bool kOpenAware, Charge kCharge>
void tabulate(const Legs& legs, M entering, const Shape& shape, size_t leg, bool is_high,
              const Side& to) {
  constexpr bool kTouch = kCharge == Charge::both_touched || kCharge == Charge::any_touched;
  for (size_t candidate = 0; candidate < shape.candidates; ++candidate) {
    const size_t cell = candidate * shape.legs + leg;
    const F offset = load(to.offset + candidate * kLanes);
    const F high = is_high ? offset : broadcast(0.0f), low = is_high ? broadcast(0.0f) : offset;
    const F entry = entry_level(legs, high, low), exit = exit_level(legs, high, low);
    const M enters = less_equal(legs.entry_limit, entry);
    F paid = entry, left_at = choose(less_equal(exit, legs.exit_limit), exit, legs.close);
    to.enters[cell] = either(enters, invert(entering));
    if constexpr (kOpenAware) {
      const M at_open = both(entering, less_equal(legs.open, entry));
      to.at_open[cell] = at_open;
      paid = choose(at_open, legs.open, entry);
      store(to.value_at_open + cell * kLanes, left_at);
      left_at = choose(less_equal(exit, legs.close), exit, legs.close);
    }
    store(to.value + cell * kLanes, choose(entering, -paid, left_at));
    if constexpr (kTouch) {
      to.touches[cell] = choose_mask(entering, enters, less_equal(exit, legs.exit_touch));
    }
  }
}

template <bool kOpenAware, Charge kCharge>
D pair_total(const Shape& shape, const Scratch& scratch, size_t high, size_t low) {
  const LegArrays legs(scratch.legs, shape.legs * kLanes);
  const Side &highs = scratch.high, &lows = scratch.low;
  const size_t high_row = high * shape.legs, low_row = low * shape.legs;
  const auto add_legs = [&](size_t from, size_t to) {
    D total = broadcast_double(0.0);
    for (size_t leg = from; leg < to; ++leg) {
      const size_t hc = high_row + leg, lc = low_row + leg;
      F a = load(highs.value + hc * kLanes), b = load(lows.value + lc * kLanes);
      if constexpr (kOpenAware) {
        a = choose(lows.at_open[lc], load(highs.value_at_open + hc * kLanes), a);
        b = choose(highs.at_open[hc], load(lows.value_at_open + lc * kLanes), b);
      }
      const M enters = both(highs.enters[hc], lows.enters[lc]);
      F earned = keep(enters, load(legs.at(kWeight) + leg * kLanes) * (a + b));
      if constexpr (kCharge != Charge::free) {
        M pays = enters;
        if constexpr (kCharge == Charge::both_touched) {
          pays = both(highs.touches[hc], lows.touches[lc]);
        } else if constexpr (kCharge == Charge::any_touched) {
          pays = either(highs.touches[hc], lows.touches[lc]);
        }
        earned = earned - keep(pays, load(legs.at(kFee) + leg * kLanes));
      }
      total = total + to_double(earned);
    }
    return total;
  };
  return add_legs(0, shape.split) + add_legs(shape.split, shape.legs);
}

struct Best {
  D total;
  F high, low;
};

template <bool kOpenAware, Charge kCharge>
Best search(const Shape& shape, const Scratch& scratch) {
  Best best{broadcast_double(-__builtin_inf()), load(scratch.high.offset),
            load(scratch.low.offset)};
  for (size_t j = 0; j < shape.candidates; ++j) {
    const F low = load(scratch.low.offset + j * kLanes);
    for (size_t i = 0; i < shape.candidates; ++i) {
      const F high = load(scratch.high.offset + i * kLanes);
      const D total = pair_total<kOpenAware, kCharge>(shape, scratch, i, j);
      const M same = both(equal(high, best.high), equal(low, best.low));
      uint32_t ties = bits(both(equal(total, best.total), invert(same)));
      const M better = greater(total, best.total);
      best = {larger(total, best.total), choose(better, high, best.high),
              choose(better, low, best.low)};
      if (ties == 0) continue;
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

bool all_above_minus_infinity(D totals) {
  const D lowest = broadcast_double(-__builtin_inf());
  return bits(greater(totals, lowest)) == bits(equal(broadcast(0.0f), broadcast(0.0f)));
}

template <bool kOpenAware, Charge kCharge>
Best solve_group(const OffsetRules& rules, const OffsetProblems& problems, size_t first,
                 size_t count, const Shape& shape, const Scratch& scratch) {
  read_legs(rules, problems, first, count, shape, rules.margin, scratch);
  write_candidates(rules, shape, scratch);
  const LegArrays legs(scratch.legs, shape.legs * kLanes);
  for (size_t leg = 0; leg < shape.legs; ++leg) {
    const Legs vector = load_legs(legs, leg * kLanes);
    tabulate<kOpenAware, kCharge>(vector, invert(vector.is_long), shape, leg, true, scratch.high);
    tabulate<kOpenAware, kCharge>(vector, vector.is_long, shape, leg, false, scratch.low);
  }
  Best best = search<kOpenAware, kCharge>(shape, scratch);
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
