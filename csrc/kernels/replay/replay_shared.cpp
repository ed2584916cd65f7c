#include "kernels/replay/replay_shared.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace marketsim::replay {

SharedAccount::SharedAccount(std::vector<Leg> legs, const Settings& settings, const int64_t* times,
                             int64_t count)
    : legs_(std::move(legs)),
      settings_(settings),
      times_(times),
      count_(count),
      cash_(settings.cash),
      units_(legs_.size(), 0.0),
      mark_(legs_.size(), 0.0),
      row_(legs_.size(), 0),
      seen_(legs_.size(), 0),
      next_(legs_.size(), 0),
      due_(legs_.size(), 0),
      asks_(legs_.size(), 0),
      known_(legs_.size(), 0),
      resting_(legs_.size(), 0),
      aligned_(legs_.size(), 0),
      rest_(legs_.size()),
      open_(legs_.size() * kBlock, 0.0),
      close_(legs_.size() * kBlock, 0.0) {
  for (size_t i = 0; i < legs_.size(); ++i) {
    const Leg& leg = legs_[i];
    aligned_[i] = leg.bars.count == count && std::equal(leg.time, leg.time + count, times);
    due_[i] = bar_of(i, leg.decider->next(0), 0);
  }
}

Ended SharedAccount::run(double* equity_to, double* cash_to, double* gross_to) {
  const auto write = [&](int64_t k) {
    equity_to[k] = equity();
    cash_to[k] = cash_;
    gross_to[k] = gross_;
  };
  for (int64_t k = 0; k < count_; ++k) {
    if (ruined_bar_ < 0) {
      begin(k);
      take_events();
      pay(k);
      meet_orders(k);
      check_margin(k);
      if (equity() <= 0.0) {
        end_ruined(k);
      } else if (const Ended ended = decide(); ended != Ended::done) {
        return ended;
      }
      settle(k);
      if (ruined_bar_ < 0 && equity() <= 0.0) {
        ruined_bar_ = k;
        wake_for_good(k);
      }
    }
    write(k);
  }
  if (count_ > 0) {
    finish();
    write(count_ - 1);
  }
  return Ended::done;
}

// Hands the account to one instrument and takes back what is left.
template <class Use>
void SharedAccount::lend(size_t i, const Use& use) {
  Engine& engine = *legs_[i].engine;
  const double before = worth_of(i);
  const Others others{value_ - before, gross_ - std::abs(before),
                      held_ - (units_[i] != 0.0 ? 1 : 0)};
  engine.lend(cash_, equity(), others);
  const size_t fills = engine.fills.size();
  use(engine);
  cash_ = engine.cash();
  units_[i] = engine.position();
  if (engine.fills.size() != fills) mark_[i] = engine.fills.back().price;
  const double after = worth_of(i);
  value_ = others.value + after;
  gross_ = others.gross + std::abs(after);
  held_ = others.held + (units_[i] != 0.0 ? 1 : 0);
}

double SharedAccount::price_of(size_t i, Part part) const {
  const BarArrays& bars = legs_[i].bars;
  return (part == Part::open ? bars.open : bars.close)[row_[i]];
}

// Values what is held at the open or the close of this bar; what has none now keeps its last price.
void SharedAccount::mark(Part part) {
  const double* const prices = part == Part::open ? open_now_ : close_now_;
  std::copy(prices, prices + legs_.size(), mark_.data());
  add_up();
}

void SharedAccount::add_up() {
  double value = 0.0, gross = 0.0;
  for (size_t i = 0; i < legs_.size(); ++i) {
    const double worth = units_[i] * mark_[i];  // adding the 0 of what is not held changes nothing
    value += worth;
    gross += std::abs(worth);
  }
  value_ = value;
  gross_ = gross;
}

// Finds the instruments that this bar concerns.
void SharedAccount::begin(int64_t k) {
  if (k % kBlock == 0) enter_block(k);
  open_now_ = row_of(open_, k);
  close_now_ = row_of(close_, k);
  live_.clear();
  trades_now_ = false;
  for (size_t i = 0; i < legs_.size(); ++i) {
    if (due_[i] <= k) look_at(i, k);
  }
}

