// What the lanes look up: legs and candidates of kLanes problems, and what each leg makes of each
// candidate (leg_sides.hpp).
//
// Only lanes.cpp includes this header.
#pragma once

#include <type_traits>

#include "kernels/leg_sides.hpp"
#include "kernels/offsets/candidates.hpp"

namespace marketsim::MARKETSIM_ISA {

// All candidates of one axis, vectors of a lane a problem.
struct Side {
  float* offset;  // [candidate]
  float* factor;  // [term][candidate], the terms of one leg after those of another
  float* base;    // [candidate]: the sum of all legs
  size_t count;   // candidates of the lane that has most
};

struct Scratch {
  float* legs;
  float* lanes;          // for reading the problems in: [field][day]
  float* rough;          // [low][high]: totals in float32
  float* peaks;          // [low][high / 4]: the highest of four
  uint32_t* near;        // places in `rough` that are not below the floor in some lane
  uint32_t* near_fours;  // likewise in `peaks`
  Side high, low;
};

struct Shape {
  size_t legs, split, candidates, terms;
};

inline Shape shape_of(const OffsetRules& rules, size_t days) {
  const size_t legs = leg_count(rules, days);
  return {legs, days, legs * static_cast<size_t>(candidates_per_leg(rules.rules)) + 2,
          legs * (has_two_terms(formula_of(rules.rules)) ? 2 : 1)};
}

inline size_t lay_out(const Shape& shape, char* memory, Scratch* scratch) {
  size_t used = 0;
  const auto take = [&](auto*& pointer, size_t count) {
    if (memory)
      pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(memory + used);
    used += (count * sizeof *pointer + 63) / 64 * 64;
  };
  take(scratch->legs, LegArrays::floats_needed(shape.legs * kLanes));
  take(scratch->rough, (shape.candidates * shape.candidates + 3) * kLanes);
  take(scratch->peaks, shape.candidates * ((shape.candidates + 3) / 4) * kLanes);
  if (memory) scratch->lanes = scratch->rough;  // larger, and not in use while problems are read
  take(scratch->near, shape.candidates * shape.candidates + 1);
  take(scratch->near_fours, shape.candidates * ((shape.candidates + 3) / 4) + 1);
  Side* const sides[] = {&scratch->high, &scratch->low};
  for (Side* side : sides) {
    take(side->offset, shape.candidates * kLanes);
    take(side->factor, shape.terms * shape.candidates * kLanes);
    take(side->base, shape.candidates * kLanes);
  }
  return used;
}

// to[day * kLanes + lane] = rows[lane][day]
inline void transpose(const float* const* rows, size_t days, float* to) {
  if (days < 4) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      for (size_t day = 0; day < days; ++day) to[day * kLanes + lane] = rows[lane][day];
    }
    return;
  }
  for (size_t begin = 0; begin < days; begin += 4) {
    const size_t day = begin + 4 <= days ? begin : days - 4;  // some days perhaps twice
    transpose_four(rows, day, to + day * kLanes);
  }
}

