#include "kernels/profit.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <memory>

#include "common/isa.hpp"
#include "common/parallel.hpp"

namespace marketsim {
namespace {

struct ProfitTable {
  void (*prepare)(const Rules&, const Days&, size_t, LegArrays);
  void (*rows)(const ProfitJob&, LegArrays, size_t, size_t);
  void (*at_once)(const ProfitJob&, const Days&, size_t);
};

ProfitTable table() {
#if defined(__x86_64__)
  switch (active_isa()) {
    case Isa::avx512:
      return {avx512::prepare_days, avx512::profit_rows, avx512::profit_at_once};
    case Isa::avx2:
      return {avx2::prepare_days, avx2::profit_rows, avx2::profit_at_once};
    case Isa::baseline:
      break;
  }
#endif
  return {baseline::prepare_days, baseline::profit_rows, baseline::profit_at_once};
}

}  // namespace

void profit(const Rules& rules, const Days& input, size_t days, const float* high_offset,
            const float* low_offset, size_t candidates, int most_threads, float* out) {
  if (days == 0 || candidates == 0) return;
  constexpr size_t kWorthAThread = size_t{1} << 20;  // day-candidates: about 0.2 ms
  const ProfitTable kernels = table();
  const ProfitJob job{rules, days, high_offset, low_offset, out};
  if (candidates <= kProfitAtOnce) return kernels.at_once(job, input, candidates);
  const auto memory = std::make_unique_for_overwrite<float[]>(LegArrays::floats_needed(days));
  const LegArrays legs(memory.get(), days);
  kernels.prepare(rules, input, days, legs);
  const int threads = threads_for(candidates * days, kWorthAThread, most_threads);
  parallel_for(candidates, threads,
               [&](int, size_t begin, size_t end) { kernels.rows(job, legs, begin, end); });
}

namespace {

bool usable(const Days& input, size_t i, bool always_on = false) {
  const float values[] = {input.close[i],
                          input.high[i],
                          input.low[i],
                          input.high_pred[i],
                          input.low_pred[i],
                          input.position[i],
                          input.open ? input.open[i] : 0.0f};
  return std::all_of(std::begin(values), std::end(values),
                     [](float v) { return std::isfinite(v); }) &&
         (always_on || input.position[i] != 0.0f);
}

// One trade in the mirror in which it is a long's (leg.hpp).
struct Trade {
  float gross = 0.0f, cost = 0.0f;
  bool enters = false, at_open = false, at_limit = false, ambiguous = false;
};

Trade trade_of(const Rules& rules, float weight, float entry, float exit, float open, float high,
               float low, float close) {
  Trade trade;
  trade.enters = entry > low;
  if (!trade.enters) return trade;
  trade.at_open = entry > open;
  const bool reached = exit < high, proven = exit < close;
  if (rules.fill != Fill::close_only) {
    trade.at_limit = trade.at_open || rules.fill == Fill::optimistic ? reached : proven;
    trade.ambiguous = !trade.at_open && reached && !proven;
  }
  const float paid = trade.at_open ? open : entry;
  const float price = trade.at_open ? std::max(exit, open) : exit;
  trade.gross = weight * ((trade.at_limit ? price : close) - paid);
  trade.cost = (trade.at_limit ? rules.limit_cost : rules.close_cost) * weight;
  return trade;
}

// As trade_of by the legacy formulas; exit and entry are clamped.
Trade legacy_trade_of(const Rules& rules, float weight, float entry, float exit, float high,
                      float low, float close) {
  Trade trade;
  trade.enters = entry > low;
  const bool reached = exit <= high, proven = exit <= close;
  if (rules.fill == Fill::legacy) trade.at_limit = reached;
  if (rules.fill == Fill::legacy_proven) trade.at_limit = proven;
  trade.ambiguous = rules.fill != Fill::legacy_close_only && reached && !proven;
  if (trade.enters) trade.gross = weight * ((trade.at_limit ? exit : close) - entry);
  const bool touches = exit < high;
  const bool pays = rules.fee_rule == FeeRule::per_entry    ? trade.enters
                    : rules.fill == Fill::legacy_close_only ? trade.enters || touches
                                                            : trade.enters && touches;
  if (pays) trade.cost = rules.close_cost * weight;
  return trade;
}

Trade trade_on(const Rules& rules, const Days& input, size_t i) {
  const bool is_long = input.position[i] > 0.0f;
  const float side = is_long ? 1.0f : -1.0f, weight = std::min(std::fabs(input.position[i]), 10.0f);
  const float high = side * (is_long ? input.high : input.low)[i];
  const float low = side * (is_long ? input.low : input.high)[i];
  float sell = input.high_pred[i], buy = input.low_pred[i];
  if (is_legacy(rules.fill))
    sell = std::clamp(sell, 0.0f, 10.0f), buy = std::clamp(buy, -1.0f, 0.0f);
  const float entry = side * (is_long ? buy : sell), exit = side * (is_long ? sell : buy);
  const float close = side * input.close[i];
  return is_legacy(rules.fill)
             ? legacy_trade_of(rules, weight, entry, exit, high, low, close)
             : trade_of(rules, weight, entry, exit, side * input.open[i], high, low, close);
}

}  // namespace

void fills(const Rules& rules, const Days& input, size_t days, float* gross, float* cost,
           unsigned char* flags) {
  for (size_t i = 0; i < days; ++i) {
    gross[i] = cost[i] = 0.0f;
    flags[i] = 0;
    if (!usable(input, i)) continue;
    const Trade trade = trade_on(rules, input, i);
    gross[i] = trade.gross;
    cost[i] = trade.cost;
    if (!trade.enters) continue;
    const bool is_long = input.position[i] > 0.0f;
    flags[i] = is_long ? kLongEntered : kShortEntered;
    if (trade.at_limit) flags[i] |= is_long ? kLongExited : kShortExited;
    if (trade.at_open) flags[i] |= kOpenFilled;
    if (trade.ambiguous) flags[i] |= kAmbiguous;
  }
}

float lowest(const float* values, size_t count, float least) {
  constexpr size_t kSide = 16;  // independent minima, which the compiler keeps in vectors
  float sides[kSide];
  std::fill_n(sides, kSide, least);
  size_t i = 0;
  for (; i + kSide <= count; i += kSide) {
    for (size_t j = 0; j < kSide; ++j) {
      sides[j] = values[i + j] < sides[j] ? values[i + j] : sides[j];
    }
  }
  for (; i < count; ++i) sides[0] = values[i] < sides[0] ? values[i] : sides[0];
  return *std::min_element(sides, sides + kSide);
}

size_t find_no_price(const Days& input, size_t days, float high_offset, float low_offset,
                     bool always_on) {
  for (size_t i = 0; i < days; ++i) {
    const bool is_price =
        input.high_pred[i] + high_offset > -1.0f && input.low_pred[i] + low_offset > -1.0f;
    if (!is_price && usable(input, i, always_on)) return i;
  }
  return days;
}

}  // namespace marketsim
