#include "kernels/replay/engine.hpp"

#include <algorithm>
#include <cmath>

#include "common/isa.hpp"

namespace marketsim::replay {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
decltype(&baseline::quiet_bars) best_quiet_bars() {
#if defined(__x86_64__)
  switch (active_isa()) {
    case Isa::avx512:
      return avx512::quiet_bars;
    case Isa::avx2:
      return avx2::quiet_bars;
    case Isa::baseline:
      break;
  }
#endif
  return baseline::quiet_bars;
}

}  // namespace

Engine::Engine(const BarArrays& bars, const Settings& settings)
    : bars_(bars),
      settings_(settings),
      quiet_bars_(best_quiet_bars()),
      cash_(settings.cash),
      equity_(settings.cash) {
  curve_.push_back({0, cash_, 0.0, 0.0});
}

int64_t Engine::glide(int64_t begin, int64_t end) {
  if (begin >= end) return begin;
  if (position_ == 0.0 && working_.empty()) {
    for (int64_t t = end; t-- > begin;) {
      if (!is_known(t)) continue;
      see(t);
      break;
    }
    return end;
  }
  const Rest rest = look_from(begin, end, cash_, position_);
  if (rest.end == begin) return begin;
  if (curve_.back().cash != cash_ || curve_.back().units != position_) {
    curve_.push_back({begin, cash_, position_, position_});  // the bar before had no price
  }
  pass(begin, rest);
  equity_ = cash_ + position_ * last_price_;
  return rest.end;
}

Engine::Rest Engine::rest_from(int64_t begin, int64_t end) {
  return look_from(begin, end, kInfinity, 0.0);  // the account as a whole is not looked at here
}

// Finds bars to rest in that leave an account of this cash and position alive.
Engine::Rest Engine::look_from(int64_t begin, int64_t end, double cash, double position) {
  Rest rest{begin, kInfinity, 0.0};
  if (bars_.time || trailing_ || ruined()) return rest;  // cash or stops move at every bar
  if (changed_) find_reach();
  if (reach_.below == kInfinity) return rest;
  end = std::min({end, reach_.bar, next_event(begin)});
  if (begin >= end) return rest;
  Quiet quiet{bars_.open + begin,
              bars_.high + begin,
              bars_.low + begin,
              bars_.close + begin,
              std::max(reach_.below, 0.0),
              reach_.above,
              cash,
              position,
              settings_.maintenance * std::abs(position),
              0.0,
              0.0};
  rest.end = begin + static_cast<int64_t>(quiet_bars_(quiet, static_cast<size_t>(end - begin)));
  rest.lowest = quiet.lowest;
  rest.highest = quiet.highest;
  return rest;
}

void Engine::pass(int64_t begin, const Rest& rest) {
  if (rest.end == begin) return;
  see(rest.end - 1);
  if (position_ == 0.0) return;
  exposed_bars_ += rest.end - begin;
  widen(rest.lowest);
  widen(rest.highest);
}

// The first bar from t on that has a split or a dividend, or the number of bars.
int64_t Engine::next_event(int64_t t) {
  if (event_ >= t) return event_;
  event_ = bars_.count;
  for (int64_t i = t; i < event_; ++i) {
    if ((bars_.split && bars_.split[i] != 1.0) || (bars_.dividend && bars_.dividend[i] != 0.0)) {
      event_ = i;
    }
  }
  return event_;
}

void Engine::advance(int64_t t) {
  if (ruined()) return;
  if (!is_known(t)) {
    // No price is known: nothing fills, and the equity stays what it was.
    if (!working_.empty()) expire(t);
    return;
  }
  begin_bar(t);
  if (bars_.time) {
    const double years = has_previous_time_ ? years_between(previous_time_, bars_.time[t]) : 0.0;
    accrue(t, settings_.financing * std::max(0.0, -cash_) * years);
  }
  if (!working_.empty() && meets_orders(t)) process_orders(t);
  mark(t, bars_.close[t]);
}

