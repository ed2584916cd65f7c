// Indicators whose value follows from the value before: each is a small state with one step a bar.
//
//     Atr<double> atr;
//     atr.set(parameters, option, longest);    // parameters: R each; longest: the largest window
//     Atr<double>::first(in, columns);         // of the first row; later ones:
//     Atr<double>::prepare(in, before, columns);
//     atr.step(columns, out);                  // columns[kColumns], out[kOutputs]: R each
//
// What a step takes of a row and the row before it alone (a true range) is prepared apart from the
// step: for many rows at once, and once for all parameter sets.
//
// The same template is the batch form (R = double, or a lane a parameter set or symbol), the
// streaming form (R = double, kept by the caller) and the windowed form (a lane a bar, seeded anew
// `lookback` rows before each), so these agree bit for bit. A state is plain numbers: copying it
// copies the indicator. All lanes step together; how many rows they have seen is one count.
//
// Once `settled`, all lanes do the same step and its results follow from the numbers that `carried`
// visits alone. Those of a kind that `kFades` forget where they came from: after about `fade` rows
// two states that differed are equal to the last bit. run_simd.cpp computes parts of one series
// side by side that way, and checks that they are equal.
//
// Sums run from left to right. A NaN input makes the values that depend on it NaN.
#pragma once

#include "common/annotate.hpp"
#include "common/lanes.hpp"
#include "kernels/indicators/options.hpp"

namespace marketsim::MARKETSIM_LANES::indicators {

using namespace lanes;
using marketsim::indicators::Option;

// How an average moves: its next value from the one before and a new number.
// Rows after which two averages that weigh a new number by 1 / `reach` are equal: the difference
// falls by that share a row, from all of it to less than one rounding. Measured: 42 times `reach`
// at 999 of 1,000 starts.
inline size_t fade_of(double reach) {
  return static_cast<size_t>(44.0 * reach) + 1;
}

// Takes the inputs as they are.
template <class R>
struct AsGiven {
  static constexpr bool kPrepares = false, kFades = true;
};
// A kind whose values never forget the first ones.
template <class R>
struct Endless : AsGiven<R> {
  static constexpr bool kFades = false;
};

enum class Rule {
  exponential,  // x * k + average * (1 - k), k = 2 / (n + 1)
  wilder,       // the same with k = 1 / n from a mean; average + k * (x - average) from the first
  wilder_mean   // the same with k = 1 / n, or (divides) (average * (n - 1) + x) / n
};

// An exponential average. Starts at the first number, or (from_mean) at the mean of the first n:
// NaN before that. The ways to write Wilder's average are one in exact arithmetic; live systems
// that start at the first number have theirs, and a product with k is done before the average is
// known, which leaves one product and one sum between a bar and the next.
template <class R, Rule rule>
struct Average {
  R window, rate, rest, value;
  size_t seen, longest;
  bool from_mean, divides;

  void set(R n, size_t longest_window, bool mean, bool by_division = false) {
    const R one = spread<R>(1.0);
    window = n;
    rate = rule == Rule::exponential ? spread<R>(2.0) / (n + one) : one / n;
    rest = by_division ? n - one : one - rate;
    divides = by_division;
    value = spread<R>(0.0);
    seen = 0;
    longest = longest_window;
    from_mean = mean;
  }
  MARKETSIM_INLINE R next(R x) const {
    if constexpr (rule == Rule::wilder) {
      if (!from_mean) return value + rate * (x - value);
    }
    if constexpr (rule == Rule::wilder_mean) {
      if (divides) return share_of(value * rest + x, window, rate);
    }
    return x * rate + value * rest;
  }
  bool settled() const { return seen >= (from_mean ? longest : 1); }
  template <class Visit>
  void carried(const Visit& visit) {
    visit(value);
  }
  MARKETSIM_INLINE R step(R x) {
    const bool was_settled = settled();
    ++seen;
    if (was_settled) return value = next(x);
    if (!from_mean) return value = x;
    const R count = spread<R>(static_cast<double>(seen));
    const R sum = value + x;
    value = select(count > window, next(x), select(count == window, sum / window, sum));
    return select(count < window, nan<R>(), value);
  }
};

template <class R>
struct Ema : AsGiven<R> {
  static constexpr size_t kInputs = 1, kColumns = 1, kOutputs = 1, kParameters = 1;
  Average<R, Rule::exponential> average;

