#include "kernels/replay/engine.hpp"

#include <algorithm>
#include <cmath>

namespace marketsim::replay {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNanosecondsADay = 86400e9;
constexpr double kDaysAYear = 365.0;
// Room for the rounding of a position that is sized to use up all of the buying power.
constexpr double kMarginRounding = 1.0 + 1e-9;

bool is_limit(const Order& order) {
  return order.kind == Kind::limit || (order.kind == Kind::stop_limit && order.triggered);
}

// Whether the price is already beyond the order: it fills there (a stop-limit only starts).
bool passed(const Order& order, double price) {
  const bool buys = order.quantity > 0.0;
  if (order.kind == Kind::market) return true;
  if (is_limit(order)) return buys ? price < order.limit : price > order.limit;
  return buys ? price >= order.stop : price <= order.stop;
}

}  // namespace

Engine::Engine(const BarArrays& bars, const Settings& settings)
    : bars_(bars), settings_(settings), cash_(settings.cash), equity_(settings.cash) {}

void Engine::step(int64_t t) {
  if (ruined()) return;
  const double open = bars_.open[t], high = bars_.high[t], low = bars_.low[t];
  const double close = bars_.close[t];
  if (!(low > 0.0 && high < kInfinity && open >= low && open <= high && close >= low &&
        close <= high)) {
    return;  // no price is known: nothing fills, and the equity stays what it was
  }
  apply_events(t);
  accrue(t);
  certain_ = {low, high};
  // A bar without volume, where volumes are known, fills nothing.
  if (!working_.empty() && !(bars_.volume && bars_.volume[t] == 0.0)) process_orders(t);
  mark(t, close);
}

void Engine::apply_events(int64_t t) {
  if (bars_.split && bars_.split[t] != 1.0 && bars_.split[t] > 0.0) {
    const double factor = bars_.split[t];
    position_ *= factor;
    current_.quantity *= factor;
    entry_quantity_ *= factor;
    exit_quantity_ *= factor;
    average_price_ /= factor;
    last_price_ /= factor;
    for (Order& order : working_) {
      if (order.size == Size::units || order.size == Size::target_units) order.quantity *= factor;
      order.limit /= factor;
      order.stop /= factor;
      order.trail /= factor;
    }
  }
  if (bars_.dividend && bars_.dividend[t] != 0.0 && position_ != 0.0) {
    const double paid = position_ * bars_.dividend[t];
    cash_ += paid;
    trade_gross_ += paid;
  }
}

void Engine::accrue(int64_t t) {
  if (!bars_.time) return;
  const int64_t now = bars_.time[t];
  if (position_ != 0.0 && has_previous_time_) {
    const double years =
        static_cast<double>(now - previous_time_) / (kNanosecondsADay * kDaysAYear);
    double due = settings_.financing * std::max(0.0, -cash_) * years;
    if (position_ < 0.0) due += settings_.borrow * -position_ * last_price_ * years;
    cash_ -= due;
    trade_cost_ += due;
    total_cost_ += due;
  }
  previous_time_ = now;
  has_previous_time_ = true;
}

void Engine::process_orders(int64_t t) {
  volume_left_ = settings_.participation > 0.0 && bars_.volume
                     ? settings_.participation * bars_.volume[t]
                     : kInfinity;
  doubtful_ = false;
  fill_passed(t, bars_.open[t], 0);
  fill_inside(t, bars_.open[t]);
  fill_at_close(t, bars_.close[t]);
  for (Order& order : working_) {
    if (order.last_bar == t && order.status <= Status::waiting) settle(order, Status::expired, t);
  }
  ambiguous_bars += doubtful_;
  drop_settled();
}

// Fills every order that the price is already beyond, until none is left: a fill may start others.
void Engine::fill_passed(int64_t t, double price, int64_t place) {
  bool again = true;
  while (again) {
    again = false;
    for (size_t i = 0; i < working_.size(); ++i) {
      Order& order = working_[i];
      if (order.status != Status::working || order.at_close || !passed(order, price)) continue;
      if (order.kind == Kind::stop_limit && !order.triggered) {
        order.triggered = true;
        again = true;
      } else if (fill(t, order, price, is_limit(order), place)) {
        again = true;
      }
    }
  }
}

