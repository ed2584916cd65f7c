// Few days: a few threads a problem look at every pair of candidates.
//
// The threads own high offsets and walk through the low ones together. All pairs are added up in
// float32 first (kernels/leg_sides.hpp), an instruction or two a leg and pair. Each thread keeps
// the two highest of its totals, not all: shared memory is what limits how many teams a processor
// holds. In nearly all problems they tell that one pair alone, or few, can be the best, which all
// threads evaluate exactly together; else the pairs are added up once more, and those that can be
// are evaluated by the threads that own them.
#pragma once

#include "cuda/offsets_common.hpp"
#include "kernels/leg_sides.hpp"

namespace marketsim::MARKETSIM_ISA {

// Up to how many candidates an axis. (The tables must fit a block's shared memory.)
constexpr size_t kSmallCandidates = 64;

inline MARKETSIM_FN size_t most_candidates(const OffsetRules& rules, size_t days) {
  return leg_count(rules, days) * static_cast<size_t>(candidates_per_leg(rules.rules)) + 2;
}

enum SmallCount { kHighCount, kLowCount, kNearCount, kCrowded, kSmallCounts };

// A team's shared memory.
struct SmallTables {
  Legs* legs;
  float* high;     // [candidate]
  float* low;      // [candidate]
  float* factor;   // [term][low], the terms of one leg after those of another
  float* base;     // [low]
  uint32_t* used;  // [SmallCount]: candidates; pairs that may be the best; threads that have more
  uint32_t* near;  // [kFewPairs]: those pairs, a high and a low candidate each
  size_t stride;   // of the tables of low candidates: whole tiles
};

template <size_t kTile>
inline MARKETSIM_FN size_t lay_out_small(const OffsetRules& rules, size_t days, char* memory,
                                         SmallTables* to) {
  const size_t legs = leg_count(rules, days), most = most_candidates(rules, days);
  const size_t terms = legs * (has_two_terms(formula_of(rules.rules)) ? 2 : 1);
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
  to->used = reinterpret_cast<uint32_t*>(take(kSmallCounts * sizeof(uint32_t)));
  to->near = reinterpret_cast<uint32_t*>(take(kFewPairs * sizeof(uint32_t)));
  return used;
}

// The highest totals of a thread.
struct Top {
  float first, second;
  uint32_t pair;  // of the first: kSmallCandidates * high + low

