// Combinatorially symmetric cross-validation (Bailey, Borwein, López de Prado and Zhu, 2017): every
// way to divide blocks of bars into an in-sample and an out-of-sample half.
#pragma once

#include <cstddef>
#include <cstdint>

namespace marketsim {

enum class Statistic { mean, sharpe };

// One value for each split.
struct SplitResults {
  std::int64_t* chosen;   // the strategy that is best in sample; the first of equals
  double* in_sample;      // its statistic there
  double* out_of_sample;  // its statistic in the other half
  double* rank;           // of that among all strategies, 1 for the worst; equals share a rank
};

// How many splits `blocks` have: blocks over blocks / 2. `blocks` is even, at least 2.
size_t split_count(size_t blocks);

// net [strategy][bar], at least `blocks` bars; block b is the bars from b * bars / blocks on. A
// half without variation has a Sharpe ratio of 0. Splits 2 i and 2 i + 1 are each other's mirror.
void cross_validate(const double* net, size_t strategies, size_t bars, size_t blocks,
                    Statistic statistic, const SplitResults& to);

}  // namespace marketsim
