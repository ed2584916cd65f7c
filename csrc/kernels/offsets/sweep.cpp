// Many days: a sweep over the low offsets, with the totals of all high offsets kept up to date.
//
// Candidates are sorted: columns by h, rows by l. For a fixed row the total of column k is
//
//     A[k] + B[k] * l + r(row)
//
// and passing to the next row changes it, for each leg whose condition on L changes there, by
// alpha + gamma * h + beta * l on a range of columns (an Event) or on all of them (a change of r).
// Columns are kept in blocks of 64. An event updates the blocks at its two ends element by element
// and those between by three numbers a block; each block also carries an upper bound of its
// columns' totals without r. No leg gains from a higher l while its conditions hold, so bounds need
// raising at events only, and a row looks into a block only where the bound reaches the best total
// so far.
//
// These totals, called U, are sums in float64 of unrounded parts and of the most that rounding can
// add to each leg that has entered: no exact total (offsets.hpp) is above U. Points are kept while
// their U reaches a total that some pair is known to have, and evaluated exactly in the end. Where
// too many are kept, the sweep starts again with fingerprints (fingerprints.hpp), and evaluates one
// point of each.
#include "kernels/offsets/draw_in.hpp"
#include "kernels/offsets/events.hpp"
#include "kernels/offsets/settle.hpp"
#include "kernels/offsets/setup.hpp"

