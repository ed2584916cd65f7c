#include "kernels/cscv.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/parallel.hpp"

namespace marketsim {
namespace {

size_t choose(size_t n, size_t k) {
  if (k > n) return 0;
  size_t result = 1;
  for (size_t i = 1; i <= k; ++i) result = result * (n - k + i) / i;
  return result;
}

// The combination of `size` numbers below `n` at a place of the lexicographic order.
std::vector<size_t> combination_at(size_t place, size_t n, size_t size) {
  std::vector<size_t> found;
  for (size_t value = 0; found.size() < size; ++value) {
    const size_t with = choose(n - value - 1, size - found.size() - 1);
    if (place < with) {
      found.push_back(value);
    } else {
      place -= with;
    }
  }
  return found;
}

// Sums of the values less the strategy's mean, and of their squares, [strategy] each.
struct Sums {
  std::vector<double> first, second;
  double bars = 0.0;
  explicit Sums(size_t strategies) : first(strategies, 0.0), second(strategies, 0.0) {}
};

void add(const Sums& a, const Sums& b, Sums& to) {
  const size_t count = to.first.size();
  for (size_t k = 0; k < count; ++k) to.first[k] = a.first[k] + b.first[k];
  for (size_t k = 0; k < count; ++k) to.second[k] = a.second[k] + b.second[k];
  to.bars = a.bars + b.bars;
}

void subtract(const Sums& a, const Sums& b, Sums& to) {
  const size_t count = to.first.size();
  for (size_t k = 0; k < count; ++k) to.first[k] = a.first[k] - b.first[k];
  for (size_t k = 0; k < count; ++k) to.second[k] = a.second[k] - b.second[k];
  to.bars = a.bars - b.bars;
}

struct Blocks {
  std::vector<Sums> sums;  // of each block
  Sums total;
  std::vector<double> mean;  // of each strategy over all bars
  // Below this sum of squared differences a half does not vary: rounding leaves that much, of the
  // values themselves and of the total that a half is subtracted from.
  std::vector<double> floor;
};

Blocks block_sums(const double* net, size_t strategies, size_t bars, size_t blocks) {
  Blocks found{std::vector<Sums>(blocks, Sums(strategies)), Sums(strategies),
               std::vector<double>(strategies), std::vector<double>(strategies)};
  for (size_t k = 0; k < strategies; ++k) {
    const double* const row = net + k * bars;
    double mean = 0.0, size = 0.0;
    for (size_t t = 0; t < bars; ++t) mean += row[t];
    mean /= static_cast<double>(bars);
    for (size_t t = 0; t < bars; ++t) size += row[t] * row[t];
    found.mean[k] = mean;
    found.floor[k] = 1e-24 * size;
    for (size_t b = 0; b < blocks; ++b) {
      double first = 0.0, second = 0.0;
      for (size_t t = b * bars / blocks; t < (b + 1) * bars / blocks; ++t) {
        const double d = row[t] - mean;
        first += d;
        second += d * d;
      }
      found.sums[b].first[k] = first;
      found.sums[b].second[k] = second;
    }
  }
  for (size_t b = 0; b < blocks; ++b) {
    found.sums[b].bars = static_cast<double>((b + 1) * bars / blocks - b * bars / blocks);
    add(found.total, found.sums[b], found.total);
  }
  for (size_t k = 0; k < strategies; ++k) {
    found.floor[k] = std::max(found.floor[k], 1e-13 * found.total.second[k]);
  }
  return found;
}

void statistics_of(const Sums& half, const Blocks& of, Statistic statistic, double* to) {
  const size_t count = half.first.size();
  const double bars = half.bars;
  if (statistic == Statistic::mean) {
    for (size_t k = 0; k < count; ++k) to[k] = of.mean[k] + half.first[k] / bars;
    return;
  }
  for (size_t k = 0; k < count; ++k) {
    const double shift = half.first[k] / bars;
    const double squares = half.second[k] - half.first[k] * shift;
    const double ratio = (of.mean[k] + shift) / std::sqrt(std::max(squares, 1e-300) / (bars - 1.0));
    to[k] = squares > of.floor[k] ? ratio : 0.0;
  }
}

void record(const std::vector<double>& in, const std::vector<double>& out, size_t split,
            const SplitResults& to) {
  const size_t best = static_cast<size_t>(std::max_element(in.begin(), in.end()) - in.begin());
  const double value = out[best];
  size_t below = 0, equal = 0;
  for (const double other : out) {
    below += other < value;
    equal += other == value;
  }
  to.chosen[split] = static_cast<std::int64_t>(best);
  to.in_sample[split] = in[best];
  to.out_of_sample[split] = value;
  to.rank[split] = static_cast<double>(below) + 0.5 * static_cast<double>(equal + 1);
}

}  // namespace

size_t split_count(size_t blocks) {
  return choose(blocks, blocks / 2);
}

void cross_validate(const double* net, size_t strategies, size_t bars, size_t blocks,
                    Statistic statistic, const SplitResults& to) {
  const Blocks of = block_sums(net, strategies, bars, blocks);
  // Half of the splits have the first block in sample; the others are their mirrors.
  const size_t half = blocks / 2, pairs = split_count(blocks) / 2;
  const int threads = threads_for(pairs * strategies, 1 << 16);
  parallel_for(pairs, threads, [&](int, size_t begin, size_t end) {
    if (begin == end) return;
    // partial[d]: sums of the first block and of the first d others of the combination. Only what
    // changes from one combination to the next is added again, always from the left.
    std::vector<Sums> partial(half, Sums(strategies));
    partial[0] = of.sums[0];
    Sums rest(strategies);
    std::vector<double> in(strategies), out(strategies);
    std::vector<size_t> chosen = combination_at(begin, blocks - 1, half - 1);
    size_t changed = 0;
    for (size_t pair = begin; pair < end; ++pair) {
      for (size_t d = changed; d + 1 < half; ++d) {
        add(partial[d], of.sums[chosen[d] + 1], partial[d + 1]);
      }
      subtract(of.total, partial[half - 1], rest);
      statistics_of(partial[half - 1], of, statistic, in.data());
      statistics_of(rest, of, statistic, out.data());
      record(in, out, 2 * pair, to);
      record(out, in, 2 * pair + 1, to);
      // The next combination: raise the last number that can be, reset those after it.
      changed = half - 1;
      while (changed > 0 && chosen[changed - 1] == blocks - 1 - (half - changed)) --changed;
      if (changed == 0) break;
      --changed;
      ++chosen[changed];
      for (size_t d = changed + 1; d + 1 < half; ++d) chosen[d] = chosen[d - 1] + 1;
    }
  });
}

}  // namespace marketsim