  void set(const R* p, Option option, size_t longest) {
    average.set(p[0], longest, option == Option::mean);
  }
  MARKETSIM_INLINE void step(const R* in, R* out) { out[0] = average.step(in[0]); }
  bool settled() const { return average.settled(); }
  template <class Visit>
  void carried(const Visit& visit) {
    average.carried(visit);
  }
  static size_t fade(const double* p) { return fade_of((p[0] + 1.0) / 2.0); }
};

// Wilder's smoothing, of any series: an exponential average with k = 1 / n.
template <class R>
struct Wilder : AsGiven<R> {
  static constexpr size_t kInputs = 1, kColumns = 1, kOutputs = 1, kParameters = 1;
  Average<R, Rule::wilder> average;

  void set(const R* p, Option option, size_t longest) {
    average.set(p[0], longest, option == Option::mean);
  }
  MARKETSIM_INLINE void step(const R* in, R* out) { out[0] = average.step(in[0]); }
  bool settled() const { return average.settled(); }
  template <class Visit>
  void carried(const Visit& visit) {
    average.carried(visit);
  }
  static size_t fade(const double* p) { return fade_of(p[0]); }
};

// The larger of high - low, |high - close before|, |low - close before|. Without a bar before, its
// own close stands in for it.
template <class R>
struct OfRanges {
  static constexpr bool kPrepares = true, kFades = true;
  static constexpr size_t kInputs = 3, kColumns = 1;
  static R range(R high, R low, R close) {
    return larger(larger(high - low, magnitude(high - close)), magnitude(low - close));
  }
  static void first(const R* in, R* to) { to[0] = range(in[0], in[1], in[2]); }
  static void prepare(const R* in, const R* before, R* to) {
    to[0] = range(in[0], in[1], before[2]);
  }
};

template <class R>
struct TrueRange : OfRanges<R> {
  static constexpr bool kFades = false;  // nothing is carried: a plain loop is as good
  static constexpr size_t kOutputs = 1, kParameters = 0;
  bool started, needs_previous;

  void set(const R*, Option option, size_t) {
    started = false;
    needs_previous = option == Option::mean;
  }
  MARKETSIM_INLINE void step(const R* in, R* out) {
    out[0] = !started && needs_previous ? nan<R>() : in[0];
    started = true;
  }
};

// Wilder (1978). From the first bar's range, or from the mean of the first n true ranges that have
// a close before them (TA-Lib).
template <class R>
struct Atr : OfRanges<R> {
  static constexpr size_t kOutputs = 1, kParameters = 1;
  Average<R, Rule::wilder> average;
  bool started;

  void set(const R* p, Option option, size_t longest) {
    average.set(p[0], longest, option == Option::mean);
    started = false;
  }
  MARKETSIM_INLINE R next(R range) {
    const bool first = !started;
    started = true;
    if (first && average.from_mean) return nan<R>();
    return average.step(range);
  }
  MARKETSIM_INLINE void step(const R* in, R* out) { out[0] = next(in[0]); }
  bool settled() const { return average.settled(); }
  template <class Visit>
  void carried(const Visit& visit) {
    average.carried(visit);
  }
  static size_t fade(const double* p) { return fade_of(p[0]); }
};

// Relative strength index, Wilder (1978): 100 * gain / (gain + loss) of the averaged moves, which
// start as plain means of the first n. 100 where nothing was lost; `talib`: 0 where nothing moved
// either. NaN in the first n rows. `neutral`: 50 there, and 100 - 100 / (1 + gain / loss), the same
// in exact arithmetic.
template <class R>
struct Rsi {
  static constexpr bool kPrepares = true, kFades = true;
  static constexpr size_t kInputs = 1, kColumns = 1, kOutputs = 1, kParameters = 1;
  Average<R, Rule::wilder_mean> gain, loss;
  bool started;
  Option option;

