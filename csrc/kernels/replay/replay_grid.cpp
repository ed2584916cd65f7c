// A set of market orders for one side alone is traded from signal to signal, without the bars in
// between; its curve is summed up beside others (replay_grid_simd.cpp). Every other set goes
// through the engine. Both give the same bits: the tests compare them with a replay each.
#include "kernels/replay/replay_grid.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "common/isa.hpp"
#include "common/parallel.hpp"
#include "kernels/replay/replay_grid_simd.hpp"

namespace marketsim::replay {
namespace {

struct Loops {
  decltype(&baseline::curve_lanes) curve_lanes;
  decltype(&baseline::sum_up_curves) sum_up_curves;
  decltype(&baseline::rising_bits) rising_bits;
  decltype(&baseline::hold) hold;
};

Loops loops() {
#if defined(__x86_64__)
  switch (active_isa()) {
    case Isa::avx512:
      return {avx512::curve_lanes, avx512::sum_up_curves, avx512::rising_bits, avx512::hold};
    case Isa::avx2:
      return {avx2::curve_lanes, avx2::sum_up_curves, avx2::rising_bits, avx2::hold};
    case Isa::baseline:
      break;
  }
#endif
  return {baseline::curve_lanes, baseline::sum_up_curves, baseline::rising_bits, baseline::hold};
}

constexpr size_t kSmallestShare = 64;  // sets for which another thread is worth its start

// What all sets have in common.
struct Shared {
  const BarArrays& bars;
  const Settings& settings;
  const Grid& grid;
  Loops loops;
  std::vector<int64_t> next_fill;  // [bar + 1], the first bar from there on that can fill; count
  bool plain;                      // market orders of one long position need nothing but prices
};

bool has_prices(const BarArrays& bars, int64_t t) {
  const double open = bars.open[t], high = bars.high[t], low = bars.low[t], close = bars.close[t];
  return low > 0.0 && high < std::numeric_limits<double>::infinity() && open >= low &&
         open <= high && close >= low && close <= high;
}

Shared share(const BarArrays& bars, const Settings& settings, const Grid& grid) {
  Shared to{bars, settings, grid, loops(), std::vector<int64_t>(bars.count + 1, bars.count), false};
  bool priced = true;
  for (int64_t t = bars.count; t-- > 0;) {
    const bool fills = !(bars.volume && bars.volume[t] == 0.0);
    to.next_fill[t] = fills ? t : to.next_fill[t + 1];
    priced = priced && has_prices(bars, t);
  }
  to.plain = priced && grid.side == Side::long_only &&
             grid.size == static_cast<int64_t>(Size::equity_fraction) && grid.quantity > 0.0 &&
             settings.lot == 0.0 && settings.participation == 0.0 && settings.maintenance == 0.0 &&
             !bars.time && !bars.split && !bars.dividend && !bars.trail && !bars.finer.first;
  return to;
}

// The first bar from t on whose bit is set, or count.
int64_t next_bit(const uint64_t* bits, int64_t t, int64_t count) {
  if (t >= count) return count;
  const int64_t words = (count + 63) / 64;
  int64_t word = t / 64;
  uint64_t left = bits[word] >> (t % 64) << (t % 64);
  while (left == 0) {
    if (++word == words) return count;
    left = bits[word];
  }
  return word * 64 + std::countr_zero(left);
}

struct Place {
  int64_t bar;
  double price;
  bool at_close;
};

// One thread's sets.
class Worker {
 public:
  Worker(const Shared& shared, Summary* summaries, double* net)
      : s_(shared),
        summaries_(summaries),
        net_(net),
        count_(static_cast<size_t>(shared.bars.count)),
        lanes_(shared.loops.curve_lanes()),
        stride_((count_ + lanes_ - 1) / lanes_ * lanes_),
        words_((count_ + 63) / 64),
        curves_(lanes_ * stride_),
        entry_bits_(words_),
        exit_bits_(words_),
        waiting_(lanes_) {}

  void run(size_t begin, size_t end) {
    for (size_t set = begin; set < end; ++set) {
      find_signals(set);
      if (s_.plain && has_no_exits(set) && trade(set)) {
        waiting_[filled_++] = set;
        if (filled_ == lanes_) sum_up();
      } else {
        run_engine(set);
      }
    }
    sum_up();
  }

