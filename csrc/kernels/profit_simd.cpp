// Lanes are days, so that each row of the output is written in order; long and short days share a
// vector (leg.hpp mirrors the shorts). Four candidates go through a vector of days together: one
// set of loads then serves four results, which leaves the arithmetic as the limit.
#include "kernels/leg.hpp"
#include "kernels/profit.hpp"

namespace marketsim::MARKETSIM_ISA {
namespace {

template <Formula kFormula, int kRows>
void rows(const ProfitJob& job, const LegArrays& legs, size_t first) {
  F high_offset[kRows], low_offset[kRows];
  for (int r = 0; r < kRows; ++r) {
    high_offset[r] = broadcast(job.high_offset[first + r]);
    low_offset[r] = broadcast(job.low_offset[first + r]);
  }
  float* out = job.out + first * job.days;
  size_t day = 0;
  for (; day + kLanes <= job.days; day += kLanes) {
    const Legs vector = load_legs(legs, day);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      store(out + r * job.days + day, leg_profit<kFormula>(vector, high_offset[r], low_offset[r]));
    }
  }
  if (day == job.days) return;
  const Legs vector = load_legs(legs, day);
  for (int r = 0; r < kRows; ++r) {
    store_first(out + r * job.days + day,
                leg_profit<kFormula>(vector, high_offset[r], low_offset[r]), job.days - day);
  }
}

}  // namespace

void prepare_days(const Rules& rules, const Days& input, size_t days, LegArrays to) {
  for (size_t day = 0; day < days; day += kLanes) {
    const size_t count = days - day < kLanes ? days - day : kLanes;
    store_legs(make_legs(rules, 0.0f, read_days(input, day, count)), to, day);
  }
}

void profit_at_once(const ProfitJob& job, const Days& input, size_t candidates) {
  with_rules(job.rules, [&]<Formula kFormula>() {
    for (size_t day = 0; day < job.days; day += kLanes) {
      const size_t count = job.days - day < kLanes ? job.days - day : kLanes;
      const Legs legs = make_legs(job.rules, 0.0f, read_days(input, day, count));
      for (size_t i = 0; i < candidates; ++i) {
        const F found =
            leg_profit<kFormula>(legs, broadcast(job.high_offset[i]), broadcast(job.low_offset[i]));
        float* to = job.out + i * job.days + day;
        if (count == kLanes) {
          store(to, found);
        } else {
          store_first(to, found, count);
        }
      }
    }
  });
}

void profit_rows(const ProfitJob& job, LegArrays legs, size_t begin, size_t end) {
  with_rules(job.rules, [&]<Formula kFormula>() {
    size_t row = begin;
    for (; row + 4 <= end; row += 4) rows<kFormula, 4>(job, legs, row);
    for (; row < end; ++row) rows<kFormula, 1>(job, legs, row);
  });
}

}  // namespace marketsim::MARKETSIM_ISA
