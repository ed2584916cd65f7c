// What a strategy asks for: new orders, changes and cancellations, checked.
#include <algorithm>
#include <cmath>

#include "kernels/replay/engine.hpp"

namespace marketsim::replay {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

// Whether a new order can be: its numbers, its kind, and on which side of the price its stop lies.
Defect Engine::check(const Request& request) const {
  if (request.kind < 0 || request.kind > 4 || request.size < 0 || request.size > 4) {
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
    if ((by_price && by_part) || (!by_price && !by_part && !bars_.trail) ||
        (by_price && !(request.trail > 0.0)) ||
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
  return Defect::none;
}

Defect Engine::cancel(int64_t t, const Request& request) {
  if (request.ticket < 1 || request.ticket >= next_ticket_) return Defect::ticket;
  for (Order& order : working_) {
    if (order.ticket == request.ticket) settle(order, Status::cancelled, t);
  }
  drop_settled();  // one that is done already is no error: its fill may have come first
  return Defect::none;
}

// Changes the numbers that the request states of an order that is not done.
Defect Engine::amend(const Request& request) {
  if (request.ticket < 1 || request.ticket >= next_ticket_) return Defect::ticket;
  const auto found = std::find_if(working_.begin(), working_.end(), [&](const Order& order) {
    return order.ticket == request.ticket;
  });
  if (found == working_.end()) return Defect::none;
  Order changed = *found;
  const bool buys = changed.quantity > 0.0;
  const auto given = [](double value) { return !std::isnan(value); };
  if (given(request.quantity)) {
    if (!std::isfinite(request.quantity) || (request.quantity > 0.0) != buys ||
        request.quantity == 0.0) {
      return Defect::amendment;
    }
    changed.quantity = request.quantity;
  }
  if (given(request.limit)) {
    const bool has_limit = changed.kind == Kind::limit || changed.kind == Kind::stop_limit;
    if (!has_limit || !(request.limit > 0.0 && request.limit < kInfinity)) {
      return Defect::amendment;
    }
    changed.limit = request.limit;
  }
  if (given(request.stop)) {
    const bool has_stop =
        changed.kind != Kind::market && changed.kind != Kind::limit && !changed.triggered;
    if (!has_stop || !(request.stop > 0.0 && request.stop < kInfinity)) return Defect::amendment;
    if (changed.status == Status::working && std::isfinite(last_price_) &&
        (buys ? request.stop <= last_price_ : request.stop >= last_price_)) {
      return Defect::wrong_side;
    }
    changed.stop = request.stop;
  }
  if (given(request.trail) || given(request.trail_part)) {
    const bool by_price = given(request.trail);
    const double distance = by_price ? request.trail : request.trail_part;
    if (changed.kind != Kind::trailing_stop || by_price == given(request.trail_part) ||
        !(distance > 0.0 && distance < (by_price ? kInfinity : 1.0))) {
      return Defect::trail;
    }
    changed.trail = request.trail;
    changed.trail_part = request.trail_part;
  }
  *found = changed;
  changed_ = true;
  OrderRecord& record = *changed.record;
  record.limit = changed.limit;
  record.stop = changed.kind == Kind::trailing_stop ? record.stop : changed.stop;
  if (given(request.quantity)) record.quantity = changed.quantity + record.filled;
  return Defect::none;
}

Defect Engine::accept(int64_t t, const Request& request) {
  switch (static_cast<Action>(request.action)) {
    case Action::submit:
      break;
    case Action::cancel:
      return cancel(t, request);
    case Action::cancel_all:
      for (Order& order : working_) settle(order, Status::cancelled, t);
      drop_settled();
      return Defect::none;
    case Action::amend:
      return amend(request);
    case Action::bad_quantity:  // a size below 0 would turn the order round
      return Defect::quantity;
    default:
      return Defect::kind;
  }
  if (const Defect defect = check(request); defect != Defect::none) return defect;
  const int64_t ticket = next_ticket_++;
  const auto kind = static_cast<Kind>(request.kind);
  const Status status = request.parent != 0 ? Status::waiting : Status::working;
  OrderRecord* const record = orders.push_back(
      {ticket, t, -1, static_cast<int64_t>(status), request.kind, request.size, request.group,
       request.parent, request.quantity, 0.0, request.limit, request.stop});
  working_.push_back({ticket, kind, static_cast<Size>(request.size), request.quantity,
                      request.limit, request.stop, request.trail, request.trail_part,
                      request.bars > 0 ? t + request.bars : -1, request.group, request.parent,
                      request.reduce_only != 0, request.at_close != 0, request.relative != 0, false,
                      status, record, t});
  changed_ = true;
  if (kind == Kind::trailing_stop) {
    trailing_ = true;
    if (status == Status::working) {
      start(working_.back(), t, last_price_);
      working_.back().started = t - 1;  // from the next bar on it has all of each bar before it
    }
  }
  return Defect::none;
}

}  // namespace marketsim::replay
