// The arrays that the sweep works in, laid out in one block of memory.
//
// Only sweep.cpp includes this header.
#pragma once

#include <type_traits>

#include "kernels/offsets/candidates.hpp"

namespace marketsim::MARKETSIM_ISA {

constexpr size_t kBlock = 64;
constexpr size_t kEventsPerLeg = 12;
constexpr size_t kMarksPerLeg = 20;
constexpr size_t kPending = 1024;
constexpr size_t kKnown = 4096;  // a power of two

struct Event {
  uint32_t row, begin, end;  // columns [begin, end)
  double alpha, beta, gamma;
};

// A change of the fingerprints (fingerprints.hpp) of columns [begin, end).
struct MarkEvent {
  uint32_t next, begin, end;
  uint64_t mark, counts;
};

struct Point {
  float high, low;
  double total;  // of the sweep: no exact total of the pair exceeds it by more than `base`
};

// A fingerprint, the pair nearest to (0, 0) that has it, and the total once it is known.
struct Known {
  uint64_t print;
  double total;
  float high, low;
  bool used, settled;
};

struct Best {
  double total;
  float high, low;
};

// How many columns have h <= the threshold, or rows l < it, for each leg.
struct Ranks {
  uint32_t* at[kConditions];
};

// The arrays of one problem. Sizes are upper bounds: equal candidates are merged.
struct Work {
  float* legs;
  float* high;  // [column]
  float* low;   // [row]
  float* spare;
  float* high_threshold[kConditions];
  float* low_threshold[kConditions];
  Ranks columns_of, rows_of;
  double* high_double;  // [column], padded
  double* a;            // [column], padded with -inf
  double* b;
  double* start_alpha;  // [column + 1]: changes from column to column before the first row
  double* start_beta;
  double* start_gamma;
  double* block_a;  // [block], padded: what is still to be added to each element
  double* block_b;
  double* block_gamma;
  double* block_bound;
  double* block_first;  // h of the first and last column
  double* block_last;
  double* row_constant;  // [row + 1]: change of r = constant + slope * l
  double* row_slope;
  Event* events;
  Event* ordered;        // by row
  uint32_t* row_begin;   // [row + 1]
  double* rounding;      // [leg]: most by which the float32 profit may exceed the exact one
  double* fixed_excess;  // [leg]: by how much it does from the open to the close
  Point* pending;
  MarkEvent* mark_events;
  uint32_t* first_mark;  // [row]: a list by `next`
  uint64_t* mark;        // [column]
  uint64_t* counts;
  uint64_t* block_mark;  // [block]
  uint64_t* block_counts;
  uint64_t* block_print;  // of all near columns where block_alike
  float* block_high;      // the nearest of them to 0
  uint8_t* block_alike;   // since the last change of the block
  Known* known;
  uint32_t* unsettled;  // places in `known`

  size_t leg_capacity, legs_used, split, columns, rows, blocks, event_count, pending_count;
  size_t mark_count, known_count, unsettled_count;
  double spread;  // U(pair) - spread <= its exact total <= U(pair), but for `base`
  double base;    // bounds the rounding of each float64 sum
  double floor;   // pairs whose U is below cannot be the best
};

// What the event writers and MarkWriter write.
MARKETSIM_INLINE void add_event(Work& work, size_t /*leg*/, size_t row, size_t begin, size_t end,
                                double alpha, double beta, double gamma) {
  work.events[work.event_count++] = {static_cast<uint32_t>(row),
                                     static_cast<uint32_t>(begin),
                                     static_cast<uint32_t>(end),
                                     alpha,
                                     beta,
                                     gamma};
}
MARKETSIM_INLINE void add_start(Work& work, size_t begin, size_t end, double alpha, double beta,
                                double gamma) {
  work.start_alpha[begin] += alpha, work.start_alpha[end] -= alpha;
  work.start_beta[begin] += beta, work.start_beta[end] -= beta;
  work.start_gamma[begin] += gamma, work.start_gamma[end] -= gamma;
}
MARKETSIM_INLINE void add_row(Work& work, size_t row, double constant, double slope) {
  work.row_constant[row] += constant;
  work.row_slope[row] += slope;
}
MARKETSIM_INLINE void add_mark(Work& work, size_t row, size_t begin, size_t end, uint64_t mark,
                               uint64_t counts) {
  const uint32_t at = static_cast<uint32_t>(work.mark_count++);
  work.mark_events[at] = {work.first_mark[row], static_cast<uint32_t>(begin),
                          static_cast<uint32_t>(end), mark, counts};
  work.first_mark[row] = at;
}

inline size_t lay_out(const OffsetRules& rules, size_t days, char* memory, Work* work) {
  size_t used = 0;
  const auto take = [&](auto*& pointer, size_t count) {
    if (memory)
      pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(memory + used);
    used += (count * sizeof *pointer + 63) / 64 * 64;
  };
  const size_t legs = leg_count(rules, days);
  const size_t points = legs * static_cast<size_t>(candidates_per_leg(rules.rules)) + 2;
  const size_t padded = (points + kBlock - 1) / kBlock * kBlock, blocks = padded / kBlock;
  work->leg_capacity = legs + kLanes;  // whole vectors are stored
  take(work->legs, LegArrays::floats_needed(work->leg_capacity));
  float** const floats[] = {&work->high, &work->low, &work->spare};
  for (float** list : floats) take(*list, points + kLanes);
  for (int i = 0; i < kConditions; ++i) {
    take(work->high_threshold[i], work->leg_capacity);
    take(work->low_threshold[i], work->leg_capacity);
  }
  Ranks* const both_ranks[] = {&work->columns_of, &work->rows_of};
  for (Ranks* ranks : both_ranks) {
    for (uint32_t*& list : ranks->at) take(list, work->leg_capacity);
  }
  double** const of_columns[] = {&work->high_double, &work->a, &work->b};
  for (double** list : of_columns) take(*list, padded);
  double** const of_points[] = {&work->start_alpha, &work->start_beta, &work->start_gamma,
                                &work->row_constant, &work->row_slope};
  for (double** list : of_points) take(*list, points + 1);
  double** const of_blocks[] = {&work->block_a,     &work->block_b,     &work->block_gamma,
                                &work->block_bound, &work->block_first, &work->block_last};
  for (double** list : of_blocks) take(*list, blocks + kHalf);
  take(work->events, kEventsPerLeg * legs);
  take(work->ordered, kEventsPerLeg * legs);
  take(work->row_begin, points + 1);
  take(work->rounding, work->leg_capacity);
  take(work->fixed_excess, work->leg_capacity);
  take(work->pending, kPending + kLanes);
  take(work->mark_events, kMarksPerLeg * legs);
  take(work->first_mark, points + 1);
  take(work->mark, padded);
  take(work->counts, padded);
  uint64_t** const marks_of_blocks[] = {&work->block_mark, &work->block_counts, &work->block_print};
  for (uint64_t** list : marks_of_blocks) take(*list, blocks);
  take(work->block_high, blocks);
  take(work->block_alike, blocks);
  take(work->known, kKnown);
  take(work->unsettled, kLanes);
  return used;
}

}  // namespace marketsim::MARKETSIM_ISA
