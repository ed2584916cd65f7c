// Recursive kinds: a lane is a series, a parameter set or a part of a series; in the windowed form
// a lane is a bar.
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

constexpr size_t kBlock = 256;  // rows that are prepared before they are taken
constexpr size_t kAhead = 16;   // numbers between a result that is written and the next to come
constexpr size_t kMostCarried = 4;

template <template <class> class State, class R>
State<R> state_of(const Job& job, const Run& run) {
  R parameters[kMostParameters];
  for (size_t k = 0; k < kMostParameters; ++k) parameters[k] = spread<R>(job.parameters[k]);
  State<R> state;
  state.set(parameters, run.option, run.longest);
  return state;
}

// Columns of row t, which has a row before it; with lanes, of the rows from t on.
template <template <class> class State, class R>
inline void columns_at(const double* const* in, size_t t, R* to) {
  using S = State<R>;
  if constexpr (S::kPrepares) {
    R now[S::kInputs], before[S::kInputs];
    for (size_t k = 0; k < S::kInputs; ++k) {
      now[k] = load<R>(in[k] + t);
      before[k] = load<R>(in[k] + t - 1);
    }
    S::prepare(now, before, to);
  } else {
    for (size_t k = 0; k < S::kInputs; ++k) to[k] = load<R>(in[k] + t);
  }
}

// Columns of row t where it is the first of its series; with lanes, of the rows from t on.
template <template <class> class State, class R>
inline void first_columns(const double* const* in, size_t t, R* to) {
  using S = State<R>;
  R now[S::kInputs];
  for (size_t k = 0; k < S::kInputs; ++k) now[k] = load<R>(in[k] + t);
  if constexpr (S::kPrepares) {
    S::first(now, to);
  } else {
    for (size_t k = 0; k < S::kInputs; ++k) to[k] = now[k];
  }
}

// Columns of rows from .. end of one series, to[k][row - from].
template <template <class> class State>
void prepare_rows(const double* const* in, size_t from, size_t end, double* const* to) {
  using Vectors = Pack<1>;
  constexpr size_t columns = State<double>::kColumns;
  size_t t = from;
  if (t == 0 && end > 0) {
    double first[columns];
    first_columns<State>(in, 0, first);
    for (size_t k = 0; k < columns; ++k) to[k][0] = first[k];
    ++t;
  }
  for (; t + kVectorWidth <= end; t += kVectorWidth) {
    Vectors rows[columns];
    columns_at<State>(in, t, rows);
    for (size_t k = 0; k < columns; ++k) store(to[k] + (t - from), rows[k]);
  }
  for (; t < end; ++t) {
    double row[columns];
    columns_at<State>(in, t, row);
    for (size_t k = 0; k < columns; ++k) to[k][t - from] = row[k];
  }
}

// Columns of some rows of one series: the inputs themselves where nothing is prepared.
template <template <class> class State>
struct Rows {
  static constexpr size_t kColumns = State<double>::kColumns;
  double kept[kColumns][kBlock];
  const double* of[kColumns];

  void take(const double* const* in, size_t from, size_t end) {
    if constexpr (State<double>::kPrepares) {
      double* to[kColumns];
      for (size_t k = 0; k < kColumns; ++k) of[k] = to[k] = kept[k];
      prepare_rows<State>(in, from, end, to);
    } else {
      for (size_t k = 0; k < kColumns; ++k) of[k] = in[k] + from;
    }
  }
};

// Rows from .. end of one series, one after the other.
template <template <class> class State>
void run_rows(State<double>& carried_on, const Job& job, size_t from, size_t end) {
  using S = State<double>;
  S state = carried_on;  // a copy that nothing points to stays in registers
  Rows<State> rows;
  while (from < end) {
    const size_t count = end - from < kBlock ? end - from : kBlock;
    rows.take(job.in, from, from + count);
    for (size_t t = 0; t < count; ++t) {
      double in[S::kColumns], out[S::kOutputs];
      for (size_t k = 0; k < S::kColumns; ++k) in[k] = rows.of[k][t];
      state.step(in, out);
      for (size_t j = 0; j < S::kOutputs; ++j) job.out[j][from + t] = out[j];
    }
    from += count;
  }
  carried_on = state;
}

// Series side by side: row t of lane i is in[i][k][t], its results out[j][i][t].
template <size_t width>
struct Lanes {
  const double* in[width][kMostInputs];
  double* out[kMostOutputs][width];
};

// Rows of all lanes that are taken together.
template <template <class> class State, size_t width>
struct alignas(64) Tile {
  static constexpr size_t kColumns = State<double>::kColumns, kOutputs = State<double>::kOutputs;
  static constexpr size_t kRows = kOutputs == 1 ? 64 : 32;
  double in[kColumns][kRows][width], out[kOutputs][kRows][width];
};

