// Legs (leg.hpp) as arrays, one per field. Memory is the caller's.
#pragma once

#include <cstddef>

#include "common/annotate.hpp"

namespace marketsim {

enum LegField {
  kEntryPred,
  kExitPred,
  kClose,
  kOpen,
  kWeight,
  kLimitCost,
  kCloseCost,
  kEntryLimit,
  kExitLimit,
  kOpenLimit,
  kProvenLimit,
  kDirection,  // negative for a long
  kLegFields
};

struct LegArrays {
  static constexpr size_t kPad = 16;  // the widest vector
  static constexpr MARKETSIM_FN size_t padded(size_t legs) {
    return (legs + kPad - 1) / kPad * kPad;
  }
  static constexpr MARKETSIM_FN size_t floats_needed(size_t legs) {
    return kLegFields * padded(legs);
  }

  MARKETSIM_FN LegArrays(float* memory, size_t legs) : field(memory), stride(padded(legs)) {}
  MARKETSIM_FN float* at(LegField index) const {
    return field + static_cast<size_t>(index) * stride;
  }

  float* field;
  size_t stride;
};

}  // namespace marketsim