  void set(const R* p, Option chosen, size_t longest) {
    gain.set(p[0], longest, true, chosen == Option::neutral);
    loss.set(p[0], longest, true, chosen == Option::neutral);
    started = false;
    option = chosen;
  }
  static void first(const R* in, R* to) { to[0] = in[0] - in[0]; }
  static void prepare(const R* in, const R* before, R* to) { to[0] = in[0] - before[0]; }
  MARKETSIM_INLINE void step(const R* in, R* out) {
    const R zero = spread<R>(0.0), hundred = spread<R>(100.0), move = in[0];
    const R early = option == Option::neutral ? spread<R>(50.0) : nan<R>();
    if (!started) {
      started = true;
      out[0] = early;
      return;
    }
    // A NaN move is neither a gain nor a loss, and stays in both.
    const R back = zero - move;
    const R up = gain.step(drop(zero > move, move));
    const R down = loss.step(drop(zero > back, back));
    R value = option == Option::neutral ? hundred - hundred / (spread<R>(1.0) + up / down)
                                        : hundred * (up / (up + down));
    value = select(both(down == zero, up == up), hundred, value);
    if (option == Option::talib) {
      value = select(both(down == zero, up == zero), zero, value);
    }
    if (gain.seen < gain.longest) {
      value = select(spread<R>(static_cast<double>(gain.seen)) < gain.window, early, value);
    }
    out[0] = value;
  }
  bool settled() const { return gain.settled(); }
  template <class Visit>
  void carried(const Visit& visit) {
    gain.carried(visit);
    loss.carried(visit);
  }
  static size_t fade(const double* p) { return fade_of(p[0]); }
};

// Average directional index with +DI and -DI, Wilder (1978): adx, plus_di, minus_di.
//
// talib: sums over the n - 1 moves after the first bar, then s - s * (1 / n) + x; +DI and -DI from
// row n, ADX from row 2n - 1, NaN before; a bar without direction leaves ADX as it is.
// first: the first bar counts, with its range and no move; sums over the first n bars, then
// s - s / n + x; DI from row
// n - 1; ADX from row 2n - 2, 0 before; a bar without direction counts as 0.
template <class R>
struct Adx {
  static constexpr bool kPrepares = true, kFades = true;
  static constexpr size_t kInputs = 3, kColumns = 3, kOutputs = 3, kParameters = 1;
  R window, less_one, rate, rest, width, plus, minus, sum, value;
  size_t seen, longest;
  bool with_first;

  void set(const R* p, Option option, size_t longest_window) {
    window = p[0];
    less_one = p[0] - spread<R>(1.0);
    rate = spread<R>(1.0) / p[0];
    rest = spread<R>(1.0) - rate;
    width = plus = minus = sum = value = spread<R>(0.0);
    seen = 0;
    longest = longest_window;
    with_first = option == Option::first;
  }
  static R share(R part, R whole) {
    const R zero = spread<R>(0.0);
    const R percent = spread<R>(100.0) * (part / whole);
    return select(both(whole <= zero, part == part), zero, percent);
  }
  // The true range and the moves up and down.
  static void first(const R* in, R* to) {
    to[0] = in[0] - in[1];
    to[1] = to[2] = spread<R>(0.0);
  }
  static void prepare(const R* in, const R* before, R* to) {
    const R zero = spread<R>(0.0), up = in[0] - before[0], down = before[1] - in[1];
    to[0] = OfRanges<R>::range(in[0], in[1], before[2]);
    to[1] = keep(both(up > down, up > zero), up);
    to[2] = keep(both(down > up, down > zero), down);
  }
  MARKETSIM_INLINE void step(const R* in, R* out) {
    ++seen;  // rows
    if (seen == 1 && !with_first) {
      out[0] = out[1] = out[2] = nan<R>();
      return;
    }
    add(in[0], in[1], in[2]);
    finish(out);
  }
  bool settled() const { return seen > 2 * longest + 2; }
  template <class Visit>
  void carried(const Visit& visit) {
    visit(width);
    visit(plus);
    visit(minus);
    visit(value);
  }
  static size_t fade(const double* p) { return fade_of(p[0]) * 6 / 5; }  // an average of averages

 private:
  // Rows that have been added: all, or all but the first.
  R added() const { return spread<R>(static_cast<double>(with_first ? seen : seen - 1)); }
  // Rows that are only summed before the first step of the average.
  R summed() const { return with_first ? window : less_one; }

  // The n-th part of a sum.
  R part(R sum_of) const { return with_first ? share_of(sum_of, window, rate) : sum_of * rate; }

  MARKETSIM_INLINE void add(R wide, R to_plus, R to_minus) {
    const R next_width = width - part(width) + wide;
    const R next_plus = plus - part(plus) + to_plus;
    const R next_minus = minus - part(minus) + to_minus;
    if (settled()) {
      width = next_width;
      plus = next_plus;
      minus = next_minus;
      return;
    }
    const MaskOf<R> start = added() <= summed();
    width = select(start, width + wide, next_width);
    plus = select(start, plus + to_plus, next_plus);
    minus = select(start, minus + to_minus, next_minus);
  }