// Columns of rows t .. t + rows of every lane, each with a row before it.
template <template <class> class State, size_t width>
void gather(const Lanes<width>& lanes, size_t t, size_t rows, Tile<State, width>& tile) {
  constexpr size_t columns = State<double>::kColumns;
  size_t done = 0;
  for (; done + kVectorWidth <= rows; done += kVectorWidth) {
    for (size_t lane = 0; lane < width; lane += kVectorWidth) {
      Vector square[columns][kVectorWidth];
      for (size_t i = 0; i < kVectorWidth; ++i) {
        Pack<1> row[columns];
        columns_at<State>(lanes.in[lane + i], t + done, row);
        for (size_t k = 0; k < columns; ++k) square[k][i] = row[k].v;
      }
      for (size_t k = 0; k < columns; ++k) {
        transpose(square[k]);
        for (size_t i = 0; i < kVectorWidth; ++i) {
          std::memcpy(&tile.in[k][done + i][lane], &square[k][i], sizeof(Vector));
        }
      }
    }
  }
  for (; done < rows; ++done) {
    for (size_t lane = 0; lane < width; ++lane) {
      double row[columns];
      columns_at<State>(lanes.in[lane], t + done, row);
      for (size_t k = 0; k < columns; ++k) tile.in[k][done][lane] = row[k];
    }
  }
}

// Columns of the row that every lane starts with.
template <template <class> class State, size_t width>
void first_row(const Lanes<width>& lanes, Tile<State, width>& tile) {
  constexpr size_t columns = State<double>::kColumns;
  for (size_t i = 0; i < width; ++i) {
    double row[columns];
    first_columns<State>(lanes.in[i], 0, row);
    for (size_t k = 0; k < columns; ++k) tile.in[k][0][i] = row[k];
  }
}

// Results of rows t .. t + rows to each lane's own arrays.
template <template <class> class State, size_t width>
void put(const Tile<State, width>& tile, const Lanes<width>& lanes, size_t count, size_t t,
         size_t rows) {
  for (size_t j = 0; j < State<double>::kOutputs; ++j) {
    for (size_t lane = 0; lane < count; lane += kVectorWidth) {
      const size_t used = count - lane < kVectorWidth ? count - lane : kVectorWidth;
      size_t done = 0;
      for (; done + kVectorWidth <= rows; done += kVectorWidth) {
        Vector square[kVectorWidth];
        for (size_t i = 0; i < kVectorWidth; ++i) {
          std::memcpy(&square[i], &tile.out[j][done + i][lane], sizeof(Vector));
        }
        transpose(square);
        for (size_t i = 0; i < used; ++i) {
          double* const to = lanes.out[j][lane + i] + t + done;
          std::memcpy(to, &square[i], sizeof(Vector));
          __builtin_prefetch(to + kAhead, 1);  // more streams than the processor follows by itself
        }
      }
      for (; done < rows; ++done) {
        for (size_t i = 0; i < used; ++i) {
          lanes.out[j][lane + i][t + done] = tile.out[j][done][lane + i];
        }
      }
    }
  }
}

// columns(k, t): column k of row t, a lane a series.
template <template <class> class State, class R, class Columns>
inline void step_tile(State<R>& carried_on, Tile<State, Type<R>::width>& tile, size_t rows,
                      const Columns& columns) {
  using S = State<R>;
  S state = carried_on;
  for (size_t t = 0; t < rows; ++t) {
    R in[S::kColumns], out[S::kOutputs];
    for (size_t k = 0; k < S::kColumns; ++k) in[k] = columns(k, t);
    state.step(in, out);
    for (size_t j = 0; j < S::kOutputs; ++j) store(tile.out[j][t], out[j]);
  }
  carried_on = state;
}

