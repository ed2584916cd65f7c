// Stationary bootstrap (Politis and Romano, 1994): maxima of resampled means over many strategies,
// and the figures of resampled returns.
//
// Repetition r draws from a stream of its own, by seed and r, so that no result depends on threads
// or on what is resampled beside it. A draw per bar begins a new block with the probability 1 /
// mean length; a block that reaches the last bar goes on at the first.
#pragma once

#include <cstddef>
#include <cstdint>

namespace marketsim {

struct Resampling {
  double mean_length;  // of a block, in bars; at least 1
  std::uint64_t seed;
  size_t repetitions;
};

// The bars of one repetition, [bar].
void draw_bars(const Resampling& how, size_t repetition, size_t bars, std::int64_t* to);

// For each repetition and each of `kinds` rows of offsets, the largest over the strategies of
//   (mean of the resampled centred values + offset) * scale.
// values [strategy][bar], centred within; offsets [kind][strategy]; scale [strategy];
// to [repetition][kind].
void bootstrap_maxima(const double* values, size_t strategies, size_t bars, const double* offsets,
                      size_t kinds, const double* scale, const Resampling& how, double* to);

// The window figures (performance.hpp) of each resampled row: [row][repetition][kWindowFigures].
void bootstrap_performance(const double* net, const std::uint8_t* active, size_t rows, size_t bars,
                           const Resampling& how, double* to);

}  // namespace marketsim
