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

template <size_t N>
struct Pack {
  Vector v[N];
};
template <size_t N>
struct PackMask {
  VectorMask m[N];
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

#define MARKETSIM_PACK_OPERATOR(op)                            \
  template <size_t N>                                          \
  inline Pack<N> operator op(Pack<N> x, Pack<N> y) {           \
    Pack<N> to;                                                \
    for (size_t i = 0; i < N; ++i) to.v[i] = x.v[i] op y.v[i]; \
    return to;                                                 \
  }
MARKETSIM_PACK_OPERATOR(+)
MARKETSIM_PACK_OPERATOR(-)
MARKETSIM_PACK_OPERATOR(*)
MARKETSIM_PACK_OPERATOR(/)
#undef MARKETSIM_PACK_OPERATOR

#define MARKETSIM_PACK_COMPARE(op)                             \
  template <size_t N>                                          \
  inline PackMask<N> operator op(Pack<N> x, Pack<N> y) {       \
    PackMask<N> to;                                            \
    for (size_t i = 0; i < N; ++i) to.m[i] = x.v[i] op y.v[i]; \
    return to;                                                 \
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
template <size_t N>
inline PackMask<N> both(PackMask<N> x, PackMask<N> y) {
  for (size_t i = 0; i < N; ++i) x.m[i] &= y.m[i];
  return x;
}
template <size_t N>
inline PackMask<N> either(PackMask<N> x, PackMask<N> y) {
  for (size_t i = 0; i < N; ++i) x.m[i] |= y.m[i];
  return x;
}
inline double select(bool mask, double yes, double no) {
  return mask ? yes : no;
}
template <size_t N>
inline Pack<N> select(PackMask<N> mask, Pack<N> yes, Pack<N> no) {
  for (size_t i = 0; i < N; ++i) yes.v[i] = mask.m[i] ? yes.v[i] : no.v[i];
  return yes;
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
template <size_t N>
inline Pack<N> root(Pack<N> x) {
  for (size_t i = 0; i < N; ++i) x.v[i] = root_of(x.v[i]);
  return x;
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
template <size_t N>
inline Pack<N> keep(PackMask<N> mask, Pack<N> x) {
  for (size_t i = 0; i < N; ++i) x.v[i] = (Vector)(mask.m[i] & (VectorMask)x.v[i]);
  return x;
}
// 0 where the mask is set, x elsewhere; a NaN stays.
inline double drop(bool mask, double x) {
  return keep(!mask, x);
}
template <size_t N>
inline Pack<N> drop(PackMask<N> mask, Pack<N> x) {
  for (size_t i = 0; i < N; ++i) x.v[i] = (Vector)(~mask.m[i] & (VectorMask)x.v[i]);
  return x;
}
// x to the power 0.5 as the C library gives it: now and then not the nearest number, which root()
// gives.
inline double power_half(double x) {
  static const volatile double half = 0.5;  // unknown to the compiler, which would take a root
  return std::pow(x, half);
}
template <size_t N>
inline Pack<N> power_half(Pack<N> x) {
  for (size_t i = 0; i < N; ++i) {
    for (size_t j = 0; j < kVectorWidth; ++j) x.v[i][j] = power_half(x.v[i][j]);
  }
  return x;
}
inline double magnitude(double x) {
  return std::fabs(x);
}
template <size_t N>
inline Pack<N> magnitude(Pack<N> x) {
  for (size_t i = 0; i < N; ++i) {
    x.v[i] = (Vector)((VectorMask)x.v[i] & static_cast<int64_t>(0x7fffffffffffffff));
  }
  return x;
}

// The same number in every lane; numbers that lie side by side; back to memory.
template <class R>
struct Access {
  static R spread(double x) {
    R to;
    for (auto& v : to.v) v = x - Vector{};
    return to;
  }
  static R load(const double* from) {
    R to;
    std::memcpy(&to, from, sizeof to);
    return to;
  }
  static void store(double* to, R x) { std::memcpy(to, &x, sizeof x); }
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

// Lanes of two vectors one after the other, by number.
inline Vector shuffle(Vector x, Vector y, VectorMask lanes) {
#if defined(__clang__)
  Vector to;
  for (size_t j = 0; j < kVectorWidth; ++j) {
    const size_t lane = static_cast<size_t>(lanes[j]);
    to[j] = lane < kVectorWidth ? x[lane] : y[lane - kVectorWidth];
  }
  return to;
#else
  return __builtin_shuffle(x, y, lanes);
#endif
}
// Rows of a square of numbers become its columns.
inline void transpose(Vector (&rows)[kVectorWidth]) {
  for (size_t block = kVectorWidth / 2; block > 0; block /= 2) {
    VectorMask first, second;
    for (size_t j = 0; j < kVectorWidth; ++j) {
      const bool high = (j & block) != 0;
      first[j] = static_cast<int64_t>(high ? kVectorWidth + (j ^ block) : j);
      second[j] = static_cast<int64_t>(high ? kVectorWidth + j : j ^ block);
    }
    for (size_t i = 0; i < kVectorWidth; ++i) {
      if (i & block) continue;
      const Vector x = rows[i], y = rows[i | block];
      rows[i] = shuffle(x, y, first);
      rows[i | block] = shuffle(x, y, second);
    }
  }
}

}  // namespace marketsim::MARKETSIM_LANES::lanes