 private:
  bool has_no_exits(size_t set) const {
    const Grid& g = s_.grid;
    return !std::isfinite(g.stop_loss[set]) && !std::isfinite(g.take_profit[set]) &&
           !std::isfinite(g.trailing_stop[set]) && g.cooldown[set] == 0 && g.time_stop[set] == 0;
  }

  void find_signals(size_t set) {
    const Grid& g = s_.grid;
    if (const Comparisons* c = g.comparisons) {
      const auto row = [&](const int64_t* of) {
        return c->rows + static_cast<size_t>(of[set]) * count_;
      };
      s_.loops.rising_bits(row(c->entry_up), row(c->entry_over), count_, c->crosses,
                           entry_bits_.data());
      s_.loops.rising_bits(row(c->exit_up), row(c->exit_over), count_, c->crosses,
                           exit_bits_.data());
      return;
    }
    pack(g.entry + set * count_, entry_bits_);
    pack(g.exit + set * count_, exit_bits_);
  }

  void pack(const uint8_t* flags, std::vector<uint64_t>& bits) const {
    std::fill(bits.begin(), bits.end(), 0);
    for (size_t t = 0; t < count_; ++t) bits[t / 64] |= static_cast<uint64_t>(flags[t]) << (t % 64);
  }

  void unpack(const std::vector<uint64_t>& bits, std::vector<uint8_t>& flags) const {
    flags.resize(count_);
    for (size_t t = 0; t < count_; ++t) flags[t] = bits[t / 64] >> (t % 64) & 1;
  }

  // Where a market order that was accepted after bar t fills; bar count: never.
  Place fill_of(int64_t t) const {
    if (s_.settings.same_close && s_.next_fill[t] == t) return {t, s_.bars.close[t], true};
    const int64_t bar = s_.next_fill[t + 1];
    return {bar, bar < s_.bars.count ? s_.bars.open[bar] : kNone, false};
  }

  // Trades the signals with the arithmetic of Engine's orders. False where something is to happen
  // that only the engine knows: an order that is refused, a quantity of 0.
  bool trade(size_t set) {
    const BarArrays& bars = s_.bars;
    const Settings& settings = s_.settings;
    const double rate = settings.market_cost;
    double* const equity = curves_.data() + filled_ * stride_;
    Summary& out = summaries_[set];
    out = Summary{};
    out.ruined_bar = -1;
    double cash = settings.cash;
    int64_t t = 0, flat_from = 0, exposed = 0;
    while ((t = next_bit(entry_bits_.data(), t, bars.count)) < bars.count) {
      ++out.orders;
      const Place in = fill_of(t);
      if (in.bar == bars.count) break;
      double spend = s_.grid.quantity * cash;
      if (settings.fixed_cost > 0.0) spend = std::max(spend - settings.fixed_cost, 0.0);
      const double quantity = spend / (in.price * (1.0 + rate));
      const double entry_cost = quantity * in.price * rate + settings.fixed_cost;
      // The engine's check of the margin, rounding of kMarginRounding left to it.
      if (!(quantity > 0.0 && std::isfinite(quantity) &&
            quantity * in.price <= settings.leverage * (cash - entry_cost) * (1.0 + 5e-10))) {
        return false;
      }
      std::fill(equity + flat_from, equity + in.bar, cash);
      cash -= quantity * in.price + entry_cost;
      out.cost += entry_cost;
      out.turnover += quantity * in.price;
      ++out.fills;
      const double spent = 0.0 - quantity * in.price;

      t = next_bit(exit_bits_.data(), in.bar + in.at_close, bars.count);
      Place exit{bars.count, kNone, false};
      if (t < bars.count) {
        ++out.orders;
        exit = fill_of(t);
      }
      s_.loops.hold(bars.close + in.bar, static_cast<size_t>(exit.bar - in.bar), cash, quantity,
                    equity + in.bar);
      exposed += exit.bar + exit.at_close - in.bar - in.at_close;
      flat_from = exit.bar;
      const bool at_end = exit.bar == bars.count;
      if (at_end) exit.price = bars.close[bars.count - 1];
      double exit_cost = 0.0;
      if (!at_end || settings.close_at_end) {
        exit_cost = quantity * exit.price * rate + settings.fixed_cost;
        cash += quantity * exit.price - exit_cost;
        out.cost += exit_cost;
        out.turnover += quantity * exit.price;
        ++out.fills;
        if (at_end) equity[bars.count - 1] = cash;
      }
      const double gross = spent + quantity * exit.price;
      const double profit = gross - (entry_cost + exit_cost);
      ++out.trades;
      out.wins += profit > 0.0;
      (profit > 0.0 ? out.gross_win : out.gross_loss) += std::abs(profit);
      if (at_end) break;
      t = exit.bar + exit.at_close;
    }
    std::fill(equity + flat_from, equity + bars.count, cash);
    out.exposure = count_ ? static_cast<double>(exposed) / static_cast<double>(count_) : 0.0;
    return true;
  }

