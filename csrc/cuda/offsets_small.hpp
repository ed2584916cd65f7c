// Few days: a few threads a problem look at every pair of candidates.
//
// The threads own high offsets and walk through the low ones together. All pairs are added up in
// float32 first (kernels/leg_sides.hpp), an instruction or two a leg and pair, which rules out most
// of them; the others are evaluated exactly, each by the thread that owns it.
#pragma once

#include "cuda/offsets_common.hpp"
#include "kernels/leg_sides.hpp"

namespace marketsim::MARKETSIM_ISA {

// Up to how many candidates an axis. (The tables must fit a block's shared memory.)
constexpr size_t kSmallCandidates = 64;

inline MARKETSIM_FN size_t most_candidates(const OffsetRules& rules, size_t days) {
  return leg_count(rules, days) * static_cast<size_t>(candidates_per_leg(rules.rules)) + 2;
}

// A team's shared memory.
struct SmallTables {
  Legs* legs;
  float* high;     // [candidate]
  float* low;      // [candidate]
  float* factor;   // [term][low], the terms of one leg after those of another
  float* base;     // [low]
  float* rough;    // [low][high]: totals in float32
  uint32_t* used;  // how many high and how many low candidates there are
  size_t stride;   // of the tables of low candidates: whole tiles
};

template <size_t kTile>
inline MARKETSIM_FN size_t lay_out_small(const OffsetRules& rules, size_t days, char* memory,
                                         SmallTables* to) {
  const size_t legs = leg_count(rules, days), most = most_candidates(rules, days);
  const size_t terms = legs * (uses(rules.rules, kAtOpen) ? 2 : 1);
  to->stride = (most + kTile - 1) / kTile * kTile;
  size_t used = 0;
  const auto take = [&](size_t bytes) {
    char* at = memory ? memory + used : nullptr;
    used += (bytes + 15) / 16 * 16;
    return at;
  };
  const auto floats = [&](size_t count) {
    return reinterpret_cast<float*>(take(count * sizeof(float)));
  };
  to->factor = floats(terms * to->stride);
  to->base = floats(to->stride);
  to->legs = reinterpret_cast<Legs*>(take(legs * sizeof(Legs)));
  to->high = floats(most);
  to->low = floats(most);
  to->rough = floats(most * most);
  to->used = reinterpret_cast<uint32_t*>(take(2 * sizeof(uint32_t)));
  return used;
}

// Solves one problem. kTile low candidates at a time are kept in registers.
template <typename Team, size_t kTile>
class SmallSolver {
 public:
  template <typename T>
  using Per = typename Team::template Per<T>;

  MARKETSIM_BODY SmallSolver(Team& team, const OffsetGroup& group, size_t row,
                             const SmallTables& tables)
      : team_(team),
        rules_(group.rules),
        days_(group.windows.row(row)),
        day_count_(group.windows.problems.days),
        legs_(leg_count(group.rules, day_count_)),
        tables_(tables) {}

  MARKETSIM_BODY Best solve() {
    read_legs(rules_.margin);
    list();
    tabulate();
    Best best = search(floor_of(add_roughly()));
    draw_in(
        team_, rules_, {tables_.high, highs_, tables_.low, lows_}, legs_, LegAt{tables_.legs},
        [&](float high, float low) { return exact(high, low); }, best);
    if (rules_.margin != 0.0f || best.total == -__builtin_inf()) {
      // With a margin the search saw narrower bars; where every total overflowed it saw no number.
      read_legs(0.0f);
      best.total = exact(best.high, best.low);
    }
    return best;
  }

 private:
  MARKETSIM_BODY void read_legs(float margin) {
    team_.each([&](unsigned rank) {
      for (size_t i = rank; i < legs_; i += Team::kSize) {
        tables_.legs[i] = read_leg(rules_, margin, days_, day_count_, i);
      }
    });
  }