void Engine::begin_bar(int64_t t) {
  certain_ = {bars_.low[t], bars_.high[t]};
  if (bars_.split && bars_.split[t] != 1.0 && bars_.split[t] > 0.0) {
    const double factor = bars_.split[t];
    position_ *= factor;
    current_.quantity *= factor;
    entry_quantity_ *= factor;
    exit_quantity_ *= factor;
    average_price_ /= factor;
    last_price_ /= factor;
    trail_ /= factor;
    for (Order& order : working_) {
      if (order.size == Size::units || order.size == Size::target_units) order.quantity *= factor;
      order.trail /= factor;
      if (order.relative) continue;  // factors of a price that is not known yet
      order.limit /= factor;
      order.stop /= factor;
    }
    changed_ = true;
  }
  if (bars_.dividend && bars_.dividend[t] != 0.0 && position_ != 0.0) {
    const double paid = position_ * bars_.dividend[t];
    cash_ += paid;
    trade_gross_ += paid;
  }
}

void Engine::accrue(int64_t t, double financed) {
  const int64_t now = bars_.time[t];
  if (position_ != 0.0 && has_previous_time_) {
    double due = financed;
    if (position_ < 0.0) {
      due += settings_.borrow * -position_ * last_price_ * years_between(previous_time_, now);
    }
    charge(due);
  }
  previous_time_ = now;
  has_previous_time_ = true;
}

void Engine::charge(double due) {
  cash_ -= due;
  trade_cost_ += due;
  total_cost_ += due;
}

bool Engine::meets_orders(int64_t t) {
  if (changed_) find_reach();
  return bars_.low[t] <= reach_.below || bars_.high[t] >= reach_.above || t >= reach_.bar;
}

void Engine::find_reach() {
  changed_ = false;
  reach_ = {-kInfinity, kInfinity, std::numeric_limits<int64_t>::max()};
  for (const Order& order : working_) {
    if (order.last_bar >= 0) reach_.bar = std::min(reach_.bar, order.last_bar);
    if (order.status != Status::working) continue;
    if (order.kind == Kind::market || order.at_close) {
      reach_.below = kInfinity;
      return;
    }
    const bool buys = order.quantity > 0.0, limit = is_limit(order);
    const double level = limit ? order.limit : order.stop;
    if (buys == limit) {
      reach_.below = std::max(reach_.below, level);
    } else {
      reach_.above = std::min(reach_.above, level);
    }
  }
}

void Engine::process_orders(int64_t t) {
  if (can_fill(t)) {
    meet_open(t);
    meet_inside(t);
    meet_close(t);
  }
  end_orders(t);
}

void Engine::meet_open(int64_t t) {
  open_volume(t);
  doubtful_ = false;
  now_ = {bars_.open[t], bars_.high[t], bars_.low[t], bars_.close[t]};
  fill_passed(t, now_.open, 0);
}

void Engine::meet_inside(int64_t t) {
  if (bars_.finer.first && bars_.finer.first[t] < bars_.finer.first[t + 1]) {
    process_finer(t);
  } else {
    fill_inside(t, now_.open);
  }
}

void Engine::meet_close(int64_t t) {
  fill_at_close(t, bars_.close[t]);
  if (doubtful_) note_doubt(t);
}

void Engine::end_orders(int64_t t) {
  expire(t);
  changed_ = true;
}

// Notes that the bar leaves open which order came first, also in the trades that it concerns.
void Engine::note_doubt(int64_t t) {
  ++ambiguous_bars;
  if (position_ != 0.0) current_.ambiguous = 1;
  for (size_t i = trades.size(); i-- > 0 && trades[i].exit_bar == t;) trades[i].ambiguous = 1;
}

