// The account and the working orders of one instrument, moved bar by bar.
//
// The fill contract (docs/replay.md has it in words):
//   - An order that is asked for after bar t works from bar t + 1 on.
//   - A limit fills at its limit or better, and only if the price trades through it. A stop fills
//     when the price touches it, at its level. Either fills at the open where the open is beyond
//     it.
//   - Of the prices inside a bar only open and close have a known time. After a fill inside the bar
//     some extremes are certain to come later: a price that moved down to a buy limit has the low
//     before it. `Range` keeps what is certain. open_aware takes an exit at a loss (a stop)
//     whenever it is possible and an exit at a profit (a limit) only when it is certain; optimistic
//     the other way round.
#pragma once

#include <cstddef>
#include <limits>
#include <vector>

#include "common/rows.hpp"
#include "kernels/replay/quiet_simd.hpp"
#include "kernels/replay/records.hpp"

namespace marketsim::replay {

struct Order {
  int64_t ticket;
  Kind kind;
  Size size;
  double quantity;  // what is left to fill, signed; of a target, the target
  double limit, stop, trail, trail_part;
  int64_t last_bar;  // works through this bar; -1: until cancelled
  int64_t group, parent;
  bool reduce_only, at_close, relative, triggered;
  Status status;
  OrderRecord* record;  // its row in the results
  int64_t started;  // the bar it began to work in; a trailing stop moves with later bars in full
};

// Whether it fills as a limit now.
inline bool is_limit(const Order& order) {
  return order.kind == Kind::limit || (order.kind == Kind::stop_limit && order.triggered);
}

// Why a request is refused before it becomes an order.
enum class Defect : int64_t {
  none = 0,
  quantity,     // not finite, or 0 where not a target
  limit_price,  // a limit order without a limit above 0, or another kind with one
  stop_price,   // a stop without a level above 0
  trail,        // not exactly one distance above 0; a fraction must lie below 1
  wrong_side,   // a stop that the close has already passed
  parent,       // no such order is working
  bars,         // a negative number of bars
  ticket,       // cancels an order that never was
  kind,         // no such kind, size or action
  amendment,    // changes what the order does not have, or to what it cannot be
};

// The parts of a bar in which orders fill. Market orders that have seen its close fill last.
enum class Part { open, inside, close, seen_close };

// What an account that several engines share has beside the instrument of one of them.
struct Others {
  double value = 0.0, gross = 0.0;  // of what is held: signed, and the sum of the sizes
  int64_t held = 0;                 // instruments
};

class Engine {
 public:
  Engine(const BarArrays& bars, const Settings& settings);

  // Moves the account over bar t: events, financing, fills, valuation.
  void step(int64_t t) {
    if (position_ == 0.0 && working_.empty()) {
      rest(t);
    } else {
      advance(t);
    }
  }

  // Moves the account over the bars from `begin` on, before `end`, in which nothing happens but the
  // valuation: as step() does, but many at once. Returns the first bar that step() has to see, or
  // `end`.
  int64_t glide(int64_t begin, int64_t end);

  // Bars in which nothing happens but the valuation, up to `end`, with their extremes.
  struct Rest {
    int64_t end;
    double lowest, highest;
  };
  // The bars from `begin` on, before `end`, in which no order is met and nothing is paid.
  Rest rest_from(int64_t begin, int64_t end);
  // Takes the account over them.
  void pass(int64_t begin, const Rest& rest);

  // Notes the account at the close of bar t.
  void note(int64_t t) {
    const Curve& last = curve_.back();
    if (last.held != position_ || equity_of(last, t) != equity_) note_change(t);
  }
  // Writes the equity, or the units held, at the close of every bar.
  void write_equity(double* to) const;
  void write_positions(double* to) const;

