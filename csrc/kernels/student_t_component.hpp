// Student-t distributions with any real degrees of freedom, several side by side: density, its
// derivatives, and tail.
//
// Two expansions share the work. Both are multiples of t * f(t), so no further exponential is
// needed, and both have positive terms or a stable recurrence:
//
// - Near the centre, 1/2 - Q(t) = t f(t) S(y) with y = t^2 / (df + t^2) and the hypergeometric
//   S(y) = 2F1(1, (df + 1) / 2; 3/2; y) (Abramowitz and Stegun 26.5.4 and 15.3.3). S solves
//   y (1 - y) S' + (1/2 - (df + 1) / 2 y) S = 1/2. With y = 4 q / (1 + q)^2, which maps the plane
//   without [1, inf) onto the unit disc, that is
//   q (1 - q^2) S' + (1/2 - (2 df + 1) q + q^2 / 2) S = (1 + q)^2 / 2, so the coefficients of S in
//   powers of q follow from the two before. They are positive, and the series converges as q^n,
//   where q is 1/3 at y = 3/4. It is computed once a component and used for every t.
// - Elsewhere Q(t) = t f(t) / 2 times the continued fraction of the incomplete beta function of
//   Didonato and Morris (ACM TOMS 18, 1992, algorithm 708, equation 9).
//
// Nothing here calls the mathematical library but for square roots, which are exact to the last
// digit; and no result depends on how wide the vectors are. On a GPU a vector is one number.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "common/annotate.hpp"

