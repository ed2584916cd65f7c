// One number type for kernels that are written once and run on a double or on many side by side.
//
// A kernel is a template over R: double, or Pack<N>, N vectors of kVectorWidth doubles. Every
// operation rounds once in each lane as the scalar operation does, and none crosses lanes, so a
// kernel gives the same bits whatever R is and whatever the instruction set.
//
// Sources compiled once per instruction set define MARKETSIM_ISA (see simd.hpp); elsewhere the
// namespace is `plain`. No standard-library template is used, so that the linker can never pick
// code built for a newer processor to run on an older one.
#pragma once

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(MARKETSIM_ISA)
#define MARKETSIM_LANES MARKETSIM_ISA
#else
#define MARKETSIM_LANES plain
#endif

namespace marketsim::MARKETSIM_LANES::lanes {

#if defined(__AVX512F__)
constexpr size_t kVectorWidth = 8;
#elif defined(__AVX__)
constexpr size_t kVectorWidth = 4;
#else
constexpr size_t kVectorWidth = 2;
#endif
typedef double Vector __attribute__((vector_size(8 * kVectorWidth)));
typedef int64_t VectorMask __attribute__((vector_size(8 * kVectorWidth)));

// Two halves rather than an array: GCC keeps an array that a loop walks in memory.
template <size_t N>
struct Pack {
  Pack<N / 2> low, high;
};
template <>
struct Pack<1> {
  Vector v;
};
template <size_t N>
struct PackMask {
  PackMask<N / 2> low, high;
};
template <>
struct PackMask<1> {
  VectorMask m;
};

template <class R>
struct Type {
  static constexpr size_t width = 1;
  using Mask = bool;
};
template <size_t N>
struct Type<Pack<N>> {
  static constexpr size_t width = N * kVectorWidth;
  using Mask = PackMask<N>;
};
template <class R>
using MaskOf = typename Type<R>::Mask;

#define MARKETSIM_PACK_OPERATOR(op)                  \
  inline Pack<1> operator op(Pack<1> x, Pack<1> y) { \
    return {x.v op y.v};                             \
  }                                                  \
  template <size_t N>                                \
  inline Pack<N> operator op(Pack<N> x, Pack<N> y) { \
    return {x.low op y.low, x.high op y.high};       \
  }
MARKETSIM_PACK_OPERATOR(+)
MARKETSIM_PACK_OPERATOR(-)
MARKETSIM_PACK_OPERATOR(*)
MARKETSIM_PACK_OPERATOR(/)
#undef MARKETSIM_PACK_OPERATOR

#define MARKETSIM_PACK_COMPARE(op)                       \
  inline PackMask<1> operator op(Pack<1> x, Pack<1> y) { \
    return {x.v op y.v};                                 \
  }                                                      \
  template <size_t N>                                    \
  inline PackMask<N> operator op(Pack<N> x, Pack<N> y) { \
    return {x.low op y.low, x.high op y.high};           \
  }
MARKETSIM_PACK_COMPARE(<)
MARKETSIM_PACK_COMPARE(<=)
MARKETSIM_PACK_COMPARE(>)
MARKETSIM_PACK_COMPARE(>=)
MARKETSIM_PACK_COMPARE(==)
MARKETSIM_PACK_COMPARE(!=)
#undef MARKETSIM_PACK_COMPARE

// Of bits, not with && and ||: those may become branches, which prices do not let a processor
// predict.
inline bool both(bool x, bool y) {
  return static_cast<bool>(static_cast<int>(x) & static_cast<int>(y));
}
inline bool either(bool x, bool y) {
  return static_cast<bool>(static_cast<int>(x) | static_cast<int>(y));
}
inline PackMask<1> both(PackMask<1> x, PackMask<1> y) {
  return {x.m & y.m};
}
template <size_t N>
inline PackMask<N> both(PackMask<N> x, PackMask<N> y) {
  return {both(x.low, y.low), both(x.high, y.high)};
}
inline PackMask<1> either(PackMask<1> x, PackMask<1> y) {
  return {x.m | y.m};
}
template <size_t N>
inline PackMask<N> either(PackMask<N> x, PackMask<N> y) {
  return {either(x.low, y.low), either(x.high, y.high)};
}
inline double select(bool mask, double yes, double no) {
  return mask ? yes : no;
}
inline Pack<1> select(PackMask<1> mask, Pack<1> yes, Pack<1> no) {
  return {mask.m ? yes.v : no.v};
}
template <size_t N>
inline Pack<N> select(PackMask<N> mask, Pack<N> yes, Pack<N> no) {
  return {select(mask.low, yes.low, no.low), select(mask.high, yes.high, no.high)};
}
inline double root(double x) {
  return std::sqrt(x);
}
inline Vector root_of(Vector x) {
#if defined(__AVX512F__)
  return (Vector)_mm512_sqrt_pd((__m512d)x);
#elif defined(__AVX__)
  return (Vector)_mm256_sqrt_pd((__m256d)x);
#elif defined(__SSE2__)
  return (Vector)_mm_sqrt_pd((__m128d)x);
#else
  for (size_t j = 0; j < kVectorWidth; ++j) x[j] = std::sqrt(x[j]);
  return x;
#endif
}
inline Pack<1> root(Pack<1> x) {
  return {root_of(x.v)};
}
template <size_t N>
inline Pack<N> root(Pack<N> x) {
  return {root(x.low), root(x.high)};
}
// x where the mask is set, 0 elsewhere: without a branch, which prices would not let a processor
// predict.
inline double keep(bool mask, double x) {
  uint64_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  bits &= -static_cast<uint64_t>(mask);
  std::memcpy(&x, &bits, sizeof bits);
  return x;
}
inline Pack<1> keep(PackMask<1> mask, Pack<1> x) {
  return {(Vector)(mask.m & (VectorMask)x.v)};
}
template <size_t N>
inline Pack<N> keep(PackMask<N> mask, Pack<N> x) {
  return {keep(mask.low, x.low), keep(mask.high, x.high)};
}
// 0 where the mask is set, x elsewhere; a NaN stays.
inline double drop(bool mask, double x) {
  return keep(!mask, x);
}
inline Pack<1> drop(PackMask<1> mask, Pack<1> x) {
  return {(Vector)(~mask.m & (VectorMask)x.v)};
}
template <size_t N>
inline Pack<N> drop(PackMask<N> mask, Pack<N> x) {
  return {drop(mask.low, x.low), drop(mask.high, x.high)};
}
// x to the power 0.5 as the C library gives it: now and then not the nearest number, which root()
// gives.
inline double power_half(double x) {
  static const volatile double half = 0.5;  // unknown to the compiler, which would take a root
  return std::pow(x, half);
}
inline Pack<1> power_half(Pack<1> x) {
  for (size_t j = 0; j < kVectorWidth; ++j) x.v[j] = power_half(x.v[j]);
  return x;
}
template <size_t N>
inline Pack<N> power_half(Pack<N> x) {
  return {power_half(x.low), power_half(x.high)};
}
inline double magnitude(double x) {
  return std::fabs(x);
}
inline Pack<1> magnitude(Pack<1> x) {
  return {(Vector)((VectorMask)x.v & static_cast<int64_t>(0x7fffffffffffffff))};
}
template <size_t N>
inline Pack<N> magnitude(Pack<N> x) {
  return {magnitude(x.low), magnitude(x.high)};
}

// The same number in every lane; numbers that lie side by side; back to memory.
template <class R>
struct Access {
  using Half = decltype(R::low);
  static R spread(double x) {
    const Half half = Access<Half>::spread(x);
    return {half, half};
  }
  static R load(const double* from) {
    return {Access<Half>::load(from), Access<Half>::load(from + Type<Half>::width)};
  }
  static void store(double* to, R x) {
    Access<Half>::store(to, x.low);
    Access<Half>::store(to + Type<Half>::width, x.high);
  }
};
template <>
struct Access<Pack<1>> {
  static Pack<1> spread(double x) { return {x - Vector{}}; }
  static Pack<1> load(const double* from) {
    Pack<1> to;
    std::memcpy(&to.v, from, sizeof to.v);
    return to;
  }
  static void store(double* to, Pack<1> x) { std::memcpy(to, &x.v, sizeof x.v); }
};
template <>
struct Access<double> {
  static double spread(double x) { return x; }
  static double load(const double* from) { return *from; }
  static void store(double* to, double x) { *to = x; }
};
template <class R>
inline R spread(double x) {
  return Access<R>::spread(x);
}
template <class R>
inline R load(const double* from) {
  return Access<R>::load(from);
}
template <class R>
inline void store(double* to, R x) {
  Access<R>::store(to, x);
}

inline bool in_all_lanes(bool mask) {
  return mask;
}
inline bool in_all_lanes(PackMask<1> mask) {
#if defined(__AVX512DQ__)
  return _mm512_movepi64_mask((__m512i)mask.m) == 0xff;
#elif defined(__AVX__)
  return _mm256_movemask_pd((__m256d)mask.m) == 0xf;
#elif defined(__SSE2__)
  return _mm_movemask_pd((__m128d)mask.m) == 0x3;
#else
  for (size_t j = 0; j < kVectorWidth; ++j) {
    if (!mask.m[j]) return false;
  }
  return true;
#endif
}
template <size_t N>
inline bool in_all_lanes(PackMask<N> mask) {
  return in_all_lanes(both(mask.low, mask.high));
}

// x * y + z, rounded once.
#if defined(__FMA__)
inline Pack<1> multiply_add(Pack<1> x, Pack<1> y, Pack<1> z) {
#if defined(__AVX512F__)
  return {(Vector)_mm512_fmadd_pd((__m512d)x.v, (__m512d)y.v, (__m512d)z.v)};
#else
  return {(Vector)_mm256_fmadd_pd((__m256d)x.v, (__m256d)y.v, (__m256d)z.v)};
#endif
}
template <size_t N>
inline Pack<N> multiply_add(Pack<N> x, Pack<N> y, Pack<N> z) {
  return {multiply_add(x.low, y.low, z.low), multiply_add(x.high, y.high, z.high)};
}
#endif

// x / count to the last bit, faster than a division, for whole counts below 2^32; part: 1 / count.
//
// q = x * part is less than 2 units of its last place from x / count. The remainder x - q * count
// is exact with one rounding (the count has few bits), so q plus its share is x / count up to 2^-51
// units before it is rounded. It rounds as the quotient does: that is at least 2^-33 units from the
// middle of two numbers, since the middle times the count is a multiple of half a unit and is not
// x, which has one bit less. Outside the range where no step underflows: a division.
template <class R>
inline R share_of(R x, R count, [[maybe_unused]] R part) {
#if defined(__FMA__)
  if constexpr (Type<R>::width > 1) {
    const R quotient = x * part, size = magnitude(quotient);
    if (in_all_lanes(both(size > spread<R>(1e-250), size < spread<R>(1e250)))) {
      const R remainder = multiply_add(quotient, spread<R>(0.0) - count, x);
      return multiply_add(remainder, part, quotient);
    }
  }
#endif
  return x / count;
}
// The same for one count, whole or not.
template <class R>
inline R share_of(R x, double count) {
  const bool whole =
      count < 4294967296.0 && count == static_cast<double>(static_cast<uint64_t>(count));
  return whole ? share_of(x, spread<R>(count), spread<R>(1.0 / count)) : x / spread<R>(count);
}

// The larger or smaller of two; NaN where either is.
template <class R>
inline R larger(R x, R y) {
  return select(either(y > x, y != y), y, x);
}
inline double larger(double x, double y) {
  const double top = y > x ? y : x;  // one instruction; the line below is as good as always true
  return y == y ? top : y;
}
inline double smaller(double x, double y) {
  const double least = y < x ? y : x;
  return y == y ? least : y;
}
template <class R>
inline R smaller(R x, R y) {
  return select(either(y < x, y != y), y, x);
}
template <class R>
inline R nan() {
  return spread<R>(__builtin_nan(""));
}

// Rows of a square of numbers become its columns.
inline void transpose(Vector (&rows)[kVectorWidth]) {
#if defined(__AVX512F__)
  __m512d pair[8], four[8];
  for (size_t i = 0; i < 8; i += 2) {
    const __m512d x = (__m512d)rows[i], y = (__m512d)rows[i + 1];
    pair[i] = _mm512_unpacklo_pd(x, y);
    pair[i + 1] = _mm512_unpackhi_pd(x, y);
  }
  for (size_t i = 0; i < 8; i += 4) {
    for (size_t k = 0; k < 2; ++k) {
      four[i + k] = _mm512_shuffle_f64x2(pair[i + k], pair[i + 2 + k], 0x88);
      four[i + 2 + k] = _mm512_shuffle_f64x2(pair[i + k], pair[i + 2 + k], 0xdd);
    }
  }
  for (size_t i = 0; i < 4; ++i) {
    rows[i] = (Vector)_mm512_shuffle_f64x2(four[i], four[i + 4], 0x88);
    rows[i + 4] = (Vector)_mm512_shuffle_f64x2(four[i], four[i + 4], 0xdd);
  }
#elif defined(__AVX__)
  __m256d pair[4];
  for (size_t i = 0; i < 4; i += 2) {
    const __m256d x = (__m256d)rows[i], y = (__m256d)rows[i + 1];
    pair[i] = _mm256_unpacklo_pd(x, y);
    pair[i + 1] = _mm256_unpackhi_pd(x, y);
  }
  for (size_t i = 0; i < 2; ++i) {
    rows[i] = (Vector)_mm256_permute2f128_pd(pair[i], pair[i + 2], 0x20);
    rows[i + 2] = (Vector)_mm256_permute2f128_pd(pair[i], pair[i + 2], 0x31);
  }
#elif defined(__SSE2__)
  const __m128d x = (__m128d)rows[0], y = (__m128d)rows[1];
  rows[0] = (Vector)_mm_unpacklo_pd(x, y);
  rows[1] = (Vector)_mm_unpackhi_pd(x, y);
#else
  for (size_t i = 0; i < kVectorWidth; ++i) {
    for (size_t j = 0; j < i; ++j) {
      const double x = rows[i][j];
      rows[i][j] = rows[j][i];
      rows[j][i] = x;
    }
  }
#endif
}

}  // namespace marketsim::MARKETSIM_LANES::lanes
