// The loops of indicators.hpp, one build for each instruction set.
#pragma once

#include "kernels/indicators/indicators.hpp"

namespace marketsim {

namespace indicators {
constexpr size_t kRangeLanes = 8;  // windows whose ranges are computed together
}

#define MARKETSIM_DECLARE(isa)                                                                     \
  namespace isa {                                                                                  \
  void run_recursive(size_t kind, const indicators::Run& run);                                     \
  void run_recursive_windowed(size_t kind, const indicators::Run& run);                            \
  void run_window(size_t kind, const indicators::Job& job, size_t rows);                           \
  /* Average true ranges of swings.hpp: to[row * kRangeLanes + i] of the window that starts at row \
   * first + i. */                                                                                 \
  void swing_ranges(const double* high, const double* low, const double* close, size_t first,      \
                    size_t length, size_t lanes, double* to);                                      \
  }
MARKETSIM_DECLARE(baseline)
MARKETSIM_DECLARE(avx2)
MARKETSIM_DECLARE(avx512)
#undef MARKETSIM_DECLARE

}  // namespace marketsim