  MARKETSIM_INLINE void finish(R* out) {
    const R zero = spread<R>(0.0), hundred = spread<R>(100.0);
    const R up = share(plus, width), down = share(minus, width), total = up + down;
    const R index = hundred * magnitude(up - down) / total;
    const MaskOf<R> none = total == zero;
    const R direction = select(none, zero, index);
    const R next = with_first ? share_of(value * less_one + direction, window, rate)
                              : select(none, value, direction * rate + value * rest);
    out[1] = up;
    out[2] = down;
    if (settled()) {
      out[0] = value = next;
      return;
    }
    // Rows of direction so far: the first comes with the n-th row added.
    const R count = added() - less_one;
    const R total_direction = sum + direction;
    const MaskOf<R> shown = count >= spread<R>(1.0);
    sum = select(shown, total_direction, zero);
    value = select(count > window, next, select(count == window, total_direction / window, zero));
    const R early = with_first ? zero : nan<R>();
    out[0] = select(count < window, early, value);
    out[1] = select(shown, up, early);
    out[2] = select(shown, down, early);
  }
};

// Moving average convergence divergence: macd, signal, histogram. parameters: fast, slow, signal.
// From the first number: all averages start there. From means (TA-Lib): the fast one starts with
// the mean of its numbers up to row slow - 1, NaN before the signal has its mean.
template <class R>
struct Macd : AsGiven<R> {
  static constexpr size_t kInputs = 1, kColumns = 1, kOutputs = 3, kParameters = 3;
  Average<R, Rule::exponential> slow, signal;
  R fast_window, fast_rate, fast_rest, fast, slow_window;
  size_t seen, longest;

  void set(const R* p, Option option, size_t longest_window) {
    const R one = spread<R>(1.0);
    const bool mean = option == Option::mean;
    fast_window = p[0];
    fast_rate = spread<R>(2.0) / (p[0] + one);
    fast_rest = one - fast_rate;
    fast = spread<R>(0.0);
    slow_window = p[1];
    slow.set(p[1], longest_window, mean);
    signal.set(p[2], 2 * longest_window + 2, mean);
    seen = 0;
    longest = longest_window;
  }
  MARKETSIM_INLINE void step(const R* in, R* out) {
    const R x = in[0];
    ++seen;
    const R slow_value = slow.step(x);
    if (!slow.from_mean) {
      fast = seen == 1 ? x : x * fast_rate + fast * fast_rest;
      out[0] = fast - slow_value;
      out[1] = signal.step(out[0]);
    } else {
      step_from_means(x, slow_value, out);
    }
    out[2] = out[0] - out[1];
  }
  bool settled() const { return seen > 2 * longest + 2; }
  template <class Visit>
  void carried(const Visit& visit) {
    slow.carried(visit);
    visit(fast);
    signal.carried(visit);
  }
  static size_t fade(const double* p) { return fade_of((p[1] + p[2]) / 2.0 + 1.0); }

 private:
  MARKETSIM_INLINE void step_from_means(R x, R slow_value, R* out) {
    const R count = spread<R>(static_cast<double>(seen));
    const R moved = x * fast_rate + fast * fast_rest;
    if (seen > longest) {
      fast = moved;
    } else {
      const R sum = fast + x;
      const MaskOf<R> inside = count > slow_window - fast_window;
      fast = select(
          count > slow_window, moved,
          select(count == slow_window, sum / fast_window, select(inside, sum, spread<R>(0.0))));
    }
    out[0] = fast - slow_value;
    // Lanes whose slow average has no value yet wait: their count of numbers starts later.
    out[1] = late_signal(out[0], count);
    out[0] = select(out[1] == out[1], out[0], nan<R>());
  }
  R late_signal(R x, R count) {
    const R number = count - slow_window + spread<R>(1.0);  // of this value, from 1
    const R sum = signal.value + x;
    const R next = x * signal.rate + signal.value * signal.rest;
    const R value = select(number > signal.window, next,
                           select(number == signal.window, sum / signal.window, sum));
    signal.value = select(number >= spread<R>(1.0), value, spread<R>(0.0));
    return select(number < signal.window, nan<R>(), signal.value);
  }
};

// An EMA of the close, and the EMA +- a multiple of the ATR: middle, upper, lower. parameters:
// window, ATR window, multiple.
template <class R>
struct Keltner {
  static constexpr bool kPrepares = true, kFades = true;
  static constexpr size_t kInputs = 3, kColumns = 2, kOutputs = 3, kParameters = 3;
  Average<R, Rule::exponential> middle;
  Atr<R> atr;
  R multiple;

