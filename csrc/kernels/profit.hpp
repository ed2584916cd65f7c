// Profit of each day for each candidate pair of offsets.
#pragma once

#include "kernels/fill.hpp"
#include "kernels/leg_arrays.hpp"

namespace marketsim {

// Writes out[candidate * days + day] = profit of that day under the candidate's offsets, float32.
void profit(const Rules& rules, const Days& input, size_t days, const float* high_offset,
            const float* low_offset, size_t candidates, float* out);

// Writes the parts of each day's profit for offsets (0, 0): gross, fee and FillFlag bits.
// `open` may be given whatever the policy; it then settles the order where it can.
void fills(const Rules& rules, const Days& input, size_t days, float* gross, float* fee,
           unsigned char* flags);

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
  void profit_rows(const ProfitJob& job, LegArrays days, size_t begin, size_t end);    \
  }
MARKETSIM_DECLARE(baseline)
MARKETSIM_DECLARE(avx2)
MARKETSIM_DECLARE(avx512)
#undef MARKETSIM_DECLARE

}  // namespace marketsim