namespace marketsim::MARKETSIM_ISA::student_t {

// Distributions that are computed together, and vectors of as many as an instruction takes. Every
// operation rounds once in each lane, so results do not depend on the width.
constexpr size_t kLanes = 8;
using Lanes = double[kLanes];
#if defined(MARKETSIM_DEVICE)
constexpr size_t kWidth = 1;
using V = double;
using Mask = bool;
using Bits = uint64_t;

inline MARKETSIM_FN V load(const double* from) {
  return *from;
}
inline MARKETSIM_FN void store(double* to, V v) {
  *to = v;
}
inline MARKETSIM_FN V select(Mask mask, V yes, V no) {
  return mask ? yes : no;
}
inline MARKETSIM_FN bool any(Mask mask) {
  return mask;
}
inline MARKETSIM_FN bool lane(Mask mask, size_t) {
  return mask;
}
inline MARKETSIM_FN double lane(V v, size_t) {
  return v;
}
inline MARKETSIM_FN void set_lane(V* v, size_t, double to) {
  *v = to;
}
inline MARKETSIM_FN V root(V v) {
  return sqrt(v);
}
#else
#if defined(__AVX512F__)
constexpr size_t kWidth = 8;
#elif defined(__AVX__)
constexpr size_t kWidth = 4;
#else
constexpr size_t kWidth = 2;
#endif
typedef double V __attribute__((vector_size(8 * kWidth)));
typedef int64_t Mask __attribute__((vector_size(8 * kWidth)));  // a lane is all ones or all zeros
typedef uint64_t Bits __attribute__((vector_size(8 * kWidth)));

inline V load(const double* from) {
  V v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
inline void store(double* to, V v) {
  std::memcpy(to, &v, sizeof v);
}
inline V select(Mask mask, V yes, V no) {
  return (V)((mask & (Mask)yes) | (~mask & (Mask)no));
}
inline bool any(Mask mask) {
  int64_t all = 0;
  for (size_t i = 0; i < kWidth; ++i) all |= mask[i];
  return all != 0;
}
inline bool lane(Mask mask, size_t i) {
  return mask[i] != 0;
}
inline double lane(V v, size_t i) {
  return v[i];
}
inline void set_lane(V* v, size_t i, double to) {
  (*v)[i] = to;
}
inline V root(V v) {
  for (size_t i = 0; i < kWidth; ++i) v[i] = std::sqrt(v[i]);
  return v;
}
#endif
inline MARKETSIM_FN Bits bits_of(V v) {
  Bits bits;
  memcpy(&bits, &v, sizeof bits);
  return bits;
}
inline MARKETSIM_FN V from_bits(Bits bits) {
  V v;
  memcpy(&v, &bits, sizeof v);
  return v;
}

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kLargest = std::numeric_limits<double>::max();

inline MARKETSIM_FN V magnitude(V v) {
  return from_bits(bits_of(v) & 0x7fffffffffffffff);
}

// Terms of the series: enough for a remainder below 1e-17 wherever it is used.
constexpr size_t kTerms = 48;

#if defined(__CUDA_ARCH__)
inline __device__ double half_reciprocal(size_t n) {
  return 1.0 / (static_cast<double>(n) + 0.5);
}
#else
// 1 / (n + 1/2).
struct HalfReciprocals {
  double of[kTerms];
  constexpr HalfReciprocals() : of{} {
    for (size_t n = 0; n < kTerms; ++n) of[n] = 1.0 / (static_cast<double>(n) + 0.5);
  }
};
inline constexpr HalfReciprocals kReciprocals;
inline double half_reciprocal(size_t n) {
  return kReciprocals.of[n];
}
#endif

inline constexpr double kLn2High = 0x1.62e42fefa38p-1;  // with 11 zeros at the end
inline constexpr double kLn2Low = 0x1.ef35793c7673p-45;
inline constexpr double kLog2E = 0x1.71547652b82fep0;

// log(x) of a normal number x > 0, which is 1 + u up to a rounding: x = 2^k m with m near 1, and
// log m = 2 atanh((m - 1) / (m + 1)).
inline MARKETSIM_FN V log_of_sum(V x, V u) {
  // The exponent of x / sqrt(1/2), and that as a double by the bits of 2^52 + exponent.
  const Bits bits = bits_of(x);
  const Bits exponent = (bits + (0x3ff0000000000000 - 0x3fe6a09e667f3bcd)) >> 52;
  const V k = from_bits(exponent | 0x4330000000000000) - (0x1p52 + 1023.0);
  const V m = from_bits(bits - (exponent << 52) + 0x3ff0000000000000);
  const V above = select(k == 0.0, u, m - 1.0);  // without the rounding of 1 + u
  const V s = above / (2.0 + above), z = s * s, z2 = z * z;
  const V a = (1.0 / 3 + z * (1.0 / 5)) + z2 * (1.0 / 7 + z * (1.0 / 9));
  const V b = (1.0 / 11 + z * (1.0 / 13)) + z2 * (1.0 / 15 + z * (1.0 / 17));
  const V c = (1.0 / 19 + z * (1.0 / 21)) + z2 * (1.0 / 23);
  const V series = z * (a + z2 * z2 * (b + z2 * z2 * c));
  return k * kLn2High + (2.0 * s + (2.0 * s * series + k * kLn2Low));
}

// log(1 + u) for 0 <= u < 1e250.
inline MARKETSIM_FN V log_one_plus(V u) {
  return log_of_sum(1.0 + u, u);
}

// log(x) of one normal number x > 0.
inline MARKETSIM_FN double log_of(double x) {
  return lane(log_of_sum(V{} + x, V{} + (x - 1.0)), 0);
}

// log(x / y) of two such numbers, however far they lie apart.
inline MARKETSIM_FN double log_of_ratio(double x, double y) {
#if defined(MARKETSIM_DEVICE)
  return log_of(x) - log_of(y);
#else
  V both = V{} + x;
  both[1] = y;
  const V logs = log_of_sum(both, both - 1.0);
  return logs[0] - logs[1];
#endif
}

// exp(x) for x <= 0; 0 below -708, where it is less than the least normal number.
inline MARKETSIM_FN V exp_of_negative(V x) {
  const Mask tiny = x < -708.0;
  const V held = select(tiny, V{} - 708.0, x);
  const V rounded = held * kLog2E + 0x1.8p52;  // the whole number stands in the last bits
  const V n = rounded - 0x1.8p52;
  const V r = (held - n * kLn2High) - n * kLn2Low;
  const V r2 = r * r, r4 = r2 * r2;
  const V a = (1.0 / 2 + r * (1.0 / 6)) + r2 * (1.0 / 24 + r * (1.0 / 120));
  const V b = (1.0 / 720 + r * (1.0 / 5040)) + r2 * (1.0 / 40320 + r * (1.0 / 362880));
  const V c =
      (1.0 / 3628800 + r * (1.0 / 39916800)) + r2 * (1.0 / 479001600 + r * (1.0 / 6227020800));
  const V value = 1.0 + (r + r2 * (a + r4 * (b + r4 * c)));
  const V power = from_bits((bits_of(rounded) + 1023) << 52);
  return select(tiny, V{}, value * power);
}

// Gamma(a + 1/2) / Gamma(a) for a > 0: an expansion in w = a - 1/4 that has even powers only (NIST
// DLMF 5.11.14), after as many steps of Gamma(a + 1) = a Gamma(a) as make w large.
inline MARKETSIM_FN V gamma_ratio(V a) {
  const Mask small = a < 18.0;
  V up = V{} + 1.0, down = V{} + 1.0;
  for (int i = 0; i < 18; ++i) {
    // Where it is not wanted a product of 18 factors might overflow.
    const V factor = select(small, a, V{} + 1.0) + i;
    up *= factor;
    down *= factor + 0.5;
  }
  const V w = select(small, a + 18.0, a) - 0.25, u = 1.0 / (w * w);
  const V series =
      1.0 + u * (1.0 / 64.0 + u * (-19.0 / 8192.0 +
                                   u * (631.0 / 524288.0 + u * (-174317.0 / 134217728.0 +
                                                                u * (20491783.0 / 8589934592.0)))));
  return root(w) * series * select(small, up / down, V{} + 1.0);
}

// What is said of values t >= 0.
template <typename T>
struct PointsOf {
  T density;
  T tail;   // P(T > t), accurate relative to itself
  T slope;  // the density's derivative divided by the density
  T bend;   // the second derivative of the density's logarithm
};

// An antiderivative of t * density(t) at t; differences of it are partial first moments (McNeil,
// Frey and Embrechts, Quantitative Risk Management, 2005, example 2.19, has that of the tail).
inline MARKETSIM_FN double moment_of(double df, double t, double density) {
  // The rest may overflow where the density is 0.
  return density == 0.0 ? 0.0 : -(df / (df - 1.0)) * (1.0 + t * (t / df)) * density;
}

// A vector of distributions.
class StudentTVector {
 public:
  MARKETSIM_FN void set(V df) {
    df_ = select(df < kNormal, df, V{} + kNormal);
    half_ = 0.5 * (df_ + 1.0);
    norm_ = gamma_ratio(0.5 * df_) / (root(df_) * kRootPi);
    // Coefficients of powers of growth * q, so that they stay small however large df is.
    growth_ = 2.0 * df_ + 1.0;
    const V inverse = 1.0 / growth_, square = inverse * inverse;
    V before = (1.0 + inverse) * half_reciprocal(1);
    V last = before * half_reciprocal(2);  // what else there is cancels
    series_[0] = V{} + 1.0;
    series_[1] = before;
    series_[2] = last;
    for (size_t n = 3; n < kTerms; ++n) {
      const double step = static_cast<double>(n) - 2.5;
      const V next = (last + step * square * before) * half_reciprocal(n);
      series_[n] = next;
      before = last;
      last = next;
    }
  }

  MARKETSIM_FN PointsOf<V> at(V values) const {
    const V t = select(values < kHuge, values, V{} + kHuge);
    const V square = t * t, inverse = 1.0 / (df_ + square);
    const V density = norm_ * exp_of_negative(-half_ * log_one_plus(square / df_));
    const V y = square * inverse, x = df_ * inverse, side = 1.0 + root(x);
    const V argument = growth_ * y / (side * side);
    // Beyond 4 the tail is below 0.003, and 1/2 minus the rest would lose digits.
    const Mask outside = (y > 0.75) | (argument > 4.0);
    const V v = select(outside, V{}, argument);
    PointsOf<V> to = {density, 0.5 - t * density * central(v), -2.0 * half_ * t * inverse,
                      -2.0 * half_ * inverse * (x - y)};
    if (!any(outside)) return to;
    const V ratio = fraction(0.5 * df_, y, x, outside);
    const V beyond = select(density == 0.0, V{}, 0.5 * t * density / ratio);
    to.tail = select(outside, beyond, to.tail);
    const Mask huge = values > kHuge;
    if (!any(huge)) return to;
    for (size_t i = 0; i < kWidth; ++i) {
      if (lane(huge, i)) far(i, lane(values, i), &to);
    }
    return to;
  }

 private:
  static constexpr double kRootPi = 1.7724538509055160273;
  static constexpr double kHuge = 1e100;
  // From here on the distribution is the normal one: the density differs by t^4 / (4 df) of itself.
  static constexpr double kNormal = 1e20;

  // S at v = growth * q. A lane whose terms have fallen below 1e-17 of the sum does not change any
  // more, so each may stop when the last one does.
  MARKETSIM_FN V central(V v) const {
    const V v2 = v * v, v4 = v2 * v2;
    V sum{}, power = V{} + 1.0;
    for (size_t n = 0; n < kTerms; n += 4) {
      const V low = series_[n] + series_[n + 1] * v;
      const V high = series_[n + 2] + series_[n + 3] * v;
      const V part = power * (low + high * v2);
      sum += part;
      if (!any(part > 1e-17 * sum)) break;
      power *= v4;
    }
    return sum;
  }

  // beta_0 + alpha_1 / (beta_1 + alpha_2 / ...) with a = df / 2, b = 1/2, by the forward
  // recurrence of numerators and denominators, for the lanes that are wanted.
  static MARKETSIM_FN V fraction(V a, V y, V x, Mask wanted) {
    const V base = a * y - 0.5 * x + 1.0, step = 1.0 + y;
    V p0 = V{} + 1.0, q0{};
    V p1 = (a / (a + 1.0)) * base, q1 = V{} + 1.0;
    V inverse = 1.0 / (a + 1.0);  // 1 / (a + 2 n - 1)
    V result = p1;
    for (double n = 1.0; n < 500.0; n += 1.0) {
      const V side = n * (0.5 - n) * x * inverse;
      const V alpha = side * x * (a + n - 1.0) * (a + n - 0.5) * inverse;
      inverse = 1.0 / (a + 2.0 * n + 1.0);
      const V beta = n + side + (a + n) * inverse * (base + n * step);
      const V p2 = beta * p1 + alpha * p0, q2 = beta * q1 + alpha * q0;
      const V across = p2 * q1;
      // Scaled so that neither grows beyond the largest double.
      const V scale = 1.0 / q2;
      p0 = p1 * scale, q0 = q1 * scale;
      const V difference = magnitude(across - p1 * q2);
      p1 = p2 * scale, q1 = V{} + 1.0;
      result = select(wanted, p1, result);
      wanted = wanted & (difference > 1e-15 * magnitude(across));
      if (!any(wanted)) break;
    }
    return result;
  }

  // Where t * t may overflow, the leading term is exact, or all is 0.
  MARKETSIM_FN void far(size_t i, double t, PointsOf<V>* to) const {
    const double df = lane(df_, i), half = lane(half_, i);
    const bool none = df > 1e10 || t > kLargest;
    const double log_tail =
        none ? 0.0 : log_of(lane(norm_, i)) + (half - 1.0) * log_of(df) - df * log_of(t);
    const double tail = none ? 0.0 : lane(exp_of_negative(V{} + log_tail), 0);
    set_lane(&to->tail, i, tail);
    set_lane(&to->density, i, none ? 0.0 : tail * (df / t));
    set_lane(&to->slope, i, none ? 0.0 : -2.0 * half / t);
    set_lane(&to->bend, i, none ? 0.0 : 2.0 * half / t / t);
  }

  V df_, half_, norm_, growth_;
  V series_[kTerms];
};

}  // namespace marketsim::MARKETSIM_ISA::student_t
