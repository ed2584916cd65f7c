#include "kernels/replay/run.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace marketsim::replay {
namespace {

Request market(double quantity, Size size) {
  Request request{};
  request.kind = static_cast<int64_t>(Kind::market);
  request.size = static_cast<int64_t>(size);
  request.quantity = quantity;
  request.limit = request.stop = request.trail = request.trail_part = kNone;
  return request;
}

// An exit of a position, as a factor of its entry price; it waits for the entry's fill.
Request protection(Kind kind, double quantity, double factor, int64_t parent, int64_t group) {
  Request request = market(quantity, Size::units);
  request.kind = static_cast<int64_t>(kind);
  request.parent = parent;
  request.group = group;
  request.reduce_only = 1;
  request.relative = 1;
  (kind == Kind::limit ? request.limit : request.stop) = factor;
  return request;
}

void enter(Engine& engine, int64_t t, const BarArrays& bars, const Signals& signals, double side) {
  const double size = signals.quantities ? signals.quantities[t] : signals.quantity;
  const double stop_loss = signals.stop_losses ? signals.stop_losses[t] : signals.stop_loss;
  const double take_profit = signals.take_profits ? signals.take_profits[t] : signals.take_profit;
  // No size or distance is known yet, such as one from an indicator's first bars.
  if (!(size > 0.0) || (signals.stop_losses && std::isnan(stop_loss)) ||
      (signals.take_profits && std::isnan(take_profit)) ||
      (bars.trail && std::isnan(bars.trail[t]))) {
    return;
  }
  const int64_t ticket = engine.next_ticket();
  const Request entry = market(side * size, static_cast<Size>(signals.size));
  if (engine.accept(t, entry) != Defect::none) return;
  // Exits are reduce-only: a quantity beyond any position stands for all that is held.
  const double all = -side * std::numeric_limits<double>::max();
  if (std::isfinite(stop_loss)) {
    engine.accept(t, protection(Kind::stop, all, 1.0 - side * stop_loss, ticket, ticket));
  }
  if (std::isfinite(take_profit)) {
    engine.accept(t, protection(Kind::limit, all, 1.0 + side * take_profit, ticket, ticket));
  }
  if (std::isfinite(signals.trailing_stop) || bars.trail) {
    Request trail = protection(Kind::trailing_stop, all, kNone, ticket, ticket);
    trail.relative = 0;
    trail.trail_part = signals.trailing_stop;
    engine.accept(t, trail);
  }
}

// Where flags are set, from any bar on; asked for bars that ascend.
class Flags {
 public:
  Flags(const uint8_t* flags, int64_t count) : flags_(flags), count_(count) {}

  bool operator[](int64_t t) const { return flags_ && flags_[t]; }

  // The first bar from t on whose flag is set, or the number of bars.
  int64_t from(int64_t t) {
    if (!flags_) return count_;
    if (next_ >= t) return next_;
    for (; t + 8 <= count_; t += 8) {
      uint64_t eight;
      std::memcpy(&eight, flags_ + t, sizeof eight);
      if (eight) break;
    }
    while (t < count_ && !flags_[t]) ++t;
    return next_ = t;
  }

 private:
  const uint8_t* flags_;
  int64_t count_, next_ = -1;
};

}  // namespace

void note(Engine& engine, const Settings& settings, int64_t t) {
  if (settings.same_close) engine.fill_at_seen_close(t);
  engine.note(t);
}

void end(Engine& engine, const BarArrays& bars) {
  if (bars.count == 0) return;
  engine.finish(bars.count - 1);
  engine.note(bars.count - 1);
}