namespace marketsim::MARKETSIM_ISA {
namespace {

// Adds an event to the columns [begin, end) of one block.
void update_part(Work& work, size_t block, size_t begin, size_t end, const Event& event, double l) {
  const size_t first = block * kBlock;
  double* a = work.a + first;
  double* b = work.b + first;
  const double* high = work.high_double + first;
  const Half from = broadcast_half(static_cast<double>(begin - first));
  const Half to = broadcast_half(static_cast<double>(end - first));
  const Half alpha = broadcast_half(event.alpha), gamma = broadcast_half(event.gamma);
  const Half beta = broadcast_half(event.beta);
  const size_t last = (end - first + kHalf - 1) / kHalf * kHalf;
  for (size_t k = (begin - first) / kHalf * kHalf; k < last; k += kHalf) {
    const Half at = broadcast_half(static_cast<double>(k));
    const Half change = alpha + gamma * load_half(high + k);
    store_half(a + k, load_half(a + k) + keep_between(change, at, from, to));
    store_half(b + k, load_half(b + k) + keep_between(beta, at, from, to));
  }
  const double far = work.high_double[event.gamma >= 0.0 ? end - 1 : begin];
  const double gain = event.alpha + event.gamma * far + event.beta * l;
  if (gain > 0.0) work.block_bound[block] += gain;
}

void apply(Work& work, const Event& event, double l) {
  size_t first = event.begin / kBlock, last = (event.end - 1) / kBlock;
  if (first == last) return update_part(work, first, event.begin, event.end, event, l);
  if (event.begin % kBlock != 0) {
    update_part(work, first, event.begin, (first + 1) * kBlock, event, l);
    ++first;
  }
  if (event.end % kBlock != 0) {
    update_part(work, last, last * kBlock, event.end, event, l);
  } else {
    ++last;
  }
  const double* far = event.gamma >= 0.0 ? work.block_last : work.block_first;
  double *a = work.block_a, *b = work.block_b, *gamma = work.block_gamma, *bound = work.block_bound;
  const double common = event.alpha + event.beta * l;
#pragma GCC ivdep
  for (size_t block = first; block < last; ++block) {
    a[block] += event.alpha;
    b[block] += event.beta;
    gamma[block] += event.gamma;
    bound[block] += common + event.gamma * far[block];
  }
}

// Computes the totals of a block without r, and returns their maximum.
double scan(const Work& work, size_t block, double l, double* totals) {
  const double* a = work.a + block * kBlock;
  const double* b = work.b + block * kBlock;
  const double* high = work.high_double + block * kBlock;
  const Half block_a = broadcast_half(work.block_a[block]), low = broadcast_half(l);
  const Half block_b = broadcast_half(work.block_b[block]);
  const Half gamma = broadcast_half(work.block_gamma[block]);
  Half best = broadcast_half(-__builtin_inf());
  for (size_t k = 0; k < kBlock; k += kHalf) {
    const Half total = (load_half(a + k) + block_a) + gamma * load_half(high + k) +
                       (load_half(b + k) + block_b) * low;
    store_half(totals + k, total);
    best = larger(total, best);
  }
  double lanes[kHalf], maximum = -__builtin_inf();
  store_half(lanes, best);
  for (const double lane : lanes) maximum = lane > maximum ? lane : maximum;
  return maximum;
}

void start_sweep(Work& work) {
  double alpha = 0.0, beta = 0.0, gamma = 0.0;
  for (size_t k = 0; k < work.blocks * kBlock; ++k) {
    if (k < work.columns) {
      alpha += work.start_alpha[k];
      beta += work.start_beta[k];
      gamma += work.start_gamma[k];
    }
    const double high = work.high[k < work.columns ? k : work.columns - 1];
    work.high_double[k] = high;
    work.a[k] = k < work.columns ? alpha + gamma * high : -__builtin_inf();
    work.b[k] = beta;
  }
  for (size_t j = 0; j < work.blocks + kHalf; ++j) {
    const bool real = j < work.blocks;
    work.block_a[j] = work.block_b[j] = work.block_gamma[j] = 0.0;
    work.block_bound[j] = real ? __builtin_inf() : -__builtin_inf();  // the first row looks at all
    work.block_first[j] = real ? work.high_double[j * kBlock] : 0.0;
    work.block_last[j] = real ? work.high_double[j * kBlock + kBlock - 1] : 0.0;
  }
  work.pending_count = 0;
}

// Keeps the points of a scanned block that may be the best; false where they are too many.
template <Formula kFormula>
bool collect(Work& work, size_t block, size_t row, const double* totals, double r) {
  const size_t begin = block * kBlock;
  for (size_t k = 0; k < kBlock; k += kHalf) {
    uint32_t near = at_least(load_half(totals + k) + broadcast_half(r), broadcast_half(work.floor));
    for (; near; near &= near - 1) {
      const size_t at = k + static_cast<size_t>(__builtin_ctz(near));
      if (begin + at >= work.columns) break;
      if (work.pending_count == kPending) {
        thin_out<kFormula>(work);
        if (work.pending_count > kPending / 2) return false;
      }
      work.pending[work.pending_count++] = {work.high[begin + at], work.low[row], totals[at] + r};
    }
  }
  return true;
}

// As collect, one point for each run of equal fingerprints.
template <Formula kFormula>
void collect_prints(Work& work, size_t block, size_t row, const double* totals, double r,
                    Best& best) {
  const float low = work.low[row];
  const size_t begin = block * kBlock;
  uint64_t run = 0, runs = 0;
  float high = 0.0f;
  bool stays = true;
  for (size_t k = 0; k < kBlock; k += kHalf) {
    uint32_t near = at_least(load_half(totals + k) + broadcast_half(r), broadcast_half(work.floor));
    for (; near; near &= near - 1) {
      const size_t column = begin + k + static_cast<size_t>(__builtin_ctz(near));
      if (column >= work.columns) break;
      const uint64_t print = print_of(work, block, column, low);
      stays = stays && !follows_low(work, block, column);
      if (runs > 0 && print == run) {
        if (preferred(work.high[column], low, high, low)) high = work.high[column];
        continue;
      }
      if (runs > 0) offer<kFormula>(work, run, high, low, best);
      run = print, high = work.high[column], ++runs;
    }
  }
  if (runs > 0) offer<kFormula>(work, run, high, low, best);
  work.block_alike[block] = stays && runs == 1;
  work.block_print[block] = run;
  work.block_high[block] = high;
}

// Evaluates a coarse grid of pairs, so that the sweep need not look at what is far below the best.
template <Formula kFormula>
void probe(Work& work, Best& best) {
  constexpr size_t kSide = 4;
  Point points[kSide * kSide];
  for (size_t i = 0; i < kSide * kSide; ++i) {
    const size_t column = (2 * (i % kSide) + 1) * work.columns / (2 * kSide);
    const size_t row = (2 * (i / kSide) + 1) * work.rows / (2 * kSide);
    points[i] = {work.high[column], work.low[row], 0.0};
  }
  for (size_t first = 0; first < kSide * kSide; first += kLanes) {
    const Point* from = points + first;
    evaluate<kFormula>(
        work, kLanes, [&](size_t i) { return from[i]; },
        [&](size_t i, double total) { improve(best, total, from[i].high, from[i].low); });
  }
  work.floor = -__builtin_inf();
  raise_floor(work, best.total - work.base);
}

// False where it gave up for want of fingerprints.
template <Formula kFormula, bool kMarked>
bool sweep(Work& work, Best& best) {
  start_sweep(work);
  double constant = 0.0, slope = 0.0;
  double totals[kBlock];
  uint32_t event = 0;
  for (size_t row = 0; row < work.rows; ++row) {
    const double l = work.low[row];
    for (; event < work.row_begin[row]; ++event) apply(work, work.ordered[event], l);
    if constexpr (kMarked) apply_marks(work, row);
    constant += work.row_constant[row];
    slope += work.row_slope[row];
    const double r = constant + slope * l;
    for (size_t first = 0; first < work.blocks; first += kHalf) {
      const Half bound = load_half(work.block_bound + first) + broadcast_half(r);
      uint32_t reach = at_least(bound, broadcast_half(work.floor));
      for (; reach; reach &= reach - 1) {
        const size_t block = first + static_cast<size_t>(__builtin_ctz(reach));
        if (block >= work.blocks) break;
        if constexpr (kMarked) {
          if (work.block_alike[block]) {
            offer<kFormula>(work, work.block_print[block], work.block_high[block], work.low[row],
                            best);
            continue;
          }
        }
        const double maximum = scan(work, block, l, totals);
        work.block_bound[block] = maximum;
        const double proven = maximum + r - work.spread - 2.0 * work.base;
        raise_floor(work, proven);
        if (maximum + r < work.floor) continue;
        if constexpr (kMarked) {
          collect_prints<kFormula>(work, block, row, totals, r, best);
        } else if (!collect<kFormula>(work, block, row, totals, r)) {
          return false;
        }
      }
    }
  }
  if constexpr (kMarked) {
    settle_known<kFormula>(work, best);
  } else {
    settle<kFormula>(work, best);
  }
  return true;
}

// The value before `v`, which is one of the ascending values and not the first.
float value_before(const float* values, size_t size, float v) {
  size_t low = 0, high = size - 1;  // values[low] < v <= values[high]
  while (high - low > 1) {
    const size_t middle = (low + high) / 2;
    (values[middle] < v ? low : high) = middle;
  }
  return values[low];
}

float value_after(const float* values, size_t size, float v) {
  size_t low = 0, high = size - 1;  // values[low] <= v < values[high]
  while (high - low > 1) {
    const size_t middle = (low + high) / 2;
    (values[middle] <= v ? low : high) = middle;
  }
  return values[high];
}

// See draw_in.hpp.
template <Formula kFormula>
void draw_in(const Work& work, const Nearest& nearest, Best& best) {
  const D total = broadcast_double(best.total);
  const LegArrays legs(work.legs, work.leg_capacity);
  const auto known = [&](float of, bool on_high) {
    if constexpr (charges_touches(kFormula)) return of < 0.0f ? -of : of;
    const F high = broadcast(best.high), low = broadcast(best.low);
    F from = broadcast(0.0f);
    for (size_t i = 0; i < work.legs_used; i += kLanes) {
      from = maximum(same_from<kFormula>(load_legs(legs, i), high, low, on_high), from);
    }
    float lanes[kLanes], most = 0.0f;
    store(lanes, from);
    for (const float lane : lanes) most = lane > most ? lane : most;
    return most;
  };
  if (best.high > nearest.high && best.high > 0.0f) {
    const F low = broadcast(best.low);
    const float inner = value_before(work.high, work.columns, best.high);
    best.high = draw_in_one(inner, best.high, known(best.high, true), [&](const float* at) {
      return bits(equal(exact_totals<kFormula>(work, load(at), low), total));
    });
  }
  if (best.low < nearest.low && best.low < 0.0f) {
    const F high = broadcast(best.high);
    const float inner = value_after(work.low, work.rows, best.low);
    best.low = draw_in_one(inner, best.low, known(best.low, false), [&](const float* at) {
      return bits(equal(exact_totals<kFormula>(work, high, load(at)), total));
    });
  }
}

template <Formula kFormula>
Best solve(const OffsetRules& rules, const Days& row, size_t days, Work& work) {
  read_legs(rules, row, days, rules.margin, work);
  write_candidates(rules, work);
  rank_thresholds(rules, work);
  bound_roundings(rules, work);
  write_events(rules, work);
  const Nearest nearest = nearest_to_zero(rules.bounds);
  Best best{-__builtin_inf(), nearest.high, nearest.low};
  probe<kFormula>(work, best);
  if (!sweep<kFormula, false>(work, best)) {
    write_marks(rules, work);
    sweep<kFormula, true>(work, best);
  }
  draw_in<kFormula>(work, nearest, best);
  if (rules.margin != 0.0f || best.total == -__builtin_inf()) {
    // With a margin the search saw narrower bars; where every total overflowed it saw no number.
    read_legs(rules, row, days, 0.0f, work);
    double totals[kLanes];
    store_double(totals, exact_totals<kFormula>(work, broadcast(best.high), broadcast(best.low)));
    best.total = totals[0];
  }
  return best;
}

}  // namespace

size_t sweep_scratch_bytes(const OffsetRules& rules, size_t days) {
  Work unused;
  return lay_out(rules, days, nullptr, &unused);
}

void solve_sweep(const OffsetRules& rules, const OffsetProblems& problems,
                 const OffsetAnswers& answers, size_t begin, size_t end, char* memory) {
  Work work;
  lay_out(rules, problems.days, memory, &work);
  with_rules(rules.rules, [&]<Formula kFormula>() {
    for (size_t i = begin; i < end; ++i) {
      const Best best = solve<kFormula>(rules, problems.row(i), problems.days, work);
      answers.high[i] = best.high;
      answers.low[i] = best.low;
      answers.profit[i] = best.total;
    }
  });
}

}  // namespace marketsim::MARKETSIM_ISA
