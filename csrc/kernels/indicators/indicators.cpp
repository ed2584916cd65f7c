#include "kernels/indicators/indicators.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/isa.hpp"
#include "kernels/indicators/kinds.hpp"
#include "kernels/indicators/recursive.hpp"
#include "kernels/indicators/rolling.hpp"
#include "kernels/indicators/run_simd.hpp"
#include "kernels/indicators/sorted_window.hpp"
#include "kernels/indicators/swings.hpp"

namespace marketsim::indicators {
namespace {

using namespace plain::indicators;

#define X(name, State) +1
constexpr size_t kRecursive = 0 MARKETSIM_RECURSIVE_KINDS(X);
constexpr size_t kQuantile = kRecursive MARKETSIM_WINDOW_KINDS(X);
#undef X
constexpr size_t kSwings = kQuantile + 1;

std::vector<KindInfo> table() {
  std::vector<KindInfo> all;
#define X(name, State) \
  all.push_back(       \
      {#name, State<double>::kInputs, State<double>::kOutputs, State<double>::kParameters, true});
  MARKETSIM_RECURSIVE_KINDS(X)
#undef X
#define X(name, Function) \
  all.push_back({#name, Function::kInputs, Function::kOutputs, kMostParameters, false});
  MARKETSIM_WINDOW_KINDS(X)
#undef X
  all.push_back({"rolling_quantile", 1, 1, kMostParameters, false});
  all.push_back({"swings", 3, 8, kMostParameters, true});
  return all;
}

struct Loops {
  decltype(&baseline::run_recursive) recursive, windowed;
  decltype(&baseline::run_window) window;
};

Loops loops() {
#if defined(__x86_64__)
  switch (active_isa()) {
    case Isa::avx512:
      return {avx512::run_recursive, avx512::run_recursive_windowed, avx512::run_window};
    case Isa::avx2:
      return {avx2::run_recursive, avx2::run_recursive_windowed, avx2::run_window};
    case Isa::baseline:
      break;
  }
#endif
  return {baseline::run_recursive, baseline::run_recursive_windowed, baseline::run_window};
}

Window window_of(const double* parameters) {
  return {static_cast<size_t>(parameters[0]), {parameters[1], parameters[2], parameters[3]}};
}

// The columns that a window is made of, one row after the other.
template <class Function>
void prepare_rows(const Job& job, size_t rows, std::vector<double>& columns, Job& prepared) {
  if constexpr (Function::kPrepares) {
    columns.resize(Function::kColumns * rows);
    for (size_t t = 0; t < rows; ++t) {
      double now[kMostInputs], before[kMostInputs], to[kMostInputs];
      for (size_t k = 0; k < Function::kInputs; ++k) {
        now[k] = job.in[k][t];
        before[k] = t ? job.in[k][t - 1] : 0.0;
      }
      Function::prepare(now, t ? before : nullptr, to);
      for (size_t k = 0; k < Function::kColumns; ++k) columns[k * rows + t] = to[k];
    }
    for (size_t k = 0; k < Function::kColumns; ++k) prepared.in[k] = columns.data() + k * rows;
  }
}

Job prepare(size_t kind, const Job& job, size_t rows, std::vector<double>& columns) {
  Job prepared = job;
  size_t number = kRecursive;
#define X(name, Function) \
  if (kind == number++) prepare_rows<Function>(job, rows, columns, prepared);
  MARKETSIM_WINDOW_KINDS(X)
#undef X
  return prepared;
}

void run_quantile(const Job& job, size_t rows) {
  if (static_cast<size_t>(job.parameters[0]) > rows) {  // as large as it is, it is not kept
    std::fill(job.out[0], job.out[0] + rows, std::nan(""));
    return;
  }
  SortedWindow window(static_cast<size_t>(job.parameters[0]));
  for (size_t t = 0; t < rows; ++t) {
    window.push(job.in[0][t]);
    job.out[0][t] = window.quantile(job.parameters[1]);
  }
}

std::string bytes_of(const std::vector<double>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(double)};
}
std::vector<double> numbers_of(const std::string& bytes) {
  std::vector<double> numbers(bytes.size() % sizeof(double) ? 0 : bytes.size() / sizeof(double));
  std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(double));
  return numbers;
}

template <class State>
class RecursiveStream final : public Stream {
 public:
  RecursiveStream(const double* parameters, Option option, size_t longest) {
    std::memset(static_cast<void*>(&kept_), 0, sizeof kept_);  // padding, which save() gives out
    kept_.state.set(parameters, option, longest);
  }
  void update(const double* in, double* out) override {
    if constexpr (State::kPrepares) {
      double columns[State::kColumns];
      if (kept_.started) {
        State::prepare(in, kept_.before, columns);
      } else {
        State::first(in, columns);
      }
      std::copy(in, in + State::kInputs, kept_.before);
      kept_.started = true;
      kept_.state.step(columns, out);
    } else {
      kept_.state.step(in, out);
    }
  }
  std::unique_ptr<Stream> clone() const override {
    return std::make_unique<RecursiveStream>(*this);
  }
  std::string save() const override {
    return {reinterpret_cast<const char*>(&kept_), sizeof kept_};
  }
  void load(const std::string& bytes) override {
    if (bytes.size() != sizeof kept_) throw std::invalid_argument("not a state of this indicator");
    std::memcpy(static_cast<void*>(&kept_), bytes.data(), sizeof kept_);
  }

 private:
  struct {
    State state;
    double before[State::kInputs];  // the last row
    bool started;
  } kept_;
};

// The last `span` rows, each written twice so that they always lie in one piece.
template <class Function>
class WindowStream final : public Stream {
 public:
  explicit WindowStream(const double* parameters)
      : window_(window_of(parameters)),
        span_(Function::span(window_)),
        rows_(Function::kColumns * 2 * span_),
        before_(Function::kInputs) {}

  void update(const double* in, double* out) override {
    double row[kMostInputs];
    if constexpr (Function::kPrepares) {
      Function::prepare(in, seen_ ? before_.data() : nullptr, row);
      std::copy(in, in + Function::kInputs, before_.begin());
    } else {
      std::copy(in, in + Function::kInputs, row);
    }
    const double* from[kMostInputs];
    for (size_t k = 0; k < Function::kColumns; ++k) {
      double* const column = rows_.data() + k * 2 * span_;
      column[next_] = column[next_ + span_] = row[k];
      from[k] = column + next_ + 1;
    }
    next_ = next_ + 1 == span_ ? 0 : next_ + 1;
    seen_ += seen_ < span_;
    if (seen_ < span_) {
      std::fill(out, out + Function::kOutputs, std::nan(""));
    } else {
      Function::template evaluate<double>(from, window_, out);
    }
  }
  std::unique_ptr<Stream> clone() const override { return std::make_unique<WindowStream>(*this); }
  std::string save() const override {
    const double counts[] = {static_cast<double>(next_), static_cast<double>(seen_)};
    std::string bytes(reinterpret_cast<const char*>(counts), sizeof counts);
    bytes.append(reinterpret_cast<const char*>(before_.data()), before_.size() * sizeof(double));
    bytes.append(reinterpret_cast<const char*>(rows_.data()), rows_.size() * sizeof(double));
    return bytes;
  }
  void load(const std::string& bytes) override {
    double counts[2];
    const size_t inputs = before_.size() * sizeof(double);
    const size_t size = sizeof counts + inputs + rows_.size() * sizeof(double);
    if (bytes.size() == size) std::memcpy(counts, bytes.data(), sizeof counts);
    const double span = static_cast<double>(span_);
    if (bytes.size() != size || !(counts[0] >= 0.0 && counts[0] < span) ||
        !(counts[1] >= 0.0 && counts[1] <= span)) {
      throw std::invalid_argument("not a state of this indicator");
    }
    next_ = static_cast<size_t>(counts[0]);
    seen_ = static_cast<size_t>(counts[1]);
    std::memcpy(before_.data(), bytes.data() + sizeof counts, inputs);
    std::memcpy(rows_.data(), bytes.data() + sizeof counts + inputs, size - sizeof counts - inputs);
  }

 private:
  Window window_;
  size_t span_;
  std::vector<double> rows_, before_;
  size_t next_ = 0, seen_ = 0;
};

class SwingStream final : public Stream {
 public:
  explicit SwingStream(const double* parameters) : state_(swing_settings(parameters)) {}
  void update(const double* in, double* out) override { state_.step(in[0], in[1], in[2], out); }
  std::unique_ptr<Stream> clone() const override { return std::make_unique<SwingStream>(*this); }
  std::string save() const override { return bytes_of(state_.save()); }
  void load(const std::string& bytes) override {
    if (!state_.load(numbers_of(bytes))) {
      throw std::invalid_argument("not a state of this indicator");
    }
  }

 private:
  SwingState state_;
};

// Keeps the last `lookback` rows and runs the batch form over them at each. Each row is written
// twice, so that they always lie in one piece.
class WindowedStream final : public Stream {
 public:
  WindowedStream(size_t kind, const double* parameters, Option option, size_t longest,
                 size_t lookback, std::vector<size_t> lags)
      : kind_(kind),
        option_(option),
        longest_(longest),
        lookback_(lookback),
        lags_(std::move(lags)),
        widest_(*std::max_element(lags_.begin(), lags_.end())),
        inputs_(kinds()[kind].inputs),
        outputs_(kinds()[kind].outputs),
        needed_(lookback),
        rows_(2 * lookback * inputs_) {
    std::copy(parameters, parameters + kMostParameters, job_.parameters);
    // A window's value follows from its rows alone.
    if (!kinds()[kind].recursive) {
      needed_ = std::min(lookback, span_of(kind, parameters) + widest_);
    }
  }

  void update(const double* in, double* out) override {
    for (size_t k = 0; k < inputs_; ++k) {
      double* const column = rows_.data() + k * 2 * lookback_;
      column[next_] = column[next_ + lookback_] = in[k];
    }
    ++seen_;
    const size_t known = std::min(seen_, lookback_), count = std::min(known, needed_);
    results_.resize(outputs_ * count);
    for (size_t k = 0; k < inputs_; ++k) {
      job_.in[k] = rows_.data() + k * 2 * lookback_ + next_ + lookback_ + 1 - count;
    }
    for (size_t j = 0; j < outputs_; ++j) job_.out[j] = results_.data() + j * count;
    next_ = next_ + 1 == lookback_ ? 0 : next_ + 1;
    run(kind_, {&job_, 1, count, option_, longest_, 0, nullptr, 0});
    for (size_t k = 0; k < lags_.size(); ++k) {
      for (size_t j = 0; j < outputs_; ++j) {
        out[j * lags_.size() + k] =
            lags_[k] < count ? job_.out[j][count - 1 - lags_[k]] : std::nan("");
      }
    }
    move_swings(out, seen_ - known);
  }
  std::unique_ptr<Stream> clone() const override { return std::make_unique<WindowedStream>(*this); }
  std::string save() const override {
    std::vector<double> numbers = {static_cast<double>(next_), static_cast<double>(seen_)};
    for (size_t row = 0; row < lookback_; ++row) {
      for (size_t k = 0; k < inputs_; ++k) numbers.push_back(rows_[k * 2 * lookback_ + row]);
    }
    return bytes_of(numbers);
  }
  void load(const std::string& bytes) override {
    const std::vector<double> numbers = numbers_of(bytes);
    const double length = static_cast<double>(lookback_);
    if (numbers.size() != lookback_ * inputs_ + 2 || !(numbers[0] >= 0.0 && numbers[0] < length) ||
        !(numbers[1] >= 0.0 && numbers[1] < 9e15)) {
      throw std::invalid_argument("not a state of this indicator");
    }
    next_ = static_cast<size_t>(numbers[0]);
    seen_ = static_cast<size_t>(numbers[1]);
    for (size_t row = 0; row < lookback_; ++row) {
      for (size_t k = 0; k < inputs_; ++k) {
        double* const column = rows_.data() + k * 2 * lookback_;
        column[row] = column[row + lookback_] = numbers[2 + row * inputs_ + k];
      }
    }
  }

 private:
  // Rows of swings are counted from the first row of the series, not of the window.
  void move_swings(double* out, size_t first) const {
    if (kind_ != kSwings) return;
    for (const size_t j : {1, 2, 5, 6}) {
      for (size_t k = 0; k < lags_.size(); ++k) {
        out[j * lags_.size() + k] += static_cast<double>(first);
      }
    }
  }

  size_t kind_;
  Job job_{};  // its pointers are set at each update
  Option option_;
  size_t longest_, lookback_;
  std::vector<size_t> lags_;
  size_t widest_, inputs_, outputs_;
  size_t needed_;  // rows that the results follow from
  std::vector<double> rows_, results_;
  size_t next_ = 0, seen_ = 0;
};

// The last numbers in order of size.
class QuantileStream final : public Stream {
 public:
  explicit QuantileStream(const double* parameters)
      : window_(static_cast<size_t>(parameters[0])), level_(parameters[1]) {}
  void update(const double* in, double* out) override {
    window_.push(in[0]);
    out[0] = window_.quantile(level_);
  }
  std::unique_ptr<Stream> clone() const override { return std::make_unique<QuantileStream>(*this); }
  std::string save() const override { return bytes_of(window_.rows()); }
  void load(const std::string& bytes) override {
    const std::vector<double> rows = numbers_of(bytes);
    if (rows.size() > window_.capacity() || rows.size() * sizeof(double) != bytes.size()) {
      throw std::invalid_argument("not a state of this indicator");
    }
    SortedWindow window(window_.capacity());
    for (const double row : rows) window.push(row);
    window_ = std::move(window);
  }

 private:
  SortedWindow window_;
  double level_;
};

}  // namespace

const std::vector<KindInfo>& kinds() {
  static const std::vector<KindInfo> all = table();
  return all;
}

std::optional<size_t> kind_of(const std::string& name) {
  for (size_t i = 0; i < kinds().size(); ++i) {
    if (name == kinds()[i].name) return i;
  }
  return std::nullopt;
}

size_t span_of(size_t kind, const double* parameters) {
  size_t number = kRecursive;
#define X(name, Function)                                                  \
  if (kind == number++) {                                                  \
    return Function::span(window_of(parameters)) + Function::kNeedsBefore; \
  }
  MARKETSIM_WINDOW_KINDS(X)
#undef X
  return kind == kQuantile ? static_cast<size_t>(parameters[0]) : 1;
}

void run(size_t kind, const Run& run) {
  if (kind < kRecursive) {
    loops().recursive(kind, run);
    return;
  }
  std::vector<double> columns;
  for (size_t i = 0; i < run.count; ++i) {
    const Job& job = run.jobs[i];
    if (kind == kSwings) {
      run_swings(job.in[0], job.in[1], job.in[2], run.rows, swing_settings(job.parameters),
                 job.out);
    } else if (kind == kQuantile) {
      run_quantile(job, run.rows);
    } else {
      loops().window(kind - kRecursive, prepare(kind, job, run.rows, columns), run.rows);
    }
  }
}

void run_windowed(size_t kind, const Run& run) {
  if (kind < kRecursive) {
    loops().windowed(kind, run);
    return;
  }
  if (kind == kSwings) {
    for (size_t i = 0; i < run.count; ++i) {
      const Job& job = run.jobs[i];
      run_swings_windowed(job.in[0], job.in[1], job.in[2], run.rows, run.lookback, run.lags,
                          run.lag_count, swing_settings(job.parameters), job.out);
    }
    return;
  }
  // A window inside the lookback is the same window: its value moves by the lag.
  marketsim::indicators::run(kind, run);
  for (size_t i = 0; i < run.count; ++i) {
    const Job& job = run.jobs[i];
    const size_t span = span_of(kind, job.parameters);
    for (size_t j = 0; j < kinds()[kind].outputs; ++j) {
      const std::vector<double> values(job.out[j], job.out[j] + run.rows);
      for (size_t k = 0; k < run.lag_count; ++k) {
        const size_t lag = run.lags[k], missing = std::min(lag, run.rows);
        double* const to = job.out[j] + k * run.rows;
        std::fill(to, to + missing, std::nan(""));
        if (span + lag <= run.lookback) {
          std::copy(values.begin(), values.end() - static_cast<std::ptrdiff_t>(missing),
                    to + missing);
        } else {
          std::fill(to + missing, to + run.rows, std::nan(""));
        }
      }
    }
  }
}

std::unique_ptr<Stream> make_stream(size_t kind, const double* parameters, Option option,
                                    size_t longest) {
  size_t number = 0;
#define X(name, State)  \
  if (kind == number++) \
    return std::make_unique<RecursiveStream<State<double>>>(parameters, option, longest);
  MARKETSIM_RECURSIVE_KINDS(X)
#undef X
#define X(name, Function) \
  if (kind == number++) return std::make_unique<WindowStream<Function>>(parameters);
  MARKETSIM_WINDOW_KINDS(X)
#undef X
  if (kind == kSwings) return std::make_unique<SwingStream>(parameters);
  return std::make_unique<QuantileStream>(parameters);
}

std::unique_ptr<Stream> make_windowed_stream(size_t kind, const double* parameters, Option option,
                                             size_t longest, size_t lookback,
                                             const std::vector<size_t>& lags) {
  return std::make_unique<WindowedStream>(kind, parameters, option, longest, lookback, lags);
}

}  // namespace marketsim::indicators