  // The parts of step() for an account that several engines share (replay_shared.hpp), in this
  // order. The cash is lent for each part and what is left of it is taken back.
  void lend(double cash, double equity, const Others& others) {
    cash_ = cash;
    equity_ = equity;
    others_ = others;
  }
  double cash() const { return cash_; }
  double last_price() const { return last_price_; }
  bool is_idle() const { return position_ == 0.0 && working_.empty(); }
  bool is_known(int64_t t) const {
    const double open = bars_.open[t], high = bars_.high[t], low = bars_.low[t];
    const double close = bars_.close[t];
    return low > 0.0 && high < std::numeric_limits<double>::infinity() && open >= low &&
           open <= high && close >= low && close <= high;
  }
  bool has_events() const { return bars_.split || bars_.dividend; }
  void begin_bar(int64_t t);  // splits, dividends
  // Pays for a position: `financed` is its share of what borrowed cash costs, borrow comes on top.
  void accrue(int64_t t, double financed);
  void charge(double due);
  bool meets_orders(int64_t t);  // whether the bar can reach, start or end an order
  bool can_fill(int64_t t) const { return !(bars_.volume && bars_.volume[t] == 0.0); }
  void meet_open(int64_t t);
  void meet_inside(int64_t t);
  void meet_close(int64_t t);
  void end_orders(int64_t t);
  void value(int64_t t, double close);  // what is known at the close; not the account's equity
  void liquidate(int64_t t, double price, int64_t kind);
  void ruin(int64_t t);
  void move_stops(int64_t t) {
    if (trailing_) ratchet(t);
  }
  void expire(int64_t t);
  // Whether the first order that fills at a price makes the position smaller.
  bool reduces(double price, Part part) const;
  // The market order to a fraction of the equity that fills then, or null.
  const Order* target_order(Part part) const;
  // The equity that such orders are a fraction of; NaN: that of their own fill.
  void plan(double equity) { planned_ = equity; }
  // Notes the units held at the close of bar t, without an equity.
  void note_units(int64_t t) {
    if (noted_ == position_) return;
    noted_ = position_;
    curve_.push_back({t, 0.0, 0.0, position_});
  }
  double exposure_bars() const { return static_cast<double>(exposed_bars_); }
  // Adds the figures of its orders and trades.
  void add_to(Summary& summary) const;

  // Takes a request made after bar t was seen. Returns Defect::none, or why it is refused.
  Defect accept(int64_t t, const Request& request);

  // Fills market orders that were accepted after bar t at its close (same_close).
  void fill_at_seen_close(int64_t t);

  // Closes what is open at the close of bar t where the settings ask for it, and completes results.
  void finish(int64_t t);

  // Whether a market order still works: a bar without volume, or a cap on it, made it wait.
  bool market_order_waits() const {
    for (const Order& order : working_) {
      if (order.kind == Kind::market) return true;
    }
    return false;
  }

  void describe(State& state) const;
  int64_t next_ticket() const { return next_ticket_; }
  bool ruined() const { return ruined_bar_ >= 0; }
  double position() const { return position_; }
  double equity() const { return equity_; }
  int64_t entry_bar() const { return current_.entry_bar; }  // of the position held
  int64_t last_exit_bar() const { return last_exit_bar_; }  // -1 before the first

  // Figures of the equity at each close; see metrics' performance for their definitions.
  Summary summary() const;

  Rows<FillRecord> fills;
  Rows<TradeRecord> trades;
  Rows<OrderRecord> orders;
  int64_t ambiguous_bars = 0;

 private:
  // The prices that are certain to come after the last fill.
  struct Range {
    double low, high;
  };
  // An order that the rest of the bar can reach, and where.
  struct Touch {
    size_t order;
    double level;
    bool up, certain, loss_exit, gain_exit;
  };
  // The bar that orders meet: one of the replay, or a finer one inside it.
  struct Prices {
    double open, high, low, close;
  };
  // What the account is worth from the close of a bar on, until the next such row.
  struct Curve {
    int64_t bar;
    double cash, units;  // equity = cash + units * close; 0 units where it does not move
    double held;         // units at the close
  };
  // Working orders that a bar meets only where it leaves this range; recomputed after changes.
  struct Reach {
    double below, above;  // a low at or below, or a high at or above, meets one
    int64_t bar;          // from this bar on one ends
  };

