#include "kernels/legacy/genesis/run.hpp"

#include <limits>

#include "kernels/legacy/genesis/gates.hpp"

namespace marketsim::genesis {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kRatios[4] = {0.786, 0.618, 0.5, 0.382};
// Which level each of the four partial exits waits for, as an index into kRatios.
constexpr size_t kLongTargets[4] = {3, 2, 1, 0}, kShortTargets[4] = {1, 2, 3, 0};

struct Position {
  int side = 0;
  int64_t entry_bar = 0;
  double initial = 0.0, held = 0.0, entry = 0.0, realised = 0.0, unrealised = 0.0;
  double stop = kNan;
  bool frozen = false;  // has exit levels of its own
  double levels[4] = {}, low = 0.0, high = 0.0;
  bool taken[4] = {};
};

class Run {
 public:
  Run(const Inputs& in, const Settings& settings) : in_(in), set_(settings), gates_(in, settings) {
    out_.capital = out_.max_capital = out_.min_capital = settings.capital;
    out_.commission = 0.0;
  }

  Outcome all(BarRow* rows) {
    for (size_t bar = 0; bar < in_.bars; ++bar) {
      rows[bar] = BarRow{};
      rows[bar].gate = kSkipped;
      rows[bar].exit = -1;
      if (bar < static_cast<size_t>(std::max<int64_t>(set_.warmup, 0))) continue;
      if (!step(bar, rows[bar])) {
        ++out_.failed;
        if (out_.failed_bar < 0) out_.failed_bar = static_cast<int64_t>(bar);
        if (!set_.skip_errors) return std::move(out_);
      }
    }
    if (position_.side != 0) close(in_.bars - 1, kOpposite);
    out_.buy_history = memory_.history[kBuy];
    out_.sell_history = memory_.history[kSell];
    return std::move(out_);
  }

 private:
  // False where the bar fails: it then leaves no equity and no memory.
  bool step(size_t bar, BarRow& row) {
    const Memory before = set_.skip_errors ? memory_ : Memory{};
    gates_.decide(bar, memory_, row);
    if (position_.side != 0 && set_.exits) {
      int reason = -1;
      if (!leave(bar, reason)) {
        memory_ = before;
        return false;
      }
      row.exit = static_cast<int8_t>(reason);
      if (reason >= 0) close(bar, reason);
    }
    if (row.action != 0 && row.size > 0.0) {
      if (position_.side == -row.action) close(bar, kOpposite);
      if (position_.side == 0) open(bar, row.action, row.size);
    }
    mark(bar, row);
    return true;
  }

  void mark(size_t bar, BarRow& row) {
    if (position_.side != 0) position_.unrealised = gain(in_.close[bar]) * position_.held;
    row.unrealized = position_.side != 0 ? position_.unrealised : 0.0;
    row.capital = out_.capital;
    row.equity = out_.capital + row.unrealized;
    out_.max_capital = std::max(out_.max_capital, row.equity);
    out_.min_capital = std::min(out_.min_capital, row.equity);
    row.side = static_cast<int8_t>(position_.side);
    row.held = position_.held;
    row.trail = position_.side != 0 ? position_.stop : kNan;
    row.processed = 1;
    ++out_.processed;
  }

  double gain(double price) const {
    return position_.side > 0 ? price - position_.entry : position_.entry - price;
  }
  double fill(double price, int side) const {
    return price * (side > 0 ? 1.0 + set_.slippage : 1.0 - set_.slippage);
  }
  double charge(double size, double price) {
    const double cost = size * price * set_.commission;
    out_.commission += cost;
    return cost;
  }

  void open(size_t bar, int side, double size) {
    position_ = Position{};
    position_.side = side;
    position_.entry_bar = static_cast<int64_t>(bar);
    position_.initial = position_.held = size;
    position_.entry = fill(in_.close[bar], side);
    out_.capital -= charge(size, position_.entry);
    freeze(bar);
  }

  // Exit levels of the daily swing known at entry; they stay as they are.
  void freeze(size_t bar) {
    const double high = in_.higher_high[bar], low = in_.higher_low[bar];
    if (!in_.higher_ok[bar] || !(high > low) || high <= 0.0 || low <= 0.0) return;
    const double range = high - low;
    double least = high, most = low;
    for (size_t k = 0; k < 4; ++k) {
      position_.levels[k] =
          position_.side > 0 ? high - kRatios[k] * range : low + kRatios[k] * range;
      least = std::min(least, position_.levels[k]);
      most = std::max(most, position_.levels[k]);
    }
    position_.frozen = least >= low - 1e-9 && most <= high + 1e-9;
  }

  // The exit rules; reason stays -1 where the position stays.
  bool leave(size_t bar, int& reason) {
    const double close = in_.close[bar], atr = in_.exit_atr[bar];
    if (position_.frozen) {
      const double nearest = distance_to_levels(close);
      if (nearest > 8.0 * std::max(atr, 1e-9)) {
        if (atr == 0.0) return false;
      } else {
        if (set_.partials) take_partials(bar, close, atr, nearest);
        if (set_.trailing && position_.side != 0) trail(close, frozen_stop(close, atr));
      }
    } else {
      trail(close, plain_stop(close, atr));
    }
    if (position_.side == 0) return true;  // closed by its partial exits
    if (position_.stop == position_.stop && position_.stop != 0.0 &&
        (position_.side > 0 ? close <= position_.stop : close >= position_.stop)) {
      reason = kTrail;
      return true;
    }
    const double share = profit_share(close);
    const double confidence = position_.side > 0 ? in_.p_buy[bar] : in_.p_sell[bar];
    if (share <= -set_.stop_loss) {
      reason = kStopLoss;
    } else if (share >= set_.take_profit * 2.0) {
      reason = kTakeProfit;
    } else if (std::min(std::max(confidence, 0.0), 1.0) < set_.exit_confidence) {
      reason = kConfidenceDrop;
    }
    return true;
  }