  // The candidates; what a leg does not use, and what lies beyond the bounds, is there already.
  // Their order does not matter.
  MARKETSIM_BODY void list() {
    const Nearest nearest = nearest_to_zero(rules_.bounds);
    const float high_bound = rules_.bounds.high_max + 0.0f,
                low_bound = rules_.bounds.low_min + 0.0f;
    team_.each([&](unsigned rank) {
      if (rank != 0) return;
      tables_.high[0] = nearest.high, tables_.high[1] = high_bound;
      tables_.low[0] = nearest.low, tables_.low[1] = low_bound;
      tables_.used[0] = tables_.used[1] = 2;
    });
    const int per_leg = candidates_per_leg(rules_.rules);
    team_.each([&](unsigned rank) {
      for (size_t i = rank; i < legs_; i += Team::kSize) {
        const Legs& leg = tables_.legs[i];
        const Candidates found =
            list_candidates(rules_.rules, rules_.bounds, leg, find_thresholds(rules_.rules, leg));
        for (int j = 0; j < per_leg; ++j) {
          const float high = found.high[j].v, low = found.low[j].v;
          if (high != nearest.high && high != high_bound) {
            tables_.high[atomic_add(&tables_.used[0], 1u)] = high;
          }
          if (low != nearest.low && low != low_bound) {
            tables_.low[atomic_add(&tables_.used[1], 1u)] = low;
          }
        }
      }
    });
    highs_ = tables_.used[0];
    lows_ = tables_.used[1];
  }

  // What each leg makes of each low offset; nothing in what is left of the last tile.
  MARKETSIM_BODY void tabulate() {
    team_.each([&](unsigned rank) {
      with_rules(rules_.rules, [&]<bool kOpenAware, Charge kCharge>() {
        for (size_t m = rank; m < tables_.stride; m += Team::kSize) {
          tabulate_low<kOpenAware, kCharge>(m);
        }
      });
    });
  }

  template <bool kOpenAware, Charge kCharge>
  MARKETSIM_BODY void tabulate_low(size_t m) const {
    const bool real = m < lows_;
    const F low = broadcast(real ? tables_.low[m] : 0.0f);
    float* to = tables_.factor + m;
    F base = broadcast(0.0f);
    for (size_t i = 0; i < legs_; ++i) {
      const SideTerms side = side_terms<kOpenAware, kCharge>(tables_.legs[i], false, low);
      store(to, keep(real, side.factor));
      to += tables_.stride;
      if constexpr (kOpenAware) {
        store(to, keep(real, side.at_open));
        to += tables_.stride;
      }
      base = base - side.base;
    }
    store(tables_.base + m, keep(real, base));
  }

  // Returns the highest of the float32 totals.
  MARKETSIM_BODY float add_roughly() {
    Per<float> highest;
    team_.each([&](unsigned rank) {
      float most = -__builtin_inff();
      with_rules(rules_.rules, [&]<bool kOpenAware, Charge kCharge>() {
        for (size_t k = rank; k < highs_; k += Team::kSize) {
          for (size_t first = 0; first < lows_; first += kTile) {
            most = add_tile<kOpenAware, kCharge>(k, first, most);
          }
        }
      });
      highest[rank] = most;
    });
    return team_.reduce(highest, Larger{});
  }

  template <bool kOpenAware, Charge kCharge>
  MARKETSIM_BODY float add_tile(size_t k, size_t first, float most) const {
    const F high = broadcast(tables_.high[k]);
    F totals[kTile], base = broadcast(0.0f);
    MARKETSIM_UNROLL
    for (size_t j = 0; j < kTile; ++j) totals[j] = load(tables_.base + first + j);
    const float* low = tables_.factor + first;
    for (size_t i = 0; i < legs_; ++i) {
      const SideTerms side = side_terms<kOpenAware, kCharge>(tables_.legs[i], true, high);
      MARKETSIM_UNROLL
      for (size_t j = 0; j < kTile; ++j) {
        totals[j] = multiply_add(load(low + j), side.factor, totals[j]);
      }
      low += tables_.stride;
      if constexpr (kOpenAware) {
        MARKETSIM_UNROLL
        for (size_t j = 0; j < kTile; ++j) {
          totals[j] = multiply_add(load(low + j), side.at_open, totals[j]);
        }
        low += tables_.stride;
      }
      base = base - side.base;
    }
    MARKETSIM_UNROLL
    for (size_t j = 0; j < kTile; ++j) {
      if (first + j >= lows_) break;
      const float total = (totals[j] + base).v;
      tables_.rough[(first + j) * highs_ + k] = total;
      most = total > most ? total : most;
    }
    return most;
  }

