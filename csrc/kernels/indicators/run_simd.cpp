// Recursive kinds: a lane is a series or parameter set; in the windowed form a lane is a bar.
// Window kinds: a lane is a bar.
#include "kernels/indicators/run_simd.hpp"

#include "kernels/indicators/kinds.hpp"
#include "kernels/indicators/recursive.hpp"
#include "kernels/indicators/rolling.hpp"

namespace marketsim::MARKETSIM_ISA {
namespace {

using namespace indicators;
using marketsim::indicators::Job;
using marketsim::indicators::kMostInputs;
using marketsim::indicators::kMostOutputs;
using marketsim::indicators::kMostParameters;
using marketsim::indicators::Run;

constexpr size_t kTile = 32;  // rows of results that are kept before they go to their series

template <class State>
void set_one(State& state, const Job& job, const Run& run) {
  state.set(job.parameters, run.option, run.longest);
}

template <template <class> class State>
void run_one(const Job& job, const Run& run) {
  using S = State<double>;
  S state;
  set_one(state, job, run);
  for (size_t t = 0; t < run.rows; ++t) {
    double in[kMostInputs], out[kMostOutputs];
    for (size_t k = 0; k < S::kInputs; ++k) in[k] = job.in[k][t];
    state.step(in, out);
    for (size_t j = 0; j < S::kOutputs; ++j) job.out[j][t] = out[j];
  }
}

// Result j of rows start .. start + rows, from a lane a job to each job's own array.
template <size_t width>
void put_tile(const double (&tile)[kTile][width], const Job* const* of, size_t count, size_t j,
              size_t start, size_t rows) {
  for (size_t lane = 0; lane < count; lane += kVectorWidth) {
    size_t t = 0;
    for (; t + kVectorWidth <= rows; t += kVectorWidth) {
      Vector square[kVectorWidth];
      for (size_t k = 0; k < kVectorWidth; ++k) {
        std::memcpy(&square[k], &tile[t + k][lane], sizeof(Vector));
      }
      transpose(square);
      for (size_t k = 0; k < kVectorWidth && lane + k < count; ++k) {
        std::memcpy(of[lane + k]->out[j] + start + t, &square[k], sizeof(Vector));
      }
    }
    for (; t < rows; ++t) {
      for (size_t k = 0; k < kVectorWidth && lane + k < count; ++k) {
        of[lane + k]->out[j][start + t] = tile[t][lane + k];
      }
    }
  }
}

// `count` jobs side by side; lanes beyond them repeat the last.
template <template <class> class State, class R>
void run_lanes(const Job* jobs, size_t count, const Run& run) {
  using S = State<R>;
  constexpr size_t width = Type<R>::width;
  const Job* of[width];
  for (size_t i = 0; i < width; ++i) of[i] = jobs + (i < count ? i : count - 1);
  R parameters[kMostParameters];
  for (size_t k = 0; k < kMostParameters; ++k) {
    double lanes[width];
    for (size_t i = 0; i < width; ++i) lanes[i] = of[i]->parameters[k];
    parameters[k] = load<R>(lanes);
  }
  S state;
  state.set(parameters, run.option, run.longest);
  bool shared = true;
  for (size_t k = 0; k < S::kInputs; ++k) {
    for (size_t i = 1; i < width; ++i) shared &= of[i]->in[k] == of[0]->in[k];
  }
  alignas(64) double tile[S::kOutputs][kTile][width];
  for (size_t start = 0; start < run.rows; start += kTile) {
    const size_t rows = run.rows - start < kTile ? run.rows - start : kTile;
    for (size_t t = 0; t < rows; ++t) {
      R in[kMostInputs], out[kMostOutputs];
      for (size_t k = 0; k < S::kInputs; ++k) {
        if (shared) {
          in[k] = spread<R>(of[0]->in[k][start + t]);
        } else {
          double lanes[width];
          for (size_t i = 0; i < width; ++i) lanes[i] = of[i]->in[k][start + t];
          in[k] = load<R>(lanes);
        }
      }
      state.step(in, out);
      for (size_t j = 0; j < S::kOutputs; ++j) store(tile[j][t], out[j]);
    }
    for (size_t j = 0; j < S::kOutputs; ++j) put_tile<width>(tile[j], of, count, j, start, rows);
  }
}

template <template <class> class State>
void run_all(const Run& run) {
  using Single = Pack<1>;
  using Double = Pack<2>;
  for (size_t i = 0; i < run.count;) {
    const size_t left = run.count - i;
    if (left == 1) {
      run_one<State>(run.jobs[i], run);
      i += 1;
    } else if (left <= Type<Single>::width) {
      run_lanes<State, Single>(run.jobs + i, left, run);
      i += left;
    } else {
      const size_t count = left < Type<Double>::width ? left : Type<Double>::width;
      run_lanes<State, Double>(run.jobs + i, count, run);
      i += count;
    }
  }
}

// Results of the bars t .. t + width - 1, each from its own `lookback` rows.
template <template <class> class State, class R>
void windowed_lanes(const Job& job, const Run& run, size_t t) {
  using S = State<R>;
  R parameters[kMostParameters];
  for (size_t k = 0; k < kMostParameters; ++k) parameters[k] = spread<R>(job.parameters[k]);
  S state;
  state.set(parameters, run.option, run.longest);
  size_t widest = 0;
  for (size_t k = 0; k < run.lag_count; ++k) widest = run.lags[k] > widest ? run.lags[k] : widest;
  const size_t first = t + 1 - run.lookback;
  for (size_t row = 0; row < run.lookback; ++row) {
    R in[kMostInputs], out[kMostOutputs];
    for (size_t k = 0; k < S::kInputs; ++k) in[k] = load<R>(job.in[k] + first + row);
    state.step(in, out);
    const size_t lag = run.lookback - 1 - row;
    if (lag > widest) continue;
    for (size_t k = 0; k < run.lag_count; ++k) {
      if (run.lags[k] != lag) continue;
      for (size_t j = 0; j < S::kOutputs; ++j) store(job.out[j] + k * run.rows + t, out[j]);
    }
  }
}

// The bars before the first full window: each sees all rows from the first on.
template <template <class> class State>
void windowed_start(const Job& job, const Run& run, size_t end) {
  using S = State<double>;
  for (size_t j = 0; j < S::kOutputs; ++j) {
    for (size_t k = 0; k < run.lag_count; ++k) {
      const size_t missing = run.lags[k] < end ? run.lags[k] : end;
      for (size_t t = 0; t < missing; ++t) job.out[j][k * run.rows + t] = nan<double>();
    }
  }
  S state;
  set_one(state, job, run);
  for (size_t t = 0; t < end; ++t) {
    double in[kMostInputs], out[kMostOutputs];
    for (size_t k = 0; k < S::kInputs; ++k) in[k] = job.in[k][t];
    state.step(in, out);
    for (size_t k = 0; k < run.lag_count; ++k) {
      if (t + run.lags[k] >= end) continue;
      for (size_t j = 0; j < S::kOutputs; ++j) {
        job.out[j][k * run.rows + t + run.lags[k]] = out[j];
      }
    }
  }
}

template <template <class> class State>
void run_windowed(const Run& run) {
  using Lanes = Pack<2>;
  constexpr size_t width = Type<Lanes>::width;
  for (size_t i = 0; i < run.count; ++i) {
    const Job& job = run.jobs[i];
    const size_t start = run.lookback - 1 < run.rows ? run.lookback - 1 : run.rows;
    windowed_start<State>(job, run, start);
    size_t t = start;
    for (; t + width <= run.rows; t += width) windowed_lanes<State, Lanes>(job, run, t);
    if (t < run.rows && run.rows - start >= width) {
      windowed_lanes<State, Lanes>(job, run, run.rows - width);
      continue;
    }
    for (; t < run.rows; ++t) windowed_lanes<State, double>(job, run, t);
  }
}

template <class Function, class R>
inline void window_lanes(const Job& job, const Window& window, size_t span, size_t t) {
  const double* from[kMostInputs];
  for (size_t k = 0; k < Function::kColumns; ++k) from[k] = job.in[k] + (t + 1 - span);
  R out[kMostOutputs];
  Function::template evaluate<R>(from, window, out);
  for (size_t j = 0; j < Function::kOutputs; ++j) store(job.out[j] + t, out[j]);
}

template <class Function>
void run_function(const Job& job, size_t rows) {
  using Wide = Pack<4>;
  using Narrow = Pack<1>;
  Window window{static_cast<size_t>(job.parameters[0]), {}};
  for (size_t k = 0; k < 3; ++k) window.extra[k] = job.parameters[k + 1];
  const size_t span = Function::span(window);
  const size_t start = span - 1 < rows ? span - 1 : rows;
  for (size_t j = 0; j < Function::kOutputs; ++j) {
    for (size_t t = 0; t < start; ++t) job.out[j][t] = nan<double>();
  }
  size_t t = start;
  for (; t + Type<Wide>::width <= rows; t += Type<Wide>::width) {
    window_lanes<Function, Wide>(job, window, span, t);
  }
  for (; t + Type<Narrow>::width <= rows; t += Type<Narrow>::width) {
    window_lanes<Function, Narrow>(job, window, span, t);
  }
  for (; t < rows; ++t) window_lanes<Function, double>(job, window, span, t);
}

}  // namespace

void run_recursive(size_t kind, const Run& run) {
  size_t number = 0;
#define X(name, State) \
  if (kind == number++) return run_all<State>(run);
  MARKETSIM_RECURSIVE_KINDS(X)
#undef X
}

void run_recursive_windowed(size_t kind, const Run& run) {
  size_t number = 0;
#define X(name, State) \
  if (kind == number++) return run_windowed<State>(run);
  MARKETSIM_RECURSIVE_KINDS(X)
#undef X
}

void run_window(size_t kind, const Job& job, size_t rows) {
  size_t number = 0;
#define X(name, Function) \
  if (kind == number++) return run_function<Function>(job, rows);
  MARKETSIM_WINDOW_KINDS(X)
#undef X
}

namespace {

// A lane is a window. The last ones repeat no row beyond the series: they are done one by one.
template <class R>
void ranges_of(const double* high, const double* low, const double* close, size_t first,
               size_t length, double* to) {
  constexpr size_t stride = marketsim::indicators::kRangeLanes;
  const R rate = spread<R>(1.0 / 14.0), rest = spread<R>(1.0) - rate;
  R value = load<R>(high + first) - load<R>(low + first);
  store(to, value);
  for (size_t row = 1; row < length; ++row) {
    const R top = load<R>(high + first + row), bottom = load<R>(low + first + row);
    const R before = load<R>(close + first + row - 1);
    const R wide =
        larger(larger(top - bottom, magnitude(top - before)), magnitude(bottom - before));
    value = rest * value + rate * wide;
    store(to + row * stride, value);
  }
}

}  // namespace

void swing_ranges(const double* high, const double* low, const double* close, size_t first,
                  size_t length, size_t lanes, double* to) {
  constexpr size_t stride = marketsim::indicators::kRangeLanes;
  using Lanes = Pack<stride / kVectorWidth>;
  if (lanes == stride) {
    ranges_of<Lanes>(high, low, close, first, length, to);
    return;
  }
  for (size_t i = 0; i < lanes; ++i) ranges_of<double>(high, low, close, first + i, length, to + i);
}

}  // namespace marketsim::MARKETSIM_ISA
