#include "kernels/replay/run.hpp"

#include <algorithm>
#include <cmath>
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

// Takes the orders of a bar that fill at its own close, and notes the account.
void note(Engine& engine, const Settings& settings, int64_t t, const Curve& curve) {
  if (settings.same_close) engine.fill_at_seen_close(t);
  curve.equity[t] = engine.equity();
  curve.position[t] = engine.position();
}

void end(Engine& engine, const BarArrays& bars, const Curve& curve) {
  if (bars.count == 0) return;
  engine.finish(bars.count - 1);
  curve.equity[bars.count - 1] = engine.equity();
  curve.position[bars.count - 1] = engine.position();
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

}  // namespace

void run_signals(Engine& engine, const BarArrays& bars, const Settings& settings,
                 const Signals& signals, const Curve& curve) {
  const auto set = [](const uint8_t* flags, int64_t t) { return flags && flags[t]; };
  for (int64_t t = 0; t < bars.count; ++t) {
    engine.step(t);
    if (!engine.ruined() && !engine.market_order_waits()) {
      const double position = engine.position();
      // An entry at the open has been held for the whole of its bar, one at the close not at all.
      const int64_t held = t - engine.entry_bar() + (settings.same_close ? 0 : 1);
      const bool over = position != 0.0 && signals.time_stop > 0 && held >= signals.time_stop;
      bool free = position == 0.0;
      if ((position > 0.0 && (over || set(signals.long_exit, t))) ||
          (position < 0.0 && (over || set(signals.short_exit, t)))) {
        engine.accept(t, market(0.0, Size::target_units));
        free = true;
      }
      const bool rested =
          engine.last_exit_bar() < 0 || t - engine.last_exit_bar() >= signals.cooldown;
      if (free && rested) {
        // After an exit of this bar only the other side may be taken.
        if (position <= 0.0 && set(signals.long_entry, t)) {
          enter(engine, t, bars, signals, 1.0);
        } else if (position >= 0.0 && set(signals.short_entry, t)) {
          enter(engine, t, bars, signals, -1.0);
        }
      }
    }
    note(engine, settings, t, curve);
  }
  end(engine, bars, curve);
}

void run_targets(Engine& engine, const BarArrays& bars, const Settings& settings,
                 const double* target, Size size, const Curve& curve) {
  for (int64_t t = 0; t < bars.count; ++t) {
    engine.step(t);
    if (!engine.ruined() && std::isfinite(target[t]) && !engine.market_order_waits()) {
      engine.accept(t, market(target[t], size));
    }
    note(engine, settings, t, curve);
  }
  end(engine, bars, curve);
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
                   const Strategy& strategy, State& state, Request* requests, const Curve& curve,
                   Refusal& refusal) {
  int64_t failed = 0;
  for (int64_t t = 0; t < bars.count; ++t) {
    engine.step(t);
    if (!engine.ruined()) {
      engine.describe(state);
      const BarRecord bar = bar_record(bars, t);
      requests[0].action = 0;
      requests[0].ticket = engine.next_ticket();
      strategy.on_bar(&state, &bar, strategy.features + t * strategy.width, requests, &failed);
      if (failed) {
        refusal.bar = t;
        return Ended::raised;
      }
      if (!accept_requests(engine, t, requests, refusal)) return Ended::refused;
    }
    note(engine, settings, t, curve);
  }
  end(engine, bars, curve);
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
      quantity_[i] = tradable_[i] ? weights[i] * left / prices[i] - held_[i] : 0.0;
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
