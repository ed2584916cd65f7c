// Profit of every candidate on every day of every problem.
//
// One value a day: each thread keeps a day's leg in registers and takes some candidates one after
// the other, so that neighbouring threads write neighbouring values. It is as fast as memory takes
// them.
//
// Sums over the days: threads are candidates, four each, and all of them walk through the days
// together; legs come from shared memory, a tile at a time, one read for all threads of a warp.
// Arithmetic is the limit: so longs and shorts, which all threads meet together, have code of their
// own without the selections between the two, and zeros may have any sign, which no sum shows.
#pragma once

#include "cuda/batch.hpp"
#include "cuda/team.hpp"
#include "kernels/leg.hpp"

namespace marketsim::MARKETSIM_ISA {

using cuda::ProfitBatch;
using cuda::ProfitSums;

constexpr size_t kSumRows = 4;     // candidates a thread
constexpr size_t kTileDays = 128;  // legs in shared memory
constexpr size_t kDayChunk = 16;   // candidates a thread of profit_days takes

inline MARKETSIM_FN size_t chunks_of(size_t items, size_t chunk) {
  return (items + chunk - 1) / chunk;
}

// Threads that profit_days has work for.
inline MARKETSIM_FN size_t day_items(const ProfitBatch& batch) {
  return batch.windows.problems.count * chunks_of(batch.candidates, kDayChunk) *
         batch.windows.problems.days;
}

// What thread `item` of them does.
MARKETSIM_BODY void profit_days_item(const ProfitBatch& batch, float* out, size_t item) {
  const size_t days = batch.windows.problems.days, chunks = chunks_of(batch.candidates, kDayChunk);
  const size_t day = item % days, chunk = item / days % chunks, problem = item / days / chunks;
  const LegInput input = read_days(batch.windows.row(problem), day, 1);
  const Legs leg = make_legs(batch.rules, 0.0f, input);
  const size_t begin = chunk * kDayChunk, left = batch.candidates - begin;
  const size_t end = begin + (left < kDayChunk ? left : kDayChunk);
  float* to = out + problem * batch.candidates * days + day;
  with_rules(batch.rules, [&]<Formula kFormula>() {
    for (size_t c = begin; c < end; ++c) {
      store(to + c * days, leg_profit<kFormula>(leg, broadcast(batch.high_of(problem, c)),
                                                broadcast(batch.low_of(problem, c))));
    }
  });
}

// kAll: more than the total.
template <bool kAll>
struct RunningSums {
  D total = {0.0}, squares = {0.0};
  uint32_t wins = 0, trades = 0;

  MARKETSIM_FN void add(F profit, bool entered) {
    const D value = to_double(profit);
    total = total + value;
    if constexpr (kAll) {
      squares = add_square(value, squares);
      count_if(profit.v > 0.0f, wins);
      count_if(entered, trades);
    }
  }
  MARKETSIM_FN void write(const ProfitSums& to, size_t at) const {
    if (to.total) to.total[at] = total.v;
    if constexpr (kAll) {
      if (to.squares) to.squares[at] = squares.v;
      if (to.wins) to.wins[at] = wins;
      if (to.trades) to.trades[at] = trades;
    }
  }
};

template <Formula kFormula>
MARKETSIM_BODY bool enters(const Legs& leg, F high, F low) {
  return less_equal(leg.entry_limit, levels_of<kFormula>(leg, high, low).entry);
}

// One day of kRows candidates: entry and exit as in leg_profit().
template <Formula kFormula, bool kLong, size_t kRows, typename Sums>
MARKETSIM_BODY void add_day(const Legs& leg, const F* highs, const F* lows, Sums* sums) {
  MARKETSIM_UNROLL
  for (size_t r = 0; r < kRows; ++r) {
    F entry = leg.entry_pred + (kLong ? lows[r] : -highs[r]);
    F exit = leg.exit_pred + (kLong ? highs[r] : -lows[r]);
    if constexpr (kFormula != Formula::contract) {
      const F zero = broadcast(0.0f);
      entry = clamp_number(entry, broadcast(kLong ? -1.0f : -10.0f), zero);
      exit = clamp_number(exit, zero, broadcast(kLong ? 10.0f : 1.0f));
    }
    sums[r].add(profit_at<kFormula>(leg, entry, exit), less_equal(leg.entry_limit, entry));
  }
}

// A leg as shared memory keeps it: what every rule reads comes first, in whole vectors.
struct alignas(16) TileLeg {
  float entry_pred, exit_pred, close, entry_limit;
  float weight, close_cost, exit_limit, short_side;  // 0 for a long
  float open, open_limit, proven_limit, limit_cost;

