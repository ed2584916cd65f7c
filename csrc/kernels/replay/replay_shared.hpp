// Orders on many instruments that share one account.
//
// Each instrument has an engine of its own, which holds its orders and its position; the cash is
// lent to it for each part of a bar. A bar is a time at which at least one instrument has a bar.
// What happens in it, in this order, each for all instruments in theirs:
//   1. splits and dividends take effect;
//   2. borrowed cash and short positions are paid for;
//   3. orders that the open is beyond fill at the open;
//   4. orders fill inside the bar, one instrument after the other;
//   5. orders for the close fill at the close;
//   6. orders expire, everything is valued at the close, and margin is checked;
//   7. strategies decide. With same_close their market orders fill now.
// In 3, 5 and 7 those instruments come first whose first order makes a position smaller. An
// instrument is valued at its last price: of its open in 3 and 4, then of its last fill, then of
// its close.
#pragma once

#include <memory>
#include <vector>

#include "kernels/replay/deciders.hpp"

namespace marketsim::replay {

// One instrument: its bars with the time of each, its engine, and what decides.
struct Leg {
  BarArrays bars;
  const int64_t* time;
  Engine* engine;
  Decider* decider;
};

class SharedAccount {
 public:
  // times [bar]: ascending, every time of every instrument.
  SharedAccount(std::vector<Leg> legs, const Settings& settings, const int64_t* times,
                int64_t count);

  // Runs over all bars, or until a strategy raised or asked for what is no order: see stopped().
  // Writes equity, cash and the sum of the sizes held, in cash, at the close of each bar.
  Ended run(double* equity, double* cash, double* gross);

  int64_t stopped() const { return stopped_; }  // the instrument
  Summary summary(const double* equity) const;

 private:
  void begin(int64_t k);
  void take_events();
  void pay(int64_t k);
  void meet_orders();
  void fill(Part part);
  void plan(Part part);
  void check_margin();
  void end_ruined(int64_t k);
  Ended decide();
  void settle();
  void finish();

  template <class Use>
  void lend(size_t i, const Use& use);
  void mark(Part part);
  void add_up();
  double price_of(size_t i, Part part) const;
  double worth_of(size_t i) const;
  bool is_known(size_t i) const { return row_[i] >= 0 && legs_[i].engine->is_known(row_[i]); }
  double equity() const { return cash_ + value_; }

  std::vector<Leg> legs_;
  Settings settings_;
  const int64_t* times_;
  int64_t count_;
  double cash_;
  double value_ = 0.0, gross_ = 0.0;  // of what is held at the marks: signed, and of the sizes
  int64_t held_ = 0, stopped_ = -1, ruined_bar_ = -1, exposed_bars_ = 0;
  int64_t paid_until_ = 0;
  bool has_paid_ = false, trades_now_ = false;
  // [instrument]: its last price, its next bar, its bar now or -1, the bars that its engine has
  // been through, and the next that it has to see.
  std::vector<double> mark_;
  std::vector<int64_t> next_, row_, seen_, wake_;
  // Instruments that this bar concerns, those that it has orders of, and those that may fill.
  std::vector<size_t> live_, meeting_, acting_, first_, then_;
};

}  // namespace marketsim::replay
