// Many days: a block a problem. As the sweep of kernels/offsets/sweep.cpp, without its lazy blocks:
// each thread owns some columns (high offsets) in registers, and all threads walk through the rows
// (low offsets) together, from event to event.
//
// Totals of the walk, called U, are what they are there: sums in float64 of unrounded parts and of
// the most that rounding can add; no exact total is above U by more than `base`. The first walk
// finds the pair with the highest U, whose true total tells how high U must be for a pair to be
// the best; the second one lists those pairs, in the threads that have any, and they are evaluated
// exactly. Where they are too many, a third walk evaluates one pair of each fingerprint
// (kernels/offsets/fingerprints.hpp).
#pragma once

#include "cuda/large_setup.hpp"

namespace marketsim::MARKETSIM_ISA {

constexpr size_t kColumns = 2;  // a thread
constexpr uint32_t kNowhere = 0xffffffffu;

struct Peak {
  double u;
  uint32_t column, row;
};
struct HigherPeak {
  MARKETSIM_FN Peak operator()(Peak x, Peak y) const {
    if (x.u != y.u) return x.u > y.u ? x : y;
    return x.column < y.column ? x : y;
  }
};

// The columns of one thread on their way through the rows. Those of a warp are neighbours, so that
// it can pass over events of other columns.
struct Walk {
  double a[kColumns], b[kColumns], high[kColumns];
  uint32_t column[kColumns];
  uint32_t event, begin, end;  // columns of the warp
  unsigned used;               // columns of the thread

  template <typename Team>
  MARKETSIM_BODY void start(const LargeWork& work, size_t first, unsigned rank) {
    const size_t left = work.columns - first;
    used = left > (kColumns - 1) * Team::kSize
               ? kColumns
               : static_cast<unsigned>((left - 1) / Team::kSize + 1);
    begin = static_cast<uint32_t>(first) + rank / Team::kWarp * (Team::kWarp * used);
    end = begin + Team::kWarp * used;
    event = 0;
    MARKETSIM_UNROLL
    for (size_t j = 0; j < kColumns; ++j) {
      const size_t k = begin + j * Team::kWarp + rank % Team::kWarp;
      const bool real = j < used && k < work.columns;
      column[j] = real ? static_cast<uint32_t>(k) : kNowhere;
      a[j] = real ? work.sums[kStartAlpha][k] : -__builtin_inf();
      b[j] = real ? work.sums[kStartBeta][k] : 0.0;
      high[j] = real ? work.high[k] : 0.0f;
    }
  }
  // Whether the warp has columns at all.
  MARKETSIM_BODY bool real(const LargeWork& work) const { return begin < work.columns; }

  MARKETSIM_BODY void enter_row(const LargeWork& work, const Row& row) {
    for (; event < row.end; ++event) {
      const Event change = work.ordered[event];
      if (change.end <= begin || change.begin >= end) continue;
      MARKETSIM_UNROLL
      for (size_t j = 0; j < kColumns; ++j) {
        if (column[j] - change.begin >= change.end - change.begin) continue;
        a[j] += multiply_add(change.gamma, high[j], change.alpha);
        b[j] += change.beta;
      }
    }
  }
  MARKETSIM_BODY double u(size_t j, const Row& row) const {
    return multiply_add(b[j], static_cast<double>(row.low), a[j]) + row.constant;
  }
};

template <typename Team>
class LargeSolver {
 public:
  template <typename T>
  using Per = typename Team::template Per<T>;

  MARKETSIM_BODY LargeSolver(Team& team, const OffsetGroup& group, size_t row, LargeWork& work)
      : team_(team),
        rules_(group.rules),
        days_(group.windows.row(row)),
        day_count_(group.windows.problems.days),
        work_(work) {}

  MARKETSIM_BODY Best solve() {
    prepare(team_, rules_, days_, day_count_, work_);
    const double floor = floor_of(find_peak());
    Best best = collect(floor) ? settle() : offer_prints(floor);
    draw_in(team_, rules_, {work_.high, work_.columns, work_.low, work_.rows}, work_.split,
            work_.legs_used, leg_at(), best);
    if (rules_.margin != 0.0f || best.total == -__builtin_inf()) {
      // With a margin the search saw narrower bars; where every total overflowed it saw no number.
      read_legs(team_, rules_, 0.0f, days_, day_count_, work_);
      best.total = together(best.high, best.low);
    }
    return best;
  }

