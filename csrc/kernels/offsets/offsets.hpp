// The pair of offsets (h, l) with the highest total profit over a window of days: exact.
//
// The total is sum over days of the float32 profit of kernels/leg.hpp, added in float64 in the
// order of the days (always_on: the longs of all days, then the shorts of all days, then their
// sum). Each day's float32 profit is, between two neighbouring thresholds, non-decreasing in h and
// non-increasing in l; rounding and ordered addition keep that. So the maximum over all float32
// pairs within the bounds lies at a candidate: h at the highest float where some condition on H
// still holds (or the upper bound), l at the lowest where one on L holds (or the lower bound).
// docs/offsets.md has the proof.
// solve_lanes and solve_sweep search the same candidates for the same total and break ties alike,
// therefore they agree bit for bit and which of them runs is a matter of speed only.
#pragma once

#include "common/annotate.hpp"
#include "kernels/fill.hpp"

namespace marketsim {

struct OffsetBounds {
  float high_min, high_max, low_min, low_max;  // min <= max, finite
};

struct OffsetRules {
  Rules rules;
  OffsetBounds bounds;
  float margin = 0.0f;     // see make_leg
  bool always_on = false;  // one long and one short of size 1 on every day
  bool long_only = false;  // shorts do not trade
};

// Row `problem` of each array starts at `problem * stride` of that array.
struct OffsetProblems {
  Days first;
  size_t close_stride, high_stride, low_stride, high_pred_stride, low_pred_stride, position_stride,
      open_stride;
  size_t count, days;

  MARKETSIM_FN Days row(size_t i) const {
    return {first.close + i * close_stride,
            first.high + i * high_stride,
            first.low + i * low_stride,
            first.high_pred + i * high_pred_stride,
            first.low_pred + i * low_pred_stride,
            first.position + i * position_stride,
            first.open ? first.open + i * open_stride : nullptr};
  }
};

struct OffsetAnswers {
  float* high;
  float* low;
  double* profit;
};

// Throws std::bad_alloc before any work where scratch memory cannot be had.
void best_offsets(const OffsetRules& rules, const OffsetProblems& problems, int most_threads,
                  const OffsetAnswers& answers);

// For each problem the best offsets under that of `count` fill policies, at least one, with the
// highest profit: the first of several. `chosen` receives which one it is.
void best_offsets_of_fills(OffsetRules rules, const Fill* fills, size_t count,
                           const OffsetProblems& problems, int most_threads,
                           const OffsetAnswers& answers, unsigned char* chosen);

// ---- below: shared by offsets.cpp, the per-instruction-set sources and csrc/cuda ---------------

// Candidates along one axis: `per_leg` for each leg, one end of the bounds, and the point nearest
// 0.
inline MARKETSIM_FN int candidates_per_leg(const Rules& rules) {
  const bool two = is_legacy(rules.fill) ? rules.fee_rule == FeeRule::touched_both
                                         : rules.fill != Fill::close_only;
  return two ? 2 : 1;
}
inline MARKETSIM_FN size_t leg_count(const OffsetRules& rules, size_t days) {
  return rules.always_on && !rules.long_only ? 2 * days : days;
}

// Sorts `keys` ascending (-0 before +0 is not promised) and drops repeated values; returns how many
// are left. `spare` has room for `count` floats.
size_t sort_unique(float* keys, size_t count, float* spare);

#define MARKETSIM_DECLARE(isa)                                                             \
  namespace isa {                                                                          \
  size_t lanes_scratch_bytes(const OffsetRules& rules, size_t days);                       \
  void solve_lanes(const OffsetRules& rules, const OffsetProblems& problems,               \
                   const OffsetAnswers& answers, size_t begin, size_t end, char* scratch); \
  size_t sweep_scratch_bytes(const OffsetRules& rules, size_t days);                       \
  void solve_sweep(const OffsetRules& rules, const OffsetProblems& problems,               \
                   const OffsetAnswers& answers, size_t begin, size_t end, char* scratch); \
  }
MARKETSIM_DECLARE(baseline)
MARKETSIM_DECLARE(avx2)
MARKETSIM_DECLARE(avx512)
#undef MARKETSIM_DECLARE

}  // namespace marketsim
