// Which bars an instrument of a shared account is looked at in, and its prices in the others.
#include <algorithm>

#include "kernels/replay/replay_shared.hpp"

namespace marketsim::replay {

// The bar of the account, from one on, at the time of an instrument's bar t; past its last bar
// none.
int64_t SharedAccount::bar_of(size_t i, int64_t t, int64_t from) const {
  const Leg& leg = legs_[i];
  if (t >= leg.bars.count) return count_;
  if (aligned_[i]) return t;
  return std::lower_bound(times_ + from, times_ + count_, leg.time[t]) - times_;
}

// How many bars an instrument has until bar k of the account, and in it.
int64_t SharedAccount::rows_through(size_t i, int64_t k) {
  if (aligned_[i]) return k + 1;
  const Leg& leg = legs_[i];
  int64_t& next = next_[i];
  while (next < leg.bars.count && leg.time[next] <= times_[k]) ++next;
  return next;
}

// Begins a block of bars: goes through those of one instrument after the other.
void SharedAccount::enter_block(int64_t k) {
  constexpr size_t kAhead = 4;
  block_ = k;
  for (size_t i = 0; i < std::min(kAhead, legs_.size()); ++i) fetch(i, k);
  for (size_t i = 0; i < legs_.size(); ++i) {
    if (i + kAhead < legs_.size()) fetch(i + kAhead, k);
    if (resting_[i]) rest_on(i, k);
  }
}

// Asks for the memory of an instrument's bars of this block.
void SharedAccount::fetch(size_t i, int64_t k) const {
  if (due_[i] >= k + kBlock && !resting_[i]) return;
  const BarArrays& bars = legs_[i].bars;
  const int64_t begin = aligned_[i] ? k : next_[i], end = std::min(begin + kBlock, bars.count);
  for (const double* const column : {bars.open, bars.high, bars.low, bars.close, bars.volume}) {
    if (!column) continue;
    for (int64_t t = begin; t < end; t += 8) __builtin_prefetch(column + t);
  }
}

// Finds how far into this block one that rests goes on to.
void SharedAccount::rest_on(size_t i, int64_t k) {
  const Leg& leg = legs_[i];
  Engine::Rest& rest = rest_[i];
  if (due_[i] == k && rest.end < asks_[i]) {
    const int64_t block_end = std::min(k + kBlock, count_);
    const int64_t rows = std::min(asks_[i], rows_in(i, block_end - 1));
    const Engine::Rest more = leg.engine->rest_from(rest.end, rows);
    rest = {more.end, std::min(rest.lowest, more.lowest), std::max(rest.highest, more.highest)};
    due_[i] = bar_of(i, rest.end, k);
  }
  write_prices(i, k, due_[i]);
}

// How many bars an instrument has until bar k of the account, and in it, where k is not passed yet.
int64_t SharedAccount::rows_in(size_t i, int64_t k) const {
  if (aligned_[i]) return k + 1;
  const Leg& leg = legs_[i];
  int64_t next = next_[i];
  while (next < leg.bars.count && leg.time[next] <= times_[k]) ++next;
  return next;
}

// Takes the engine to bar k, in which something may happen.
void SharedAccount::look_at(size_t i, int64_t k) {
  Engine& engine = *legs_[i].engine;
  const int64_t t = rows_through(i, k) - 1;
  if (engine.is_idle()) {
    engine.glide(seen_[i], t);
  } else {
    catch_up(i, t);
  }
  row_[i] = t;
  seen_[i] = t + 1;
  const bool known = engine.is_known(t);
  known_[i] = known;
  trades_now_ = trades_now_ || known;
  open_now_[i] = known ? price_of(i, Part::open) : mark_[i];
  close_now_[i] = known ? price_of(i, Part::close) : mark_[i];
  live_.push_back(i);
}

// Finds when an instrument that bar k has been looked at for has to be looked at again.
void SharedAccount::look_again(size_t i, int64_t k) {
  const Leg& leg = legs_[i];
  Engine& engine = *leg.engine;
  int64_t next = asks_[i] = std::min(leg.decider->next(seen_[i]), leg.bars.count);
  if (!engine.is_idle()) {
    const int64_t block_end = std::min(block_ + kBlock, count_);
    rest_[i] = engine.rest_from(seen_[i], std::min(next, rows_in(i, block_end - 1)));
    next = rest_[i].end;
  }
  due_[i] = bar_of(i, next, k);
  if (engine.is_idle() || due_[i] == k + 1) return;
  resting_[i] = 1;
  resting_aligned_ += aligned_[i] != 0 && units_[i] != 0.0;
  write_prices(i, k + 1, due_[i]);
}

// Writes the prices of an instrument that rests, of bars of this block.
void SharedAccount::write_prices(size_t i, int64_t begin, int64_t end) {
  end = std::min(end, block_ + kBlock);
  if (begin >= end) return;
  const Leg& leg = legs_[i];
  const size_t width = legs_.size();
  double *open = row_of(open_, begin) + i, *close = row_of(close_, begin) + i;
  if (aligned_[i]) {
    const int64_t whole = std::min(end, leg.bars.count);
    for (int64_t k = begin; k < whole; ++k, open += width, close += width) {
      *open = leg.bars.open[k];
      *close = leg.bars.close[k];
    }
    return;
  }
  int64_t t = rows_through(i, begin - 1);
  double last = mark_[i];
  for (int64_t k = begin; k < end; ++k, open += width, close += width) {
    if (t < leg.bars.count && leg.time[t] == times_[k]) {
      *open = leg.bars.open[t];
      *close = last = leg.bars.close[t];
      ++t;
    } else {
      *open = *close = last;
    }
  }
}

// Takes the engine of one that rests over its bars before `rows`.
void SharedAccount::catch_up(size_t i, int64_t rows) {
  if (!resting_[i]) return;
  resting_[i] = 0;
  resting_aligned_ -= aligned_[i] != 0 && units_[i] != 0.0;
  Engine& engine = *legs_[i].engine;
  if (rows < rest_[i].end) rest_[i] = engine.rest_from(seen_[i], rows);
  engine.pass(seen_[i], rest_[i]);
  seen_[i] = rows;
}

// Looks at all that have a bar now: the account as a whole asks for it.
void SharedAccount::wake(int64_t k) {
  for (size_t i = 0; i < legs_.size(); ++i) {
    if (!resting_[i]) continue;
    const int64_t rows = rows_through(i, k);
    if (rows == 0 || legs_[i].time[rows - 1] != times_[k]) continue;
    catch_up(i, rows);
    row_[i] = rows - 1;
    known_[i] = 1;
    live_.push_back(i);
  }
  std::ranges::sort(live_);
}

// Takes the engines of all that rest to bar k, after which nothing is met.
void SharedAccount::wake_for_good(int64_t k) {
  for (size_t i = 0; i < legs_.size(); ++i) catch_up(i, rows_through(i, k));
}

// Whether one that is held has a known price now.
bool SharedAccount::some_held_trades(int64_t k) {
  if (resting_aligned_ > 0) return true;
  for (const size_t i : live_) {
    if (units_[i] != 0.0 && is_known(i)) return true;
  }
  for (size_t i = 0; i < legs_.size(); ++i) {
    if (!resting_[i] || units_[i] == 0.0) continue;
    const int64_t rows = rows_through(i, k);
    if (rows > 0 && legs_[i].time[rows - 1] == times_[k]) return true;
  }
  return false;
}

}  // namespace marketsim::replay
