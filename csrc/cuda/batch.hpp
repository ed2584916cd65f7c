// What the launches of launch.hpp work on. All pointers are to memory of the device.
#pragma once

#include <cstdint>

#include "kernels/offsets/offsets.hpp"
#include "kernels/student_t.hpp"

namespace marketsim::cuda {

// Windows of days. Problem i has the `days` days from element i * stride of each array on or, where
// `starts` is given, from element starts[i] of each array on.
struct Windows {
  OffsetProblems problems;
  const int64_t* starts;

  MARKETSIM_FN Days row(size_t i) const {
    if (!starts) return problems.row(i);
    const int64_t at = starts[i];
    const Days& all = problems.first;
    return {all.close + at,
            all.high + at,
            all.low + at,
            all.high_pred + at,
            all.low_pred + at,
            all.position + at,
            all.open ? all.open + at : nullptr};
  }
};

// Every candidate on every window. Candidate c of problem i has the offsets
//
//     high_offset[i * offset_stride + c], low_offset[i * offset_stride + c]
//
// or on a grid of `grid_lows` low offsets high_offset[c / grid_lows], low_offset[c % grid_lows].
struct ProfitBatch {
  Rules rules;
  Windows windows;
  const float* high_offset;
  const float* low_offset;
  size_t offset_stride;
  size_t candidates;
  size_t grid_lows;  // 0: no grid

  MARKETSIM_FN float high_of(size_t problem, size_t c) const {
    return high_offset[problem * offset_stride + (grid_lows ? c / grid_lows : c)];
  }
  MARKETSIM_FN float low_of(size_t problem, size_t c) const {
    return low_offset[problem * offset_stride + (grid_lows ? c % grid_lows : c)];
  }
};

// Sums over the days of a window, [problem][candidate]; what is null is not written. The sums are
// float64 in the order of the days, so they equal a running sum on the CPU to the last bit.
struct ProfitSums {
  double* total;
  double* squares;   // of each day's profit
  uint32_t* wins;    // days with a profit above 0
  uint32_t* trades;  // days that entered

  bool more_than_total() const { return squares || wins || trades; }
};

// What the offsets earn on the days behind the window: out[i * days + day], float32, on the day
// `gap` days after the last one of window i, and those after it. always_on: the sum of the two.
struct Application {
  float* out;  // null: not wanted
  size_t gap, days;
};

// Problems of one kind: a strategy under a close policy, say.
struct OffsetGroup {
  OffsetRules rules;
  Windows windows;
  OffsetAnswers answers;
  Application application;
};

constexpr size_t kMaxLevels = 16;  // of a launch

// Values of mixtures: out[row * width + j] at levels[j], for `count` of them; or, where `between`
// is set, out[row], the mean of the part between levels[0] and levels[1].
struct MixtureJob {
  Mixtures mixtures;
  NormalLevel levels[kMaxLevels];
  size_t count, width;
  bool between;
  double* out;
};

constexpr size_t kMaxGroups = 16;
constexpr size_t kMaxDays = 100000;  // of a window that offsets are fitted on

// Groups whose problems are numbered on from one group to the next.
struct OffsetGroups {
  OffsetGroup group[kMaxGroups];
  size_t first[kMaxGroups + 1];  // number of the first problem of each
  size_t count;
};

struct Place {
  size_t group, row;
};

inline MARKETSIM_FN Place place_of(const OffsetGroups& groups, size_t problem) {
  size_t group = 0;
  while (problem >= groups.first[group + 1]) ++group;
  return {group, problem - groups.first[group]};
}

}  // namespace marketsim::cuda
