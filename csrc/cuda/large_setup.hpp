// What the walk of offsets_large.hpp starts from: legs, sorted candidates, where each leg's
// conditions change among them, and the events of that, by row.
#pragma once

#include "cuda/large_work.hpp"

namespace marketsim::MARKETSIM_ISA {

// The part of `count` items that a rank takes where items must stay in order.
struct Share {
  size_t begin, end;
};
inline MARKETSIM_FN Share share_of(size_t count, unsigned rank, unsigned size) {
  const size_t each = (count + size - 1) / size, begin = rank * each;
  return {begin < count ? begin : count, begin + each < count ? begin + each : count};
}

template <typename T>
inline MARKETSIM_FN T sum_of(const T* values, size_t count) {
  T sum = 0;
  for (size_t i = 0; i < count; ++i) sum += values[i];
  return sum;
}

// Replaces values by the sums of all before them and, if `inclusive`, themselves.
template <typename Team, typename T>
MARKETSIM_BODY void add_up(Team& team, T* values, size_t count, bool inclusive) {
  typename Team::template Per<T> sums;
  team.each([&](unsigned rank) {
    const Share share = share_of(count, rank, Team::kSize);
    sums[rank] = sum_of(values + share.begin, share.end - share.begin);
  });
  sums = team.before(sums);
  team.each([&](unsigned rank) {
    const Share share = share_of(count, rank, Team::kSize);
    T sum = sums[rank];
    for (size_t i = share.begin; i < share.end; ++i) {
      const T v = values[i];
      values[i] = inclusive ? sum + v : sum;
      sum += v;
    }
  });
}

template <typename Team>
MARKETSIM_BODY void read_legs(Team& team, const OffsetRules& rules, float margin, const Days& days,
                              size_t count, LargeWork& work) {
  const LegArrays to(work.legs, work.leg_capacity);
  team.each([&](unsigned rank) {
    for (size_t i = rank; i < work.legs_used; i += Team::kSize) {
      store_legs(read_leg(rules, margin, days, count, i), to, i);
    }
  });
}

template <typename Team>
MARKETSIM_BODY void list_all_candidates(Team& team, const OffsetRules& rules, LargeWork& work) {
  const LegArrays legs(work.legs, work.leg_capacity);
  const size_t count = work.legs_used;
  const size_t per_leg = static_cast<size_t>(candidates_per_leg(rules.rules));
  team.each([&](unsigned rank) {
    for (size_t i = rank; i < count; i += Team::kSize) {
      const Legs leg = broadcast_leg(legs, i);
      const Thresholds found = find_thresholds(rules.rules, leg, true);
      MARKETSIM_UNROLL
      for (int j = 0; j < kConditions; ++j) {
        if (!uses(rules.rules, static_cast<Condition>(j))) continue;
        store(work.high_threshold[j] + i, found.high[j]);
        store(work.low_threshold[j] + i, found.low[j]);
      }
      const Candidates points = list_candidates(rules.rules, rules.bounds, leg, found);
      store(work.high + i, points.high[0]);
      store(work.low + i, points.low[0]);
      if (per_leg == 2) {
        store(work.high + count + i, points.high[1]);
        store(work.low + count + i, points.low[1]);
      }
    }
    const Nearest nearest = nearest_to_zero(rules.bounds);
    for (size_t i = per_leg * count + rank; i < work.padded; i += Team::kSize) {
      const size_t extra = i - per_leg * count;
      work.high[i] = extra == 0   ? nearest.high
                     : extra == 1 ? rules.bounds.high_max + 0.0f
                                  : __builtin_inff();
      work.low[i] = extra == 0   ? nearest.low
                    : extra == 1 ? rules.bounds.low_min + 0.0f
                                 : __builtin_inff();
    }
  });
}

// Puts two values of a bitonic sequence in order.
inline MARKETSIM_FN void order_pair(float* first, float* second, bool ascending) {
  const float x = *first, y = *second;
  if (ascending ? x > y : x < y) *first = y, *second = x;
}

// Sorts both lists, a bitonic network for the two together.
template <typename Team>
MARKETSIM_BODY void sort_candidates(Team& team, LargeWork& work) {
  float *const high = work.high, *const low = work.low;
  const uint32_t count = static_cast<uint32_t>(work.padded);
  MARKETSIM_ONCE
  for (uint32_t size = 2; size <= count; size *= 2) {
    MARKETSIM_ONCE
    for (uint32_t apart = size / 2; apart > 0; apart /= 2) {
      team.each([&](unsigned rank) {
        MARKETSIM_ONCE
        for (uint32_t t = rank; t < count / 2; t += Team::kSize) {
          const uint32_t i = 2 * t - (t & (apart - 1));
          const bool ascending = (i & size) == 0;
          order_pair(high + i, high + i + apart, ascending);
          order_pair(low + i, low + i + apart, ascending);
        }
      });
    }
  }
}

// Moves the different ones of `count` ascending values to `to` and returns how many they are.
template <typename Team>
MARKETSIM_BODY size_t drop_repeated(Team& team, const float* from, size_t count, float* to) {
  const auto is_new = [&](size_t i) { return i == 0 || from[i] != from[i - 1]; };
  typename Team::template Per<uint32_t> kept;
  team.each([&](unsigned rank) {
    const Share share = share_of(count, rank, Team::kSize);
    uint32_t found = 0;
    for (size_t i = share.begin; i < share.end; ++i) found += is_new(i);
    kept[rank] = found;
  });
  const typename Team::template Per<uint32_t> places = team.before(kept);
  team.each([&](unsigned rank) {
    const Share share = share_of(count, rank, Team::kSize);
    size_t at = places[rank];
    for (size_t i = share.begin; i < share.end; ++i) {
      if (is_new(i)) to[at++] = from[i];
    }
  });
  return team.reduce(kept, Sum{});
}

// How many of the ascending values are below the key, or equal to it.
template <bool kOrEqual>
inline MARKETSIM_FN uint32_t count_below(const float* values, size_t count, float key) {
  size_t low = 0, high = count;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    const bool below = kOrEqual ? values[middle] <= key : values[middle] < key;
    if (below) low = middle + 1;
    if (!below) high = middle;
  }
  return static_cast<uint32_t>(low);
}

