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
// digit, and where t is beyond 1e100; and no result depends on how wide the vectors are.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace marketsim::MARKETSIM_ISA::student_t {

// Distributions that are computed together, and vectors of as many as an instruction takes. Every
// operation rounds once in each lane, so results do not depend on the width.
constexpr size_t kLanes = 8;
using Lanes = double[kLanes];
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
inline V root(V v) {
  for (size_t i = 0; i < kWidth; ++i) v[i] = std::sqrt(v[i]);
  return v;
}

// Terms of the series: enough for a remainder below 1e-17 wherever it is used.
constexpr size_t kTerms = 48;

// 1 / (n + 1/2).
struct HalfReciprocals {
  double of[kTerms];
  constexpr HalfReciprocals() : of{} {
    for (size_t n = 0; n < kTerms; ++n) of[n] = 1.0 / (static_cast<double>(n) + 0.5);
  }
};
inline constexpr HalfReciprocals kReciprocals;

inline constexpr double kLn2High = 0x1.62e42fefa38p-1;  // with 11 zeros at the end
inline constexpr double kLn2Low = 0x1.ef35793c7673p-45;
inline constexpr double kLog2E = 0x1.71547652b82fep0;

// log(1 + u) for 0 <= u < 1e250: 1 + u = 2^k m with m near 1, and log m = 2 atanh((m - 1) / (m +
// 1)).
inline V log_one_plus(V u) {
  const V sum = 1.0 + u;
  // The exponent of sum / sqrt(1/2), and that as a double by the bits of 2^52 + exponent.
  const Bits bits = (Bits)sum;
  const Bits exponent = (bits + (0x3ff0000000000000 - 0x3fe6a09e667f3bcd)) >> 52;
  const V k = (V)(exponent | 0x4330000000000000) - (0x1p52 + 1023.0);
  const V m = (V)(bits - (exponent << 52) + 0x3ff0000000000000);
  const V above = select(k == 0.0, u, m - 1.0);  // without the rounding of 1 + u
  const V s = above / (2.0 + above), z = s * s, z2 = z * z;
  const V a = (1.0 / 3 + z * (1.0 / 5)) + z2 * (1.0 / 7 + z * (1.0 / 9));
  const V b = (1.0 / 11 + z * (1.0 / 13)) + z2 * (1.0 / 15 + z * (1.0 / 17));
  const V c = (1.0 / 19 + z * (1.0 / 21)) + z2 * (1.0 / 23);
  const V series = z * (a + z2 * z2 * (b + z2 * z2 * c));
  return k * kLn2High + (2.0 * s + (2.0 * s * series + k * kLn2Low));
}

// exp(x) for x <= 0; 0 below -708, where it is less than the least normal number.
inline V exp_of_negative(V x) {
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
  const V power = (V)(((Bits)rounded + 1023) << 52);
  return select(tiny, V{}, value * power);
}

