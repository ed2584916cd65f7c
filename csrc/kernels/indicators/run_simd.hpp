// The loops of indicators.hpp, one build for each instruction set.
#pragma once

#include "kernels/indicators/indicators.hpp"

namespace marketsim {

#define MARKETSIM_DECLARE(isa)                                           \
  namespace isa {                                                        \
  void run_recursive(size_t kind, const indicators::Run& run);           \
  void run_recursive_windowed(size_t kind, const indicators::Run& run);  \
  void run_window(size_t kind, const indicators::Job& job, size_t rows); \
  }
MARKETSIM_DECLARE(baseline)
MARKETSIM_DECLARE(avx2)
MARKETSIM_DECLARE(avx512)
#undef MARKETSIM_DECLARE

}  // namespace marketsim
