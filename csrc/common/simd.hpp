// Vectors of float for kernels that are compiled once per instruction set.
//
// A translation unit that includes this header is built three times, with MARKETSIM_ISA naming the
// namespace (baseline, avx2, avx512) and matching compiler flags. Everything here lives in that
// namespace and no standard-library template is used, so that the linker can never pick code built
// for a newer processor to run on an older one.
//
// On a GPU, or as the emulation of one, a lane is a thread: kLanes is 1 (cuda/simd_device.hpp).
//
//   F  kLanes floats      M  a mask of those lanes      D  kLanes doubles, in two halves
//   I  kLanes int32
//
// All operations round as the scalar float32 or float64 operation does; results do not depend on
// kLanes because no operation crosses lanes.
#pragma once

#ifndef MARKETSIM_ISA
#error "MARKETSIM_ISA must name the namespace of this build (baseline, avx2, avx512 or device)"
#endif

#include "common/annotate.hpp"

#if defined(MARKETSIM_DEVICE)
#include "cuda/simd_device.hpp"
#elif defined(__AVX512F__)
#include "common/simd_avx512.hpp"
#elif defined(__AVX2__)
#include "common/simd_avx2.hpp"
#else
#include "common/simd_generic.hpp"
#endif

namespace marketsim::MARKETSIM_ISA {

#if !defined(MARKETSIM_DEVICE)  // vectors

constexpr size_t kHalf = kLanes / 2;

inline F keep_first(F v, size_t count) {
  float lanes[kLanes];
  store(lanes, v);
  return load_first(lanes, count);
}
inline F clamp(F v, F low, F high) {
  return minimum(maximum(v, low), high);
}

struct Pair {
  F first, second;
};
// (x, y) where the mask is set, (-y, -x) elsewhere.
inline Pair mirror(M mask, F x, F y) {
#if defined(__AVX2__) && !defined(__AVX512F__)
  // A blend takes three steps there; x ^ -y and y ^ -x are the same bits.
  const F change = keep(mask, _mm256_xor_ps(x, -y));
  return {_mm256_xor_ps(-y, change), _mm256_xor_ps(-x, change)};
#else
  return {choose(mask, x, -y), choose(mask, y, -x)};
#endif
}
inline D broadcast_double(double v) {
  return {broadcast_half(v), broadcast_half(v)};
}
inline D load_double(const double* from) {
  return {load_half(from), load_half(from + kHalf)};
}
inline void store_double(double* to, D v) {
  store_half(to, v.lo);
  store_half(to + kHalf, v.hi);
}
inline D operator+(D x, D y) {
  return {x.lo + y.lo, x.hi + y.hi};
}
inline D operator-(D x, D y) {
  return {x.lo - y.lo, x.hi - y.hi};
}
inline D larger(D x, D y) {
  return {larger(x.lo, y.lo), larger(x.hi, y.hi)};
}
MARKETSIM_INLINE D scale(D v, double by) {
  return {v.lo * broadcast_half(by), v.hi * broadcast_half(by)};
}

#endif

inline MARKETSIM_FN F next_down(F v) {
  return -next_up(-v);
}

}  // namespace marketsim::MARKETSIM_ISA
