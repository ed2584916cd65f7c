// What goes into a replay and what comes out of it. Every field has eight bytes: the same layout is
// a structured NumPy array and a Numba record, so that nothing is copied on the way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "kernels/performance.hpp"

namespace marketsim::replay {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kUserSlots = 32;

enum class Kind : int64_t { market = 0, limit = 1, stop = 2, stop_limit = 3, trailing_stop = 4 };

// What the quantity of a request means. The last two are differences to what is held when it fills.
enum class Size : int64_t {
  units = 0,
  equity_fraction = 1,
  value = 2,
  target_units = 3,
  target_fraction = 4,
};

// What is assumed of the order of prices inside a bar, where open and close do not prove it.
enum class Policy : int64_t { open_aware = 0, optimistic = 1 };

enum class Status : int64_t {
  working = 0,
  waiting = 1,  // for the fill of its parent
  filled = 2,
  cancelled = 3,
  expired = 4,
  refused_margin = 5,
  refused_lot = 6,
  refused_size = 7,
  refused_limit = 8,  // on the number of positions, or on the value of one
};

enum class Action : int64_t { submit = 0, cancel = 1, cancel_all = 2, amend = 3, bad_quantity = 4 };

// One line of what a strategy asks for after it has seen a bar.
struct Request {
  int64_t action;
  int64_t ticket;     // of the order to cancel or amend; a new order gets the next free ticket
  int64_t kind;       // Kind
  int64_t size;       // Size
  double quantity;    // > 0 buys, < 0 sells; of a target, the target
  double limit;       // price, or NaN
  double stop;        // price, or NaN; of a trailing stop the first level, or NaN
  double trail;       // distance of a trailing stop in price, or NaN
  double trail_part;  // distance of a trailing stop as a fraction of the best price, or NaN;
                      // with neither distance it follows the bars' own series
  int64_t bars;       // how many bars it works for; 0: until cancelled
  int64_t group;      // orders of one group cancel one another; 0: none
  int64_t parent;     // ticket whose fill starts it; 0: none
  int64_t reduce_only;
  int64_t at_close;
  int64_t relative;  // limit and stop are factors of the price at which the parent fills
};

struct BarRecord {
  int64_t index;
  int64_t time;  // nanoseconds since 1970 in UTC
  double open, high, low, close, volume;
};

// The account as a strategy sees it after a bar. `user` is the strategy's own memory.
struct State {
  double cash, position, average_price, equity, open_profit;
  int64_t entry_bar;  // -1 when flat
  int64_t orders;     // working and waiting
  int64_t trades;     // closed
  double user[kUserSlots];
};

struct OrderRecord {
  int64_t ticket, submitted, done, status, kind, size, group, parent;
  double quantity, filled, limit, stop;
};

struct FillRecord {
  int64_t bar, ticket, kind, trade;
  double quantity, price, cost;
  int64_t place;  // 0 at the open, 1 inside the bar, 2 at the close
};

// One round trip, from flat to flat.
struct TradeRecord {
  int64_t entry_bar, exit_bar;     // exit_bar -1: still open at the last bar, marked at its close
  double quantity;                 // the largest position held, signed
  double entry_price, exit_price;  // quantity-weighted
  double profit;                   // after costs and financing, in cash
  double cost;
  double worst, best;  // MAE and MFE: lowest and highest open profit seen, in cash, before costs
  int64_t exit_kind;   // Kind of the order that closed it, or one of the reasons below
  int64_t fills;
  int64_t ambiguous;  // 1: a bar of it leaves open which order came first
};

constexpr int64_t kExitLiquidation = 100, kExitEnd = 101, kExitOpen = 102;

// Finer bars inside the bars of a replay: bar t has those of first[t] .. first[t + 1] - 1.
struct FinerBars {
  const double *open, *high, *low, *close;
  const double* volume;  // or null: unknown
  const int64_t* first;  // [bar + 1]
};

struct BarArrays {
  const double *open, *high, *low, *close;
  const double* volume;    // or null: unknown
  const int64_t* time;     // nanoseconds, or null: no financing
  const double* split;     // new shares for one old, 1 where none; or null
  const double* dividend;  // cash a share held at the open; or null
  const double* trail;     // distance of trailing stops known after each bar, NaN: none; or null
  FinerBars finer;         // first is null: none
  int64_t count;
};

struct Settings {
  double cash;
  double limit_cost, market_cost;  // fractions of the value traded
  double fixed_cost;               // cash a fill
  double borrow, financing;        // a year, fractions
  double leverage;                 // largest |position value| / equity when a position grows
  double maintenance;              // liquidates when equity falls to this share of the value held
  double lot;                      // quantities are multiples of it; 0: fractional
  double participation;            // largest share of a bar's volume; 0: no cap
  int64_t policy;                  // Policy
  int64_t same_close;              // market orders fill at the close of the bar that was seen
  int64_t close_at_end;
  // Of an account that several instruments share.
  int64_t most_positions = 0;  // instruments held at once; 0: any number
  double most_weight = 0.0;    // largest |position value| / equity of one, when it grows; 0: any
};

constexpr double kNanosecondsAYear = 365.0 * 86400e9;

inline double years_between(int64_t from, int64_t to) {
  return static_cast<double>(to - from) / kNanosecondsAYear;
}

struct Summary {
  CurveFigures curve;
  double final_equity, exposure;
  double gross_win, gross_loss, cost, turnover;
  int64_t trades, wins, orders, fills, refused, ambiguous_bars, ruined_bar;
};

}  // namespace marketsim::replay
