#include "kernels/student_t.hpp"

#include <algorithm>

#include "common/isa.hpp"
#include "common/parallel.hpp"

namespace marketsim {
namespace {

struct MixtureTable {
  decltype(&baseline::cdf_rows) cdf;
  decltype(&baseline::quantile_rows) quantiles;
  decltype(&baseline::mean_rows) means;
};

MixtureTable table() {
#if defined(__x86_64__)
  switch (active_isa()) {
    case Isa::avx512:
      return {avx512::cdf_rows, avx512::quantile_rows, avx512::mean_rows};
    case Isa::avx2:
      return {avx2::cdf_rows, avx2::quantile_rows, avx2::mean_rows};
    case Isa::baseline:
      break;
  }
#endif
  return {baseline::cdf_rows, baseline::quantile_rows, baseline::mean_rows};
}

// Calls work(begin, end) for shares of the rows, each of which looks at `values` values of x.
template <typename Work>
void share_rows(const Mixtures& mixtures, size_t values, const Work& work) {
  constexpr size_t kWorthAThread = 20000;  // evaluations of a component: about 0.5 ms
  const size_t each = std::max<size_t>(1, mixtures.components * values);
  const int threads = threads_for(mixtures.rows, std::max<size_t>(1, kWorthAThread / each));
  parallel_for(mixtures.rows, threads, [&](int, size_t begin, size_t end) { work(begin, end); });
}

}  // namespace

void mixture_cdf(const Mixtures& mixtures, const double* at, double* to) {
  const MixtureTable kernels = table();
  share_rows(mixtures, 2,
             [&](size_t begin, size_t end) { kernels.cdf(mixtures, at, to, begin, end); });
}

void mixture_quantiles(const Mixtures& mixtures, const NormalLevel* levels, size_t count,
                       double* to) {
  const MixtureTable kernels = table();
  share_rows(mixtures, 1 + 3 * count, [&](size_t begin, size_t end) {
    kernels.quantiles(mixtures, levels, count, to, begin, end);
  });
}

void mixture_means_between(const Mixtures& mixtures, const NormalLevel& low,
                           const NormalLevel& high, double* to) {
  const MixtureTable kernels = table();
  share_rows(mixtures, 9,
             [&](size_t begin, size_t end) { kernels.means(mixtures, low, high, to, begin, end); });
}

}  // namespace marketsim