// Which orders the rest of the bar reaches from `price`: for certain, or perhaps.
void Engine::find_touches(int64_t t, double price) {
  touches_.clear();
  const Range possible{bars_.low[t], bars_.high[t]};
  for (size_t i = 0; i < working_.size(); ++i) {
    const Order& order = working_[i];
    if (order.status != Status::working || order.at_close) continue;
    const bool buys = order.quantity > 0.0, limit = is_limit(order);
    const double level = limit ? order.limit : order.stop;
    const bool up = limit != buys;  // a sell limit and a buy stop lie above the price
    if (up ? level < price : level > price) continue;  // passed, and refused to fill
    const auto reached = [&](const Range& range) {
      if (limit) return up ? range.high > level : range.low < level;
      return up ? range.high >= level : range.low <= level;
    };
    if (!reached(possible)) continue;
    const bool exit = position_ != 0.0 && buys != (position_ > 0.0);
    touches_.push_back({i, level, up, reached(certain_), exit && !limit, exit && limit});
  }
}

void Engine::fill_inside(int64_t t, double price) {
  // Each turn fills, starts or refuses one order, so that the number of orders bounds the turns.
  for (;;) {
    find_touches(t, price);
    if (touches_.empty()) return;
    // The nearest of those that a policy takes first, else the nearest that is certain.
    const auto choose = [&](Policy policy) -> const Touch* {
      const Touch* best = nullptr;
      int best_rank = 3;
      for (const Touch& touch : touches_) {
        const bool first = policy == Policy::open_aware ? touch.loss_exit : touch.gain_exit;
        const int rank = first ? 0 : touch.certain ? 1 : 3;
        if (rank == 3) continue;
        if (rank < best_rank ||
            (rank == best_rank && std::abs(touch.level - price) < std::abs(best->level - price))) {
          best = &touch;
          best_rank = rank;
        }
      }
      return best;
    };
    const auto policy = static_cast<Policy>(settings_.policy);
    const Touch* goal = choose(policy);
    const Touch* other =
        choose(policy == Policy::open_aware ? Policy::optimistic : Policy::open_aware);
    if (goal != other) doubtful_ = true;
    if (!goal) return;
    // On its way to that level the price passes the nearer ones on the same side.
    const Touch* next = goal;
    for (const Touch& touch : touches_) {
      if (touch.up != goal->up) {
        doubtful_ = doubtful_ || (touch.certain && goal->certain);
        continue;
      }
      if (std::abs(touch.level - price) < std::abs(next->level - price)) next = &touch;
    }
    const double close = bars_.close[t], level = next->level;
    if (next->up) {
      certain_ = {std::min(level, close), goal->certain ? certain_.high : bars_.high[t]};
    } else {
      certain_ = {goal->certain ? certain_.low : bars_.low[t], std::max(level, close)};
    }
    price = level;
    Order& order = working_[next->order];
    if (order.kind == Kind::stop_limit && !order.triggered) {
      order.triggered = true;
    } else if (!fill(t, order, price, is_limit(order), 1)) {
      if (order.status == Status::working) return;  // no volume is left
    }
    fill_passed(t, price, 1);
  }
}

void Engine::fill_at_close(int64_t t, double close) {
  for (size_t i = 0; i < working_.size(); ++i) {
    Order& order = working_[i];
    if (order.status != Status::working || !order.at_close || !passed(order, close)) continue;
    certain_ = {close, close};
    fill(t, order, close, is_limit(order), 2);
  }
}

