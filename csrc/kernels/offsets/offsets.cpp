#include "kernels/offsets/offsets.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "common/isa.hpp"
#include "common/parallel.hpp"

namespace marketsim {
namespace {

struct OffsetTable {
  size_t (*scratch_bytes)(const OffsetRules&, size_t);
  void (*solve)(const OffsetRules&, const OffsetProblems&, const OffsetAnswers&, size_t, size_t,
                char*);
};

#define MARKETSIM_TABLE(isa)                                       \
  (lanes ? OffsetTable{isa::lanes_scratch_bytes, isa::solve_lanes} \
         : OffsetTable{isa::sweep_scratch_bytes, isa::solve_sweep})

OffsetTable table(bool lanes) {
#if defined(__x86_64__)
  switch (active_isa()) {
    case Isa::avx512:
      return MARKETSIM_TABLE(avx512);
    case Isa::avx2:
      return MARKETSIM_TABLE(avx2);
    case Isa::baseline:
      break;
  }
#endif
  return MARKETSIM_TABLE(baseline);
}

#undef MARKETSIM_TABLE

// Scratch for each thread, aligned for vectors; allocated before any thread starts.
class Scratch {
 public:
  Scratch(size_t bytes, int threads)
      : stride_((bytes + 63) / 64 * 64),
        memory_(static_cast<char*>(
            ::operator new(stride_* static_cast<size_t>(threads), std::align_val_t{64}))) {
#if defined(MARKETSIM_NOISY_SCRATCH)  // the sanitizer build: what is read unwritten must show
    uint32_t noise = 1;
    for (size_t i = 0; i < stride_ * static_cast<size_t>(threads); ++i) {
      noise = noise * 1664525u + 1013904223u;
      memory_[i] = static_cast<char>(noise >> 24);
    }
#endif
  }
  ~Scratch() { ::operator delete(memory_, std::align_val_t{64}); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  char* of(int thread) const { return memory_ + stride_ * static_cast<size_t>(thread); }

 private:
  size_t stride_;
  char* memory_;
};

}  // namespace

size_t sort_unique(float* keys, size_t count, float* spare) {
  constexpr size_t kRadixFrom = 40;  // measured
  if (count < kRadixFrom) {
    std::sort(keys, keys + count);
  } else {
    // Four passes over the bytes of an integer that orders as the float does.
    uint32_t counts[4][256] = {};
    uint32_t* from = reinterpret_cast<uint32_t*>(keys);
    uint32_t* to = reinterpret_cast<uint32_t*>(spare);
    for (size_t i = 0; i < count; ++i) {
      const uint32_t bits = from[i], key = bits ^ (bits >> 31 ? 0xffffffffu : 0x80000000u);
      from[i] = key;
      for (uint32_t pass = 0; pass < 4; ++pass) ++counts[pass][key >> (8 * pass) & 255u];
    }
    for (uint32_t pass = 0; pass < 4; ++pass) {
      uint32_t begin = 0;
      for (uint32_t& bucket : counts[pass]) begin += std::exchange(bucket, begin);
      for (size_t i = 0; i < count; ++i) {
        to[counts[pass][from[i] >> (8 * pass) & 255u]++] = from[i];
      }
      std::swap(from, to);
    }
    for (size_t i = 0; i < count; ++i) {  // an even number of passes: the result is in `keys`
      from[i] ^= from[i] >> 31 ? 0x80000000u : 0xffffffffu;
    }
  }
  return static_cast<size_t>(std::unique(keys, keys + count) - keys);
}

void best_offsets(const OffsetRules& rules, const OffsetProblems& problems, int most_threads,
                  const OffsetAnswers& answers) {
  if (problems.count == 0) return;
  // Lanes take candidates^2 * legs steps for a whole vector of problems, the sweep takes time about
  // in proportion to legs for one. With all lanes in use they were measured to cost the same at so
  // many candidates, by instruction set.
  constexpr size_t kSameAt[2][3] = {{56, 68, 88}, {28, 34, 42}};  // the second: close_only
  const size_t legs = leg_count(rules, problems.days);
  const size_t candidates = legs * static_cast<size_t>(candidates_per_leg(rules.rules)) + 2;
  const int isa = static_cast<int>(active_isa());
  const size_t closes = rules.rules.fill == Fill::close_only ? 1 : 0;
  const size_t widest = size_t{4} << isa, same_at = kSameAt[closes][isa];
  const size_t used = std::min(problems.count, widest);
  // The lanes' tables are sums over legs: they need one.
  const bool lanes = legs > 0 && candidates * candidates * widest <= same_at * same_at * used;
  const OffsetTable kernels = table(lanes);
  constexpr size_t kWorthAThread = 2000;  // legs: about 0.2 ms
  const int threads = threads_for(problems.count * legs, kWorthAThread, most_threads);
  const Scratch scratch(kernels.scratch_bytes(rules, problems.days), threads);
  // Shares of whole vectors, so that no lane idles in the middle.
  constexpr size_t kGroup = 16;
  const size_t groups = lanes ? (problems.count + kGroup - 1) / kGroup : problems.count;
  const size_t width = lanes ? kGroup : 1;
  parallel_for(groups, threads, [&](int thread, size_t begin, size_t end) {
    kernels.solve(rules, problems, answers, begin * width, std::min(end * width, problems.count),
                  scratch.of(thread));
  });
}

void best_offsets_of_fills(OffsetRules rules, const Fill* fills, size_t count,
                           const OffsetProblems& problems, int most_threads,
                           const OffsetAnswers& answers, unsigned char* chosen) {
  rules.rules.fill = fills[0];
  best_offsets(rules, problems, most_threads, answers);
  std::fill_n(chosen, problems.count, static_cast<unsigned char>(0));
  if (count == 1) return;
  std::vector<float> high(problems.count), low(problems.count);
  std::vector<double> profit(problems.count);
  for (size_t fill = 1; fill < count; ++fill) {
    rules.rules.fill = fills[fill];
    best_offsets(rules, problems, most_threads, {high.data(), low.data(), profit.data()});
    for (size_t i = 0; i < problems.count; ++i) {
      if (!(profit[i] > answers.profit[i])) continue;
      answers.high[i] = high[i];
      answers.low[i] = low[i];
      answers.profit[i] = profit[i];
      chosen[i] = static_cast<unsigned char>(fill);
    }
  }
}

}  // namespace marketsim