  MARKETSIM_FN void add(float total, size_t high, size_t low) {
    second = Larger{}(second, Smaller{}(total, first));
    if (total > first) {
      first = total;
      pair = static_cast<uint32_t>(kSmallCandidates * high + low);
    }
  }
};

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
    Best best = search();
    draw_in(team_, rules_, {tables_.high, highs_, tables_.low, lows_}, day_count_, legs_,
            LegAt{tables_.legs}, best);
    if (rules_.margin != 0.0f || best.total == -__builtin_inf()) {
      // With a margin the search saw narrower bars; where every total overflowed it saw no number.
      read_legs(0.0f);
      best.total = together(best.high, best.low);
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
      tables_.used[kHighCount] = tables_.used[kLowCount] = 2;
      tables_.used[kNearCount] = tables_.used[kCrowded] = 0;
    });
    const int per_leg = candidates_per_leg(rules_.rules);
    team_.each([&](unsigned rank) {
      for (size_t i = rank; i < legs_; i += Team::kSize) {
        const Legs& leg = tables_.legs[i];
        const Candidates found = list_candidates(rules_.rules, rules_.bounds, leg,
                                                 find_thresholds(rules_.rules, leg, false));
        for (int j = 0; j < per_leg; ++j) {
          const float high = found.high[j].v, low = found.low[j].v;
          if (high != nearest.high && high != high_bound) {
            tables_.high[atomic_add(&tables_.used[kHighCount], 1u)] = high;
          }
          if (low != nearest.low && low != low_bound) {
            tables_.low[atomic_add(&tables_.used[kLowCount], 1u)] = low;
          }
        }
      }
    });
    highs_ = tables_.used[kHighCount];
    lows_ = tables_.used[kLowCount];
  }

  // What each leg makes of each low offset; nothing in what is left of the last tile.
  MARKETSIM_BODY void tabulate() {
    team_.each([&](unsigned rank) {
      with_rules(rules_.rules, [&]<Formula kFormula>() {
        for (size_t m = rank; m < tables_.stride; m += Team::kSize) {
          tabulate_low<kFormula>(m);
        }
      });
    });
  }

  template <Formula kFormula>
  MARKETSIM_BODY void tabulate_low(size_t m) const {
    const bool real = m < lows_;
    const F low = broadcast(real ? tables_.low[m] : 0.0f);
    float* to = tables_.factor + m;
    F base = broadcast(0.0f);
    for (size_t i = 0; i < legs_; ++i) {
      const SideTerms side = SideOf<kFormula>(tables_.legs[i], false).at(low);
      store(to, keep(real, side.factor));
      to += tables_.stride;
      if constexpr (has_two_terms(kFormula)) {
        store(to, keep(real, side.at_open));
        to += tables_.stride;
      }
      base = base - side.base;
    }
    store(tables_.base + m, keep(real, base));
  }

  MARKETSIM_BODY Best search() {
    const Nearest nearest = nearest_to_zero(rules_.bounds);
    const Best none{-__builtin_inf(), nearest.high, nearest.low};
    Per<Top> tops;
    Per<Best> bests;
    team_.each([&](unsigned rank) {
      tops[rank] = {-__builtin_inff(), -__builtin_inff(), 0};
      bests[rank] = none;
    });
    float floor = 0.0f;
    MARKETSIM_ONCE
    for (bool again = false;; again = true) {
      team_.each([&](unsigned rank) {
        for (size_t k = rank; k < highs_; k += Team::kSize) {
          for (size_t first = 0; first < lows_; first += kTile) {
            F totals[kTile];
            with_rules(rules_.rules,
                       [&]<Formula kFormula>() { add_tile<kFormula>(k, first, totals); });
            if (again) {
              offer(k, first, totals, floor, bests[rank]);
            } else {
              keep_highest(k, first, totals, tops[rank]);
            }
          }
        }
      });
      if (again) return team_.reduce(bests, Better{});
      Per<float> highest;
      team_.each([&](unsigned rank) { highest[rank] = tops[rank].first; });
      floor = floor_of(team_.reduce(highest, Larger{}));
      Best best = none;
      if (settle_few(tops, floor, best)) return best;
    }
  }

  // Evaluates the pairs that are not below the floor, where they are few and no thread has two.
  MARKETSIM_BODY bool settle_few(const Per<Top>& tops, float floor, Best& best) {
    team_.each([&](unsigned rank) {
      if (!(tops[rank].second <= floor)) atomic_add(&tables_.used[kCrowded], 1u);
      if (tops[rank].first <= floor) return;
      const uint32_t at = atomic_add(&tables_.used[kNearCount], 1u);
      if (at < kFewPairs) tables_.near[at] = tops[rank].pair;
    });
    const uint32_t count = tables_.used[kNearCount];
    if (count > kFewPairs || tables_.used[kCrowded] > 0) return false;
    MARKETSIM_ONCE
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t pair = tables_.near[i];
      const float high = tables_.high[pair / kSmallCandidates];
      const float low = tables_.low[pair % kSmallCandidates];
      improve(best, together(high, low), high, low);
    }
    return true;
  }

  MARKETSIM_BODY void keep_highest(size_t k, size_t first, const F* totals, Top& top) const {
    MARKETSIM_UNROLL
    for (size_t j = 0; j < kTile; ++j) {
      if (first + j >= lows_) break;
      top.add(totals[j].v, k, first + j);
    }
  }

  // Evaluates the pairs of a tile that are not below the floor.
  MARKETSIM_BODY void offer(size_t k, size_t first, const F* totals, float floor,
                            Best& best) const {
    static_assert(kTile <= 32);
    uint32_t near = 0;
    MARKETSIM_UNROLL
    for (size_t j = 0; j < kTile; ++j) {
      if (first + j < lows_ && !(totals[j].v <= floor)) near |= 1u << j;
    }
    for (; near != 0; near &= near - 1) {
      const float high = tables_.high[k], low = tables_.low[first + lowest_bit(near)];
      improve(best, exact(high, low), high, low);
    }
  }

  // The float32 totals of a high candidate with a tile of low ones.
  template <Formula kFormula>
  MARKETSIM_BODY void add_tile(size_t k, size_t first, F* totals) const {
    const F high = broadcast(tables_.high[k]);
    F base = broadcast(0.0f);
    MARKETSIM_UNROLL
    for (size_t j = 0; j < kTile; ++j) totals[j] = load(tables_.base + first + j);
    const float* low = tables_.factor + first;
    for (size_t i = 0; i < legs_; ++i) {
      const SideTerms side = SideOf<kFormula>(tables_.legs[i], true).at(high);
      MARKETSIM_UNROLL
      for (size_t j = 0; j < kTile; ++j) {
        totals[j] = multiply_add(load(low + j), side.factor, totals[j]);
      }
      low += tables_.stride;
      if constexpr (has_two_terms(kFormula)) {
        MARKETSIM_UNROLL
        for (size_t j = 0; j < kTile; ++j) {
          totals[j] = multiply_add(load(low + j), side.at_open, totals[j]);
        }
        low += tables_.stride;
      }
      base = base - side.base;
    }
    MARKETSIM_UNROLL
    for (size_t j = 0; j < kTile; ++j) totals[j] = totals[j] + base;
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
        sum = sum + (leg.weight * prices + maximum(size(leg.limit_cost), size(leg.close_cost)));
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

  MARKETSIM_BODY double together(float high, float low) {
    return total_together(team_, rules_.rules, day_count_, legs_, LegAt{tables_.legs}, high, low);
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