// The signed quantity that an order may fill now; 0 where it is settled or has to wait.
double Engine::allowed_quantity(Order& order, double price, double rate, bool& capped) {
  double quantity = order.quantity;
  const double equity = cash_ + position_ * price;
  const double unit = price * (1.0 + rate);
  switch (order.size) {
    case Size::units:
      break;
    case Size::equity_fraction:
      quantity = quantity * equity / unit;
      break;
    case Size::value:
      quantity = quantity / unit;
      break;
    case Size::target_units:
      quantity -= position_;
      break;
    case Size::target_fraction: {
      // What is left after the cost of the trade itself is what the target is a fraction of.
      const double held = position_ * price;
      const double wanted = quantity * equity - held;
      quantity = wanted / (price * (1.0 + std::copysign(rate, wanted) * quantity));
      break;
    }
  }
  if (order.reduce_only) {
    if (position_ * quantity >= 0.0) return 0.0;
    quantity = std::copysign(std::min(std::abs(quantity), std::abs(position_)), quantity);
  }
  const bool closes = quantity == -position_;
  if (settings_.lot > 0.0 && !closes) {
    quantity = std::trunc(quantity / settings_.lot + std::copysign(1e-9, quantity)) * settings_.lot;
  }
  capped = std::abs(quantity) > volume_left_;
  if (capped) {
    double room = volume_left_;
    if (settings_.lot > 0.0) room = std::floor(room / settings_.lot) * settings_.lot;
    quantity = std::copysign(room, quantity);
  }
  return quantity;
}

// Fills what may be filled of an order at a price. False: nothing was filled.
bool Engine::fill(int64_t t, Order& order, double price, bool limit, int64_t place) {
  const double rate = limit ? settings_.limit_cost : settings_.market_cost;
  bool capped = false;
  const double quantity = allowed_quantity(order, price, rate, capped);
  if (quantity == 0.0) {
    if (capped) return false;  // the rest of the bar's volume is used up: it goes on working
    const bool target = order.size == Size::target_units || order.size == Size::target_fraction;
    settle(order,
           target              ? Status::filled
           : order.reduce_only ? Status::cancelled
                               : Status::refused_lot,
           t);
    return false;
  }
  if (!std::isfinite(quantity)) {
    settle(order, Status::refused_size, t);
    return false;
  }
  const double after = position_ + quantity;
  if (std::abs(after) > std::abs(position_) || after * position_ < 0.0) {
    const double cost = std::abs(quantity) * price * rate + settings_.fixed_cost;
    const double left = cash_ + position_ * price - cost;
    if (!(std::abs(after) * price <= settings_.leverage * left * kMarginRounding)) {
      settle(order, Status::refused_margin, t);
      return false;
    }
  }
  volume_left_ -= std::abs(quantity);
  trade(t, &order, quantity, price, rate, static_cast<int64_t>(order.kind), place);
  orders[static_cast<size_t>(order.record)].filled += quantity;
  if (capped && order.size == Size::units) {
    order.quantity -= quantity;  // the rest goes on working
  } else if (!capped) {
    settle(order, Status::filled, t);
  } else if (order.size != Size::target_units && order.size != Size::target_fraction) {
    bool whole = false;
    const double before = volume_left_;
    volume_left_ = kInfinity;
    order.quantity = allowed_quantity(order, price, rate, whole) - quantity;
    order.size = Size::units;
    volume_left_ = before;
  }
  after_fill(order, t, price);
  return true;
}

void Engine::trade(int64_t t, const Order* order, double quantity, double price, double rate,
                   int64_t kind, int64_t place) {
  double cost = std::abs(quantity) * price * rate + settings_.fixed_cost;
  cash_ -= quantity * price + cost;
  total_cost_ += cost;
  turnover_ += std::abs(quantity) * price;
  if (position_ != 0.0 && (quantity > 0.0) != (position_ > 0.0)) {
    widen(price);
    const double part = std::copysign(std::min(std::abs(quantity), std::abs(position_)), quantity);
    const double share = part == quantity ? cost : cost * (part / quantity);
    trade_gross_ -= part * price;
    trade_cost_ += share;
    exit_value_ += std::abs(part) * price;
    exit_quantity_ += std::abs(part);
    add_fill(t, order, part, price, share, kind, place);
    position_ = std::abs(quantity) >= std::abs(position_) ? 0.0 : position_ + part;
    if (position_ == 0.0) close_trade(t, kind);
    quantity -= part;
    cost -= share;
  }
  if (quantity == 0.0) return;
  if (position_ == 0.0) {
    current_ = {t, -1, 0.0, 0.0, 0.0, 0.0, 0.0, kInfinity, -kInfinity, kExitOpen, 0};
    trade_gross_ = trade_cost_ = 0.0;
    entry_value_ = entry_quantity_ = exit_value_ = exit_quantity_ = average_price_ = 0.0;
  }
  const double held = std::abs(position_), added = std::abs(quantity);
  average_price_ = (average_price_ * held + price * added) / (held + added);
  position_ += quantity;
  trade_gross_ -= quantity * price;
  trade_cost_ += cost;
  entry_value_ += added * price;
  entry_quantity_ += added;
  if (std::abs(position_) > std::abs(current_.quantity)) current_.quantity = position_;
  widen(price);
  add_fill(t, order, quantity, price, cost, kind, place);
}