  void sum_up() {
    if (filled_ == 0) return;
    const double cash = s_.settings.cash;
    for (size_t lane = 0; lane < filled_; ++lane) {
      const double* const equity = curves_.data() + lane * stride_;
      Summary& out = summaries_[waiting_[lane]];
      out.final_equity = count_ ? equity[count_ - 1] : cash;
      if (net_) write_net(waiting_[lane], equity);
    }
    LaneFigures found;
    s_.loops.sum_up_curves(curves_.data(), stride_, count_, cash, found);
    for (size_t lane = 0; lane < filled_; ++lane) {
      const size_t set = waiting_[lane];
      if (!(found.least[lane] > -1.0)) {  // ruined: the engine says when
        find_signals(set);
        run_engine(set);
        continue;
      }
      Summary& out = summaries_[set];
      const auto count = static_cast<double>(count_);
      const double mean = found.mean[lane], squares = found.squares[lane];
      out.curve = {kNone, kNone, kNone};
      if (count_ == 0) continue;
      out.curve.total_return = found.growth[lane] - 1.0;
      out.curve.max_drawdown = found.max_drawdown[lane];
      // Rounding leaves a trace of variation in constant returns; it is none (performance.cpp).
      if (count_ > 1 && squares > 1e-24 * count * std::max(mean * mean, 1e-300)) {
        out.curve.sharpe = mean / std::sqrt(squares / (count - 1.0));
      }
    }
    filled_ = 0;
  }

  void run_engine(size_t set) {
    const Grid& g = s_.grid;
    const uint8_t *entry = g.entry + set * count_, *exit = g.exit + set * count_;
    if (g.comparisons) {
      unpack(entry_bits_, entry_);
      unpack(exit_bits_, exit_);
      entry = entry_.data();
      exit = exit_.data();
    }
    const bool goes_long = g.side != Side::short_only, goes_short = g.side != Side::long_only;
    const bool both = goes_long && goes_short;
    const Signals signals{goes_long ? entry : nullptr,
                          goes_long ? exit : nullptr,
                          goes_short ? (both ? exit : entry) : nullptr,
                          goes_short ? (both ? entry : exit) : nullptr,
                          g.size,
                          g.quantity,
                          nullptr,
                          g.stop_loss[set],
                          g.take_profit[set],
                          g.trailing_stop[set],
                          nullptr,
                          nullptr,
                          g.cooldown[set],
                          g.time_stop[set]};
    Engine engine(s_.bars, s_.settings);
    run_signals(engine, s_.bars, s_.settings, signals);
    summaries_[set] = engine.summary();
    if (!net_) return;
    equity_.resize(count_);
    engine.write_equity(equity_.data());
    write_net(set, equity_.data());
  }

  void write_net(size_t set, const double* equity) {
    double* const to = net_ + set * count_;
    double before = s_.settings.cash;
    for (size_t t = 0; t < count_; ++t) {
      to[t] = before > 0.0 ? equity[t] / before - 1.0 : 0.0;
      before = equity[t];
    }
  }

  const Shared& s_;
  Summary* summaries_;
  double* net_;
  size_t count_, lanes_, stride_, words_, filled_ = 0;
  std::vector<double> curves_;  // [lane, stride] of the sets that wait to be summed up
  std::vector<uint64_t> entry_bits_, exit_bits_;
  std::vector<size_t> waiting_;
  std::vector<uint8_t> entry_, exit_;
  std::vector<double> equity_;
};

}  // namespace

void run_grid(const BarArrays& bars, const Settings& settings, const Grid& grid, int threads,
              Summary* summaries, double* net) {
  const Shared shared = share(bars, settings, grid);
  const auto sets = static_cast<size_t>(grid.sets);
  parallel_for(
      sets, threads_for(sets, kSmallestShare, threads),
      [&](int, size_t begin, size_t end) { Worker(shared, summaries, net).run(begin, end); });
}

}  // namespace marketsim::replay
