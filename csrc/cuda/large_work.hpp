// The memory in which a block solves a problem of many days.
#pragma once

#include "cuda/offsets_common.hpp"
#include "kernels/offsets/events.hpp"
#include "kernels/offsets/fingerprints.hpp"

namespace marketsim::MARKETSIM_ISA {

constexpr size_t kEventsPerLeg = 12;
constexpr size_t kMarksPerLeg = 20;
constexpr size_t kPending = 1024;
constexpr size_t kPrints = 4096;          // a power of two
constexpr size_t kNearBytes = 16 * 1024;  // shared memory of a block, for what fits of the lists
enum Counter { kPendingCount, kMarkCount, kCounters };
// [column + 1]: what the first row changes there, then the totals of that row; [row + 1]: what a
// row changes in all columns, then the sums of that.
enum RunningSum { kStartAlpha, kStartBeta, kStartGamma, kRowConstant, kRowSlope, kSums };

// As in kernels/offsets/workspace.hpp; read as whole vectors.
struct alignas(16) Event {
  uint32_t begin, end;  // columns
  uint32_t row, unused;
  double alpha, beta, gamma;
};
struct alignas(16) Row {
  double constant;
  float low;
  uint32_t end;  // of its events
};
struct MarkEvent {
  uint64_t mark, counts;
  uint32_t next, begin, end;
};
struct Point {
  float high, low;
};
// A fingerprint and its total, once `settled`. 0: free.
struct Print {
  unsigned long long print;
  double total;
  uint32_t settled;
};
struct Ranks {
  uint32_t* at[kConditions];
};

struct LargeWork {
  float* legs;
  float *high, *low;  // [column], [row]; first of all candidates, a power of two
  float *spare_high, *spare_low;
  float* high_threshold[kConditions];
  float* low_threshold[kConditions];
  Ranks columns_of, rows_of;
  double* sums[kSums];
  Row* row;
  Event* events;                    // [leg][kEventsPerLeg]
  uint32_t* event_counts;           // [leg]
  Event* ordered;                   // by row
  uint32_t* row_begin;              // [row + 1]; then where the events of a row end
  double *rounding, *fixed_excess;  // [leg]
  double* column_best;              // [column]: the highest U
  Point* pending;
  MarkEvent* mark_events;
  uint32_t* first_mark;  // [row]
  Print* prints;
  uint32_t* counters;

  size_t leg_capacity, legs_used, split, listed, padded, columns, rows;
  double spread, base;
};

MARKETSIM_BODY void add_event(LargeWork& work, size_t leg, size_t row, size_t begin, size_t end,
                              double alpha, double beta, double gamma) {
  work.events[leg * kEventsPerLeg + work.event_counts[leg]++] = {static_cast<uint32_t>(begin),
                                                                 static_cast<uint32_t>(end),
                                                                 static_cast<uint32_t>(row),
                                                                 0,
                                                                 alpha,
                                                                 beta,
                                                                 gamma};
  atomic_add(&work.row_begin[row], 1u);
}
// The order in which these are added up differs from run to run on a GPU: `base` bounds what that
// changes, and answers are exact.
MARKETSIM_BODY void add_start(LargeWork& work, size_t begin, size_t end, double alpha, double beta,
                              double gamma) {
  const auto add = [&](RunningSum sum, double v) {
    if (v == 0.0) return;
    add_to(&work.sums[sum][begin], v), add_to(&work.sums[sum][end], -v);
  };
  add(kStartAlpha, alpha), add(kStartBeta, beta), add(kStartGamma, gamma);
}
MARKETSIM_BODY void add_row(LargeWork& work, size_t row, double constant, double slope) {
  add_to(&work.sums[kRowConstant][row], constant);
  if (slope != 0.0) add_to(&work.sums[kRowSlope][row], slope);
}
MARKETSIM_BODY void add_mark(LargeWork& work, size_t row, size_t begin, size_t end, uint64_t mark,
                             uint64_t counts) {
  const uint32_t at = atomic_add(&work.counters[kMarkCount], 1u);
  work.mark_events[at] = {mark, counts, atomic_exchange(&work.first_mark[row], at),
                          static_cast<uint32_t>(begin), static_cast<uint32_t>(end)};
}

// Returns the bytes of `memory` that it needs. What fits of the lists that are read most lies in
// the `near_bytes` bytes of `near`, both aligned to 32 bytes.
inline MARKETSIM_FN size_t lay_out_large(const OffsetRules& rules, size_t days, char* memory,
                                         char* near, size_t near_bytes, LargeWork* work) {
  size_t used = 0, near_used = 0;
  const auto take = [&](auto*& pointer, size_t count) {
    if (memory) pointer = reinterpret_cast<decltype(&*pointer)>(memory + used);
    used += (count * sizeof *pointer + 31) / 32 * 32;
  };
  const auto take_near = [&](auto*& pointer, size_t count) {
    const size_t bytes = (count * sizeof *pointer + 31) / 32 * 32;
    if (near_used + bytes > near_bytes) return take(pointer, count);
    pointer = reinterpret_cast<decltype(&*pointer)>(near + near_used);
    near_used += bytes;
  };
  const size_t legs = leg_count(rules, days);
  const size_t points = legs * static_cast<size_t>(candidates_per_leg(rules.rules)) + 2;
  work->legs_used = legs;
  work->split = days;
  work->leg_capacity = legs;
  work->listed = points;
  work->padded = 1;
  while (work->padded < points) work->padded *= 2;
  take_near(work->high, work->padded), take_near(work->low, work->padded);
  take_near(work->spare_high, work->padded), take_near(work->spare_low, work->padded);
  take_near(work->row, points);
  take(work->legs, LegArrays::floats_needed(legs));
  for (int i = 0; i < kConditions; ++i) {
    take(work->high_threshold[i], legs), take(work->low_threshold[i], legs);
  }
  for (int i = 0; i < kConditions; ++i) {
    take(work->columns_of.at[i], legs), take(work->rows_of.at[i], legs);
  }
  for (int i = 0; i < kSums; ++i) take(work->sums[i], points + 1);
  take(work->events, kEventsPerLeg * legs), take(work->event_counts, legs);
  take(work->ordered, kEventsPerLeg * legs), take(work->row_begin, points + 1);
  take(work->rounding, legs), take(work->fixed_excess, legs);
  take(work->column_best, points);
  take(work->pending, kPending);
  take(work->mark_events, kMarksPerLeg * legs), take(work->first_mark, points + 1);
  take(work->prints, kPrints);
  take(work->counters, kCounters);
  return used;
}

}  // namespace marketsim::MARKETSIM_ISA