void run_signals(Engine& engine, const BarArrays& bars, const Settings& settings,
                 const Signals& signals) {
  const int64_t count = bars.count;
  Flags long_entry(signals.long_entry, count), long_exit(signals.long_exit, count);
  Flags short_entry(signals.short_entry, count), short_exit(signals.short_exit, count);
  // An entry at the open has been held for the whole of its bar, one at the close not at all.
  const int64_t whole = settings.same_close ? 0 : 1;
  // More bars than there are is never; sums of them must not overflow.
  const int64_t cooldown = std::min(signals.cooldown, count + 1);
  const int64_t time_stop = std::min(signals.time_stop, count + 1);
  // The first bar from t on after which what is held now could be changed by a signal.
  const auto next_decision = [&](int64_t t) {
    if (engine.ruined()) return count;
    const double position = engine.position();
    if (position == 0.0) {
      if (engine.last_exit_bar() >= 0) t = std::max(t, engine.last_exit_bar() + cooldown);
      return std::min(long_entry.from(t), short_entry.from(t));
    }
    int64_t next = (position > 0.0 ? long_exit : short_exit).from(t);
    if (time_stop > 0) {
      next = std::min(next, std::max(t, engine.entry_bar() + time_stop - whole));
    }
    return next;
  };
  for (int64_t t = 0; t < count; ++t) {
    t = engine.glide(t, next_decision(t));
    if (t >= count) break;
    engine.step(t);
    if (!engine.ruined() && !engine.market_order_waits()) {
      const double position = engine.position();
      const int64_t held = t - engine.entry_bar() + whole;
      const bool over = position != 0.0 && time_stop > 0 && held >= time_stop;
      bool free = position == 0.0;
      if ((position > 0.0 && (over || long_exit[t])) ||
          (position < 0.0 && (over || short_exit[t]))) {
        engine.accept(t, market(0.0, Size::target_units));
        free = true;
      }
      const bool rested = engine.last_exit_bar() < 0 || t - engine.last_exit_bar() >= cooldown;
      if (free && rested) {
        // After an exit of this bar only the other side may be taken.
        if (position <= 0.0 && long_entry[t]) {
          enter(engine, t, bars, signals, 1.0);
        } else if (position >= 0.0 && short_entry[t]) {
          enter(engine, t, bars, signals, -1.0);
        }
      }
    }
    note(engine, settings, t);
  }
  end(engine, bars);
}

void run_targets(Engine& engine, const BarArrays& bars, const Settings& settings,
                 const double* target, Size size) {
  int64_t next = 0;  // the first bar from t on that has a target
  for (int64_t t = 0; t < bars.count; ++t) {
    for (next = std::max(next, t); next < bars.count && !std::isfinite(target[next]);) ++next;
    t = engine.glide(t, next);
    if (t >= bars.count) break;
    engine.step(t);
    if (!engine.ruined() && std::isfinite(target[t]) && !engine.market_order_waits()) {
      engine.accept(t, market(target[t], size));
    }
    note(engine, settings, t);
  }
  end(engine, bars);
}

BarRecord bar_record(const BarArrays& bars, int64_t t) {
  return {t,
          bars.time ? bars.time[t] : 0,
          bars.open[t],
          bars.high[t],
          bars.low[t],
          bars.close[t],
          bars.volume ? bars.volume[t] : kNone};
}

bool accept_requests(Engine& engine, int64_t t, const Request* requests, Refusal& refusal) {
  const int64_t count = std::min(requests[0].action, kRequestRoom);
  for (int64_t i = 1; i <= count; ++i) {
    const Defect defect = engine.accept(t, requests[i]);
    if (defect != Defect::none) {
      refusal = {t, i, defect};
      return false;
    }
  }
  return true;
}

Ended run_strategy(Engine& engine, const BarArrays& bars, const Settings& settings,
                   const Strategy& strategy, State& state, Request* requests, Refusal& refusal) {
  // Columns become the rows that a strategy reads, some bars at a time: they stay in the cache.
  constexpr int64_t kRows = 32;
  const int64_t width = strategy.width;
  std::vector<double> rows(static_cast<size_t>(std::max<int64_t>(width, 1) * kRows));
  int64_t failed = 0;
  for (int64_t t = 0; t < bars.count; ++t) {
    const int64_t row = t % kRows, ahead = std::min(kRows, bars.count - t);
    for (int64_t j = 0; row == 0 && j < width; ++j) {
      const double* const column = strategy.features[j] + t;
      for (int64_t i = 0; i < ahead; ++i) rows[static_cast<size_t>(i * width + j)] = column[i];
    }
    engine.step(t);
    if (!engine.ruined()) {
      engine.describe(state);
      const BarRecord bar = bar_record(bars, t);
      requests[0].action = 0;
      requests[0].ticket = engine.next_ticket();
      strategy.on_bar(&state, &bar, rows.data() + row * width, requests, &failed);
      if (failed) {
        refusal.bar = t;
        return Ended::raised;
      }
      if (!accept_requests(engine, t, requests, refusal)) return Ended::refused;
    }
    note(engine, settings, t);
  }
  end(engine, bars);
  return Ended::done;
}

