#include "kernels/moves.hpp"

#include <algorithm>

#define MARKETSIM_ISA baseline  // its logarithm is the same in every width
#include "kernels/student_t_component.hpp"

namespace marketsim {
namespace {

using namespace baseline::student_t;

void log_ratios(const double* price, const double* before, size_t count, double* to) noexcept {
  for (size_t i = 0; i < count; i += kWidth) {
    const size_t some = std::min(kWidth, count - i);
    V ratio = V{} + 1.0;
    for (size_t j = 0; j < some; ++j) set_lane(&ratio, j, price[i + j] / before[i + j]);
    const V logs = log_of_sum(ratio, ratio - 1.0);
    for (size_t j = 0; j < some; ++j) to[i + j] = lane(logs, j);
  }
}

}  // namespace

void close_moves(const double* open, const double* high, const double* low, const double* close,
                 size_t bars, double* to) noexcept {
  if (bars < 2) return;
  const size_t count = bars - 1;
  const double* const columns[] = {open, high, low, close};
  for (size_t k = 0; k < 4; ++k) log_ratios(columns[k] + 1, close, count, to + k * count);
  double *const opened = to, *const most = to + count, *const least = most + count,
                *const closed = least + count;
  // A logarithm in floating point may fall by a bit where its argument rises by one.
  for (size_t i = 0; i < count; ++i) {
    most[i] = std::max({most[i], opened[i], closed[i]});
    least[i] = std::min({least[i], opened[i], closed[i]});
  }
}

}  // namespace marketsim
