// One call of a kernel on fixed input, for `benchmarks/kernel_counts.py` to count its instructions.
//
//     kernel_counts <kernel> <instruction set>
//
// Only what runs inside `counted` is counted, so that making the input costs nothing. Kernels run
// on one thread.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/isa.hpp"
#include "common/parallel.hpp"
#include "kernels/indicators/indicators.hpp"
#include "kernels/offsets/offsets.hpp"
#include "kernels/performance.hpp"
#include "kernels/profit.hpp"
#include "kernels/statistical.hpp"
#include "kernels/store/keys.hpp"
#include "kernels/student_t.hpp"

namespace {

using Work = std::function<void()>;

// Callgrind collects inside this function alone, and everything it calls.
extern "C" __attribute__((noinline)) void counted(const Work& work) {
  work();
}

// The same numbers on every machine: xorshift64*, uniform in [-1, 1).
class Numbers {
 public:
  double next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    const uint64_t bits = (state_ * 0x2545f4914f6cdd1dULL) >> 11;
    return static_cast<double>(bits) / static_cast<double>(1ULL << 52) - 1.0;
  }
  template <typename T>
  std::vector<T> row(size_t count, double scale, double centre = 0.0) {
    std::vector<T> found(count);
    for (T& value : found) value = static_cast<T>(centre + scale * next());
    return found;
  }

 private:
  uint64_t state_ = 0x9e3779b97f4a7c15ULL;
};

// Days of bars against the close before, with forecasts of high and low.
struct Market {
  explicit Market(size_t days) {
    Numbers numbers;
    for (size_t i = 0; i < days; ++i) {
      const double o = 0.005 * numbers.next(), c = 0.015 * numbers.next();
      open.push_back(static_cast<float>(o));
      close.push_back(static_cast<float>(c));
      high.push_back(static_cast<float>(std::fmax(o, c) + 0.004 * (1.0 + numbers.next())));
      low.push_back(static_cast<float>(std::fmin(o, c) - 0.004 * (1.0 + numbers.next())));
      high_pred.push_back(static_cast<float>(0.008 + 0.004 * numbers.next()));
      low_pred.push_back(static_cast<float>(-0.008 + 0.004 * numbers.next()));
      position.push_back(numbers.next() < 0.0 ? -1.0f : 1.0f);
    }
  }
  marketsim::Days days() const {
    return {close.data(),    high.data(),     low.data(), high_pred.data(),
            low_pred.data(), position.data(), open.data()};
  }
  std::vector<float> open, close, high, low, high_pred, low_pred, position;
};

void offsets(size_t count, size_t days) {
  const Market market(count * days);
  marketsim::OffsetProblems problems{market.days(), days, days, days,  days,
                                     days,          days, days, count, days};
  const marketsim::OffsetRules rules{{}, {-0.03f, 0.03f, -0.03f, 0.03f}};
  std::vector<float> high(count), low(count);
  std::vector<double> profit(count);
  counted([&] {
    marketsim::best_offsets(rules, problems, 1, {high.data(), low.data(), profit.data()});
  });
}

void profit() {
  constexpr size_t kDays = 256, kCandidates = 500;
  const Market market(kDays);
  Numbers numbers;
  const auto high = numbers.row<float>(kCandidates, 0.03),
             low = numbers.row<float>(kCandidates, 0.03);
  std::vector<float> out(kDays * kCandidates);
  counted([&] {
    marketsim::profit({}, market.days(), kDays, high.data(), low.data(), kCandidates, 1,
                      out.data());
  });
}

void ewma() {
  constexpr size_t kSize = 2'500, kStart = 250;
  constexpr double kLevel[] = {0.1, 0.25, 0.5, 0.75, 0.9};
  constexpr double kNormal[] = {-1.2815515655446004, -0.6744897501960817, 0.0, 0.6744897501960817,
                                1.2815515655446004};
  Numbers numbers;
  const auto series = numbers.row<double>(kSize, 0.02);
  const size_t rows = kSize - kStart + 1;
  std::vector<double> mean(rows), std(rows), quantile(rows * 5);
  counted([&] {
    marketsim::ewma_forecasts(series.data(), kSize, kStart, 0.94, 250, 20, {kLevel, kNormal, 5},
                              {mean.data(), std.data(), quantile.data()});
  });
}