 private:
  struct LegAt {
    LegArrays legs;
    MARKETSIM_FN Legs operator()(size_t i) const { return broadcast_leg(legs, i); }
  };
  MARKETSIM_BODY LegAt leg_at() const { return {{work_.legs, work_.leg_capacity}}; }
  MARKETSIM_BODY double exact(float high, float low) const {
    return exact_total(rules_.rules, work_.split, work_.legs_used, leg_at(), high, low);
  }

  MARKETSIM_BODY double together(float high, float low) {
    return total_together(team_, rules_.rules, work_.split, work_.legs_used, leg_at(), high, low);
  }

  MARKETSIM_BODY Peak find_peak() {
    Per<Peak> peaks;
    team_.each([&](unsigned rank) { peaks[rank] = {-__builtin_inf(), 0, 0}; });
    constexpr size_t kStep = kColumns * Team::kSize;
    for (size_t first = 0; first < work_.columns; first += kStep) {
      team_.each([&](unsigned rank) {
        Walk walk;
        walk.start<Team>(work_, first, rank);
        double best[kColumns];
        uint32_t at[kColumns];
        MARKETSIM_UNROLL
        for (size_t j = 0; j < kColumns; ++j) best[j] = -__builtin_inf(), at[j] = 0;
        const Row* const rows = work_.row;
        const uint32_t count = walk.real(work_) ? static_cast<uint32_t>(work_.rows) : 0;
        for (uint32_t m = 0; m < count; ++m) {
          const Row row = rows[m];
          walk.enter_row(work_, row);
          MARKETSIM_UNROLL
          for (size_t j = 0; j < kColumns; ++j) {
            if (j >= walk.used) break;
            const double u = walk.u(j, row);
            if (u > best[j]) best[j] = u, at[j] = m;
          }
        }
        MARKETSIM_UNROLL
        for (size_t j = 0; j < kColumns; ++j) {
          if (walk.column[j] == kNowhere) continue;
          work_.column_best[walk.column[j]] = best[j];
          peaks[rank] = HigherPeak{}(peaks[rank], Peak{best[j], walk.column[j], at[j]});
        }
      });
    }
    return team_.reduce(peaks, HigherPeak{});
  }

  // Below which U a pair cannot be the best: what the pair with the highest U really earns, less
  // the rounding of U. Where profits may overflow no pair is ruled out.
  MARKETSIM_BODY double floor_of(const Peak& peak) {
    const double floor = together(work_.high[peak.column], work_.low[peak.row]) - 2.0 * work_.base;
    return floor < __builtin_inf() ? floor : -__builtin_inf();
  }

  // Lists the pairs with U at or above the floor; false where they are too many.
  MARKETSIM_BODY bool collect(double floor) {
    team_.each([&](unsigned rank) {
      if (rank == 0) work_.counters[kPendingCount] = 0;
    });
    for_near(floor, [&](unsigned, const Walk& walk, size_t j, size_t row) {
      const uint32_t at = atomic_add(&work_.counters[kPendingCount], 1u);
      if (at < kPending) work_.pending[at] = {work_.high[walk.column[j]], work_.low[row]};
      return at < kPending;
    });
    return work_.counters[kPendingCount] <= kPending;
  }

  // Calls take(rank, walk, j, row) for each such pair, until it returns false.
  template <typename Take>
  MARKETSIM_BODY void for_near(double floor, const Take& take) {
    constexpr size_t kStep = kColumns * Team::kSize;
    for (size_t first = 0; first < work_.columns; first += kStep) {
      team_.each([&](unsigned rank) {
        Walk walk;
        walk.start<Team>(work_, first, rank);
        bool any = false;
        MARKETSIM_UNROLL
        for (size_t j = 0; j < kColumns; ++j) {
          any = any || (walk.column[j] != kNowhere && work_.column_best[walk.column[j]] >= floor);
        }
        for (size_t m = 0; any && m < work_.rows; ++m) {
          const Row row = work_.row[m];
          walk.enter_row(work_, row);
          MARKETSIM_UNROLL
          for (size_t j = 0; j < kColumns; ++j) {
            if (walk.column[j] == kNowhere || !(walk.u(j, row) >= floor)) continue;
            any = take(rank, walk, j, m) && any;
          }
        }
      });
    }
  }