  // A rough total below this is not the best one: the highest less what the float32 sums may be
  // off. NaN, which nothing is below, where they may overflow.
  MARKETSIM_BODY float floor_of(float highest) {
    const auto size = [](F v) { return maximum(v, -v); };
    const OffsetBounds& b = rules_.bounds;
    const F reach = size(broadcast(b.high_min)) + size(broadcast(b.high_max)) +
                    size(broadcast(b.low_min)) + size(broadcast(b.low_max));
    Per<float> sums;
    team_.each([&](unsigned rank) {
      F sum = broadcast(0.0f);
      for (size_t i = rank; i < legs_; i += Team::kSize) {
        const Legs& leg = tables_.legs[i];
        const F prices =
            size(leg.entry_pred) + size(leg.exit_pred) + size(leg.close) + size(leg.open) + reach;
        sum = sum + (leg.weight * prices + leg.fee);
      }
      sums[rank] = sum.v;
    });
    const float most = team_.reduce(sums, Sum{});
    if (!(most <= 1e30f)) return __builtin_nanf("");
    const float share = static_cast<float>(2 * legs_ + 8) * 1.5e-7f;
    return highest - (most * share + 1e-30f);
  }

  struct LegAt {
    const Legs* legs;
    MARKETSIM_FN Legs operator()(size_t i) const { return legs[i]; }
  };
  MARKETSIM_BODY double exact(float high, float low) const {
    return exact_total(rules_.rules, day_count_, legs_, LegAt{tables_.legs}, high, low);
  }

  // Evaluates the pairs that are not below the floor. All threads first look for their next pair
  // and then evaluate theirs together.
  MARKETSIM_BODY Best search(float floor) {
    const Nearest nearest = nearest_to_zero(rules_.bounds);
    Per<Best> bests;
    team_.each([&](unsigned rank) {
      Best best{-__builtin_inf(), nearest.high, nearest.low};
      size_t m = 0, k = rank;
      for (;;) {
        while (m < lows_ && (k >= highs_ || tables_.rough[m * highs_ + k] <= floor)) {
          k += Team::kSize;
          if (k >= highs_) k = rank, ++m;
          if (k >= highs_) m = lows_;  // more threads than high offsets
        }
        if (m >= lows_) break;
        const float high = tables_.high[k], low = tables_.low[m];
        improve(best, exact(high, low), high, low);
        k += Team::kSize;
        if (k >= highs_) k = rank, ++m;
      }
      bests[rank] = best;
    });
    return team_.reduce(bests, Better{});
  }

  Team& team_;
  const OffsetRules& rules_;
  const Days days_;
  const size_t day_count_, legs_;
  const SmallTables& tables_;
  size_t highs_ = 0, lows_ = 0;
};

template <size_t kTile, typename Team>
MARKETSIM_BODY void solve_small(Team& team, const OffsetGroups& groups, size_t problem,
                                char* memory) {
  const cuda::Place place = place_of(groups, problem);
  const OffsetGroup& group = groups.group[place.group];
  SmallTables tables;
  lay_out_small<kTile>(group.rules, group.windows.problems.days, memory, &tables);
  SmallSolver<Team, kTile> solver(team, group, place.row, tables);
  const Best best = solver.solve();
  write_answer(team, group, place.row, best);
}

}  // namespace marketsim::MARKETSIM_ISA