void keys() {
  constexpr size_t kRows = 2'500, kColumns = 5;
  Numbers numbers;
  const auto values = numbers.row<double>(kRows * kColumns, 50.0, 100.0);
  std::vector<int64_t> stamps(kRows), ends(kRows);
  for (size_t i = 0; i < kRows; ++i) {
    stamps[i] = static_cast<int64_t>(i) * 86'400'000'000'000;
    ends[i] = static_cast<int64_t>(i) + 1;
  }
  std::vector<uint8_t> contexts(kRows * 16), found(kRows * 16), head(32, 7);
  counted([&] {
    marketsim::store::context_digests({stamps.data(), values.data(), kRows, kColumns, kColumns, 1},
                                      ends.data(), kRows, 512, contexts.data());
    marketsim::store::record_keys(head.data(), stamps.data(), contexts.data(), kRows, found.data());
  });
}

void mixtures() {
  constexpr size_t kRows = 304, kComponents = 24;
  constexpr size_t kCells = kRows * kComponents;
  Numbers numbers;
  const auto df = numbers.row<double>(kCells, 4.0, 8.0), loc = numbers.row<double>(kCells, 0.01),
             scale = numbers.row<double>(kCells, 0.004, 0.01),
             weight = numbers.row<double>(kCells, 0.4, 0.5);
  const marketsim::NormalLevel levels[] = {
      {0.1, -1.2815515655446004}, {0.5, 0.0}, {0.9, 1.2815515655446004}};
  std::vector<double> to(kRows * 3);
  counted([&] {
    marketsim::mixture_quantiles(
        {df.data(), loc.data(), scale.data(), weight.data(), kRows, kComponents}, levels, 3,
        to.data());
  });
}

void indicator(const char* name) {
  namespace indicators = marketsim::indicators;
  constexpr size_t kRows = 10'000;
  const size_t kind = indicators::kind_of(name).value();
  const indicators::KindInfo& info = indicators::kinds()[kind];
  Numbers numbers;
  std::vector<std::vector<double>> in, out;
  indicators::Job job{};
  for (size_t i = 0; i < info.inputs; ++i) in.push_back(numbers.row<double>(kRows, 5.0, 100.0));
  for (size_t i = 0; i < info.outputs; ++i) out.emplace_back(kRows);
  for (size_t i = 0; i < info.inputs; ++i) job.in[i] = in[i].data();
  for (size_t i = 0; i < info.outputs; ++i) job.out[i] = out[i].data();
  job.parameters[0] = 14.0;
  const indicators::Run run{&job, 1, kRows, {}, 14, 0, nullptr, 0};
  counted([&] { indicators::run(kind, run); });
}

void performance() {
  constexpr size_t kRows = 12, kBars = 2'500;
  Numbers numbers;
  const auto net = numbers.row<double>(kRows * kBars, 0.02);
  std::vector<double> to(kRows * marketsim::kFigures);
  counted([&] {
    marketsim::row_performance({net.data(), nullptr, nullptr, kRows, kBars}, 0.05, to.data());
  });
}

const std::map<std::string, Work>& kernels() {
  static const std::map<std::string, Work> found = {
      {"ewma", ewma},
      {"indicators_rsi", [] { indicator("rsi"); }},
      {"indicators_sma", [] { indicator("sma"); }},
      {"keys", keys},
      {"mixture_quantiles", mixtures},
      {"offsets_6", [] { offsets(512, 6); }},
      {"offsets_250", [] { offsets(16, 250); }},
      {"performance", performance},
      {"profit", profit},
  };
  return found;
}

}  // namespace

int main(int count, char** arguments) {
  if (count == 2 && std::string(arguments[1]) == "list") {
    for (const auto& kernel : kernels()) std::puts(kernel.first.c_str());
    return 0;
  }
  if (count != 3 || !kernels().contains(arguments[1])) {
    std::fprintf(stderr,
                 "usage: kernel_counts <kernel> <instruction set>, or kernel_counts list\n");
    return 2;
  }
  marketsim::set_isa(arguments[2]);
  marketsim::set_thread_limit(1);
  kernels().at(arguments[1])();
  return 0;
}