void Engine::add_fill(int64_t t, const Order* order, double quantity, double price, double cost,
                      int64_t kind, int64_t place) {
  ++current_.fills;
  fills.push_back({t, order ? order->ticket : 0, kind, static_cast<int64_t>(trades.size()),
                   quantity, price, cost, place});
}

// Takes a price into the trade's worst and best open profit.
void Engine::widen(double price) {
  const double profit = trade_gross_ + position_ * price;
  current_.worst = std::min(current_.worst, profit);
  current_.best = std::max(current_.best, profit);
}

void Engine::close_trade(int64_t t, int64_t kind) {
  current_.exit_bar = t;
  current_.exit_kind = kind;
  current_.entry_price = entry_value_ / entry_quantity_;
  current_.exit_price = exit_value_ / exit_quantity_;
  current_.profit = trade_gross_ - trade_cost_;
  current_.cost = trade_cost_;
  trades.push_back(current_);
}

void Engine::settle(Order& order, Status status, int64_t t) {
  order.status = status;
  settled_ = true;
  OrderRecord& record = orders[static_cast<size_t>(order.record)];
  record.status = static_cast<int64_t>(status);
  record.done = t;
  if (status >= Status::refused_margin) ++refused_;
  if (status == Status::filled || record.filled != 0.0) return;
  for (Order& child : working_) {  // what waits for a fill that will not come
    if (child.status == Status::waiting && child.parent == order.ticket) {
      settle(child, Status::cancelled, t);
    }
  }
}

void Engine::start(Order& order, int64_t t, double price) {
  order.status = Status::working;
  order.started = t;
  OrderRecord& record = orders[static_cast<size_t>(order.record)];
  record.status = static_cast<int64_t>(Status::working);
  if (order.relative) {
    record.limit = order.limit *= price;
    record.stop = order.stop *= price;
    order.relative = false;
  }
  if (order.reduce_only) {
    const double most = std::min(std::abs(order.quantity), std::abs(position_));
    record.quantity = std::copysign(most, order.quantity);
  }
  if (order.kind != Kind::trailing_stop || std::isfinite(order.stop)) return;
  const double distance = std::isfinite(order.trail) ? order.trail : order.trail_part * price;
  order.stop = order.quantity < 0.0 ? price - distance : price + distance;
}

void Engine::after_fill(const Order& order, int64_t t, double price) {
  const int64_t ticket = order.ticket, group = order.group;
  for (Order& other : working_) {
    if (other.ticket == ticket || other.status > Status::waiting) continue;
    if (group != 0 && other.group == group) {
      settle(other, Status::cancelled, t);
    } else if (other.status == Status::waiting && other.parent == ticket) {
      start(other, t, price);
    } else if (position_ == 0.0 && other.reduce_only && other.status == Status::working) {
      settle(other, Status::cancelled, t);
    }
  }
}

