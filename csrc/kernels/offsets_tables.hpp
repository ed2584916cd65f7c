// What the lanes look up: legs and candidates of kLanes problems, and the prices of each leg at
// each candidate.
//
// Only offsets_lanes.cpp includes this header.
#pragma once

#include <type_traits>

#include "kernels/candidates.hpp"

namespace marketsim::MARKETSIM_ISA {

// All candidates of one axis, and what each leg makes of them: [leg][candidate] vectors.
struct Side {
  float* offset;         // [candidate][lane]
  float* value;          // price left at, or negated price paid
  float* value_at_open;  // the price left at where the leg has entered at the open
  M* enters;             // all lanes where the other axis decides
  M* at_open;            // open_aware: the leg enters at the open; no lane where the other decides
  M* touches;            // touched_both: as enters, or exit < high
  M* fresh;              // [candidate]: lanes that do not repeat one of the first two candidates
  size_t count;          // candidates of the lane that has most
};

struct Scratch {
  float* legs;
  float* lanes;  // one problem a lane, for reading them in: [field][leg][lane]
  float* rough;  // [low][high][lane]: totals added up in float32
  Side high, low;
};

struct Shape {
  size_t legs, split, candidates;
};

inline Shape shape_of(const OffsetRules& rules, size_t days) {
  const size_t legs = leg_count(rules, days);
  return {legs, days, legs * static_cast<size_t>(candidates_per_leg(rules.rules)) + 2};
}

inline size_t lay_out(const Shape& shape, char* memory, Scratch* scratch) {
  size_t used = 0;
  const auto take = [&](auto*& pointer, size_t count) {
    if (memory)
      pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(memory + used);
    used += (count * sizeof *pointer + 63) / 64 * 64;
  };
  const size_t cells = shape.candidates * shape.legs;
  take(scratch->legs, LegArrays::floats_needed(shape.legs * kLanes));
  take(scratch->lanes, 7 * shape.split * kLanes);
  take(scratch->rough, shape.candidates * shape.candidates * kLanes);
  Side* const sides[] = {&scratch->high, &scratch->low};
  for (Side* side : sides) {
    take(side->offset, shape.candidates * kLanes);
    take(side->value, cells * kLanes);
    take(side->value_at_open, cells * kLanes);
    take(side->fresh, shape.candidates);
    take(side->enters, cells);
    take(side->at_open, cells);
    take(side->touches, cells);
  }
  return used;
}

// Reads up to kLanes problems from `first` on, a lane each; the last one is repeated where they are
// fewer.
inline void read_legs(const OffsetRules& rules, const OffsetProblems& problems, size_t first,
                      size_t count, const Shape& shape, float margin, const Scratch& scratch) {
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

// Collects candidates, without those that every lane's list begins with: what a leg does not use,
// and what lies beyond the bounds. Vectors that most lanes use are taken as they are; what few
// lanes use moves up lane by lane in the end.
class CandidateList {
 public:
  CandidateList(Side& side, float nearest, float bound, bool few)
      : side_(side), nearest_(nearest), bound_(bound), few_(few) {
    store(side.offset, broadcast(nearest));
    store(side.offset + kLanes, broadcast(bound));
    side.count = 2;
  }

  void add(F values) {
    const uint32_t news = bits(fresh(values));
    if (news == 0) return;
    const bool most = few_ || static_cast<size_t>(__builtin_popcount(news)) * 4 > kLanes * 3;
    // `value` is not yet in use: a place for what waits.
    store(most ? side_.offset + side_.count++ * kLanes : side_.value + waiting_++ * kLanes, values);
  }

  void finish() {
    size_t counts[kLanes];
    for (size_t& count : counts) count = side_.count;
    for (size_t i = 0; i < waiting_; ++i) {
      const float* from = side_.value + i * kLanes;
      for (uint32_t news = bits(fresh(load(from))); news; news &= news - 1) {
        const size_t lane = static_cast<size_t>(__builtin_ctz(news)), at = counts[lane]++;
        if (at == side_.count) {  // what the other lanes do not fill stays the nearest
          store(side_.offset + at * kLanes, broadcast(nearest_));
          ++side_.count;
        }
        side_.offset[at * kLanes + lane] = from[lane];
      }
    }
    side_.fresh[0] = side_.fresh[1] = equal(broadcast(0.0f), broadcast(0.0f));
    for (size_t i = 2; i < side_.count; ++i)
      side_.fresh[i] = fresh(load(side_.offset + i * kLanes));
  }

 private:
  M fresh(F values) const {
    return invert(either(equal(values, broadcast(nearest_)), equal(values, broadcast(bound_))));
  }

  Side& side_;
  const float nearest_, bound_;
  const bool few_;  // so few that gaps cost less than closing them
  size_t waiting_ = 0;
};

inline void write_candidates(const OffsetRules& rules, const Shape& shape, Scratch& scratch) {
  const LegArrays legs(scratch.legs, shape.legs * kLanes);
  const Nearest nearest = nearest_to_zero(rules.bounds);
  const size_t per_leg = static_cast<size_t>(candidates_per_leg(rules.rules));
  CandidateList highs(scratch.high, nearest.high, rules.bounds.high_max + 0.0f, per_leg == 1);
  CandidateList lows(scratch.low, nearest.low, rules.bounds.low_min + 0.0f, per_leg == 1);
  for (size_t leg = 0; leg < shape.legs; ++leg) {
    const Legs vector = load_legs(legs, leg * kLanes);
    const Candidates found =
        list_candidates(rules.rules, rules.bounds, vector, find_thresholds(rules.rules, vector));
    for (size_t i = 0; i < per_leg; ++i) {
      highs.add(found.high[i]);
      lows.add(found.low[i]);
    }
  }
  highs.finish();
  lows.finish();
}

// Fills in one side of a leg. In the lanes of `entering` the level of this axis is where the leg
// enters, in the others where it leaves.
template <bool kOpenAware, Charge kCharge>
void tabulate_side(const Legs& legs, size_t first_cell, bool is_high, const Side& to) {
  constexpr bool kTouch = kCharge == Charge::both_touched || kCharge == Charge::any_touched;
  const M is_long = legs.is_long, entering = is_high ? invert(is_long) : is_long;
  const F zero = broadcast(0.0f), most = broadcast(is_high ? 10.0f : 1.0f);
  const F pred = choose(entering, legs.entry_pred, legs.exit_pred);
  const F floor = choose(entering, -most, zero), cap = choose(entering, zero, most);
  for (size_t candidate = 0; candidate < to.count; ++candidate) {
    const size_t cell = first_cell + candidate;
    const F offset = load(to.offset + candidate * kLanes);
    const F level = clamp(pred + choose(is_long, offset, -offset), floor, cap);
    const M enters = less_equal(legs.entry_limit, level);
    F paid = level, left_at = choose(less_equal(level, legs.exit_limit), level, legs.close);
    to.enters[cell] = either(enters, invert(entering));
    if constexpr (kOpenAware) {
      const M at_open = both(entering, less_equal(legs.open, level));
      to.at_open[cell] = at_open;
      paid = choose(at_open, legs.open, level);
      store(to.value_at_open + cell * kLanes, left_at);
      left_at = choose(less_equal(level, legs.close), level, legs.close);
    }
    store(to.value + cell * kLanes, choose(entering, -paid, left_at));
    if constexpr (kTouch) {
      to.touches[cell] = choose_mask(entering, enters, less_equal(level, legs.exit_touch));
    }
  }
}

template <bool kOpenAware, Charge kCharge>
void tabulate(const Shape& shape, const Scratch& scratch) {
  const LegArrays legs(scratch.legs, shape.legs * kLanes);
  for (size_t leg = 0; leg < shape.legs; ++leg) {
    const Legs vector = load_legs(legs, leg * kLanes);
    tabulate_side<kOpenAware, kCharge>(vector, leg * shape.candidates, true, scratch.high);
    tabulate_side<kOpenAware, kCharge>(vector, leg * shape.candidates, false, scratch.low);
  }
}

}  // namespace marketsim::MARKETSIM_ISA
