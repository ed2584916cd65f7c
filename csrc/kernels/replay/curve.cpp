// What a run leaves for each bar, and its figures. The account is kept from change to change: a bar
// costs nothing until it is read.
#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/replay/engine.hpp"

namespace marketsim::replay {

void Engine::note_change(int64_t t) {
  const bool moves = position_ != 0.0 && cash_ + position_ * bars_.close[t] == equity_;
  curve_.push_back({t, moves ? cash_ : equity_, moves ? position_ : 0.0, position_});
}

// Calls use(row, begin, end) for the bars that each row is about.
template <typename Use>
void Engine::for_curve(const Use& use) const {
  Curve last{};
  curve_.for_blocks([&](const Curve* rows, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      use(last, last.bar, rows[i].bar);
      last = rows[i];
    }
  });
  use(last, last.bar, bars_.count);
}

void Engine::write_row(const Curve& row, int64_t begin, int64_t end, double* to) const {
  if (row.units == 0.0) {
    std::fill(to, to + (end - begin), row.cash);
    return;
  }
  const double cash = row.cash, units = row.units;
  for (int64_t t = begin; t < end; ++t) *to++ = cash + units * bars_.close[t];
}

void Engine::write_equity(double* to) const {
  for_curve([&](const Curve& row, int64_t begin, int64_t end) {
    write_row(row, begin, end, to + begin);
  });
}

void Engine::write_positions(double* to) const {
  for_curve([&](const Curve& row, int64_t begin, int64_t end) {
    std::fill(to + begin, to + end, row.held);
  });
}

Summary Engine::summary() const {
  Summary out{};
  const double cash = settings_.cash;
  CurveMeasure measure(static_cast<size_t>(bars_.count), cash);
  // A block of bars at a time: the curve as a whole need not exist.
  constexpr int64_t kBlock = 4096;
  std::array<double, kBlock> equity, returns;
  const auto pass = [&](const auto& take) {
    int64_t filled = 0;
    const auto hand_over = [&] {
      measure.returns(equity.data(), static_cast<size_t>(filled), returns.data());
      take(static_cast<size_t>(filled));
      filled = 0;
    };
    for_curve([&](const Curve& row, int64_t begin, int64_t end) {
      while (begin < end) {
        const int64_t stop = std::min(end, begin + kBlock - filled);
        write_row(row, begin, stop, equity.data() + filled);
        filled += stop - begin;
        begin = stop;
        if (filled == kBlock) hand_over();
      }
    });
    hand_over();
  };
  pass([&](size_t count) { measure.grow(returns.data(), count); });
  measure.restart(cash);
  if (bars_.count <= kBlock) {
    measure.vary(returns.data(), static_cast<size_t>(bars_.count));
  } else {
    pass([&](size_t count) { measure.vary(returns.data(), count); });
  }
  out.curve = measure.figures();
  out.final_equity = equity_;
  out.exposure =
      bars_.count > 0 ? static_cast<double>(exposed_bars_) / static_cast<double>(bars_.count) : 0.0;
  add_to(out);
  out.ruined_bar = ruined_bar_;
  return out;
}

void Engine::add_to(Summary& out) const {
  trades.for_blocks([&](const TradeRecord* rows, size_t size) {
    for (size_t i = 0; i < size; ++i) {
      const double profit = rows[i].profit;
      out.wins += profit > 0.0;
      (profit > 0.0 ? out.gross_win : out.gross_loss) += std::abs(profit);
    }
  });
  out.cost += total_cost_;
  out.turnover += turnover_;
  out.trades += static_cast<int64_t>(trades.size());
  out.orders += static_cast<int64_t>(orders.size());
  out.fills += static_cast<int64_t>(fills.size());
  out.refused += refused_;
  out.ambiguous_bars += ambiguous_bars;
}

}  // namespace marketsim::replay
