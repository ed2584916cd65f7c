// Cash, positions and round trips.
#include <algorithm>
#include <cmath>

#include "kernels/replay/engine.hpp"

namespace marketsim::replay {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

void Engine::trade(int64_t t, const Order* order, double quantity, double price, double rate,
                   int64_t kind, int64_t place) {
  double cost = std::abs(quantity) * price * rate + settings_.fixed_cost;
  filled_ = true;
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
    current_ = {t, -1, 0.0, 0.0, 0.0, 0.0, 0.0, kInfinity, -kInfinity, kExitOpen, 0, 0};
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
  current_.exit_bar = last_exit_bar_ = t;
  current_.exit_kind = kind;
  current_.entry_price = entry_value_ / entry_quantity_;
  current_.exit_price = exit_value_ / exit_quantity_;
  current_.profit = trade_gross_ - trade_cost_;
  current_.cost = trade_cost_;
  trades.push_back(current_);
}

void Engine::liquidate(int64_t t, double price, int64_t kind) {
  trade(t, nullptr, -position_, price, settings_.market_cost, kind, 2);
  equity_ = cash_;
  for (Order& order : working_) {
    if (order.status <= Status::waiting && order.reduce_only) settle(order, Status::cancelled, t);
  }
  drop_settled();
}

}  // namespace marketsim::replay