void SharedAccount::take_events() {
  bool any = false;
  for (const size_t i : live_) {
    Engine& engine = *legs_[i].engine;
    if (!is_known(i)) continue;
    engine.lend(cash_, equity(), {});
    engine.begin_bar(row_[i]);
    cash_ = engine.cash();
    if (!engine.has_events() || engine.position() == 0.0) continue;
    units_[i] = engine.position();
    mark_[i] = engine.last_price();
    any = true;
  }
  if (any) add_up();
}

// Charges what borrowed cash costs, shared out by the sizes held, and what short positions cost.
void SharedAccount::pay(int64_t k) {
  if (settings_.borrow == 0.0 && settings_.financing == 0.0) return;
  if (!trades_now_ && held_ > 0) return;  // due when a price is known again
  const double years = has_paid_ ? years_between(paid_until_, times_[k]) : 0.0;
  const double due = settings_.financing * std::max(0.0, -cash_) * years;
  add_up();  // what fills left of the sum may be less than one of its parts
  const double gross = gross_;
  paid_until_ = times_[k];
  has_paid_ = true;
  for (size_t i = 0; i < legs_.size(); ++i) {
    const double worth = std::abs(worth_of(i));
    const double part = worth > 0.0 ? due * (worth / gross) : 0.0;
    if (is_known(i)) {
      lend(i, [&](Engine& engine) { engine.accrue(row_[i], part); });
    } else if (part != 0.0) {
      lend(i, [&](Engine& engine) { engine.charge(part); });
    }
  }
}

// Meets the orders of this bar, and values what is held at its close.
void SharedAccount::meet_orders(int64_t k) {
  meeting_.clear();
  acting_.clear();
  for (const size_t i : live_) {
    Engine& engine = *legs_[i].engine;
    if (!is_known(i)) {
      engine.expire(row_[i]);
    } else if (engine.meets_orders(row_[i])) {
      meeting_.push_back(i);
      if (engine.can_fill(row_[i])) acting_.push_back(i);
    }
  }
  fill(Part::open);
  fill(Part::inside);
  fill(Part::close);
  for (const size_t i : meeting_) legs_[i].engine->end_orders(row_[i]);
  mark(Part::close);
  for (const size_t i : live_) {
    if (is_known(i)) legs_[i].engine->value(row_[i], mark_[i]);
  }
  if (held_ > 0 && some_held_trades(k)) ++exposed_bars_;
}

void SharedAccount::fill(Part part) {
  if (acting_.empty()) return;
  first_.clear();
  then_.clear();
  if (part == Part::inside) {
    then_ = acting_;
  } else {
    mark(part);
    plan(part);
    for (const size_t i : acting_) {
      lend(i, [&](Engine& engine) {
        (engine.reduces(price_of(i, part), part) ? first_ : then_).push_back(i);
      });
    }
  }
  for (const auto* some : {&first_, &then_}) {
    for (const size_t i : *some) {
      const int64_t t = row_[i];
      lend(i, [&](Engine& engine) {
        switch (part) {
          case Part::open:
            return engine.meet_open(t);
          case Part::inside:
            return engine.meet_inside(t);
          case Part::close:
            return engine.meet_close(t);
          case Part::seen_close:
            return engine.fill_at_seen_close(t);
        }
      });
    }
  }
  for (const size_t i : acting_) legs_[i].engine->plan(kNone);
}