template <typename Team>
MARKETSIM_BODY void rank_thresholds(Team& team, const OffsetRules& rules, LargeWork& work) {
  team.each([&](unsigned rank) {
    for (size_t i = rank; i < work.legs_used; i += Team::kSize) {
      MARKETSIM_UNROLL
      for (int j = 0; j < kConditions; ++j) {
        if (!uses(rules.rules, static_cast<Condition>(j))) continue;
        work.columns_of.at[j][i] =
            count_below<true>(work.high, work.columns, work.high_threshold[j][i]);
        work.rows_of.at[j][i] = count_below<false>(work.low, work.rows, work.low_threshold[j][i]);
      }
    }
  });
}

template <typename Team>
MARKETSIM_BODY void write_all_events(Team& team, const OffsetRules& rules, LargeWork& work) {
  team.each([&](unsigned rank) {
    for (size_t k = rank; k <= work.columns; k += Team::kSize) {
      for (int i = 0; i < kRowConstant; ++i) work.sums[i][k] = 0.0;
    }
    for (size_t m = rank; m <= work.rows; m += Team::kSize) {
      for (int i = kRowConstant; i < kSums; ++i) work.sums[i][m] = 0.0;
      work.row_begin[m] = 0;
    }
  });
  team.each([&](unsigned rank) {
    write_events_of(rules, work, [&](const auto& add) {
      for (size_t i = rank; i < work.legs_used; i += Team::kSize) {
        work.event_counts[i] = 0;
        add(i);
      }
    });
  });
  add_up(team, work.row_begin, work.rows + 1, false);
  team.each([&](unsigned rank) {  // row_begin[row] ends up where the events of the row end
    for (size_t i = rank; i < work.legs_used; i += Team::kSize) {
      for (uint32_t j = 0; j < work.event_counts[i]; ++j) {
        const Event& event = work.events[i * kEventsPerLeg + j];
        work.ordered[atomic_add(&work.row_begin[event.row], 1u)] = event;
      }
    }
  });
}

// The totals at the first row, and the rows.
template <typename Team>
MARKETSIM_BODY void add_up_starts(Team& team, LargeWork& work) {
  MARKETSIM_ONCE
  for (int i = 0; i < kSums; ++i) {
    add_up(team, work.sums[i], i < kRowConstant ? work.columns : work.rows, true);
  }
  team.each([&](unsigned rank) {
    for (size_t k = rank; k < work.columns; k += Team::kSize) {
      work.sums[kStartAlpha][k] += work.sums[kStartGamma][k] * work.high[k];
    }
    for (size_t m = rank; m < work.rows; m += Team::kSize) {
      const double constant = work.sums[kRowConstant][m], slope = work.sums[kRowSlope][m];
      work.row[m] = {constant + slope * work.low[m], work.low[m], work.row_begin[m]};
    }
  });
}

template <typename Team>
MARKETSIM_BODY void prepare(Team& team, const OffsetRules& rules, const Days& days, size_t count,
                            LargeWork& work) {
  read_legs(team, rules, rules.margin, days, count, work);
  list_all_candidates(team, rules, work);
  sort_candidates(team, work);
  const size_t columns = drop_repeated(team, work.high, work.listed, work.spare_high);
  const size_t rows = drop_repeated(team, work.low, work.listed, work.spare_low);
  team.each([&](unsigned rank) {
    if (rank != 0) return;
    work.columns = columns, work.high = work.spare_high;
    work.rows = rows, work.low = work.spare_low;
  });
  rank_thresholds(team, rules, work);

  typename Team::template Per<double> sums;
  team.each([&](unsigned rank) {
    const double reach = reach_of(rules.bounds);
    double sum = 0.0;
    for (size_t i = rank; i < work.legs_used; i += Team::kSize) {
      sum += bound_rounding(reach, work, i);
    }
    sums[rank] = sum;
  });
  const double magnitude = team.reduce(sums, Sum{});
  team.each([&](unsigned rank) {
    if (rank == 0) set_bounds(magnitude, work);
  });
  write_all_events(team, rules, work);
  add_up_starts(team, work);
}

template <typename Team>
MARKETSIM_BODY void write_marks(Team& team, const OffsetRules& rules, LargeWork& work) {
  team.each([&](unsigned rank) {
    if (rank == 0) work.counters[kMarkCount] = 0;
    for (size_t m = rank; m < work.rows; m += Team::kSize) work.first_mark[m] = kNoMark;
    for (size_t i = rank; i < kPrints; i += Team::kSize) work.prints[i] = {0, 0.0, 0};
  });
  team.each([&](unsigned rank) {
    MarkWriter<LargeWork> writer(rules, work);
    for (size_t i = rank; i < work.legs_used; i += Team::kSize) writer.add(i);
  });
}

}  // namespace marketsim::MARKETSIM_ISA
