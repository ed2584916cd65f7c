// What the sweep starts from: the legs that can trade, the sorted candidates, where each leg's
// conditions change among them, and the events of that.
//
// Only sweep.cpp includes this header.
#pragma once

#include "kernels/offsets/events.hpp"
#include "kernels/offsets/workspace.hpp"

namespace marketsim::MARKETSIM_ISA {

// --------------------------------------------------------------------

// Stores the legs that can trade, longs of an always-on problem first.
inline void read_legs(const OffsetRules& rules, const Days& row, size_t days, float margin,
                      Work& work) {
  const LegArrays to(work.legs, work.leg_capacity);
  size_t used = 0;
  const size_t parts = leg_count(rules, days) == 2 * days ? 2 : 1;
  for (size_t part = 0; part < parts; ++part) {
    for (size_t day = 0; day < days; day += kLanes) {
      const size_t count = days - day < kLanes ? days - day : kLanes;
      LegInput input = read_days(row, day, count);
      input.position = leg_position(rules, input.position, part == 1);
      const Legs legs = make_legs(rules.rules, margin, input);
      store_legs(legs, to, used);
      const uint32_t idle = bits(equal(legs.weight, broadcast(0.0f)));
      const uint32_t present = (1u << count) - 1u;
      if ((idle & present) == 0) {
        used += count;
        continue;
      }
      const size_t from = used;
      for (size_t lane = 0; lane < count; ++lane) {
        if (idle >> lane & 1u) continue;
        for (size_t field = 0; field < kLegFields; ++field) {
          float* values = to.at(static_cast<LegField>(field));
          values[used] = values[from + lane];
        }
        ++used;
      }
    }
    if (part == 0) work.split = used;
  }
  work.legs_used = used;
}

// Appends the first `count` values, without those that are `known` to be a candidate; returns how
// many that are.
inline size_t append(F values, size_t count, float known, float* to) {
  float lanes[kLanes];
  store(lanes, values);
  size_t added = 0;
  for (size_t lane = 0; lane < count; ++lane) {  // no branch that prices decide
    to[added] = lanes[lane];
    added += lanes[lane] != known;
  }
  return added;
}

inline void write_candidates(const OffsetRules& rules, Work& work) {
  const LegArrays legs(work.legs, work.leg_capacity);
  const size_t used = work.legs_used;
  const size_t per_leg = static_cast<size_t>(candidates_per_leg(rules.rules));
  const Nearest nearest = nearest_to_zero(rules.bounds);
  size_t highs = 0, lows = 0;
  for (size_t first = 0; first < used; first += kLanes) {
    const size_t count = used - first < kLanes ? used - first : kLanes;
    const Legs vector = load_legs(legs, first);
    const Thresholds found = find_thresholds(rules.rules, vector, true);
    for (int i = 0; i < kConditions; ++i) {
      if (!uses(rules.rules, static_cast<Condition>(i))) continue;
      store(work.high_threshold[i] + first, found.high[i]);
      store(work.low_threshold[i] + first, found.low[i]);
    }
    const Candidates points = list_candidates(rules.rules, rules.bounds, vector, found);
    highs += append(points.high[0], count, nearest.high, work.high + highs);
    lows += append(points.low[0], count, nearest.low, work.low + lows);
    if (per_leg == 1) continue;
    highs += append(points.high[1], count, nearest.high, work.high + highs);
    lows += append(points.low[1], count, nearest.low, work.low + lows);
  }
  work.high[highs++] = nearest.high;
  work.low[lows++] = nearest.low;
  work.high[highs++] = rules.bounds.high_max + 0.0f;
  work.low[lows++] = rules.bounds.low_min + 0.0f;
  work.columns = sort_unique(work.high, highs, work.spare);
  work.rows = sort_unique(work.low, lows, work.spare);
  work.blocks = (work.columns + kBlock - 1) / kBlock;
}

// For kVectors vectors of keys: how many of the ascending values are < key, or <= key. The searches
// go side by side, without a branch that the data decide.
template <bool kOrEqual, size_t kVectors>
void count_below_each(const float* values, size_t size, const float* keys, uint32_t* to) {
  I at[kVectors];
#pragma GCC unroll 4
  for (I& place : at) place = broadcast_index(0);
  const auto advance = [&](size_t look, size_t step) {
#pragma GCC unroll 4
    for (size_t i = 0; i < kVectors; ++i) {
      const F key = load(keys + i * kLanes), value = gather(values + look, at[i]);
      const M below = kOrEqual ? less_equal(value, key) : invert(less_equal(key, value));
      at[i] = add_where(below, at[i], static_cast<int32_t>(step));
    }
  };
  for (size_t left = size; left > 1; left -= left / 2) advance(left / 2 - 1, left / 2);
  advance(0, 1);
#pragma GCC unroll 4
  for (size_t i = 0; i < kVectors; ++i) store_index(to + i * kLanes, at[i]);
}

template <bool kOrEqual>
void count_below(const float* values, size_t size, const float* keys, size_t count, uint32_t* to) {
  constexpr size_t kSide = 4;  // hides how long it takes to gather
  size_t first = 0;
  for (; first + (kSide - 1) * kLanes < count; first += kSide * kLanes) {  // the last one in part
    count_below_each<kOrEqual, kSide>(values, size, keys + first, to + first);
  }
  for (; first < count; first += kLanes) {
    count_below_each<kOrEqual, 1>(values, size, keys + first, to + first);
  }
}

inline void rank_thresholds(const OffsetRules& rules, Work& work) {
  for (int i = 0; i < kConditions; ++i) {
    if (!uses(rules.rules, static_cast<Condition>(i))) continue;
    count_below<true>(work.high, work.columns, work.high_threshold[i], work.legs_used,
                      work.columns_of.at[i]);
    count_below<false>(work.low, work.rows, work.low_threshold[i], work.legs_used,
                       work.rows_of.at[i]);
  }
}

inline void bound_roundings(const OffsetRules& rules, Work& work) {
  const double reach = reach_of(rules.bounds);
  double magnitude = 0.0;
  for (size_t i = 0; i < work.legs_used; ++i) magnitude += bound_rounding(reach, work, i);
  set_bounds(magnitude, work);
}

inline void write_events(const OffsetRules& rules, Work& work) {
  work.event_count = 0;
  for (size_t i = 0; i <= work.rows; ++i) work.row_constant[i] = work.row_slope[i] = 0.0;
  for (size_t i = 0; i <= work.columns; ++i) {
    work.start_alpha[i] = work.start_beta[i] = work.start_gamma[i] = 0.0;
  }
  write_events_of(rules, work, [&](const auto& add) {
    for (size_t i = 0; i < work.legs_used; ++i) add(i);
  });

  // Counting sort by row; row_begin[row] ends up where the events of `row` end.
  for (size_t row = 0; row <= work.rows; ++row) work.row_begin[row] = 0;
  for (size_t i = 0; i < work.event_count; ++i) ++work.row_begin[work.events[i].row];
  uint32_t begin = 0;
  for (size_t row = 0; row <= work.rows; ++row) {
    const uint32_t count = work.row_begin[row];
    work.row_begin[row] = begin;
    begin += count;
  }
  for (size_t i = 0; i < work.event_count; ++i) {
    work.ordered[work.row_begin[work.events[i].row]++] = work.events[i];
  }
}

}  // namespace marketsim::MARKETSIM_ISA