void Engine::mark(int64_t t, double close) {
  last_price_ = close;
  equity_ = cash_ + position_ * close;
  if (position_ != 0.0) {
    ++exposed_bars_;
    // In the bar of a fill, what is certain to have come after it.
    widen(certain_.low);
    widen(certain_.high);
    widen(close);
    if (equity_ <= 0.0 || equity_ < settings_.maintenance * std::abs(position_) * close) {
      liquidate(t, close, kExitLiquidation);
    }
  }
  if (equity_ <= 0.0) {
    ruined_bar_ = t;
    for (Order& order : working_) {
      if (order.status <= Status::waiting) settle(order, Status::cancelled, t);
    }
    drop_settled();
  } else if (trailing_) {
    ratchet(t);
  }
}

void Engine::ratchet(int64_t t) {
  trailing_ = false;
  for (Order& order : working_) {
    if (order.kind != Kind::trailing_stop) continue;
    trailing_ = true;
    if (order.status != Status::working) continue;
    const bool sells = order.quantity < 0.0;
    double best = sells ? bars_.high[t] : bars_.low[t];
    if (order.started == t) best = bars_.close[t];  // the extreme may lie before its start
    const double distance = std::isfinite(order.trail) ? order.trail : order.trail_part * best;
    order.stop =
        sells ? std::max(order.stop, best - distance) : std::min(order.stop, best + distance);
  }
}

void Engine::liquidate(int64_t t, double price, int64_t kind) {
  trade(t, nullptr, -position_, price, settings_.market_cost, kind, 2);
  equity_ = cash_;
  for (Order& order : working_) {
    if (order.status <= Status::waiting && order.reduce_only) settle(order, Status::cancelled, t);
  }
  drop_settled();
}

void Engine::drop_settled() {
  if (!settled_) return;
  std::erase_if(working_, [](const Order& order) { return order.status > Status::waiting; });
  settled_ = false;
}

Defect Engine::accept(int64_t t, const Request& request) {
  if (request.action == static_cast<int64_t>(Action::cancel_all)) {
    for (Order& order : working_) settle(order, Status::cancelled, t);
    drop_settled();
    return Defect::none;
  }
  if (request.action == static_cast<int64_t>(Action::cancel)) {
    if (request.ticket < 1 || request.ticket >= next_ticket_) return Defect::ticket;
    for (Order& order : working_) {
      if (order.ticket == request.ticket) settle(order, Status::cancelled, t);
    }
    drop_settled();  // one that is done already is no error: its fill may have come first
    return Defect::none;
  }
  if (request.action != 0 || request.kind < 0 || request.kind > 4 || request.size < 0 ||
      request.size > 4) {
    return Defect::kind;
  }
  const auto kind = static_cast<Kind>(request.kind);
  const auto size = static_cast<Size>(request.size);
  const bool target = size == Size::target_units || size == Size::target_fraction;
  if (!std::isfinite(request.quantity) || (request.quantity == 0.0 && !target)) {
    return Defect::quantity;
  }
  if (target && kind != Kind::market) return Defect::kind;
  const bool wants_limit = kind == Kind::limit || kind == Kind::stop_limit;
  if (wants_limit != std::isfinite(request.limit)) return Defect::limit_price;
  if (wants_limit && !(request.limit > 0.0)) return Defect::limit_price;
  const bool wants_stop = kind == Kind::stop || kind == Kind::stop_limit;
  if (wants_stop && !(request.stop > 0.0 && request.stop < kInfinity)) return Defect::stop_price;
  if ((kind == Kind::market || kind == Kind::limit) && std::isfinite(request.stop)) {
    return Defect::stop_price;
  }
  const bool by_price = std::isfinite(request.trail), by_part = std::isfinite(request.trail_part);
  if (kind == Kind::trailing_stop) {
    if (by_price == by_part || (by_price && !(request.trail > 0.0)) ||
        (by_part && !(request.trail_part > 0.0 && request.trail_part < 1.0))) {
      return Defect::trail;
    }
  } else if (by_price || by_part) {
    return Defect::trail;
  }
  if (request.bars < 0) return Defect::bars;
  double reference = last_price_;
  if (request.parent != 0) {
    const auto parent = std::find_if(working_.begin(), working_.end(), [&](const Order& order) {
      return order.ticket == request.parent;
    });
    if (parent == working_.end()) return Defect::parent;
    if (request.relative) {
      reference = 1.0;
    } else if (std::isfinite(parent->limit)) {
      reference = parent->limit;
    } else if (std::isfinite(parent->stop)) {
      reference = parent->stop;
    }
  } else if (request.relative) {
    return Defect::parent;
  }
  if (std::isfinite(request.stop) && std::isfinite(reference) &&
      (request.quantity > 0.0 ? request.stop <= reference : request.stop >= reference)) {
    return Defect::wrong_side;
  }
  const int64_t ticket = next_ticket_++;
  const auto record = static_cast<int64_t>(orders.size());
  const Status status = request.parent != 0 ? Status::waiting : Status::working;
  orders.push_back({ticket, t, -1, static_cast<int64_t>(status), request.kind, request.size,
                    request.group, request.parent, request.quantity, 0.0, request.limit,
                    request.stop});
  working_.push_back({ticket, kind, size, request.quantity, request.limit, request.stop,
                      request.trail, request.trail_part, request.bars > 0 ? t + request.bars : -1,
                      request.group, request.parent, request.reduce_only != 0,
                      request.at_close != 0, request.relative != 0, false, status, record, t});
  if (kind == Kind::trailing_stop) {
    trailing_ = true;
    if (status == Status::working) {
      start(working_.back(), t, last_price_);
      working_.back().started = t - 1;  // from the next bar on it has all of each bar before it
    }
  }
  return Defect::none;
}