// Gamma(a + 1/2) / Gamma(a) for a > 0: an expansion in w = a - 1/4 that has even powers only (NIST
// DLMF 5.11.14), after as many steps of Gamma(a + 1) = a Gamma(a) as make w large.
inline V gamma_ratio(V a) {
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
struct Points {
  Lanes density;
  Lanes tail;   // P(T > t), accurate relative to itself
  Lanes slope;  // the density's derivative divided by the density
  Lanes bend;   // the second derivative of the density's logarithm
};

class StudentTs {
 public:
  void set(const Lanes& df) {
    for (size_t i = 0; i < kLanes; i += kWidth) {
      const V given = load(df + i);
      const V own = select(given < kNormal, given, V{} + kNormal);
      store(df_ + i, own);
      store(half_ + i, 0.5 * (own + 1.0));
      store(norm_ + i, gamma_ratio(0.5 * own) / (root(own) * kRootPi));
      // Coefficients of powers of growth * q, so that they stay small however large df is.
      const V growth = 2.0 * own + 1.0, inverse = 1.0 / growth, square = inverse * inverse;
      store(growth_ + i, growth);
      V before = (1.0 + inverse) * kReciprocals.of[1];
      V last = before * kReciprocals.of[2];  // what else there is cancels
      store(series_[0] + i, V{} + 1.0);
      store(series_[1] + i, before);
      store(series_[2] + i, last);
      for (size_t n = 3; n < kTerms; ++n) {
        const double step = static_cast<double>(n) - 2.5;
        const V next = (last + step * square * before) * kReciprocals.of[n];
        store(series_[n] + i, next);
        before = last;
        last = next;
      }
    }
  }

  void at(const Lanes& values, Points& to) const {
    for (size_t i = 0; i < kLanes; i += kWidth) {
      const V given = load(values + i), df = load(df_ + i), half = load(half_ + i);
      const V t = select(given < kHuge, given, V{} + kHuge);
      const V square = t * t, inverse = 1.0 / (df + square);
      const V density = load(norm_ + i) * exp_of_negative(-half * log_one_plus(square / df));
      const V y = square * inverse, x = df * inverse, side = 1.0 + root(x);
      const V argument = load(growth_ + i) * y / (side * side);
      // Beyond 4 the tail is below 0.003, and 1/2 minus the rest would lose digits.
      const Mask outside = (y > 0.75) | (argument > 4.0);
      const V v = select(outside, V{}, argument);
      store(to.density + i, density);
      store(to.tail + i, 0.5 - t * density * central(i, v));
      store(to.slope + i, -2.0 * half * t * inverse);
      store(to.bend + i, -2.0 * half * inverse * (x - y));
      if (!any(outside)) continue;
      for (size_t j = 0; j < kWidth; ++j) {
        if (outside[j]) outer(i + j, values[i + j], to);
      }
    }
  }

  // An antiderivative of t * density(t) at t; differences of it are partial first moments (McNeil,
  // Frey and Embrechts, Quantitative Risk Management, 2005, example 2.19, has that of the tail).
  double moment(size_t lane, double t, double density) const {
    const double df = df_[lane];
    // The rest may overflow where the density is 0.
    return density == 0.0 ? 0.0 : -(df / (df - 1.0)) * (1.0 + t * (t / df)) * density;
  }

 private:
  static constexpr double kRootPi = 1.7724538509055160273;
  static constexpr double kHuge = 1e100;
  // From here on the distribution is the normal one: the density differs by t^4 / (4 df) of itself.
  static constexpr double kNormal = 1e20;

  // S at v = growth * q for the lanes from i. A lane whose terms have fallen below 1e-17 of the sum
  // does not change any more, so each may stop when the last one does.
  V central(size_t i, V v) const {
    const V v2 = v * v, v4 = v2 * v2;
    V sum{}, power = V{} + 1.0;
    for (size_t n = 0; n < kTerms; n += 4) {
      const V low = load(series_[n] + i) + load(series_[n + 1] + i) * v;
      const V high = load(series_[n + 2] + i) + load(series_[n + 3] + i) * v;
      const V part = power * (low + high * v2);
      sum += part;
      if (!any(part > 1e-17 * sum)) break;
      power *= v4;
    }
    return sum;
  }

  void outer(size_t i, double t, Points& to) const {
    if (t > kHuge) return far(i, t, to);
    const double square = t * t, whole = df_[i] + square;
    to.tail[i] = to.density[i] == 0.0 ? 0.0
                                      : 0.5 * t * to.density[i] /
                                            fraction(0.5 * df_[i], square / whole, df_[i] / whole);
  }

  // beta_0 + alpha_1 / (beta_1 + alpha_2 / ...) with a = df / 2, b = 1/2, by the forward
  // recurrence of numerators and denominators.
  static double fraction(double a, double y, double x) {
    const double base = a * y - 0.5 * x + 1.0, step = 1.0 + y;
    double p0 = 1.0, q0 = 0.0;
    double p1 = (a / (a + 1.0)) * base, q1 = 1.0;
    double inverse = 1.0 / (a + 1.0);  // 1 / (a + 2 n - 1)
    for (double n = 1.0; n < 500.0; n += 1.0) {
      const double side = n * (0.5 - n) * x * inverse;
      const double alpha = side * x * (a + n - 1.0) * (a + n - 0.5) * inverse;
      inverse = 1.0 / (a + 2.0 * n + 1.0);
      const double beta = n + side + (a + n) * inverse * (base + n * step);
      const double p2 = beta * p1 + alpha * p0, q2 = beta * q1 + alpha * q0;
      const bool settled = std::fabs(p2 * q1 - p1 * q2) <= 1e-15 * std::fabs(p2 * q1);
      // Scaled so that neither grows beyond the largest double.
      const double scale = 1.0 / q2;
      p0 = p1 * scale, q0 = q1 * scale;
      p1 = p2 * scale, q1 = 1.0;
      if (settled) break;
    }
    return p1;
  }

  // Where t * t may overflow, the leading term is exact, or all is 0.
  void far(size_t i, double t, Points& to) const {
    const double df = df_[i];
    const bool none = df > 1e10 || std::isinf(t);
    const double log_tail = std::log(norm_[i]) + (half_[i] - 1.0) * std::log(df) - df * std::log(t);
    to.tail[i] = none ? 0.0 : std::exp(log_tail);
    to.density[i] = none ? 0.0 : to.tail[i] * (df / t);
    to.slope[i] = none ? 0.0 : -2.0 * half_[i] / t;
    to.bend[i] = none ? 0.0 : 2.0 * half_[i] / t / t;
  }

  alignas(64) Lanes df_, half_, norm_, growth_;
  alignas(64) Lanes series_[kTerms];
};

}  // namespace marketsim::MARKETSIM_ISA::student_t
