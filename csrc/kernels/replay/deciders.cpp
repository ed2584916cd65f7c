#include "kernels/replay/deciders.hpp"

#include <algorithm>
#include <cmath>

namespace marketsim::replay {
namespace {

// Every field is stated: a block of memory that is set to 0 at once cannot be read soon after.
Request market(double quantity, Size size) {
  return {.action = 0,
          .ticket = 0,
          .kind = static_cast<int64_t>(Kind::market),
          .size = static_cast<int64_t>(size),
          .quantity = quantity,
          .limit = kNone,
          .stop = kNone,
          .trail = kNone,
          .trail_part = kNone,
          .bars = 0,
          .group = 0,
          .parent = 0,
          .reduce_only = 0,
          .at_close = 0,
          .relative = 0};
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

}  // namespace

SignalDecider::SignalDecider(Engine& engine, const BarArrays& bars, const Settings& settings,
                             const Signals& signals)
    : engine_(engine),
      bars_(bars),
      signals_(signals),
      long_entry_(signals.long_entry, bars.count),
      long_exit_(signals.long_exit, bars.count),
      short_entry_(signals.short_entry, bars.count),
      short_exit_(signals.short_exit, bars.count),
      // An entry at the open has been held for the whole of its bar, one at the close not at all.
      whole_(settings.same_close ? 0 : 1),
      // More bars than there are is never; sums of them must not overflow.
      cooldown_(std::min(signals.cooldown, bars.count + 1)),
      time_stop_(std::min(signals.time_stop, bars.count + 1)) {}

void SignalDecider::enter(int64_t t, double side) {
  const double size = signals_.quantities ? signals_.quantities[t] : signals_.quantity;
  const double stop_loss = signals_.stop_losses ? signals_.stop_losses[t] : signals_.stop_loss;
  const double take_profit =
      signals_.take_profits ? signals_.take_profits[t] : signals_.take_profit;
  // No size or distance is known yet, such as one from an indicator's first bars.
  if (!(size > 0.0) || (signals_.stop_losses && std::isnan(stop_loss)) ||
      (signals_.take_profits && std::isnan(take_profit)) ||
      (bars_.trail && std::isnan(bars_.trail[t]))) {
    return;
  }
  const int64_t ticket = engine_.next_ticket();
  const Request entry = market(side * size, static_cast<Size>(signals_.size));
  if (engine_.accept(t, entry) != Defect::none) return;
  // Exits are reduce-only: a quantity beyond any position stands for all that is held.
  const double all = -side * std::numeric_limits<double>::max();
  if (std::isfinite(stop_loss)) {
    engine_.accept(t, protection(Kind::stop, all, 1.0 - side * stop_loss, ticket, ticket));
  }
  if (std::isfinite(take_profit)) {
    engine_.accept(t, protection(Kind::limit, all, 1.0 + side * take_profit, ticket, ticket));
  }
  if (std::isfinite(signals_.trailing_stop) || bars_.trail) {
    Request trail = protection(Kind::trailing_stop, all, kNone, ticket, ticket);
    trail.relative = 0;
    trail.trail_part = signals_.trailing_stop;
    engine_.accept(t, trail);
  }
}

int64_t SignalDecider::next(int64_t t) {
  const double position = engine_.position();
  if (position == 0.0) {
    if (engine_.last_exit_bar() >= 0) t = std::max(t, engine_.last_exit_bar() + cooldown_);
    return std::min(long_entry_.from(t), short_entry_.from(t));
  }
  int64_t found = (position > 0.0 ? long_exit_ : short_exit_).from(t);
  if (time_stop_ > 0) {
    found = std::min(found, std::max(t, engine_.entry_bar() + time_stop_ - whole_));
  }
  return found;
}

Ended SignalDecider::decide(int64_t t) {
  if (engine_.market_order_waits()) return Ended::done;
  const double position = engine_.position();
  const int64_t held = t - engine_.entry_bar() + whole_;
  const bool over = position != 0.0 && time_stop_ > 0 && held >= time_stop_;
  bool free = position == 0.0;
  if ((position > 0.0 && (over || long_exit_[t])) || (position < 0.0 && (over || short_exit_[t]))) {
    engine_.accept(t, market(0.0, Size::target_units));
    free = true;
  }
  const bool rested = engine_.last_exit_bar() < 0 || t - engine_.last_exit_bar() >= cooldown_;
  if (!free || !rested) return Ended::done;
  // After an exit of this bar only the other side may be taken.
  if (position <= 0.0 && long_entry_[t]) {
    enter(t, 1.0);
  } else if (position >= 0.0 && short_entry_[t]) {
    enter(t, -1.0);
  }
  return Ended::done;
}

int64_t TargetDecider::next(int64_t t) {
  next_ = std::max(next_, t);
  while (next_ < count_ && !std::isfinite(target_[next_])) ++next_;
  return next_;
}

Ended TargetDecider::decide(int64_t t) {
  if (std::isfinite(target_[t]) && !engine_.market_order_waits()) {
    engine_.accept(t, market(target_[t], size_));
  }
  return Ended::done;
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

StrategyDecider::StrategyDecider(Engine& engine, const BarArrays& bars, const Strategy& strategy,
                                 State& state, Request* requests, Refusal& refusal)
    : engine_(engine),
      bars_(bars),
      strategy_(strategy),
      state_(state),
      requests_(requests),
      refusal_(refusal),
      rows_(static_cast<size_t>(std::max<int64_t>(strategy.width, 1) * kRows)) {}

Ended StrategyDecider::decide(int64_t t) {
  const int64_t width = strategy_.width;
  if (t / kRows != block_) {
    block_ = t / kRows;
    const int64_t first = block_ * kRows, count = std::min(kRows, bars_.count - first);
    for (int64_t j = 0; j < width; ++j) {
      const double* const column = strategy_.features[j] + first;
      for (int64_t i = 0; i < count; ++i) rows_[static_cast<size_t>(i * width + j)] = column[i];
    }
  }
  engine_.describe(state_);
  const BarRecord bar = bar_record(bars_, t);
  requests_[0].action = 0;
  requests_[0].ticket = engine_.next_ticket();
  int64_t failed = 0;
  strategy_.on_bar(&state_, &bar, rows_.data() + t % kRows * width, requests_, &failed);
  if (failed) {
    refusal_.bar = t;
    return Ended::raised;
  }
  return accept_requests(engine_, t, requests_, refusal_) ? Ended::done : Ended::refused;
}

}  // namespace marketsim::replay