  void set(const R* p, Option option, size_t longest) {
    middle.set(p[0], longest, option == Option::mean);
    atr.set(p + 1, option, longest);
    multiple = p[2];
  }
  static void first(const R* in, R* to) {
    OfRanges<R>::first(in, to);
    to[1] = in[2];
  }
  static void prepare(const R* in, const R* before, R* to) {
    OfRanges<R>::prepare(in, before, to);
    to[1] = in[2];
  }
  MARKETSIM_INLINE void step(const R* in, R* out) {
    out[0] = middle.step(in[1]);
    const R reach = multiple * atr.next(in[0]);
    out[1] = out[0] + reach;
    out[2] = out[0] - reach;
  }
  bool settled() const { return middle.settled() && atr.settled(); }
  template <class Visit>
  void carried(const Visit& visit) {
    middle.carried(visit);
    atr.carried(visit);
  }
  static size_t fade(const double* p) {
    const double middle_reach = (p[0] + 1.0) / 2.0;
    return fade_of(middle_reach > p[1] ? middle_reach : p[1]);
  }
};

// The ATR of a short window over that of a long one; 1 where the long one is not above 0.
// parameters: short, long.
template <class R>
struct VolatilityRatio : OfRanges<R> {
  static constexpr size_t kOutputs = 1, kParameters = 2;
  Average<R, Rule::wilder> brief, extended;
  bool started;

  void set(const R* p, Option option, size_t longest) {
    started = false;
    brief.set(p[0], longest, option == Option::mean);
    extended.set(p[1], longest, option == Option::mean);
  }
  MARKETSIM_INLINE void step(const R* in, R* out) {
    const bool first = !started;
    started = true;
    if (first && brief.from_mean) {
      out[0] = nan<R>();
      return;
    }
    const R above = brief.step(in[0]), below = extended.step(in[0]);
    out[0] = select(both(below <= spread<R>(0.0), above == above), spread<R>(1.0), above / below);
  }
  bool settled() const { return extended.settled(); }
  template <class Visit>
  void carried(const Visit& visit) {
    brief.carried(visit);
    extended.carried(visit);
  }
  static size_t fade(const double* p) { return fade_of(p[0] > p[1] ? p[0] : p[1]); }
};

// On-balance volume, Granville (1963): starts at the first volume, then adds the volume of a
// rising close and takes away that of a falling one.
template <class R>
struct Obv : Endless<R> {
  static constexpr size_t kInputs = 2, kColumns = 2, kOutputs = 1, kParameters = 0;
  R close, value;
  bool started;

  void set(const R*, Option, size_t) {
    close = value = spread<R>(0.0);
    started = false;
  }
  MARKETSIM_INLINE void step(const R* in, R* out) {
    const R last = started ? close : in[0];
    const R flow = select(in[0] > last, value + in[1],
                          select(in[0] < last, value - in[1], value + (in[0] - last)));
    value = started ? flow : in[1];
    started = true;
    close = in[0];
    out[0] = value;
  }
};

// Volume-weighted average of (high + low + close) / 3 since the session began. The fifth input is
// the session's number: a change of it starts anew. NaN until the session has volume.
template <class R>
struct Vwap : Endless<R> {
  static constexpr size_t kInputs = 5, kColumns = 5, kOutputs = 1, kParameters = 0;
  R value, volume, session;
  bool started;

  void set(const R*, Option, size_t) {
    value = volume = session = spread<R>(0.0);
    started = false;
  }
  MARKETSIM_INLINE void step(const R* in, R* out) {
    const R zero = spread<R>(0.0), price = (in[0] + in[1] + in[2]) / spread<R>(3.0);
    const R before = started ? session : in[4] + spread<R>(1.0);
    const MaskOf<R> anew = in[4] != before;
    value = select(anew, zero, value) + price * in[3];
    volume = select(anew, zero, volume) + in[3];
    session = in[4];
    started = true;
    out[0] = value / volume;
  }
};

}  // namespace marketsim::MARKETSIM_LANES::indicators
