// A lane is an equity curve, so that its sums run over bars in order and have the bits of a plain
// loop; curves are read as rows and turned in squares.
#include "kernels/replay/replay_grid_simd.hpp"

#include "common/lanes.hpp"

namespace marketsim::MARKETSIM_ISA {
namespace {

using namespace lanes;

bool any(VectorMask mask) {
#if defined(__AVX512DQ__)
  return _mm512_movepi64_mask((__m512i)mask) != 0;
#elif defined(__AVX__)
  return _mm256_movemask_pd((__m256d)mask) != 0;
#elif defined(__SSE2__)
  return _mm_movemask_pd((__m128d)mask) != 0;
#else
  for (size_t j = 0; j < kVectorWidth; ++j) {
    if (mask[j]) return true;
  }
  return false;
#endif
}

// Bits of 64 comparisons: above where up > over, below where up <= over.
void compare_word(const double* up, const double* over, uint64_t& above, uint64_t& below) {
  above = below = 0;
#if defined(__AVX512F__)
  for (size_t i = 0; i < 64; i += 8) {
    const __m512d x = _mm512_loadu_pd(up + i), y = _mm512_loadu_pd(over + i);
    above |= static_cast<uint64_t>(_mm512_cmp_pd_mask(x, y, _CMP_GT_OQ)) << i;
    below |= static_cast<uint64_t>(_mm512_cmp_pd_mask(x, y, _CMP_LE_OQ)) << i;
  }
#elif defined(__AVX__)
  for (size_t i = 0; i < 64; i += 4) {
    const __m256d x = _mm256_loadu_pd(up + i), y = _mm256_loadu_pd(over + i);
    const int gt = _mm256_movemask_pd(_mm256_cmp_pd(x, y, _CMP_GT_OQ));
    const int le = _mm256_movemask_pd(_mm256_cmp_pd(x, y, _CMP_LE_OQ));
    above |= static_cast<uint64_t>(gt) << i;
    below |= static_cast<uint64_t>(le) << i;
  }
#else
  for (size_t i = 0; i < 64; ++i) {
    above |= static_cast<uint64_t>(up[i] > over[i]) << i;
    below |= static_cast<uint64_t>(up[i] <= over[i]) << i;
  }
#endif
}

}  // namespace

size_t curve_lanes() {
  return kVectorWidth;
}

// The arithmetic of performance.cpp in the order of its sums, a curve in each lane.
void sum_up_curves(double* rows, size_t stride, size_t bars, double cash, replay::LaneFigures& to) {
  // No growth above this can deepen the drawdown; the slack covers the rounding of 1 - g / peak.
  constexpr double kSlack = 1e-15;
  const Vector one = 1.0 - Vector{};
  Vector before = cash - Vector{}, growth = one, peak = one, worst{}, least = one;
  Vector lane[4] = {}, rest[3] = {};
  const size_t whole = bars / 4 * 4;
  for (size_t t = 0; t < bars; t += kVectorWidth) {
    Vector block[kVectorWidth];
    for (size_t k = 0; k < kVectorWidth; ++k) {
      std::memcpy(&block[k], rows + k * stride + t, sizeof(Vector));
    }
    transpose(block);
    const size_t steps = bars - t < kVectorWidth ? bars - t : kVectorWidth;
    for (size_t k = 0; k < steps; ++k) {
      const Vector change = block[k] / before - 1.0;
      before = block[k];
      block[k] = change;
      least = change >= least ? least : change;
      growth *= 1.0 + change;
      peak = growth >= peak ? growth : peak;
      if (any(growth < peak * ((1.0 - worst) + kSlack))) {
        const Vector fall = 1.0 - growth / peak;
        worst = worst < fall ? fall : worst;
      }
      const size_t at = t + k;
      if (at < whole) {
        lane[at % 4] += change;
      } else {
        rest[at - whole] = change;
      }
    }
    for (size_t k = 0; k < kVectorWidth; ++k) {
      std::memcpy(rows + k * stride + t, &block[k], sizeof(Vector));
    }
  }
  Vector sum = (lane[0] + lane[1]) + (lane[2] + lane[3]);
  for (size_t k = 0; k < bars - whole; ++k) sum += rest[k];
  const Vector mean = sum / static_cast<double>(bars);
  Vector part[4] = {};
  for (size_t t = 0; t < bars; ++t) {
    Vector change;
    const size_t place = t % kVectorWidth;
    std::memcpy(&change, rows + place * stride + (t - place), sizeof(Vector));
    const Vector difference = change - mean;
    part[t < whole ? t % 4 : 0] += difference * difference;
  }
  const Vector squares = (part[0] + part[1]) + (part[2] + part[3]);
  std::memcpy(to.growth, &growth, sizeof growth);
  std::memcpy(to.max_drawdown, &worst, sizeof worst);
  std::memcpy(to.mean, &mean, sizeof mean);
  std::memcpy(to.squares, &squares, sizeof squares);
  std::memcpy(to.least, &least, sizeof least);
}

void rising_bits(const double* up, const double* over, size_t bars, bool crosses, uint64_t* bits) {
  uint64_t carry = 0;  // whether the bar before this word lay at or below
  size_t t = 0;
  for (; t < bars; t += 64) {
    uint64_t above = 0, below = 0;
    if (bars - t >= 64) {
      compare_word(up + t, over + t, above, below);
    } else {
      for (size_t i = 0; i < bars - t; ++i) {
        above |= static_cast<uint64_t>(up[t + i] > over[t + i]) << i;
        below |= static_cast<uint64_t>(up[t + i] <= over[t + i]) << i;
      }
    }
    bits[t / 64] = crosses ? above & (below << 1 | carry) : above;
    carry = below >> 63;
  }
}

void hold(const double* close, size_t bars, double cash, double position, double* to) {
  for (size_t t = 0; t < bars; ++t) to[t] = cash + position * close[t];
}

}  // namespace marketsim::MARKETSIM_ISA