namespace {

class PortfolioAccount {
 public:
  explicit PortfolioAccount(const Portfolio& portfolio)
      : portfolio_(portfolio),
        cash_(portfolio.cash),
        held_(static_cast<size_t>(portfolio.assets), 0.0),
        price_(static_cast<size_t>(portfolio.assets), kNone),
        quantity_(static_cast<size_t>(portfolio.assets), 0.0),
        tradable_(static_cast<size_t>(portfolio.assets), 0) {}

  double cash() const { return cash_; }
  const std::vector<double>& held() const { return held_; }

  // Takes the prices of a bar: an instrument without one keeps the last.
  double value(const double* prices) {
    double total = cash_;
    for (size_t i = 0; i < held_.size(); ++i) {
      if (prices[i] > 0.0) price_[i] = prices[i];
      if (held_[i] != 0.0) total += held_[i] * price_[i];
    }
    return total;
  }

  // Leaves nothing held and this much cash: nothing trades after ruin.
  void stop(double left) {
    std::fill(held_.begin(), held_.end(), 0.0);
    cash_ = left;
  }

  // Trades to the weights at these prices. What has no price now is left as it is.
  void rebalance(const double* weights, const double* prices, double& cost, double& turnover) {
    const double equity = value(prices);
    if (!(equity > 0.0)) return;
    double first = 0.0;
    for (size_t i = 0; i < held_.size(); ++i) {
      const double gap = weights[i] * equity - held_[i] * prices[i];
      tradable_[i] = prices[i] > 0.0 && std::isfinite(weights[i]);
      if (tradable_[i]) first += fee(gap);
    }
    // Weights are of what is left after the costs; sales come before purchases.
    const double left = equity - first;
    for (size_t i = 0; i < held_.size(); ++i) {
      double target = weights[i] * left / prices[i];
      if (portfolio_.lot > 0.0) {
        target = std::trunc(target / portfolio_.lot + std::copysign(1e-9, target)) * portfolio_.lot;
      }
      quantity_[i] = tradable_[i] ? target - held_[i] : 0.0;
    }
    for (const bool sales : {true, false}) {
      for (size_t i = 0; i < held_.size(); ++i) {
        const double quantity = quantity_[i];
        if (sales ? !(quantity < 0.0) : !(quantity > 0.0)) continue;
        const double traded = quantity * prices[i], paid = fee(traded);
        held_[i] = weights[i] == 0.0 ? 0.0 : held_[i] + quantity;
        cash_ -= traded + paid;
        cost += paid;
        turnover += std::abs(traded);
      }
    }
  }

 private:
  double fee(double value) const {
    return std::abs(value) * portfolio_.cost + (value == 0.0 ? 0.0 : portfolio_.fixed_cost);
  }

  const Portfolio& portfolio_;
  double cash_;
  std::vector<double> held_, price_, quantity_;
  std::vector<char> tradable_;
};

}  // namespace

void run_portfolio(const Portfolio& portfolio, double* equity, double* cash, double* units,
                   double* cost, double* turnover) {
  PortfolioAccount account(portfolio);
  const int64_t width = portfolio.assets;
  bool ruined = false;
  for (int64_t t = 0; t < portfolio.bars; ++t) {
    cost[t] = turnover[t] = 0.0;
    const int64_t seen =
        portfolio.same_close ? t : t - 1;  // the row that decides this bar's trades
    const double* weights = seen >= 0 ? portfolio.weights + seen * width : nullptr;
    const bool trades = weights && !std::isnan(weights[0]) && !ruined;
    const double* close = portfolio.close + t * width;
    if (trades && !portfolio.same_close) {
      account.rebalance(weights, portfolio.open + t * width, cost[t], turnover[t]);
    }
    double now = account.value(close);
    if (trades && portfolio.same_close) {
      account.rebalance(weights, close, cost[t], turnover[t]);
      now = account.value(close);
    }
    if (now <= 0.0 && !ruined) {
      ruined = true;
      account.stop(now);
    }
    equity[t] = now;
    cash[t] = account.cash();
    if (units) std::copy(account.held().begin(), account.held().end(), units + t * width);
  }
}

}  // namespace marketsim::replay