  // curve.cpp: what is left for each bar
  double equity_of(const Curve& row, int64_t t) const {
    return row.units == 0.0 ? row.cash : row.cash + row.units * bars_.close[t];
  }
  void note_change(int64_t t);
  void write_row(const Curve& row, int64_t begin, int64_t end, double* to) const;
  template <typename Use>
  void for_curve(const Use& use) const;

  // engine.cpp: bars
  void advance(int64_t t);
  Rest look_from(int64_t begin, int64_t end, double cash, double position);
  // A bar in which nothing is held and nothing works: only what is known of the market moves.
  void rest(int64_t t) {
    if (is_known(t)) see(t);
  }
  void see(int64_t t) {
    last_price_ = bars_.close[t];
    if (bars_.trail) trail_ = bars_.trail[t];
    if (bars_.time) {
      previous_time_ = bars_.time[t];
      has_previous_time_ = true;
    }
  }
  void find_reach();
  int64_t next_event(int64_t t);
  void process_orders(int64_t t);
  void process_finer(int64_t t);
  void note_doubt(int64_t t);

  // intake.cpp: requests
  Defect amend(const Request& request);
  Defect cancel(int64_t t, const Request& request);
  Defect check(const Request& request) const;

  // fills.cpp: prices inside a bar, and which order they fill
  void fill_inside(int64_t t, double price);
  const Touch* choose(Policy policy, double price) const;
  void fill_at_close(int64_t t, double close);
  void fill_passed(int64_t t, double price, int64_t place);
  void find_touches(double price);
  bool fill(int64_t t, Order& order, double price, bool is_limit, int64_t place);
  double wanted_quantity(const Order& order, double price, double rate) const;
  double after_fee(double amount) const;
  void open_volume(int64_t t);
  void settle(Order& order, Status status, int64_t t);
  void after_fill(const Order& order, int64_t t, double price);
  void start(Order& order, int64_t t, double price);
  void drop_settled();

  // trades.cpp: cash, positions and round trips
  void trade(int64_t t, const Order* order, double quantity, double price, double rate,
             int64_t kind, int64_t place);
  void add_fill(int64_t t, const Order* order, double quantity, double price, double cost,
                int64_t kind, int64_t place);
  void widen(double price);
  void close_trade(int64_t t, int64_t kind);

  void ratchet(int64_t t);
  double trail_distance(const Order& order, double best) const;
  bool fills_in(const Order& order, Part part) const;
  void mark(int64_t t, double close);

  BarArrays bars_;
  Settings settings_;
  decltype(&baseline::quiet_bars) quiet_bars_;
  std::vector<Order> working_;
  std::vector<Touch> touches_;
  Rows<Curve> curve_;
  int64_t event_ = -1;  // the first split or dividend not before the last bar that was asked for
  Others others_{};
  double planned_ = kNone;
  double cash_, position_ = 0.0, equity_, last_price_ = kNone;
  // The open trade: cash flows before costs, costs with financing, sums for its average prices.
  TradeRecord current_{};
  double trade_gross_ = 0.0, trade_cost_ = 0.0;
  double entry_value_ = 0.0, entry_quantity_ = 0.0, exit_value_ = 0.0, exit_quantity_ = 0.0;
  double average_price_ = 0.0;
  double noted_ = 0.0;  // the units of the last row of the curve, of an account of several
  int64_t last_exit_bar_ = -1;
  int64_t next_ticket_ = 1, ruined_bar_ = -1, refused_ = 0, exposed_bars_ = 0;
  int64_t previous_time_ = 0;
  bool has_previous_time_ = false;
  double volume_left_ = 0.0;  // of volume_bar_
  int64_t volume_bar_ = -1;
  double total_cost_ = 0.0, turnover_ = 0.0;
  Range certain_{};
  Prices now_{};
  Reach reach_{};
  double trail_ = kNone;  // the series' distance that is known
  bool doubtful_ = false, settled_ = false, trailing_ = false;
  bool changed_ = true;  // since the reach was found
  bool filled_ = false;  // in this bar, or in this finer one
};

}  // namespace marketsim::replay
