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
// These totals are sums in float64 of unrounded parts. They differ from the exact total
// (offsets.hpp) by less than slack / 2, so every pair within `slack` of the best is kept and
// evaluated exactly.
#include "kernels/sweep_events.hpp"
#include "kernels/sweep_setup.hpp"

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

template <bool kOpenAware, Charge kCharge>
D exact_totals(const Work& work, F high, F low) {
  const LegArrays legs(work.legs, work.leg_capacity);
  const auto add_legs = [&](size_t from, size_t to) {
    D total = broadcast_double(0.0);
    for (size_t i = from; i < to; ++i) {
      total = total + to_double(leg_profit<kOpenAware, kCharge>(broadcast_leg(legs, i), high, low));
    }
    return total;
  };
  return add_legs(0, work.split) + add_legs(work.split, work.legs_used);
}

void forget_below(Work& work, double threshold) {
  size_t kept = 0;
  for (size_t i = 0; i < work.pending_count; ++i) {
    if (work.pending[i].total >= threshold) work.pending[kept++] = work.pending[i];
  }
  work.pending_count = kept;
}

// Evaluates the pending points exactly, keeps the best of them and forgets the rest.
template <bool kOpenAware, Charge kCharge>
void settle(Work& work, Best& best) {
  for (size_t first = 0; first < work.pending_count; first += kLanes) {
    float high[kLanes], low[kLanes];
    double totals[kLanes];
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const size_t i = first + lane < work.pending_count ? first + lane : first;
      high[lane] = work.pending[i].high;
      low[lane] = work.pending[i].low;
    }
    store_double(totals, exact_totals<kOpenAware, kCharge>(work, load(high), load(low)));
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const double total = totals[lane];
      if (total > best.total ||
          (total == best.total && preferred(high[lane], low[lane], best.high, best.low))) {
        best = {total, high[lane], low[lane]};
      }
    }
  }
  work.pending_count = 0;
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

// Keeps the points of a scanned block that come within slack of the highest total.
template <bool kOpenAware, Charge kCharge>
void collect(Work& work, size_t block, size_t row, const double* totals, double r, double threshold,
             Best& best) {
  const size_t begin = block * kBlock;
  const size_t count = work.columns - begin < kBlock ? work.columns - begin : kBlock;
  for (size_t first = 0; first < count; first += kHalf) {
    const Half total = load_half(totals + first) + broadcast_half(r);
    uint32_t near = at_least(total, broadcast_half(threshold));
    for (; near; near &= near - 1) {
      const size_t k = first + static_cast<size_t>(__builtin_ctz(near));
      if (k >= count) break;
      if (work.pending_count == kPending) {
        forget_below(work, threshold);
        if (work.pending_count > kPending / 2) settle<kOpenAware, kCharge>(work, best);
      }
      work.pending[work.pending_count++] = {work.high[begin + k], work.low[row], totals[k] + r};
    }
  }
}

template <bool kOpenAware, Charge kCharge>
void sweep(Work& work, Best& best) {
  start_sweep(work);
  double highest = -__builtin_inf(), constant = 0.0, slope = 0.0;
  double totals[kBlock];
  uint32_t event = 0;
  for (size_t row = 0; row < work.rows; ++row) {
    const double l = work.low[row];
    for (; event < work.row_begin[row]; ++event) apply(work, work.ordered[event], l);
    constant += work.row_constant[row];
    slope += work.row_slope[row];
    const double r = constant + slope * l;
    for (size_t first = 0; first < work.blocks; first += kHalf) {
      const Half bound = load_half(work.block_bound + first) + broadcast_half(r);
      uint32_t reach = at_least(bound, broadcast_half(highest - work.slack));
      for (; reach; reach &= reach - 1) {
        const size_t block = first + static_cast<size_t>(__builtin_ctz(reach));
        if (block >= work.blocks) break;
        const double maximum = scan(work, block, l, totals);
        work.block_bound[block] = maximum;
        if (maximum + r > highest) highest = maximum + r;
        const double threshold = highest - work.slack;
        if (maximum + r >= threshold) {
          collect<kOpenAware, kCharge>(work, block, row, totals, r, threshold, best);
        }
      }
    }
  }
  forget_below(work, highest - work.slack);
  settle<kOpenAware, kCharge>(work, best);
}

template <bool kOpenAware, Charge kCharge>
Best solve(const OffsetRules& rules, const Days& row, size_t days, Work& work) {
  read_legs(rules, row, days, rules.margin, work);
  write_candidates(rules, work);
  rank_thresholds(rules, work);
  write_events(rules, work);
  work.slack = slack_for(rules, work);
  const Nearest nearest = nearest_to_zero(rules.bounds);
  Best best{-__builtin_inf(), nearest.high, nearest.low};
  sweep<kOpenAware, kCharge>(work, best);
  if (rules.margin != 0.0f || best.total == -__builtin_inf()) {
    // With a margin the search saw narrower bars; where every total overflowed it saw no number.
    read_legs(rules, row, days, 0.0f, work);
    double totals[kLanes];
    store_double(
        totals, exact_totals<kOpenAware, kCharge>(work, broadcast(best.high), broadcast(best.low)));
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
  with_rules(rules.rules, [&]<bool kOpenAware, Charge kCharge>() {
    for (size_t i = begin; i < end; ++i) {
      const Best best = solve<kOpenAware, kCharge>(rules, problems.row(i), problems.days, work);
      answers.high[i] = best.high;
      answers.low[i] = best.low;
      answers.profit[i] = best.total;
    }
  });
}

}  // namespace marketsim::MARKETSIM_ISA
