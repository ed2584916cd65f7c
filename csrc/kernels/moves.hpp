// Moves of the four prices of each bar against the close of the bar before.
#pragma once

#include <cstddef>

namespace marketsim {

// log(x[t] / close[t-1]) of open, high, low and close, [4][bars - 1], from columns [bars] of normal
// numbers above 0. The same bits on every processor. Where low <= open, close <= high holds of the
// prices it holds of the moves, to the last bit.
void close_moves(const double* open, const double* high, const double* low, const double* close,
                 size_t bars, double* to) noexcept;

}  // namespace marketsim
