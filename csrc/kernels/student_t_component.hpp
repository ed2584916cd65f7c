// The Student-t distribution with any real degrees of freedom: density, its derivatives, and tail.
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
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace marketsim::student_t {

// Enough for a remainder below 1e-17 wherever `central` holds.
constexpr size_t kTerms = 48;

// 1 / (n + 1/2).
struct HalfReciprocals {
  double of[kTerms];
  constexpr HalfReciprocals() : of{} {
    for (size_t n = 0; n < kTerms; ++n) of[n] = 1.0 / (static_cast<double>(n) + 0.5);
  }
};
inline constexpr HalfReciprocals kReciprocals;

// Gamma(a + 1/2) / Gamma(a) for a > 0: an expansion in w = a - 1/4 that has even powers only (NIST
// DLMF 5.11.14), after as many steps of Gamma(a + 1) = a Gamma(a) as make w large.
inline double gamma_ratio(double a) {
  double up = 1.0, down = 1.0;
  for (; a < 18.0; a += 1.0) {
    up *= a;
    down *= a + 0.5;
  }
  const double w = a - 0.25, u = 1.0 / (w * w);
  const double series =
      1.0 + u * (1.0 / 64.0 + u * (-19.0 / 8192.0 +
                                   u * (631.0 / 524288.0 + u * (-174317.0 / 134217728.0 +
                                                                u * (20491783.0 / 8589934592.0)))));
  return std::sqrt(w) * series * (up / down);
}

// What is said of one value of t >= 0.
struct Point {
  double density;
  double tail;   // P(T > t), accurate relative to itself
  double slope;  // the density's derivative divided by the density
  double bend;   // the second derivative of the density's logarithm
};

class StudentT {
 public:
  explicit StudentT(double df)
      : df_(std::min(df, kNormal)),
        half_(0.5 * (df_ + 1.0)),
        norm_(gamma_ratio(0.5 * df_) / (std::sqrt(df_) * kRootPi)),
        growth_(2.0 * df_ + 1.0) {
    // Coefficients of powers of growth * q, so that they stay small however large df is.
    const double inverse = 1.0 / growth_, square = inverse * inverse;
    series_[0] = 1.0;
    series_[1] = (1.0 + inverse) * kReciprocals.of[1];
    series_[2] = series_[1] * kReciprocals.of[2];  // what else there is cancels
    for (size_t n = 3; n < kTerms; ++n) {
      const double step = (static_cast<double>(n) - 2.5) * square;
      series_[n] = (series_[n - 1] + step * series_[n - 2]) * kReciprocals.of[n];
    }
  }

  double density(double t) const { return norm_ * std::exp(-half_ * std::log1p(t * t / df_)); }

  // d/dt of this is t * density(t): its differences are partial first moments (McNeil, Frey and
  // Embrechts, Quantitative Risk Management, 2005, example 2.19, where the tail's is given).
  double moment(double t) const {
    if (std::isinf(t)) return 0.0;
    const double density = this->density(t);
    // (df + t^2) / (df - 1) may overflow where the density is 0.
    return density == 0.0 ? 0.0 : -(df_ / (df_ - 1.0)) * (1.0 + t * (t / df_)) * density;
  }

  Point at(double t) const {
    if (t > kHuge) return far(t);
    const double square = t * t, whole = df_ + square;
    const double density = norm_ * std::exp(-half_ * std::log1p(square / df_));
    const double y = square / whole, x = df_ / whole;
    const double tail = tail_at(t, density, y, x);
    const double slope = -2.0 * half_ * t / whole;
    return {density, tail, slope, -2.0 * half_ / whole * (x - y)};
  }

 private:
  static constexpr double kRootPi = 1.7724538509055160273;
  static constexpr double kHuge = 1e100;
  // From here on the distribution is the normal one: the density differs by t^4 / (4 df) of itself.
  static constexpr double kNormal = 1e20;

  double tail_at(double t, double density, double y, double x) const {
    const double root = 1.0 + std::sqrt(x);
    const double v = growth_ * y / (root * root);
    // Beyond v = 4 the tail is below 0.003, and 1/2 minus the rest would lose digits.
    if (y <= 0.75 && v <= 4.0) return 0.5 - t * density * central(v);
    return density == 0.0 ? 0.0 : 0.5 * t * density / fraction(y, x);
  }

  double central(double v) const {
    const double v2 = v * v, v4 = v2 * v2;
    double sum = 0.0, power = 1.0;
    for (size_t n = 0; n < kTerms; n += 8) {
      const double* s = series_ + n;
      const double low = (s[0] + s[1] * v) + (s[2] + s[3] * v) * v2;
      const double high = (s[4] + s[5] * v) + (s[6] + s[7] * v) * v2;
      const double part = power * (low + high * v4);
      sum += part;
      if (part < 1e-17 * sum) break;
      power *= v4 * v4;
    }
    return sum;
  }

  // beta_0 + alpha_1 / (beta_1 + alpha_2 / ...) with a = df / 2, b = 1/2, by the forward
  // recurrence of numerators and denominators.
  double fraction(double y, double x) const {
    const double a = 0.5 * df_;
    const double ay = a * y, bx = 0.5 * x;
    double p0 = 1.0, q0 = 0.0;
    double p1 = (a / (a + 1.0)) * (ay - bx + 1.0), q1 = 1.0;
    double inverse = 1.0 / (a + 1.0);  // 1 / (a + 2 n - 1)
    for (double n = 1.0; n < 500.0; n += 1.0) {
      const double side = n * (0.5 - n) * x * inverse;
      const double alpha = side * x * (a + n - 1.0) * (a + n - 0.5) * inverse;
      inverse = 1.0 / (a + 2.0 * n + 1.0);
      const double beta = n + side + (a + n) * inverse * (ay - bx + 1.0 + n * (1.0 + y));
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
  Point far(double t) const {
    if (df_ > 1e10) return {0.0, 0.0, 0.0, 0.0};
    const double log_tail = std::log(norm_) + (half_ - 1.0) * std::log(df_) - df_ * std::log(t);
    const double tail = std::exp(log_tail);
    return {tail * (df_ / t), tail, -2.0 * half_ / t, 2.0 * half_ / t / t};
  }

  double df_, half_, norm_, growth_;
  double series_[kTerms];
};

}  // namespace marketsim::student_t
