#include "kernels/profit.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include "common/isa.hpp"
#include "common/parallel.hpp"

namespace marketsim {
namespace {

struct ProfitTable {
  void (*prepare)(const Rules&, const Days&, size_t, LegArrays);
  void (*rows)(const ProfitJob&, LegArrays, size_t, size_t);
};

ProfitTable table() {
#if defined(__x86_64__)
  switch (active_isa()) {
    case Isa::avx512:
      return {avx512::prepare_days, avx512::profit_rows};
    case Isa::avx2:
      return {avx2::prepare_days, avx2::profit_rows};
    case Isa::baseline:
      break;
  }
#endif
  return {baseline::prepare_days, baseline::profit_rows};
}

}  // namespace

void profit(const Rules& rules, const Days& input, size_t days, const float* high_offset,
            const float* low_offset, size_t candidates, float* out) {
  if (days == 0 || candidates == 0) return;
  constexpr size_t kWorthAThread = size_t{1} << 20;  // day-candidates: about 0.2 ms
  const ProfitTable kernels = table();
  const auto memory = std::make_unique_for_overwrite<float[]>(LegArrays::floats_needed(days));
  const LegArrays legs(memory.get(), days);
  kernels.prepare(rules, input, days, legs);
  const ProfitJob job{rules, days, high_offset, low_offset, out};
  const int threads = threads_for(candidates * days, kWorthAThread);
  parallel_for(candidates, threads,
               [&](int, size_t begin, size_t end) { kernels.rows(job, legs, begin, end); });
}

void fills(const Rules& rules, const Days& input, size_t days, float* gross, float* fee,
           unsigned char* flags) {
  const auto usable = [](float v) { return std::isfinite(v); };
  for (size_t i = 0; i < days; ++i) {
    gross[i] = fee[i] = 0.0f;
    flags[i] = 0;
    const float c = input.close[i], a = input.high[i], b = input.low[i];
    const float position = input.position[i], o = input.open ? input.open[i] : 0.0f;
    if (!usable(c) || !usable(a) || !usable(b) || !usable(input.high_pred[i]) ||
        !usable(input.low_pred[i]) || !usable(position) || !usable(o) || position == 0.0f) {
      continue;
    }
    const bool is_long = position > 0.0f;
    const float weight = std::min(std::fabs(position), 10.0f);
    const float high = std::clamp(input.high_pred[i], 0.0f, 10.0f);
    const float low = std::clamp(input.low_pred[i], -1.0f, 0.0f);
    const bool enters = is_long ? low > b : high < a;
    const bool at_open = input.open && (is_long ? low >= o : high <= o);
    const bool reached = is_long ? high <= a : low >= b;
    const bool proven = at_open || (is_long ? high <= c : low >= c);
    const bool open_fill = at_open && rules.fill == Fill::open_aware;
    bool exits = reached;
    if (rules.fill == Fill::pessimistic) exits = is_long ? high <= c : low >= c;
    if (rules.fill == Fill::open_aware) exits = proven && (at_open ? reached : true);
    if (rules.fill == Fill::close_only) exits = false;

    if (enters) {
      const float entry = open_fill ? o : is_long ? low : high;
      const float exit = !exits ? c : is_long ? high : low;
      gross[i] = weight * (is_long ? exit - entry : entry - exit);
      flags[i] = is_long ? kLongEntered : kShortEntered;
      if (exits) flags[i] |= is_long ? kLongExited : kShortExited;
      if (open_fill) flags[i] |= kOpenFilled;
      if (rules.fill != Fill::close_only && reached && !proven) flags[i] |= kAmbiguous;
    }
    bool pays = enters;
    if (rules.fee_rule == FeeRule::touched_both) {
      pays = rules.fill == Fill::close_only ? (high < a || low > b) : (high < a && low > b);
    }
    if (pays) fee[i] = rules.fee * weight;
  }
}

}  // namespace marketsim
