// Profit of each day for each candidate pair of offsets.
#pragma once

#include "kernels/fill.hpp"
#include "kernels/leg_arrays.hpp"

namespace marketsim {

// Writes out[candidate * days + day] = profit of that day under the candidate's offsets, float32.
void profit(const Rules& rules, const Days& input, size_t days, const float* high_offset,
            const float* low_offset, size_t candidates, int most_threads, float* out);

// Writes the parts of each day's profit for offsets (0, 0): gross, cost and FillFlag bits.
void fills(const Rules& rules, const Days& input, size_t days, float* gross, float* cost,
           unsigned char* flags);

// The lowest of the values, or `least` where none is below; NaN counts as none.
float lowest(const float* values, size_t count, float least = 0.0f);

// The first day that trades with a limit that is no price, at or below -1, under these offsets;
// `days` where there is none. `always_on`: days without a position trade as well.
size_t find_no_price(const Days& input, size_t days, float high_offset, float low_offset,
                     bool always_on = false);

// Up to so many candidates, legs are made as they are used: storing and loading them takes longer.
constexpr size_t kProfitAtOnce = 4;

struct ProfitJob {
  Rules rules;
  size_t days;
  const float* high_offset;
  const float* low_offset;
  float* out;
};

#define MARKETSIM_DECLARE(isa)                                                         \
  namespace isa {                                                                      \
  void prepare_days(const Rules& rules, const Days& input, size_t days, LegArrays to); \
  void profit_at_once(const ProfitJob& job, const Days& input, size_t candidates);     \
  void profit_rows(const ProfitJob& job, LegArrays days, size_t begin, size_t end);    \
  }
MARKETSIM_DECLARE(baseline)
MARKETSIM_DECLARE(avx2)
MARKETSIM_DECLARE(avx512)
#undef MARKETSIM_DECLARE

}  // namespace marketsim