// `count` jobs side by side; lanes beyond them repeat the last. Sets of parameters of one series
// share its columns.
template <template <class> class State, class R>
void run_lanes(const Job* jobs, size_t count, const Run& run) {
  using S = State<R>;
  constexpr size_t width = Type<R>::width;
  Lanes<width> lanes;
  R parameters[kMostParameters];
  bool shared = true;
  for (size_t i = 0; i < width; ++i) {
    const Job& job = jobs[i < count ? i : count - 1];
    for (size_t k = 0; k < S::kInputs; ++k) {
      lanes.in[i][k] = job.in[k];
      shared &= job.in[k] == jobs[0].in[k];
    }
    for (size_t j = 0; j < S::kOutputs; ++j) lanes.out[j][i] = job.out[j];
  }
  for (size_t k = 0; k < kMostParameters; ++k) {
    double each[width];
    for (size_t i = 0; i < width; ++i) each[i] = jobs[i < count ? i : count - 1].parameters[k];
    parameters[k] = load<R>(each);
  }
  S state;
  state.set(parameters, run.option, run.longest);
  Tile<State, width> tile;
  Rows<State> rows;
  for (size_t start = 0; start < run.rows;) {
    const size_t most = start ? tile.kRows : 1;  // the first row has none before it
    const size_t taken = run.rows - start < most ? run.rows - start : most;
    if (shared) {
      rows.take(jobs[0].in, start, start + taken);
      step_tile<State, R>(state, tile, taken,
                          [&](size_t k, size_t t) { return spread<R>(rows.of[k][t]); });
    } else {
      if (start > 0) {
        gather<State, width>(lanes, start, taken, tile);
      } else {
        first_row<State, width>(lanes, tile);
      }
      step_tile<State, R>(state, tile, taken,
                          [&](size_t k, size_t t) { return load<R>(tile.in[k][t]); });
    }
    put<State, width>(tile, lanes, count, start, taken);
    start += taken;
  }
}

// The numbers that a settled state carries on, a lane each.
template <class S, size_t width>
void numbers_of(S& state, double (&to)[kMostCarried][width]) {
  size_t k = 0;
  state.carried([&](auto& number) { store(to[k++], number); });
}

// One series in parts side by side, a lane each. A part starts `fade` rows early from numbers that
// are not its own: where they have become those that the part before it ends with, bit for bit, its
// results are the ones of a run from the first row. Where they have not, its rows are run again.
// False where the series is too short for that to pay.
template <template <class> class State>
bool run_parts(const Job& job, const Run& run) {
  using R = Pack<1>;
  using S = State<R>;
  constexpr size_t width = Type<R>::width;
  const size_t fade = S::fade(job.parameters);
  if (run.rows / 4 < fade || run.rows < 16 * width) return false;
  State<double> one = state_of<State, double>(job, run);
  S state = state_of<State, R>(job, run);
  size_t settled = 0;
  for (; settled == 0 || !one.settled(); ++settled) {
    Rows<State> row;
    row.take(job.in, settled, settled + 1);
    R in[S::kColumns], out[S::kOutputs];
    for (size_t k = 0; k < S::kColumns; ++k) in[k] = spread<R>(row.of[k][0]);
    state.step(in, out);
    run_rows<State>(one, job, settled, settled + 1);
  }
  // The first lane has no rows to forget: its part is longer by `fade`.
  const size_t steps = (run.rows - settled + (width - 1) * fade) / width;
  const auto first = [&](size_t lane) {
    return lane ? settled + steps + (lane - 1) * (steps - fade) : settled;
  };
  Lanes<width> lanes;
  for (size_t i = 0; i < width; ++i) {
    const size_t start = i ? first(i) - fade : first(i);
    for (size_t k = 0; k < S::kInputs; ++k) lanes.in[i][k] = job.in[k] + start;
    for (size_t j = 0; j < S::kOutputs; ++j) lanes.out[j][i] = job.out[j] + start;
  }
  double begun[kMostCarried][width] = {}, ended[kMostCarried][width] = {};
  Tile<State, width> tile;
  for (size_t t = 0; t < steps;) {
    if (t == fade) numbers_of(state, begun);
    const size_t end = t < fade ? fade : steps, rows = end - t < tile.kRows ? end - t : tile.kRows;
    gather<State, width>(lanes, t, rows, tile);
    step_tile<State, R>(state, tile, rows,
                        [&](size_t k, size_t t) { return load<R>(tile.in[k][t]); });
    put<State, width>(tile, lanes, t < fade ? 1 : width, t, rows);
    t += rows;
  }
  numbers_of(state, ended);
  for (size_t i = 0; i < width; ++i) {
    double ends[kMostCarried][1] = {};
    numbers_of(one, ends);
    bool same = true;
    if (i > 0) {
      for (size_t k = 0; k < kMostCarried; ++k) {
        same &= std::memcmp(&begun[k][i], &ends[k][0], sizeof(double)) == 0;
      }
    }
    if (same) {
      size_t k = 0;
      one.carried([&](double& number) { number = ended[k++][i]; });
    } else {
      run_rows<State>(one, job, first(i), first(i + 1));
    }
  }
  run_rows<State>(one, job, first(width), run.rows);
  return true;
}