// Reads up to kLanes problems from `first` on, a lane each; the last one is repeated where they are
// fewer.
inline void read_legs(const OffsetRules& rules, const OffsetProblems& problems, size_t first,
                      size_t count, const Shape& shape, float margin, const Scratch& scratch) {
  const size_t days = shape.split;
  const bool has_open = problems.first.open != nullptr;
  const Days row = problems.row(first);
  const float* const fields[7] = {row.close,    row.high,     row.low, row.high_pred,
                                  row.low_pred, row.position, row.open};
  const size_t strides[7] = {problems.close_stride,    problems.high_stride,
                             problems.low_stride,      problems.high_pred_stride,
                             problems.low_pred_stride, problems.position_stride,
                             problems.open_stride};
  for (size_t field = 0; field < (has_open ? 7 : 6); ++field) {
    const float* rows[kLanes];
    for (size_t lane = 0; lane < kLanes; ++lane) {
      rows[lane] = fields[field] + (lane < count ? lane : count - 1) * strides[field];
    }
    transpose(rows, days, scratch.lanes + field * days * kLanes);
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
// and what lies beyond the bounds. Vectors that most lanes use are taken as they are. What few
// lanes use moves up in the end: lane by lane, or, of few legs, into the first vector with room as
// it is added.
class CandidateList {
 public:
  CandidateList(Side& side, float nearest, float bound, bool few)
      : side_(side), nearest_(nearest), bound_(bound), few_(few) {
    store(side.offset, broadcast(nearest));
    store(side.offset + kLanes, broadcast(bound));
    side.count = 2;
  }

  // `main`: of a condition that legs of both directions have.
  void add(F values, bool main) {
    M fresh_lanes = fresh(values);
    const uint32_t news = bits(fresh_lanes);
    if (news == 0) return;
    if ((few_ && main) || static_cast<size_t>(__builtin_popcount(news)) * 4 > kLanes * 3) {
      store(side_.offset + side_.count++ * kLanes, values);
      return;
    }
    // `factor` is not yet in use: a place for what waits.
    if (few_) {
      for (size_t i = 0; i < waiting_; ++i) {
        float* const to = side_.factor + i * kLanes;
        const F there = load(to);
        const M moves = both(fresh_lanes, invert(fresh(there)));
        store(to, choose(moves, values, there));
        fresh_lanes = both(fresh_lanes, invert(moves));
      }
      if (bits(fresh_lanes) == 0) return;
      values = choose(fresh_lanes, values, broadcast(nearest_));
    }
    store(side_.factor + waiting_++ * kLanes, values);
  }

  void finish() {
    if (few_) {
      for (size_t i = 0; i < waiting_; ++i) {
        store(side_.offset + side_.count++ * kLanes, load(side_.factor + i * kLanes));
      }
      return;
    }
    size_t counts[kLanes];
    for (size_t& count : counts) count = side_.count;
    for (size_t i = 0; i < waiting_; ++i) {
      const float* from = side_.factor + i * kLanes;
      for (uint32_t news = bits(fresh(load(from))); news; news &= news - 1) {
        const size_t lane = static_cast<size_t>(__builtin_ctz(news)), at = counts[lane]++;
        if (at == side_.count) {  // what the other lanes do not fill stays the nearest
          store(side_.offset + at * kLanes, broadcast(nearest_));
          ++side_.count;
        }
        side_.offset[at * kLanes + lane] = from[lane];
      }
    }
  }

 private:
  M fresh(F values) const {
    return invert(either(equal(values, broadcast(nearest_)), equal(values, broadcast(bound_))));
  }

  Side& side_;
  const float nearest_, bound_;
  const bool few_;  // so few that gaps among the main ones cost less than closing them
  size_t waiting_ = 0;
};

inline void write_candidates(const OffsetRules& rules, const Shape& shape, Scratch& scratch) {
  const LegArrays legs(scratch.legs, shape.legs * kLanes);
  const Nearest nearest = nearest_to_zero(rules.bounds);
  const size_t per_leg = static_cast<size_t>(candidates_per_leg(rules.rules));
  const bool few = per_leg == 1 || shape.legs <= 8;
  CandidateList highs(scratch.high, nearest.high, rules.bounds.high_max + 0.0f, few);
  CandidateList lows(scratch.low, nearest.low, rules.bounds.low_min + 0.0f, few);
  for (size_t leg = 0; leg < shape.legs; ++leg) {
    const Legs vector = load_legs(legs, leg * kLanes);
    const Candidates found = list_candidates(rules.rules, rules.bounds, vector,
                                             find_thresholds(rules.rules, vector, false));
    for (size_t i = 0; i < per_leg; ++i) {
      highs.add(found.high[i], i == 0);
      lows.add(found.low[i], i == 0);
    }
  }
  highs.finish();
  lows.finish();
}

// Of kLegs legs at a time, so that the sums are loaded and stored less often.
template <Formula kFormula, size_t kLegs>
void tabulate_side(LegArrays legs, size_t leg, const Shape& shape, bool is_high, const Side& to) {
  constexpr size_t kTerms = has_two_terms(kFormula) ? 2 : 1;
  const size_t stride = shape.candidates * kLanes;
  float* factor = to.factor + leg * kTerms * stride;
  const Legs first = load_legs(legs, leg * kLanes);
  const Legs last = load_legs(legs, (leg + kLegs - 1) * kLanes);
  const SideOf<kFormula> sides[2] = {{first, is_high}, {last, is_high}};
  for (size_t at = 0; at < to.count * kLanes; at += kLanes) {
    const F offset = load(to.offset + at);
    F base = leg == 0 ? broadcast(0.0f) : load(to.base + at);
#pragma GCC unroll 2
    for (size_t i = 0; i < kLegs; ++i) {
      const SideTerms side = sides[i].at(offset);
      store(factor + i * kTerms * stride + at, side.factor);
      if constexpr (kTerms == 2) store(factor + (2 * i + 1) * stride + at, side.at_open);
      base = base - side.base;
    }
    store(to.base + at, base);
  }
}

template <Formula kFormula>
void tabulate(const Shape& shape, const Scratch& scratch) {
  const LegArrays legs(scratch.legs, shape.legs * kLanes);
  const auto both_sides = [&]<size_t kLegs>(size_t leg) {
    tabulate_side<kFormula, kLegs>(legs, leg, shape, true, scratch.high);
    tabulate_side<kFormula, kLegs>(legs, leg, shape, false, scratch.low);
  };
  size_t leg = 0;
  for (; leg + 2 <= shape.legs; leg += 2) both_sides.template operator()<2>(leg);
  if (leg < shape.legs) both_sides.template operator()<1>(leg);
}

}  // namespace marketsim::MARKETSIM_ISA
