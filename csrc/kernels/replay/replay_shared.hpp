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
//
// An instrument is looked at only in bars that may concern more than its value. In the bars before
// its next one it rests: its prices lie bar by bar in `open_` and `close_` beside those of the
// others, so that the account is valued from one row of numbers.
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
  void meet_orders(int64_t k);
  void fill(Part part);
  void plan(Part part);
  void check_margin(int64_t k);
  void end_ruined(int64_t k);
  Ended decide();
  void settle(int64_t k);
  void finish();

  template <class Use>
  void lend(size_t i, const Use& use);
  void mark(Part part);
  void add_up();
  double price_of(size_t i, Part part) const;
  double worth_of(size_t i) const { return units_[i] == 0.0 ? 0.0 : units_[i] * mark_[i]; }
  bool is_known(size_t i) const { return known_[i] != 0; }
  double equity() const { return cash_ + value_; }

  // replay_shared_rest.cpp: bars in which an instrument is not looked at
  int64_t bar_of(size_t i, int64_t t, int64_t from) const;
  int64_t rows_through(size_t i, int64_t k);
  int64_t rows_in(size_t i, int64_t k) const;
  void enter_block(int64_t k);
  void fetch(size_t i, int64_t k) const;
  void rest_on(size_t i, int64_t k);
  void look_at(size_t i, int64_t k);
  void look_again(size_t i, int64_t k);
  void write_prices(size_t i, int64_t begin, int64_t end);
  void catch_up(size_t i, int64_t rows);
  void wake(int64_t k);
  void wake_for_good(int64_t k);
  bool some_held_trades(int64_t k);
  double* row_of(std::vector<double>& prices, int64_t k) {
    return prices.data() + static_cast<size_t>(k - block_) * legs_.size();
  }

  static constexpr int64_t kBlock = 32;  // bars

  std::vector<Leg> legs_;
  Settings settings_;
  const int64_t* times_;
  int64_t count_;
  double cash_;
  double value_ = 0.0, gross_ = 0.0;  // of what is held at the marks: signed, and of the sizes
  int64_t held_ = 0, stopped_ = -1, ruined_bar_ = -1, exposed_bars_ = 0;
  int64_t paid_until_ = 0;
  bool has_paid_ = false, trades_now_ = false;
  // [instrument]: the units held and their last price.
  std::vector<double> units_, mark_;
  // [instrument]: its bar now, the bars that its engine has been through, a bar not after its next,
  // the next bar of the account in which it is looked at, and its next in which it may decide.
  std::vector<int64_t> row_, seen_, next_, due_, asks_;
  // [instrument]: whether it is looked at in this bar and its prices are known; whether it has a
  // position or orders and is not looked at; whether its times are those of the account.
  std::vector<uint8_t> known_, resting_, aligned_;
  std::vector<Engine::Rest> rest_;
  int64_t resting_aligned_ = 0;  // of those with the times of the account, how many hold and rest
  int64_t block_ = 0;            // the first bar of
  std::vector<double> open_, close_;                   // [bar of a block, instrument]
  double *open_now_ = nullptr, *close_now_ = nullptr;  // the rows of this bar
  // Instruments that this bar concerns, those that it has orders of, and those that may fill.
  std::vector<size_t> live_, meeting_, acting_, first_, then_;
};

}  // namespace marketsim::replay