  double distance_to_levels(double price) const {
    double nearest = std::abs(price - position_.levels[0]);
    for (size_t k = 1; k < 4; ++k) {
      nearest = std::min(nearest, std::abs(price - position_.levels[k]));
    }
    return nearest;
  }

  void take_partials(size_t bar, double close, double atr, double nearest) {
    double ranges = 0.20, share = 0.0015;
    if (atr > 0.0 && nearest / atr > 4.0) {
      ranges = std::min(0.35, ranges + 0.10);
      share = std::min(0.0030, share + 0.0008);
    }
    const bool is_long = position_.side > 0;
    const double held = position_.held;
    for (size_t k = 0; k < 4; ++k) {
      const double level = position_.levels[is_long ? kLongTargets[k] : kShortTargets[k]];
      if (level == 0.0 || position_.taken[k]) continue;
      const bool near =
          is_long && k == 0 ? crossed(bar, level, atr) : close_to(close, level, atr, ranges, share);
      if (!near) continue;
      position_.taken[k] = true;
      take(bar, held * set_.partial[k], static_cast<int>(kPartial + k));
    }
  }

  bool crossed(size_t bar, double level, double atr) const {
    const double pad = std::max(0.05 * std::max(atr, 1e-9), 0.0005 * level);
    return in_.low[bar] - pad <= level && level <= in_.high[bar] + pad;
  }
  static bool close_to(double price, double level, double atr, double ranges, double share) {
    if (atr <= 0.0) return false;
    const double distance = std::abs(price - level);
    return distance / atr <= ranges || distance / std::max(price, 1.0) <= share;
  }

  double plain_stop(double close, double atr) const {
    return position_.side > 0 ? close - set_.trail * atr : close + set_.trail * atr;
  }
  // Locked at the middle level once the price is beyond the next one.
  double frozen_stop(double close, double atr) const {
    const double stop = plain_stop(close, atr), half = position_.levels[2];
    const double beyond = position_.levels[position_.side > 0 ? 1 : 3];
    if (half == 0.0 || beyond == 0.0) return stop;
    if (position_.side > 0) return close > beyond ? std::max(stop, half) : stop;
    return close < beyond ? std::min(stop, half) : stop;
  }

  void trail(double close, double stop) {
    position_.stop = stop;
    if (set_.even_trigger == set_.even_trigger && profit_share(close) >= set_.even_trigger) {
      raise_stop(set_.even_offset);
    }
  }
  // Moves the stop to the entry price, offset included, where that is nearer.
  void raise_stop(double offset) {
    const bool is_long = position_.side > 0;
    const double even = position_.entry * (is_long ? 1.0 + offset : 1.0 - offset);
    const bool none = position_.stop != position_.stop || position_.stop == 0.0;
    if (none) {
      position_.stop = even;
    } else {
      position_.stop = is_long ? std::max(position_.stop, even) : std::min(position_.stop, even);
    }
  }

  double profit_share(double price) const {
    const double total = gain(price) * position_.held + position_.realised;
    const double notional = position_.initial * position_.entry;
    return (notional > 0.0 ? total / notional * 100.0 : 0.0) / 100.0;
  }

  void take(size_t bar, double asked, int reason) {
    if (position_.side == 0 || asked <= 0.0) return;
    const double size = std::min(asked, position_.held);
    const double price = fill(in_.close[bar], -position_.side);
    const double pnl = gain(price) * size, commission = charge(size, price);
    out_.capital += pnl - commission;
    const double notional = size * position_.entry;
    position_.held -= size;
    position_.realised += size * gain(price);
    out_.trades.push_back({position_.entry_bar, static_cast<int64_t>(bar), position_.side, reason,
                           1, 0, size, position_.entry, price, pnl,
                           notional > 0.0 ? pnl / notional * 100.0 : 0.0, commission,
                           position_.held, asked});
    if (position_.held <= 1e-8) {
      out_.trades.back().is_partial = 0;
      position_.side = 0;
      position_.held = 0.0;
    } else if (set_.partial_even) {
      raise_stop(set_.partial_even_offset);
    }
    out_.max_capital = std::max(out_.max_capital, out_.capital);
    out_.min_capital = std::min(out_.min_capital, out_.capital);
  }

  void close(size_t bar, int reason) {
    const double price = fill(in_.close[bar], -position_.side);
    const double pnl = gain(price) * position_.held, total = pnl + position_.realised;
    const double commission = charge(position_.held, price);
    out_.capital += pnl - commission;
    const double notional = position_.initial * position_.entry;
    out_.trades.push_back({position_.entry_bar, static_cast<int64_t>(bar), position_.side, reason,
                           0, 0, position_.held, position_.entry, price, total,
                           notional > 0.0 ? total / notional * 100.0 : 0.0, commission, 0.0,
                           position_.held});
    position_.side = 0;
    position_.held = 0.0;
  }

  const Inputs& in_;
  const Settings& set_;
  Gates gates_;
  Memory memory_;
  Position position_;
  Outcome out_;
};

}  // namespace

Settings::Settings() : override_floor(kNan), override_ceiling(kNan), even_trigger(kNan) {}

Outcome run(const Inputs& in, const Settings& settings, BarRow* rows) {
  return Run(in, settings).all(rows);
}

}  // namespace marketsim::genesis
