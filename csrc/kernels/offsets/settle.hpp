// Which of the pairs that the sweep could not rule out is the best: their exact totals.
//
// Only sweep.cpp includes this header.
#pragma once

#include "kernels/offsets/row_fingerprints.hpp"

namespace marketsim::MARKETSIM_ISA {

// The exact totals of kLanes pairs.
template <Formula kFormula>
D exact_totals(const Work& work, F high, F low) {
  const LegArrays legs(work.legs, work.leg_capacity);
  const auto add_legs = [&](size_t from, size_t to) {
    D total = broadcast_double(0.0);
    for (size_t i = from; i < to; ++i) {
      total = total + to_double(leg_profit<kFormula>(broadcast_leg(legs, i), high, low));
    }
    return total;
  };
  return add_legs(0, work.split) + add_legs(work.split, work.legs_used);
}

// The total of one point, added in any order: within `base` of the exact one.
template <Formula kFormula>
double rough_total(const Work& work, float high, float low) {
  const LegArrays legs(work.legs, work.leg_capacity);
  const F h = broadcast(high), l = broadcast(low);
  D sums = broadcast_double(0.0);
  size_t i = 0;
  for (; i + kLanes <= work.legs_used; i += kLanes) {
    sums = sums + to_double(leg_profit<kFormula>(load_legs(legs, i), h, l));
  }
  const F rest = leg_profit<kFormula>(load_legs(legs, i), h, l);
  double lanes[kLanes], total = 0.0;
  store_double(lanes, sums + to_double(keep_first(rest, work.legs_used - i)));
  for (const double lane : lanes) total += lane;
  return total;
}

// Some pair is known to have this total. An infinite one rules nothing out: where a day's profit
// overflows, that of other pairs may too, and the sweep's sums do not.
inline void raise_floor(Work& work, double total) {
  if (total > work.floor && total < __builtin_inf()) work.floor = total;
}

inline void forget_below_floor(Work& work) {
  size_t kept = 0;
  for (size_t i = 0; i < work.pending_count; ++i) {
    if (work.pending[i].total >= work.floor) work.pending[kept++] = work.pending[i];
  }
  work.pending_count = kept;
}

// Drops the pending points that the most promising of them proves to be too low.
template <Formula kFormula>
void thin_out(Work& work) {
  forget_below_floor(work);
  if (work.pending_count == 0) return;
  Point best = work.pending[0];
  for (size_t i = 1; i < work.pending_count; ++i) {
    if (work.pending[i].total > best.total) best = work.pending[i];
  }
  const double total = rough_total<kFormula>(work, best.high, best.low);
  raise_floor(work, total - 2.0 * work.base);
  forget_below_floor(work);
}

inline void improve(Best& best, double total, float high, float low) {
  if (total > best.total || (total == best.total && preferred(high, low, best.high, best.low))) {
    best = {total, high, low};
  }
}

// Evaluates up to kLanes points and hands each total to `take`.
template <Formula kFormula, typename At, typename Take>
void evaluate(const Work& work, size_t count, const At& at, const Take& take) {
  float high[kLanes], low[kLanes];
  double totals[kLanes];
  for (size_t lane = 0; lane < kLanes; ++lane) {
    const auto& point = at(lane < count ? lane : 0);
    high[lane] = point.high;
    low[lane] = point.low;
  }
  store_double(totals, exact_totals<kFormula>(work, load(high), load(low)));
  for (size_t lane = 0; lane < count; ++lane) take(lane, totals[lane]);
}

// Evaluates the pending points exactly and keeps the best of them.
template <Formula kFormula>
void settle(Work& work, Best& best) {
  thin_out<kFormula>(work);
  while (work.pending_count > 0) {
    const size_t count = work.pending_count < kLanes ? work.pending_count : kLanes;
    work.pending_count -= count;
    const Point* points = work.pending + work.pending_count;
    evaluate<kFormula>(
        work, count, [&](size_t i) { return points[i]; },
        [&](size_t i, double total) { improve(best, total, points[i].high, points[i].low); });
    raise_floor(work, best.total - work.base);
    forget_below_floor(work);
  }
}

// The same for the fingerprints that are not yet settled.
template <Formula kFormula>
void settle_known(Work& work, Best& best) {
  const auto at = [&](size_t i) -> Known& { return work.known[work.unsettled[i]]; };
  if (work.unsettled_count == 0) return;
  evaluate<kFormula>(work, work.unsettled_count, at, [&](size_t i, double total) {
    at(i).total = total;
    at(i).settled = true;
    improve(best, total, at(i).high, at(i).low);
  });
  work.unsettled_count = 0;
  raise_floor(work, best.total - work.base);
}

// A point with that fingerprint may be the best.
template <Formula kFormula>
void offer(Work& work, uint64_t print, float high, float low, Best& best) {
  size_t place = mix(print) % kKnown;
  for (; work.known[place].used; place = (place + 1) % kKnown) {
    Known& known = work.known[place];
    if (known.print != print) continue;
    if (!preferred(high, low, known.high, known.low)) return;
    known.high = high;
    known.low = low;
    if (known.settled) improve(best, known.total, high, low);
    return;
  }
  if (work.known_count == kKnown / 2) {  // forgetting costs time only
    settle_known<kFormula>(work, best);
    for (size_t i = 0; i < kKnown; ++i) work.known[i].used = false;
    work.known_count = 0;
    place = mix(print) % kKnown;
  }
  work.known[place] = {print, 0.0, high, low, true, false};
  ++work.known_count;
  work.unsettled[work.unsettled_count++] = static_cast<uint32_t>(place);
  if (work.unsettled_count == kLanes) settle_known<kFormula>(work, best);
}

}  // namespace marketsim::MARKETSIM_ISA