template <template <class> class State>
void run_one(const Job& job, const Run& run) {
  if constexpr (State<double>::kFades && kVectorWidth > 2) {  // two parts do not pay
    if (run_parts<State>(job, run)) return;
  }
  State<double> state = state_of<State, double>(job, run);
  run_rows<State>(state, job, 0, run.rows);
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

// Columns of all rows but the first of a series, kept for windows that overlap; row t at of[k][t].
template <template <class> class State>
struct AllRows {
  static constexpr size_t kColumns = State<double>::kColumns;
  double* kept = nullptr;
  const double* of[kColumns];

  AllRows(const double* const* in, size_t rows) {
    if constexpr (State<double>::kPrepares) {
      kept = new double[kColumns * rows];
      double* to[kColumns];
      for (size_t k = 0; k < kColumns; ++k) of[k] = to[k] = kept + k * rows;
      prepare_rows<State>(in, 0, rows, to);
    } else {
      for (size_t k = 0; k < kColumns; ++k) of[k] = in[k];
    }
  }
  AllRows(const AllRows&) = delete;
  AllRows& operator=(const AllRows&) = delete;
  ~AllRows() { delete[] kept; }
};

// Results of the bars t .. t + width - 1, each from its own `lookback` rows.
template <template <class> class State, class R>
void windowed_lanes(const Job& job, const Run& run, const double* const* columns, size_t t) {
  using S = State<R>;
  S state = state_of<State, R>(job, run);
  size_t widest = 0;
  for (size_t k = 0; k < run.lag_count; ++k) widest = run.lags[k] > widest ? run.lags[k] : widest;
  const size_t first = t + 1 - run.lookback;
  R in[S::kColumns], out[S::kOutputs];
  const auto step = [&](size_t row) {
    if (row == 0) {
      first_columns<State>(job.in, first, in);
    } else {
      for (size_t k = 0; k < S::kColumns; ++k) in[k] = load<R>(columns[k] + first + row);
    }
    state.step(in, out);
  };
  // Rows whose results nobody takes, in a loop of their own: what only the results need is left
  // out.
  size_t row = 0;
  for (; row + 1 + widest < run.lookback; ++row) step(row);
  for (; row < run.lookback; ++row) {
    step(row);
    const size_t lag = run.lookback - 1 - row;
    for (size_t k = 0; k < run.lag_count; ++k) {
      if (run.lags[k] != lag) continue;
      for (size_t j = 0; j < S::kOutputs; ++j) store(job.out[j] + k * run.rows + t, out[j]);
    }
  }
}

// The bars before the first full window: each sees all rows from the first on.
template <template <class> class State>
void windowed_start(const Job& job, const Run& run, const double* const* columns, size_t end) {
  using S = State<double>;
  for (size_t j = 0; j < S::kOutputs; ++j) {
    for (size_t k = 0; k < run.lag_count; ++k) {
      const size_t missing = run.lags[k] < end ? run.lags[k] : end;
      for (size_t t = 0; t < missing; ++t) job.out[j][k * run.rows + t] = nan<double>();
    }
  }
  S state = state_of<State, double>(job, run);
  for (size_t t = 0; t < end; ++t) {
    double in[S::kColumns], out[S::kOutputs];
    for (size_t k = 0; k < S::kColumns; ++k) in[k] = columns[k][t];
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
  using Wide = Pack<2>;
  constexpr size_t width = Type<Wide>::width;
  for (size_t i = 0; i < run.count; ++i) {
    const Job& job = run.jobs[i];
    const AllRows<State> columns(job.in, run.rows);
    const size_t start = run.lookback - 1 < run.rows ? run.lookback - 1 : run.rows;
    windowed_start<State>(job, run, columns.of, start);
    size_t t = start;
    for (; t + width <= run.rows; t += width) windowed_lanes<State, Wide>(job, run, columns.of, t);
    if (t < run.rows && run.rows - start >= width) {
      windowed_lanes<State, Wide>(job, run, columns.of, run.rows - width);
      continue;
    }
    for (; t < run.rows; ++t) windowed_lanes<State, double>(job, run, columns.of, t);
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

template <class Function, class R>
inline void finish_lanes(const Job& job, const Window& window,
                         const typename Function::template Begun<R>& begun, size_t t) {
  R out[Function::kOutputs];
  Function::finish(begun, window, out);
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
  if constexpr (requires { typename Function::template Begun<Wide>; }) {
    typename Function::template Begun<Wide> before{};
    for (; t + Type<Wide>::width <= rows; t += Type<Wide>::width) {
      const double* const from[] = {job.in[0] + (t + 1 - span)};
      const auto begun = Function::template begin<Wide>(from, window);
      if (t > start) finish_lanes<Function, Wide>(job, window, before, t - Type<Wide>::width);
      before = begun;
    }
    if (t > start) finish_lanes<Function, Wide>(job, window, before, t - Type<Wide>::width);
  }
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
