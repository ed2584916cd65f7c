// Which orders the prices of a bar fill, in which order, and where.
#include <algorithm>
#include <cmath>

#include "kernels/replay/engine.hpp"

namespace marketsim::replay {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Room for the rounding of a position that is sized to use up all of the buying power.
constexpr double kMarginRounding = 1.0 + 1e-9;

// Whether the price is already beyond the order: it fills there (a stop-limit only starts).
bool passed(const Order& order, double price) {
  const bool buys = order.quantity > 0.0;
  if (order.kind == Kind::market) return true;
  if (is_limit(order)) return buys ? price < order.limit : price > order.limit;
  return buys ? price >= order.stop : price <= order.stop;
}

}  // namespace

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
void Engine::find_touches(double price) {
  touches_.clear();
  const Range possible{now_.low, now_.high};
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

// The nearest of those that a policy takes first, else the nearest that is certain.
const Engine::Touch* Engine::choose(Policy policy, double price) const {
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
}

void Engine::fill_inside(int64_t t, double price) {
  // Each turn fills, starts or refuses one order, so that the number of orders bounds the turns.
  for (;;) {
    find_touches(price);
    if (touches_.empty()) return;
    const auto policy = static_cast<Policy>(settings_.policy);
    const Touch* goal = choose(policy, price);
    const Touch* other =
        choose(policy == Policy::open_aware ? Policy::optimistic : Policy::open_aware, price);
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
    const double close = now_.close, level = next->level;
    if (next->up) {
      certain_ = {std::min(level, close), goal->certain ? certain_.high : now_.high};
    } else {
      certain_ = {goal->certain ? certain_.low : now_.low, std::max(level, close)};
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

// The signed quantity that an order asks for at a price, whatever the volume.
double Engine::wanted_quantity(const Order& order, double price, double rate) const {
  double quantity = order.quantity;
  const double equity = cash_ + position_ * price + others_.value;
  const double unit = price * (1.0 + rate);
  switch (order.size) {
    case Size::units:
      break;
    case Size::equity_fraction:
      quantity = after_fee(quantity * equity) / unit;
      break;
    case Size::value:
      quantity = after_fee(quantity) / unit;
      break;
    case Size::target_units:
      quantity -= position_;
      break;
    case Size::target_fraction: {
      const double held = position_ * price;
      if (!std::isnan(planned_)) {
        quantity = (quantity * planned_ - held) / price;
        break;
      }
      // What is left after the cost of the trade itself is what the target is a fraction of.
      double wanted = quantity * equity - held;
      if (settings_.fixed_cost > 0.0 && wanted != 0.0) {
        const double rest = wanted - quantity * settings_.fixed_cost;
        wanted = rest * wanted > 0.0 ? rest : 0.0;  // too little to pay for
      }
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
  return quantity;
}

// What an amount to spend leaves for the trade itself.
double Engine::after_fee(double amount) const {
  if (!(settings_.fixed_cost > 0.0)) return amount;
  return std::copysign(std::max(std::abs(amount) - settings_.fixed_cost, 0.0), amount);
}

// The volume of bar t that orders may still take.
void Engine::open_volume(int64_t t) {
  if (volume_bar_ == t) return;
  volume_bar_ = t;
  volume_left_ = settings_.participation > 0.0 && bars_.volume
                     ? settings_.participation * bars_.volume[t]
                     : kInfinity;
}

// Fills what may be filled of an order at a price. False: nothing was filled.
bool Engine::fill(int64_t t, Order& order, double price, bool limit, int64_t place) {
  const double rate = limit ? settings_.limit_cost : settings_.market_cost;
  const double wanted = wanted_quantity(order, price, rate);
  const bool capped = std::abs(wanted) > volume_left_;
  double quantity = wanted;
  if (capped) {
    double room = volume_left_;
    if (settings_.lot > 0.0) room = std::floor(room / settings_.lot) * settings_.lot;
    quantity = std::copysign(room, wanted);
  }
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
    const double left = cash_ + position_ * price - cost + others_.value;
    const double worth = std::abs(after) * price;
    if (!(worth + others_.gross <= settings_.leverage * left * kMarginRounding)) {
      settle(order, Status::refused_margin, t);
      return false;
    }
    if ((settings_.most_weight > 0.0 && worth > settings_.most_weight * left * kMarginRounding) ||
        (settings_.most_positions > 0 && position_ == 0.0 &&
         others_.held >= settings_.most_positions)) {
      settle(order, Status::refused_limit, t);
      return false;
    }
  }
  volume_left_ -= std::abs(quantity);
  trade(t, &order, quantity, price, rate, static_cast<int64_t>(order.kind), place);
  order.record->filled += quantity;
  if (!capped) {
    settle(order, Status::filled, t);
  } else if (order.size == Size::units) {
    order.quantity -= quantity;  // the rest goes on working
  } else if (order.size != Size::target_units && order.size != Size::target_fraction) {
    order.quantity = wanted - quantity;
    order.size = Size::units;
  }
  after_fill(order, t, price);
  return true;
}

void Engine::settle(Order& order, Status status, int64_t t) {
  order.status = status;
  settled_ = changed_ = true;
  OrderRecord& record = *order.record;
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
  changed_ = true;
  OrderRecord& record = *order.record;
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
  const double distance = trail_distance(order, price);
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

void Engine::drop_settled() {
  if (!settled_) return;
  std::erase_if(working_, [](const Order& order) { return order.status > Status::waiting; });
  settled_ = false;
}

// Whether an order is one of those that fill in this part of a bar.
bool Engine::fills_in(const Order& order, Part part) const {
  if (order.status != Status::working) return false;
  if (part == Part::seen_close) return order.kind == Kind::market && !order.at_close;
  return order.at_close == (part == Part::close);
}

bool Engine::reduces(double price, Part part) const {
  if (position_ == 0.0) return false;
  for (const Order& order : working_) {
    if (fills_in(order, part) && passed(order, price)) {
      return wanted_quantity(order, price, 0.0) * position_ < 0.0;
    }
  }
  return false;
}

const Order* Engine::target_order(Part part) const {
  const Order* found = nullptr;
  for (const Order& order : working_) {
    if (order.size == Size::target_fraction && fills_in(order, part)) found = &order;
  }
  return found;
}

void Engine::fill_at_seen_close(int64_t t) {
  if (ruined() || !(bars_.close[t] > 0.0) || (bars_.volume && bars_.volume[t] == 0.0)) return;
  open_volume(t);
  const double close = bars_.close[t];
  certain_ = {close, close};
  bool any = false;
  for (size_t i = 0; i < working_.size(); ++i) {
    Order& order = working_[i];
    if (fills_in(order, Part::seen_close)) {
      any = fill(t, order, close, false, 2) || any;
    }
  }
  drop_settled();
  if (any) equity_ = cash_ + position_ * close + others_.value;
  if (equity_ <= 0.0) ruined_bar_ = t;
}

}  // namespace marketsim::replay
