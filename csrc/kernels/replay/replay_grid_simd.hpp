// The loops of replay_grid.cpp over bars, one build for each instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace marketsim {

namespace replay {
constexpr size_t kMostCurves = 8;

struct LaneFigures {
  double growth[kMostCurves];  // of an equity of 1
  double max_drawdown[kMostCurves], mean[kMostCurves], squares[kMostCurves];
  double least[kMostCurves];  // the lowest return of a bar, or NaN
};
}  // namespace replay

#define MARKETSIM_DECLARE(isa)                                                                  \
  namespace isa {                                                                               \
  /* How many equity curves are summed up side by side. */                                      \
  size_t curve_lanes();                                                                         \
  /* Sums up rows of equity [lane, stride], which are used up. Each sum runs from the first bar \
   * to the last, as Engine::summary's. */                                                      \
  void sum_up_curves(double* rows, size_t stride, size_t bars, double cash,                     \
                     replay::LaneFigures& to);                                                  \
  /* Bit t of `bits`: up[t] > over[t], and with `crosses` up[t - 1] <= over[t - 1]. */          \
  void rising_bits(const double* up, const double* over, size_t bars, bool crosses,             \
                   uint64_t* bits);                                                             \
  /* to[t] = cash + position * close[t] */                                                      \
  void hold(const double* close, size_t bars, double cash, double position, double* to);        \
  }
MARKETSIM_DECLARE(baseline)
MARKETSIM_DECLARE(avx2)
MARKETSIM_DECLARE(avx512)
#undef MARKETSIM_DECLARE

}  // namespace marketsim
