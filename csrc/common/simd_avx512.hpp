// simd.hpp on x86-64-v4: 16 floats, masks in mask registers.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace marketsim::MARKETSIM_ISA {

constexpr size_t kLanes = 16;
using F = __m512;
using M = __mmask16;
using Half = __m512d;
struct D {
  Half lo, hi;
};

inline F load(const float* from) {
  return _mm512_loadu_ps(from);
}
inline F load_first(const float* from, size_t count) {  // the other lanes are 0
  return _mm512_maskz_loadu_ps(static_cast<M>((1u << count) - 1u), from);
}
inline void store(float* to, F v) {
  _mm512_storeu_ps(to, v);
}
inline void store_first(float* to, F v, size_t count) {
  _mm512_mask_storeu_ps(to, static_cast<M>((1u << count) - 1u), v);
}
inline F broadcast(float v) {
  return _mm512_set1_ps(v);
}
inline F maximum(F x, F y) {
  return _mm512_max_ps(x, y);
}
inline F minimum(F x, F y) {
  return _mm512_min_ps(x, y);
}
// x * y + z, rounded once: only where a bound allows for it, or the product is exact.
inline F multiply_add(F x, F y, F z) {
  return _mm512_fmadd_ps(x, y, z);
}
inline M less_equal(F x, F y) {
  return _mm512_cmp_ps_mask(x, y, _CMP_LE_OQ);
}
inline M equal(F x, F y) {
  return _mm512_cmp_ps_mask(x, y, _CMP_EQ_OQ);
}
inline M both(M x, M y) {
  return x & y;
}
inline M either(M x, M y) {
  return x | y;
}
inline M invert(M x) {
  return static_cast<M>(~x);
}
inline F choose(M mask, F yes, F no) {
  return _mm512_mask_blend_ps(mask, no, yes);
}
inline F keep(M mask, F v) {
  return _mm512_maskz_mov_ps(mask, v);
}
inline M choose_mask(M mask, M yes, M no) {
  return (mask & yes) | (static_cast<M>(~mask) & no);
}
inline M is_negative(F v) {
  return _mm512_movepi32_mask(_mm512_castps_si512(v));
}
inline uint32_t bits(M mask) {
  return mask;
}
inline F next_up(F v) {
  const F value = v + _mm512_setzero_ps();  // turns -0 into 0
  const M up = _mm512_cmp_ps_mask(value, _mm512_setzero_ps(), _CMP_GE_OQ);
  const __m512i step = _mm512_mask_blend_epi32(up, _mm512_set1_epi32(-1), _mm512_set1_epi32(1));
  return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(value), step));
}
// The float next to v, away from 0.
inline F next_outwards(F v) {
  return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(v), _mm512_set1_epi32(1)));
}
// to[i * kLanes + j] = rows[j][first + i] for i below 4.
inline void transpose_four(const float* const* rows, size_t first, float* to) {
  const auto quarters = [&](size_t j) {  // of rows j, j + 4, j + 8 and j + 12
    const auto quarter = [&](size_t row) { return _mm_loadu_ps(rows[row] + first); };
    const F lowest = _mm512_castps128_ps512(quarter(j));
    const F half = _mm512_insertf32x4(lowest, quarter(j + 4), 1);
    return _mm512_insertf32x4(_mm512_insertf32x4(half, quarter(j + 8), 2), quarter(j + 12), 3);
  };
  const F a = quarters(0), b = quarters(1), c = quarters(2), d = quarters(3);
  const F ab = _mm512_unpacklo_ps(a, b), cd = _mm512_unpacklo_ps(c, d);
  const F ab_high = _mm512_unpackhi_ps(a, b), cd_high = _mm512_unpackhi_ps(c, d);
  store(to, _mm512_shuffle_ps(ab, cd, 0x44));
  store(to + kLanes, _mm512_shuffle_ps(ab, cd, 0xee));
  store(to + 2 * kLanes, _mm512_shuffle_ps(ab_high, cd_high, 0x44));
  store(to + 3 * kLanes, _mm512_shuffle_ps(ab_high, cd_high, 0xee));
}
using I = __m512i;
inline I broadcast_index(int32_t v) {
  return _mm512_set1_epi32(v);
}
inline I add_where(M mask, I x, int32_t v) {
  return _mm512_mask_add_epi32(x, mask, x, _mm512_set1_epi32(v));
}
inline F gather(const float* from, I index) {
  return _mm512_i32gather_ps(index, from, 4);
}
inline void store_index(uint32_t* to, I v) {
  _mm512_storeu_si512(to, v);
}
inline Half load_half(const double* from) {
  return _mm512_loadu_pd(from);
}
inline void store_half(double* to, Half v) {
  _mm512_storeu_pd(to, v);
}
inline Half broadcast_half(double v) {
  return _mm512_set1_pd(v);
}
inline Half larger(Half x, Half y) {
  return _mm512_max_pd(x, y);
}
inline uint32_t at_least(Half x, Half y) {
  return _mm512_cmp_pd_mask(x, y, _CMP_GE_OQ);
}
// v where from <= first + lane < to, else 0.
inline Half keep_between(Half v, Half first, Half from, Half to) {
  const Half at = first + _mm512_setr_pd(0, 1, 2, 3, 4, 5, 6, 7);
  const __mmask8 inside = _mm512_cmp_pd_mask(from, at, _CMP_LE_OQ);
  return _mm512_maskz_mov_pd(_mm512_mask_cmp_pd_mask(inside, at, to, _CMP_LT_OQ), v);
}
inline D to_double(F v) {
  return {_mm512_cvtps_pd(_mm512_castps512_ps256(v)),
          _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1))};
}
inline F to_float(D v) {
  return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(v.lo)), _mm512_cvtpd_ps(v.hi),
                            1);
}
inline M greater(D x, D y) {
  return static_cast<M>(_mm512_cmp_pd_mask(x.lo, y.lo, _CMP_GT_OQ) |
                        _mm512_cmp_pd_mask(x.hi, y.hi, _CMP_GT_OQ) << 8);
}
inline M equal(D x, D y) {
  return static_cast<M>(_mm512_cmp_pd_mask(x.lo, y.lo, _CMP_EQ_OQ) |
                        _mm512_cmp_pd_mask(x.hi, y.hi, _CMP_EQ_OQ) << 8);
}

}  // namespace marketsim::MARKETSIM_ISA
