// Mixtures of Student-t distributions: distribution functions, quantiles, means of parts.
#pragma once

#include <cstddef>

namespace marketsim {

// Row i is the mixture of the components [i * components, (i + 1) * components). Degrees of freedom
// are above 1 and finite, scales positive, weights not negative; weights count relative to their
// sum, which is positive.
struct Mixtures {
  const double* df;
  const double* loc;
  const double* scale;
  const double* weight;
  size_t rows;
  size_t components;
};

// A probability in (0, 1) with the standard normal's quantile at it, where a search starts.
struct NormalLevel {
  double level;
  double normal;
};

// The distribution function at one value a row: to[i] = P(X_i <= at[i]); accurate relative to the
// smaller of itself and one minus itself.
void mixture_cdf(const Mixtures& mixtures, const double* at, double* to);

// The quantiles of each row: to[i * count + j] at levels[j]. A result depends on its own row and
// level alone, not on what else is asked, nor on the number of threads.
void mixture_quantiles(const Mixtures& mixtures, const NormalLevel* levels, size_t count,
                       double* to);

// The mean of the part of each row between two levels, low.level < high.level; the levels 0 and 1
// reach to infinity.
void mixture_means_between(const Mixtures& mixtures, const NormalLevel& low,
                           const NormalLevel& high, double* to);

// The same for the rows [begin, end), once per instruction set: the results are the same bits.
#define MARKETSIM_DECLARE(isa)                                                                     \
  namespace isa {                                                                                  \
  void cdf_rows(const Mixtures& mixtures, const double* at, double* to, size_t begin, size_t end); \
  void quantile_rows(const Mixtures& mixtures, const NormalLevel* levels, size_t count,            \
                     double* to, size_t begin, size_t end);                                        \
  void mean_rows(const Mixtures& mixtures, const NormalLevel& low, const NormalLevel& high,        \
                 double* to, size_t begin, size_t end);                                            \
  }
MARKETSIM_DECLARE(baseline)
MARKETSIM_DECLARE(avx2)
MARKETSIM_DECLARE(avx512)
#undef MARKETSIM_DECLARE

}  // namespace marketsim
