// simd.hpp on x86-64-v3: 8 floats.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace marketsim::MARKETSIM_ISA {

constexpr size_t kLanes = 8;
using F = __m256;
using M = __m256i;  // a lane is all ones or all zeros
using I = __m256i;
using Half = __m256d;
struct D {
  Half lo, hi;
};

inline __m256i first_lanes(size_t count) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), lane);
}
inline F load(const float* from) {
  return _mm256_loadu_ps(from);
}
inline F load_first(const float* from, size_t count) {  // the other lanes are 0
  return _mm256_maskload_ps(from, first_lanes(count));
}
inline void store(float* to, F v) {
  _mm256_storeu_ps(to, v);
}
inline void store_first(float* to, F v, size_t count) {
  _mm256_maskstore_ps(to, first_lanes(count), v);
}
inline F broadcast(float v) {
  return _mm256_set1_ps(v);
}
inline F maximum(F x, F y) {
  return _mm256_max_ps(x, y);
}
inline F minimum(F x, F y) {
  return _mm256_min_ps(x, y);
}
inline M as_mask(F v) {
  return _mm256_castps_si256(v);
}
inline F as_floats(M v) {
  return _mm256_castsi256_ps(v);
}
// x * y + z, rounded once: only where a bound allows for it, or the product is exact.
inline F multiply_add(F x, F y, F z) {
  return _mm256_fmadd_ps(x, y, z);
}
inline M less_equal(F x, F y) {
  return as_mask(_mm256_cmp_ps(x, y, _CMP_LE_OQ));
}
inline M equal(F x, F y) {
  return as_mask(_mm256_cmp_ps(x, y, _CMP_EQ_OQ));
}
inline M both(M x, M y) {
  return _mm256_and_si256(x, y);
}
inline M either(M x, M y) {
  return _mm256_or_si256(x, y);
}
inline M invert(M x) {
  return _mm256_xor_si256(x, _mm256_set1_epi32(-1));
}
inline F choose(M mask, F yes, F no) {
  return _mm256_blendv_ps(no, yes, as_floats(mask));
}
inline M choose_mask(M mask, M yes, M no) {
  return _mm256_blendv_epi8(no, yes, mask);
}
inline F keep(M mask, F v) {
  return _mm256_and_ps(as_floats(mask), v);
}
inline M is_negative(F v) {
  return _mm256_srai_epi32(as_mask(v), 31);
}
inline uint32_t bits(M mask) {
  return static_cast<uint32_t>(_mm256_movemask_ps(as_floats(mask)));
}
inline F next_up(F v) {
  const F value = v + _mm256_setzero_ps();  // turns -0 into 0
  const M up = as_mask(_mm256_cmp_ps(value, _mm256_setzero_ps(), _CMP_GE_OQ));
  const M back = _mm256_or_si256(up, _mm256_set1_epi32(1));  // -1 where up, else 1
  return as_floats(_mm256_sub_epi32(as_mask(value), back));
}
// The float next to v, away from 0.
inline F next_outwards(F v) {
  return as_floats(_mm256_add_epi32(as_mask(v), _mm256_set1_epi32(1)));
}
// to[i * kLanes + j] = rows[j][first + i] for i below 4.
inline void transpose_four(const float* const* rows, size_t first, float* to) {
  const auto halves = [&](size_t j) {  // of rows j and j + 4
    const auto half = [&](size_t row) { return _mm_loadu_ps(rows[row] + first); };
    return _mm256_insertf128_ps(_mm256_castps128_ps256(half(j)), half(j + 4), 1);
  };
  const F a = halves(0), b = halves(1), c = halves(2), d = halves(3);
  const F ab = _mm256_unpacklo_ps(a, b), cd = _mm256_unpacklo_ps(c, d);
  const F ab_high = _mm256_unpackhi_ps(a, b), cd_high = _mm256_unpackhi_ps(c, d);
  store(to, _mm256_shuffle_ps(ab, cd, 0x44));
  store(to + kLanes, _mm256_shuffle_ps(ab, cd, 0xee));
  store(to + 2 * kLanes, _mm256_shuffle_ps(ab_high, cd_high, 0x44));
  store(to + 3 * kLanes, _mm256_shuffle_ps(ab_high, cd_high, 0xee));
}
inline I broadcast_index(int32_t v) {
  return _mm256_set1_epi32(v);
}
inline I add_where(M mask, I x, int32_t v) {
  return _mm256_add_epi32(x, _mm256_and_si256(mask, _mm256_set1_epi32(v)));
}
inline F gather(const float* from, I index) {
  return _mm256_i32gather_ps(from, index, 4);
}
inline void store_index(uint32_t* to, I v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), v);
}
inline Half load_half(const double* from) {
  return _mm256_loadu_pd(from);
}
inline void store_half(double* to, Half v) {
  _mm256_storeu_pd(to, v);
}
inline Half broadcast_half(double v) {
  return _mm256_set1_pd(v);
}
inline Half larger(Half x, Half y) {
  return _mm256_max_pd(x, y);
}
inline uint32_t at_least(Half x, Half y) {
  return static_cast<uint32_t>(_mm256_movemask_pd(_mm256_cmp_pd(x, y, _CMP_GE_OQ)));
}
// v where from <= first + lane < to, else 0.
inline Half keep_between(Half v, Half first, Half from, Half to) {
  const Half at = first + _mm256_setr_pd(0, 1, 2, 3);
  const Half inside =
      _mm256_and_pd(_mm256_cmp_pd(from, at, _CMP_LE_OQ), _mm256_cmp_pd(at, to, _CMP_LT_OQ));
  return _mm256_and_pd(inside, v);
}
inline D to_double(F v) {
  return {_mm256_cvtps_pd(_mm256_castps256_ps128(v)), _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1))};
}
inline F to_float(D v) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(v.lo)), _mm256_cvtpd_ps(v.hi),
                              1);
}
inline M narrow(Half lo, Half hi) {  // masks of doubles to one mask of floats
  const F mixed = _mm256_shuffle_ps(_mm256_castpd_ps(lo), _mm256_castpd_ps(hi), 0x88);
  return _mm256_permute4x64_epi64(as_mask(mixed), 0xd8);
}
inline M greater(D x, D y) {
  return narrow(_mm256_cmp_pd(x.lo, y.lo, _CMP_GT_OQ), _mm256_cmp_pd(x.hi, y.hi, _CMP_GT_OQ));
}
inline M equal(D x, D y) {
  return narrow(_mm256_cmp_pd(x.lo, y.lo, _CMP_EQ_OQ), _mm256_cmp_pd(x.hi, y.hi, _CMP_EQ_OQ));
}

}  // namespace marketsim::MARKETSIM_ISA