  MARKETSIM_BODY Best settle() {
    const Nearest nearest = nearest_to_zero(rules_.bounds);
    const uint32_t count = work_.counters[kPendingCount];
    if (count <= kFewPairs) {
      Best best{-__builtin_inf(), nearest.high, nearest.low};
      MARKETSIM_ONCE
      for (uint32_t i = 0; i < count; ++i) {
        const Point at = work_.pending[i];
        improve(best, together(at.high, at.low), at.high, at.low);
      }
      return best;
    }
    Per<Best> bests;
    team_.each([&](unsigned rank) {
      bests[rank] = {-__builtin_inf(), nearest.high, nearest.low};
      for (uint32_t i = rank; i < count; i += Team::kSize) {
        const Point at = work_.pending[i];
        improve(bests[rank], exact(at.high, at.low), at.high, at.low);
      }
    });
    return team_.reduce(bests, Better{});
  }

  // As collect() and settle(), one exact evaluation a fingerprint.
  MARKETSIM_BODY Best offer_prints(double floor) {
    write_marks(team_, rules_, work_);
    const Nearest nearest = nearest_to_zero(rules_.bounds);
    Per<Best> bests;
    team_.each([&](unsigned rank) { bests[rank] = {-__builtin_inf(), nearest.high, nearest.low}; });
    constexpr size_t kStep = kColumns * Team::kSize;
    for (size_t first = 0; first < work_.columns; first += kStep) {
      team_.each([&](unsigned rank) { offer_columns(first, rank, floor, bests[rank]); });
    }
    return team_.reduce(bests, Better{});
  }

  MARKETSIM_BODY void offer_columns(size_t first, unsigned rank, double floor, Best& best) {
    Walk walk;
    walk.start<Team>(work_, first, rank);
    uint64_t marks[kColumns] = {}, counts[kColumns] = {};
    unsigned long long last = 0;
    double last_total = 0.0;
    for (size_t m = 0; walk.real(work_) && m < work_.rows; ++m) {
      const Row row = work_.row[m];
      walk.enter_row(work_, row);
      for (uint32_t i = work_.first_mark[m]; i != kNoMark; i = work_.mark_events[i].next) {
        const MarkEvent& change = work_.mark_events[i];
        MARKETSIM_UNROLL
        for (size_t j = 0; j < kColumns; ++j) {
          if (walk.column[j] - change.begin >= change.end - change.begin) continue;
          marks[j] += change.mark;
          counts[j] += change.counts;
        }
      }
      const float low = row.low;
      MARKETSIM_UNROLL
      for (size_t j = 0; j < kColumns; ++j) {
        if (walk.column[j] == kNowhere || !(walk.u(j, row) >= floor)) continue;
        const float high = work_.high[walk.column[j]];
        const unsigned long long print = print_of(marks[j], counts[j], high, low) | 1u;
        if (print != last) {
          last = print;
          last_total = total_of(print, high, low);
        }
        improve(best, last_total, high, low);
      }
    }
  }

  // The total of a fingerprint: as some thread has found it, else of this pair, which has it.
  MARKETSIM_BODY double total_of(unsigned long long print, float high, float low) {
    constexpr size_t kProbes = 8;
    Print* claimed = nullptr;
    for (size_t i = 0; i < kProbes; ++i) {
      Print& place = work_.prints[(mix(print) + i) % kPrints];
      const unsigned long long held = atomic_claim(&place.print, print);
      if (held == 0) claimed = &place;
      if (held == 0) break;
      if (held != print) continue;
      if (is_published(&place.settled)) return published(&place.total);
      break;  // another thread is at it: its result would take as long
    }
    const double total = exact(high, low);
    if (claimed) publish(&claimed->total, total, &claimed->settled);
    return total;
  }

  Team& team_;
  const OffsetRules& rules_;
  const Days days_;
  const size_t day_count_;
  LargeWork& work_;
};

// `work` is the team's, in shared memory: its many pointers would take too many registers.
template <typename Team>
MARKETSIM_BODY void solve_large(Team& team, const OffsetGroups& groups, size_t problem,
                                char* memory, char* near, LargeWork& work) {
  const cuda::Place place = place_of(groups, problem);
  const OffsetGroup& group = groups.group[place.group];
  team.each([&](unsigned rank) {
    if (rank != 0) return;
    lay_out_large(group.rules, group.windows.problems.days, memory, near, kNearBytes, &work);
  });
  LargeSolver<Team> solver(team, group, place.row, work);
  const Best best = solver.solve();
  write_answer(team, group, place.row, best);
}

}  // namespace marketsim::MARKETSIM_ISA
