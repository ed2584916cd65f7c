// The ways to say a strategy, each driving the same engine.
#pragma once

#include "kernels/replay/engine.hpp"

namespace marketsim::replay {

// Entries and exits as flags [bar], seen after the bar. Null: none. Distances are fractions of the
// price at which a position was opened; NaN: none.
struct Signals {
  const uint8_t *long_entry, *long_exit, *short_entry, *short_exit;
  int64_t size;  // Size of an entry: units, equity_fraction or value
  double quantity;
  const double* quantities;  // [bar], in place of quantity; or null
  double stop_loss, take_profit, trailing_stop;
  // [bar], in place of stop_loss and take_profit, known after the bar of the entry; or null. NaN:
  // no entry is taken.
  const double *stop_losses, *take_profits;
  int64_t cooldown;   // bars after an exit in which no entry is taken
  int64_t time_stop;  // closes after so many bars; 0: never
};

// The first request that is no order: after which bar, which one of that bar's, and why.
struct Refusal {
  int64_t bar = -1, request = -1;
  Defect defect = Defect::none;
};

// Takes the orders of bar t that fill at its own close, and notes the account.
void note(Engine& engine, const Settings& settings, int64_t t);

// Completes a run over all bars.
void end(Engine& engine, const BarArrays& bars);

void run_signals(Engine& engine, const BarArrays& bars, const Settings& settings,
                 const Signals& signals);

// target [bar], NaN: keep; `size` is target_units or target_fraction.
void run_targets(Engine& engine, const BarArrays& bars, const Settings& settings,
                 const double* target, Size size);

// A compiled strategy: called after each bar with the account, the bar, its row of features and
// room for requests, whose element 0 counts them (action) and carries the next ticket (ticket).
// It writes 1 to `failed` where it raised.
using OnBar = void (*)(State*, const BarRecord*, const double* features, Request*, int64_t* failed);

constexpr int64_t kRequestRoom = 64;

struct Strategy {
  OnBar on_bar;
  const double* const* features;  // [width] columns [bar]
  int64_t width;
};

enum class Ended : int64_t { done = 0, raised = 1, refused = 2 };

// Runs until the end, or until the strategy raised or asked for what is no order (see refusal).
Ended run_strategy(Engine& engine, const BarArrays& bars, const Settings& settings,
                   const Strategy& strategy, State& state, Request* requests, Refusal& refusal);

// The same for anything else that decides after each bar.
class Decider;
Ended run_decider(Engine& engine, const BarArrays& bars, const Settings& settings,
                  Decider& decider);

BarRecord bar_record(const BarArrays& bars, int64_t t);

// Takes the requests of one bar; false where one of them is no order.
bool accept_requests(Engine& engine, int64_t t, const Request* requests, Refusal& refusal);

// Moves to target weights of equity over many instruments that share one account.
struct Portfolio {
  const double *open, *close;  // [bar, asset]; NaN: not traded then
  const double* weights;       // [bar, asset]; a row that begins with NaN keeps what is held
  int64_t bars, assets;
  double cash, cost, fixed_cost;
  double lot;  // holdings are multiples of it, rounded towards 0; 0: fractions
  int64_t same_close;
};

// Writes equity [bar], cash [bar], units held [bar, asset] (or null), cost [bar], turnover [bar].
void run_portfolio(const Portfolio& portfolio, double* equity, double* cash, double* units,
                   double* cost, double* turnover);

}  // namespace marketsim::replay