// Finds what market orders to fractions of the equity are fractions of: the equity that is left
// after the costs of all of them. One alone finds it itself.
void SharedAccount::plan(Part part) {
  double left = equity(), divisor = 1.0;
  const double before = left;
  int64_t orders = 0;
  for (const size_t i : acting_) {
    const Order* const order = legs_[i].engine->target_order(part);
    if (!order) continue;
    ++orders;
    const double worth = legs_[i].engine->position() * price_of(i, part);
    const double gap = order->quantity * before - worth;
    if (gap == 0.0) continue;
    const double rate = std::copysign(settings_.market_cost, gap);
    left += rate * worth - settings_.fixed_cost;
    divisor += rate * order->quantity;
  }
  const double planned = orders > 1 ? left / divisor : kNone;
  for (const size_t i : acting_) legs_[i].engine->plan(planned);
}

// Closes positions while the equity is too small for what is held: the largest first, of those that
// have a price now.
void SharedAccount::check_margin(int64_t k) {
  const auto called = [&] {
    return held_ > 0 && equity() > 0.0 && equity() < settings_.maintenance * gross_;
  };
  if (called()) wake(k);
  while (called()) {
    size_t largest = legs_.size();
    for (const size_t i : live_) {
      if (!is_known(i) || worth_of(i) == 0.0) continue;
      if (largest == legs_.size() || std::abs(worth_of(i)) > std::abs(worth_of(largest))) {
        largest = i;
      }
    }
    if (largest == legs_.size()) return;
    lend(largest, [&](Engine& engine) {
      engine.liquidate(row_[largest], mark_[largest], kExitLiquidation);
    });
  }
}

// Closes all positions, at their last price, and cancels all orders.
void SharedAccount::end_ruined(int64_t k) {
  ruined_bar_ = k;
  wake_for_good(k);
  for (size_t i = 0; i < legs_.size(); ++i) {
    const int64_t t = std::max<int64_t>(rows_through(i, k) - 1, 0);
    lend(i, [&](Engine& engine) {
      if (engine.position() != 0.0) engine.liquidate(t, mark_[i], kExitLiquidation);
      engine.ruin(t);
      engine.note_units(t);
    });
  }
}

Ended SharedAccount::decide() {
  for (const size_t i : live_) {
    if (is_known(i)) legs_[i].engine->move_stops(row_[i]);
  }
  for (const size_t i : live_) {
    legs_[i].engine->lend(cash_, equity(), {});
    if (const Ended ended = legs_[i].decider->decide(row_[i]); ended != Ended::done) {
      stopped_ = static_cast<int64_t>(i);
      return ended;
    }
  }
  if (settings_.same_close == 0) return Ended::done;
  acting_.clear();
  for (const size_t i : live_) {
    if (legs_[i].engine->market_order_waits() && price_of(i, Part::close) > 0.0) {
      acting_.push_back(i);
    }
  }
  fill(Part::seen_close);
  return Ended::done;
}

// Notes what is held, and when each instrument has to be looked at again.
void SharedAccount::settle(int64_t k) {
  for (const size_t i : live_) {
    legs_[i].engine->note_units(row_[i]);
    known_[i] = 0;
    look_again(i, k);
  }
}

void SharedAccount::finish() {
  if (ruined_bar_ < 0) wake_for_good(count_ - 1);
  for (size_t i = 0; i < legs_.size(); ++i) {
    const int64_t last = legs_[i].bars.count - 1;
    if (last < 0) continue;
    lend(i, [&](Engine& engine) {
      engine.finish(last);
      engine.note_units(last);
    });
  }
}

Summary SharedAccount::summary(const double* equity) const {
  Summary out{};
  const auto count = static_cast<size_t>(count_);
  CurveMeasure measure(count, settings_.cash);
  std::vector<double> returns(count);
  measure.returns(equity, count, returns.data());
  measure.grow(returns.data(), count);
  measure.restart(settings_.cash);
  measure.vary(returns.data(), count);
  out.curve = measure.figures();
  out.final_equity = count_ > 0 ? equity[count_ - 1] : settings_.cash;
  out.exposure =
      count_ > 0 ? static_cast<double>(exposed_bars_) / static_cast<double>(count_) : 0.0;
  for (const Leg& leg : legs_) leg.engine->add_to(out);
  out.ruined_bar = ruined_bar_;
  return out;
}

}  // namespace marketsim::replay