// Finer bars one after the other decide what the bar leaves open.
void Engine::process_finer(int64_t t) {
  const FinerBars& finer = bars_.finer;
  Range after{kInfinity, -kInfinity};
  for (int64_t i = finer.first[t]; i < finer.first[t + 1]; ++i) {
    now_ = {finer.open[i], finer.high[i], finer.low[i], finer.close[i]};
    certain_ = {now_.low, now_.high};
    filled_ = false;
    if (!working_.empty() && !(finer.volume && finer.volume[i] == 0.0)) {
      fill_passed(t, now_.open, 1);
      fill_inside(t, now_.open);
    }
    if (filled_) after = certain_;
    after = {std::min(after.low, certain_.low), std::max(after.high, certain_.high)};
  }
  const double close = bars_.close[t];
  certain_ = {std::min(after.low, close), std::max(after.high, close)};
}

void Engine::expire(int64_t t) {
  for (Order& order : working_) {
    if (order.last_bar == t && order.status <= Status::waiting) settle(order, Status::expired, t);
  }
  drop_settled();
}

void Engine::mark(int64_t t, double close) {
  value(t, close);
  equity_ = cash_ + position_ * close;
  if (position_ != 0.0 &&
      (equity_ <= 0.0 || equity_ < settings_.maintenance * std::abs(position_) * close)) {
    liquidate(t, close, kExitLiquidation);
  }
  if (equity_ <= 0.0) {
    ruin(t);
  } else if (trailing_) {
    ratchet(t);
  }
}

void Engine::value(int64_t t, double close) {
  last_price_ = close;
  if (bars_.trail) trail_ = bars_.trail[t];
  if (position_ == 0.0) return;
  ++exposed_bars_;
  // In the bar of a fill, what is certain to have come after it; the close lies in it.
  widen(certain_.low);
  widen(certain_.high);
}

void Engine::ruin(int64_t t) {
  ruined_bar_ = t;
  for (Order& order : working_) {
    if (order.status <= Status::waiting) settle(order, Status::cancelled, t);
  }
  drop_settled();
}

// Moves trailing stops by the bar that has closed; never back.
void Engine::ratchet(int64_t t) {
  trailing_ = false;
  for (Order& order : working_) {
    if (order.kind != Kind::trailing_stop) continue;
    trailing_ = true;
    if (order.status != Status::working) continue;
    const bool sells = order.quantity < 0.0;
    double best = sells ? bars_.high[t] : bars_.low[t];
    if (order.started == t) best = bars_.close[t];  // the extreme may lie before its start
    const double distance = trail_distance(order, best);
    const double level = sells ? best - distance : best + distance;
    if (!std::isfinite(level)) continue;
    const bool better = sells ? level > order.stop : level < order.stop;
    if (better || !std::isfinite(order.stop)) order.stop = level;
    changed_ = true;
  }
}

double Engine::trail_distance(const Order& order, double best) const {
  if (std::isfinite(order.trail)) return order.trail;
  return std::isfinite(order.trail_part) ? order.trail_part * best : trail_;
}

void Engine::finish(int64_t t) {
  if (position_ == 0.0) return;
  if (settings_.close_at_end) {
    liquidate(t, last_price_, kExitEnd);
    return;
  }
  TradeRecord open = current_;
  open.entry_price = entry_value_ / entry_quantity_;
  open.exit_price = last_price_;
  open.profit = trade_gross_ + position_ * last_price_ - trade_cost_;
  open.cost = trade_cost_;
  trades.push_back(open);
}

void Engine::describe(State& state) const {
  state.cash = cash_;
  state.position = position_;
  state.average_price = position_ != 0.0 ? average_price_ : kNone;
  state.equity = equity_;
  state.open_profit = position_ != 0.0 ? trade_gross_ + position_ * last_price_ : 0.0;
  state.entry_bar = position_ != 0.0 ? current_.entry_bar : -1;
  state.orders = static_cast<int64_t>(working_.size());
  state.trades = static_cast<int64_t>(trades.size());
}

}  // namespace marketsim::replay
