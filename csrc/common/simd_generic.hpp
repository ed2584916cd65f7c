// simd.hpp on any processor, by GCC and Clang vector extensions: 4 floats.
#pragma once

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace marketsim::MARKETSIM_ISA {

constexpr size_t kLanes = 4;
typedef float F __attribute__((vector_size(16)));
typedef int32_t M __attribute__((vector_size(16)));  // a lane is all ones or all zeros
using I = M;
typedef uint32_t Unsigned __attribute__((vector_size(16)));
typedef double Half __attribute__((vector_size(16)));
typedef int64_t HalfMask __attribute__((vector_size(16)));
struct D {
  Half lo, hi;
};

inline F load(const float* from) {
  F v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
inline F load_first(const float* from, size_t count) {  // the other lanes are 0
  F v{};
  std::memcpy(&v, from, sizeof(float) * count);
  return v;
}
inline void store(float* to, F v) {
  std::memcpy(to, &v, sizeof v);
}
inline void store_first(float* to, F v, size_t count) {
  std::memcpy(to, &v, sizeof(float) * count);
}
inline F broadcast(float v) {
  return F{v, v, v, v};
}
// x * y + z, rounded twice here: only where a bound allows for it, or the product is exact.
inline F multiply_add(F x, F y, F z) {
  return x * y + z;
}
inline M less_equal(F x, F y) {
  return x <= y;
}
inline M equal(F x, F y) {
  return x == y;
}
inline M both(M x, M y) {
  return x & y;
}
inline M either(M x, M y) {
  return x | y;
}
inline M invert(M x) {
  return ~x;
}
inline M choose_mask(M mask, M yes, M no) {
  return (mask & yes) | (~mask & no);
}
inline F choose(M mask, F yes, F no) {
  return (F)choose_mask(mask, (M)yes, (M)no);
}
inline F keep(M mask, F v) {
  return (F)((M)v & mask);
}
inline M is_negative(F v) {
  return (M)v < 0;
}
#if defined(__SSE2__)
inline F maximum(F x, F y) {
  return _mm_max_ps(x, y);
}
inline F minimum(F x, F y) {
  return _mm_min_ps(x, y);
}
inline uint32_t bits(M mask) {
  return static_cast<uint32_t>(_mm_movemask_ps((__m128)mask));
}
inline Half larger(Half x, Half y) {
  return _mm_max_pd(x, y);
}
inline uint32_t half_bits(HalfMask mask) {
  return static_cast<uint32_t>(_mm_movemask_pd((__m128d)mask));
}
#else
inline F maximum(F x, F y) {
  return choose(x > y, x, y);
}
inline F minimum(F x, F y) {
  return choose(x < y, x, y);
}
inline uint32_t bits(M mask) {
  uint32_t result = 0;
  for (size_t i = 0; i < kLanes; ++i) result |= static_cast<uint32_t>(mask[i] & 1) << i;
  return result;
}
inline Half larger(Half x, Half y) {
  const HalfMask above = x > y;
  return (Half)(((HalfMask)x & above) | ((HalfMask)y & ~above));
}
inline uint32_t half_bits(HalfMask mask) {
  return static_cast<uint32_t>(mask[0] & 1) | static_cast<uint32_t>(mask[1] & 1) << 1;
}
#endif
inline F next_up(F v) {
  const F value = v + 0.0f;            // turns -0 into 0
  const M back = (value >= 0.0f) | 1;  // -1 where up, else 1
  return (F)((Unsigned)value - (Unsigned)back);
}
// The float next to v, away from 0.
inline F next_outwards(F v) {
  return (F)((Unsigned)v + 1);
}
// to[i * kLanes + j] = rows[j][first + i] for i below 4.
inline void transpose_four(const float* const* rows, size_t first, float* to) {
#if defined(__SSE2__)
  F a = load(rows[0] + first), b = load(rows[1] + first);
  F c = load(rows[2] + first), d = load(rows[3] + first);
  _MM_TRANSPOSE4_PS(a, b, c, d);
  store(to, a);
  store(to + kLanes, b);
  store(to + 2 * kLanes, c);
  store(to + 3 * kLanes, d);
#else
  for (size_t i = 0; i < 4; ++i) {
    for (size_t j = 0; j < 4; ++j) to[i * kLanes + j] = rows[j][first + i];
  }
#endif
}
inline I broadcast_index(int32_t v) {
  return I{v, v, v, v};
}
inline I add_where(M mask, I x, int32_t v) {
  return x + (mask & v);
}
inline F gather(const float* from, I index) {
  return F{from[index[0]], from[index[1]], from[index[2]], from[index[3]]};
}
inline void store_index(uint32_t* to, I v) {
  std::memcpy(to, &v, sizeof v);
}
inline Half load_half(const double* from) {
  Half v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
inline void store_half(double* to, Half v) {
  std::memcpy(to, &v, sizeof v);
}
inline Half broadcast_half(double v) {
  return Half{v, v};
}
inline uint32_t at_least(Half x, Half y) {
  return half_bits(x >= y);
}
// v where from <= first + lane < to, else 0.
inline Half keep_between(Half v, Half first, Half from, Half to) {
  const Half at = first + Half{0.0, 1.0};
  return (Half)((HalfMask)v & ((from <= at) & (at < to)));
}
inline D to_double(F v) {
  return {Half{static_cast<double>(v[0]), static_cast<double>(v[1])},
          Half{static_cast<double>(v[2]), static_cast<double>(v[3])}};
}
inline F to_float(D v) {
  return F{static_cast<float>(v.lo[0]), static_cast<float>(v.lo[1]), static_cast<float>(v.hi[0]),
           static_cast<float>(v.hi[1])};
}
inline M narrow(HalfMask lo, HalfMask hi) {  // masks of doubles to one mask of floats
  return M{static_cast<int32_t>(lo[0]), static_cast<int32_t>(lo[1]), static_cast<int32_t>(hi[0]),
           static_cast<int32_t>(hi[1])};
}
inline M greater(D x, D y) {
  return narrow(x.lo > y.lo, x.hi > y.hi);
}
inline M equal(D x, D y) {
  return narrow(x.lo == y.lo, x.hi == y.hi);
}

}  // namespace marketsim::MARKETSIM_ISA
