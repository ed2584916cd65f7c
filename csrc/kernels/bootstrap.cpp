#include "kernels/bootstrap.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "common/parallel.hpp"
#include "kernels/performance.hpp"

namespace marketsim {
namespace {

constexpr std::uint64_t kStep = 0x9E3779B97F4A7C15u;

// SplitMix64 (Steele, Lea and Flood, 2014).
std::uint64_t mixed(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

class Stream {
 public:
  Stream(std::uint64_t seed, size_t repetition)
      : state_(mixed(seed + kStep * (static_cast<std::uint64_t>(repetition) + 1))) {}
  std::uint64_t next() { return mixed(state_ += kStep); }
  // A number below `bound`, which is below 2^32.
  size_t below(size_t bound) { return static_cast<size_t>(((next() >> 32) * bound) >> 32); }

 private:
  std::uint64_t state_;
};

// A draw below this begins a new block: 2^64 / mean length.
std::uint64_t block_limit(double mean_length) {
  const double share = 18446744073709551616.0 / mean_length;
  return share >= 18446744073709549568.0 ? std::numeric_limits<std::uint64_t>::max()
                                         : static_cast<std::uint64_t>(share);
}

struct Block {
  size_t begin, end;
};

// The blocks of one repetition, cut where they pass the last bar.
void draw_blocks(const Resampling& how, size_t repetition, size_t bars, std::vector<Block>& to) {
  Stream stream(how.seed, repetition);
  const std::uint64_t limit = block_limit(how.mean_length);
  to.clear();
  size_t at = stream.below(bars);
  to.push_back({at, at + 1});
  for (size_t i = 1; i < bars; ++i) {
    if (stream.next() <= limit) {
      at = stream.below(bars);
      to.push_back({at, at + 1});
    } else if (++at == bars) {
      at = 0;
      to.push_back({0, 1});
    } else {
      to.back().end = at + 1;
    }
  }
}

// Strategies that lie side by side, so that one load and one addition serve them all.
constexpr size_t kTile = 8;
// Repetitions whose blocks are drawn before the tiles are passed over.
constexpr size_t kBatch = 64;

// Running sums of the centred values, [tile][bar + 1][kTile].
std::vector<double> running_sums(const double* values, size_t strategies, size_t bars) {
  const size_t tiles = (strategies + kTile - 1) / kTile;
  std::vector<double> sums(tiles * (bars + 1) * kTile, 0.0);
  for (size_t k = 0; k < strategies; ++k) {
    const double* const row = values + k * bars;
    double mean = 0.0;
    for (size_t t = 0; t < bars; ++t) mean += row[t];
    mean /= static_cast<double>(bars);
    double* const to = sums.data() + k / kTile * (bars + 1) * kTile + k % kTile;
    double sum = 0.0;
    for (size_t t = 0; t < bars; ++t) to[(t + 1) * kTile] = sum += row[t] - mean;
  }
  return sums;
}

}  // namespace

void draw_bars(const Resampling& how, size_t repetition, size_t bars, std::int64_t* to) {
  std::vector<Block> blocks;
  draw_blocks(how, repetition, bars, blocks);
  for (const Block& block : blocks) {
    for (size_t bar = block.begin; bar < block.end; ++bar) *to++ = static_cast<std::int64_t>(bar);
  }
}

void bootstrap_maxima(const double* values, size_t strategies, size_t bars, const double* offsets,
                      size_t kinds, const double* scale, const Resampling& how, double* to) {
  const std::vector<double> sums = running_sums(values, strategies, bars);
  const size_t batches = (how.repetitions + kBatch - 1) / kBatch;
  std::fill(to, to + how.repetitions * kinds, -std::numeric_limits<double>::infinity());
  parallel_for(batches, threads_for(batches, 1), [&](int, size_t begin, size_t end) {
    std::vector<std::vector<Block>> blocks(kBatch);
    for (size_t batch = begin; batch < end; ++batch) {
      const size_t first = batch * kBatch;
      const size_t count = std::min(kBatch, how.repetitions - first);
      for (size_t r = 0; r < count; ++r) draw_blocks(how, first + r, bars, blocks[r]);
      for (size_t k = 0; k < strategies; k += kTile) {
        const double* const tile = sums.data() + k * (bars + 1);
        const size_t width = std::min(kTile, strategies - k);
        for (size_t r = 0; r < count; ++r) {
          double total[kTile] = {};
          for (const Block& block : blocks[r]) {
            const double* const upper = tile + block.end * kTile;
            const double* const lower = tile + block.begin * kTile;
            for (size_t i = 0; i < kTile; ++i) total[i] += upper[i] - lower[i];
          }
          double* const best = to + (first + r) * kinds;
          for (size_t kind = 0; kind < kinds; ++kind) {
            const double* const offset = offsets + kind * strategies + k;
            for (size_t i = 0; i < width; ++i) {
              const double value =
                  (total[i] / static_cast<double>(bars) + offset[i]) * scale[k + i];
              best[kind] = std::max(best[kind], value);
            }
          }
        }
      }
    }
  });
}

void bootstrap_performance(const double* net, const std::uint8_t* active, size_t rows, size_t bars,
                           const Resampling& how, double* to) {
  const size_t items = rows * how.repetitions;
  parallel_for(items, threads_for(items * bars, 1 << 16), [&](int, size_t begin, size_t end) {
    std::vector<Block> blocks;
    std::vector<double> drawn(bars);
    std::vector<std::uint8_t> drawn_active(bars);
    const std::int64_t start = 0;
    for (size_t item = begin; item < end; ++item) {
      const size_t row = item / how.repetitions;
      draw_blocks(how, item % how.repetitions, bars, blocks);
      size_t at = 0;
      for (const Block& block : blocks) {
        const size_t from = row * bars + block.begin, length = block.end - block.begin;
        std::copy(net + from, net + from + length, drawn.data() + at);
        if (active) std::copy(active + from, active + from + length, drawn_active.data() + at);
        at += length;
      }
      const NetReturns given{drawn.data(), active ? drawn_active.data() : nullptr, nullptr, 1,
                             bars};
      window_performance(given, &start, 1, bars, to + item * kWindowFigures);
    }
  });
}

}  // namespace marketsim