  MARKETSIM_BODY void set(const Legs& leg) {
    entry_pred = leg.entry_pred.v, exit_pred = leg.exit_pred.v, close = leg.close.v;
    entry_limit = leg.entry_limit.v, weight = leg.weight.v, close_cost = leg.close_cost.v;
    exit_limit = leg.exit_limit.v, short_side = leg.is_long ? 0.0f : 1.0f;
    open = leg.open.v, open_limit = leg.open_limit.v, proven_limit = leg.proven_limit.v;
    limit_cost = leg.limit_cost.v;
  }
  MARKETSIM_BODY Legs leg() const {
    return {short_side == 0.0f,    broadcast(entry_pred), broadcast(exit_pred),
            broadcast(close),      broadcast(open),       broadcast(weight),
            broadcast(limit_cost), broadcast(close_cost), broadcast(entry_limit),
            broadcast(exit_limit), broadcast(open_limit), broadcast(proven_limit)};
  }
};

// The candidates [first, first + kSumRows * team size) of one problem. `tile` holds kTileDays legs.
template <bool kAll, typename Team>
MARKETSIM_BODY void profit_sums_block(Team& team, const ProfitBatch& batch, const ProfitSums& sums,
                                      size_t problem, size_t first, TileLeg* tile) {
  struct Lane {
    RunningSums<kAll> sums[kSumRows];
    F high[kSumRows], low[kSumRows];
  };
  typename Team::template Per<Lane> lanes;
  const auto candidate = [&](unsigned rank, size_t r) { return first + r * Team::kSize + rank; };
  team.each([&](unsigned rank) {
    MARKETSIM_UNROLL
    for (size_t r = 0; r < kSumRows; ++r) {
      const size_t wanted = candidate(rank, r);
      const size_t c = wanted < batch.candidates ? wanted : batch.candidates - 1;
      lanes[rank].high[r] = broadcast(batch.high_of(problem, c));
      lanes[rank].low[r] = broadcast(batch.low_of(problem, c));
      lanes[rank].sums[r] = {};
    }
  });
  const Days days = batch.windows.row(problem);
  const size_t count = batch.windows.problems.days;
  for (size_t begin = 0; begin < count; begin += kTileDays) {
    const size_t size = count - begin < kTileDays ? count - begin : kTileDays;
    team.each([&](unsigned rank) {
      for (size_t i = rank; i < size; i += Team::kSize) {
        tile[i].set(make_legs(batch.rules, 0.0f, read_days(days, begin + i, 1)));
      }
    });
    team.each([&](unsigned rank) {
      Lane& lane = lanes[rank];
      with_rules(batch.rules, [&]<Formula kFormula>() {
        const auto add = [&]<bool kLong>(size_t i) {
          const Legs leg = tile[i].leg();
          if (leg.is_long != kLong) return false;
          add_day<kFormula, kLong, kSumRows>(leg, lane.high, lane.low, lane.sums);
          return true;
        };
        for (size_t i = 0; i < size;) {
          while (i < size && add.template operator()<true>(i)) ++i;
          while (i < size && add.template operator()<false>(i)) ++i;
        }
      });
    });
  }
  team.each([&](unsigned rank) {
    MARKETSIM_UNROLL
    for (size_t r = 0; r < kSumRows; ++r) {
      const size_t c = candidate(rank, r);
      if (c < batch.candidates) lanes[rank].sums[r].write(sums, problem * batch.candidates + c);
    }
  });
}

// The same for one candidate of one problem by one thread: for few candidates a problem.
MARKETSIM_BODY void profit_sums_item(const ProfitBatch& batch, const ProfitSums& sums,
                                     size_t item) {
  const size_t problem = item / batch.candidates, c = item % batch.candidates;
  const Days days = batch.windows.row(problem);
  const F high = broadcast(batch.high_of(problem, c)), low = broadcast(batch.low_of(problem, c));
  RunningSums<true> running;
  with_rules(batch.rules, [&]<Formula kFormula>() {
    for (size_t day = 0; day < batch.windows.problems.days; ++day) {
      const Legs leg = make_legs(batch.rules, 0.0f, read_days(days, day, 1));
      running.add(leg_profit<kFormula>(leg, high, low), enters<kFormula>(leg, high, low));
    }
  });
  running.write(sums, item);
}

MARKETSIM_BODY void window_sums_item(const float* values, const int64_t* starts, size_t days,
                                     const ProfitSums& sums, size_t item) {
  RunningSums<true> running;
  const float* from = values + starts[item];
  for (size_t day = 0; day < days; ++day) running.add(load(from + day), from[day] != 0.0f);
  running.write(sums, item);
}

// From how many candidates a problem on the block's way pays.
constexpr size_t kBlockCandidates = 64;

}  // namespace marketsim::MARKETSIM_ISA