void Engine::fill_at_seen_close(int64_t t) {
  if (ruined() || !(bars_.close[t] > 0.0) || (bars_.volume && bars_.volume[t] == 0.0)) return;
  volume_left_ = kInfinity;
  const double close = bars_.close[t];
  certain_ = {close, close};
  bool any = false;
  for (size_t i = 0; i < working_.size(); ++i) {
    Order& order = working_[i];
    if (order.status == Status::working && order.kind == Kind::market && !order.at_close) {
      any = fill(t, order, close, false, 2) || any;
    }
  }
  drop_settled();
  if (any) equity_ = cash_ + position_ * close;
  if (equity_ <= 0.0) ruined_bar_ = t;
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

bool Engine::market_order_waits() const {
  return std::any_of(working_.begin(), working_.end(),
                     [](const Order& order) { return order.kind == Kind::market; });
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

Summary Engine::summary(const double* equity, int64_t count) const {
  Summary out{};
  double peak = settings_.cash, before = settings_.cash, sum = 0.0;
  for (int64_t t = 0; t < count; ++t) {
    peak = std::max(peak, equity[t]);
    out.max_drawdown = std::max(out.max_drawdown, 1.0 - equity[t] / peak);
    if (before > 0.0) sum += equity[t] / before - 1.0;
    before = equity[t];
  }
  out.final_equity = count > 0 ? equity[count - 1] : settings_.cash;
  out.total_return = out.final_equity / settings_.cash - 1.0;
  out.mean = count > 0 ? sum / static_cast<double>(count) : kNone;
  double squares = 0.0;
  before = settings_.cash;
  for (int64_t t = 0; t < count; ++t) {
    const double change = before > 0.0 ? equity[t] / before - 1.0 : 0.0;
    squares += (change - out.mean) * (change - out.mean);
    before = equity[t];
  }
  out.deviation = count > 1 ? std::sqrt(squares / static_cast<double>(count - 1)) : kNone;
  out.exposure = count > 0 ? static_cast<double>(exposed_bars_) / static_cast<double>(count) : 0.0;
  for (const TradeRecord& trade : trades) {
    if (trade.profit > 0.0) {
      ++out.wins;
      out.gross_win += trade.profit;
    } else {
      out.gross_loss -= trade.profit;
    }
  }
  out.cost = total_cost_;
  out.turnover = turnover_;
  out.trades = static_cast<int64_t>(trades.size());
  out.orders = static_cast<int64_t>(orders.size());
  out.fills = static_cast<int64_t>(fills.size());
  out.refused = refused_;
  out.ambiguous_bars = ambiguous_bars;
  out.ruined_bar = ruined_bar_;
  return out;
}

}  // namespace marketsim::replay
