#include "kernels/features/program.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace marketsim::features {
namespace {

const double kNan = std::nan("");

size_t operands(Op op) {
  switch (op) {
    case Op::input:
    case Op::constant:
    case Op::indicator:
      return 0;
    case Op::result:
    case Op::lag:
    case Op::negative:
    case Op::magnitude:
    case Op::exponential:
    case Op::logarithm:
    case Op::root:
      return 1;
    case Op::clip:
    case Op::select:
      return 3;
    default:
      return 2;
  }
}

// The arithmetic of a step; the one definition for both forms.
inline double apply(Op op, double x, double y, double z) {
  switch (op) {
    case Op::add:
      return x + y;
    case Op::subtract:
      return x - y;
    case Op::multiply:
      return x * y;
    case Op::divide:
      return x / y;
    case Op::negative:
      return -x;
    case Op::magnitude:
      return std::fabs(x);
    case Op::exponential:
      return std::exp(x);
    case Op::logarithm:
      return std::log(x);
    case Op::root:
      return std::sqrt(x);
    case Op::smaller:
      return y < x || y != y ? y : x;
    case Op::larger:
      return y > x || y != y ? y : x;
    case Op::clip:
      return x > y ? (x < z ? x : z) : y;
    case Op::select:
      return x > 0.0 ? y : (x <= 0.0 ? z : kNan);
    case Op::greater:
      return x > y ? 1.0 : (x <= y ? 0.0 : kNan);
    case Op::fill:
      return x == x ? x : y;
    default:
      return kNan;
  }
}

template <Op op>
void apply_rows(const double* x, const double* y, const double* z, size_t rows, double* to) {
  for (size_t t = 0; t < rows; ++t) to[t] = apply(op, x[t], y[t], z[t]);
}

void apply_column(Op op, const double* x, const double* y, const double* z, size_t rows,
                  double* to) {
  switch (op) {
#define X(name)  \
  case Op::name: \
    return apply_rows<Op::name>(x, y, z, rows, to);
    X(add)
    X(subtract)
    X(multiply)
    X(divide)
    X(negative)
    X(magnitude)
    X(exponential)
    X(logarithm)
    X(root)
    X(smaller)
    X(larger)
    X(clip)
    X(select)
    X(greater)
    X(fill)
#undef X
    default:
      return;
  }
}

size_t columns_of(const Program& program) {
  size_t columns = program.steps.size();
  for (const IndicatorStep& step : program.indicators) columns += step.results();
  return columns;
}

// Memory that a thread keeps from run to run: fresh pages cost more than the arithmetic on them.
double* arena(size_t numbers) {
  thread_local std::unique_ptr<double[]> memory;
  thread_local size_t size = 0;
  if (size < numbers) {
    memory.reset(new double[numbers]);
    size = numbers;
  }
  return memory.get();
}

// Values of a program over a series: one column each, of the results of indicators several.
class Columns {
 public:
  Columns(const Program& program, const double* const* inputs, size_t rows)
      : program_(program),
        inputs_(inputs),
        rows_(rows),
        at_(program.steps.size()),
        next_(arena(columns_of(program) * rows)) {
    for (size_t i = 0; i < program.steps.size(); ++i) make(i);
  }
  const double* of(size_t value) const { return at_[value]; }

 private:
  double* fresh(size_t columns) {
    double* const to = next_;
    next_ += columns * rows_;
    return to;
  }

  void make(size_t i) {
    const Step& step = program_.steps[i];
    if (step.op == Op::input) {
      at_[i] = inputs_[step.index];
      return;
    }
    if (step.op == Op::result) {
      at_[i] = at_[step.of[0]] + step.index * rows_;
      return;
    }
    if (step.op == Op::indicator) {
      at_[i] = run_indicator(program_.indicators[step.index]);
      return;
    }
    double* const to = fresh(1);
    at_[i] = to;
    if (step.op == Op::constant) {
      std::fill(to, to + rows_, step.number);
    } else if (step.op == Op::lag) {
      const size_t missing = std::min(step.index, rows_);
      std::fill(to, to + missing, kNan);
      std::copy(at_[step.of[0]], at_[step.of[0]] + (rows_ - missing), to + missing);
    } else {
      const size_t count = operands(step.op);
      const double* const x = at_[step.of[0]];
      apply_column(step.op, x, count > 1 ? at_[step.of[1]] : x, count > 2 ? at_[step.of[2]] : x,
                   rows_, to);
    }
  }

  double* run_indicator(const IndicatorStep& step) {
    double* const to = fresh(step.results());
    const size_t each = rows_ * (step.lookback ? step.lags.size() : 1);
    indicators::Job job{};
    for (size_t k = 0; k < step.inputs.size(); ++k) job.in[k] = at_[step.inputs[k]];
    for (size_t j = 0; j < indicators::kinds()[step.kind].outputs; ++j) job.out[j] = to + j * each;
    std::copy(step.parameters.begin(), step.parameters.end(), job.parameters);
    const indicators::Run all{&job,
                              1,
                              rows_,
                              step.option,
                              step.longest,
                              step.lookback,
                              step.lags.data(),
                              step.lags.size()};
    step.lookback ? indicators::run_windowed(step.kind, all) : indicators::run(step.kind, all);
    return to;
  }

  const Program& program_;
  const double* const* inputs_;
  size_t rows_;
  std::vector<const double*> at_;
  double* next_;
};

void require(bool good, const char* what) {
  if (!good) throw std::invalid_argument(what);
}

std::string bytes_of(const std::vector<double>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(double)};
}

}  // namespace

void Program::check() const {
  for (size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    require(step.op >= Op::input && step.op <= Op::fill, "unknown step");
    for (size_t k = 0; k < operands(step.op); ++k) require(step.of[k] < i, "a step looks ahead");
    if (step.op == Op::input) require(step.index < inputs, "no such input");
    if (step.op == Op::indicator) {
      require(step.index < indicators.size(), "no such indicator");
      for (const size_t input : indicators[step.index].inputs) {
        require(input < i, "a step looks ahead");
      }
    }
    if (step.op == Op::result) {
      const Step& made = steps[step.of[0]];
      require(made.op == Op::indicator && step.index < indicators[made.index].results(),
              "no such result");
    }
  }
  for (const IndicatorStep& step : indicators) {
    require(step.kind < marketsim::indicators::kinds().size(), "unknown indicator");
    require(step.inputs.size() == marketsim::indicators::kinds()[step.kind].inputs,
            "wrong number of inputs");
    require(step.parameters.size() == marketsim::indicators::kMostParameters,
            "wrong number of parameters");
    require((step.lookback == 0) == step.lags.empty(), "lags go with a lookback");
    for (const size_t lag : step.lags) require(lag < step.lookback, "a lag beyond its lookback");
  }
  for (const size_t feature : features) require(feature < steps.size(), "no such value");
}

void run(const Program& program, const double* const* columns, size_t rows, size_t first,
         double* to) {
  const Columns values(program, columns, rows);
  const size_t width = program.features.size();
  for (size_t j = 0; j < width; ++j) {
    const double* const from = values.of(program.features[j]);
    for (size_t t = first; t < rows; ++t) to[(t - first) * width + j] = from[t];
  }
}

Stream::Stream(const Program& program) : program_(program), values_(program.steps.size()) {
  for (const IndicatorStep& step : program.indicators) {
    indicators_.push_back(step.lookback ? indicators::make_windowed_stream(
                                              step.kind, step.parameters.data(), step.option,
                                              step.longest, step.lookback, step.lags)
                                        : indicators::make_stream(step.kind, step.parameters.data(),
                                                                  step.option, step.longest));
    results_.emplace_back(step.results());
  }
  for (const Step& step : program.steps) {
    past_.emplace_back(step.op == Op::lag ? step.index + 1 : 0, kNan);
  }
}

Stream::Stream(const Stream& other)
    : program_(other.program_),
      results_(other.results_),
      past_(other.past_),
      values_(other.values_),
      seen_(other.seen_) {
  for (const auto& one : other.indicators_) indicators_.push_back(one->clone());
}

void Stream::update(const double* in, double* out) {
  for (size_t i = 0; i < program_.steps.size(); ++i) {
    const Step& step = program_.steps[i];
    switch (step.op) {
      case Op::input:
        values_[i] = in[step.index];
        break;
      case Op::constant:
        values_[i] = step.number;
        break;
      case Op::indicator: {
        const IndicatorStep& indicator = program_.indicators[step.index];
        double row[indicators::kMostInputs];
        for (size_t k = 0; k < indicator.inputs.size(); ++k) row[k] = values_[indicator.inputs[k]];
        indicators_[step.index]->update(row, results_[step.index].data());
        break;
      }
      case Op::result:
        values_[i] = results_[program_.steps[step.of[0]].index][step.index];
        break;
      case Op::lag: {
        std::vector<double>& ring = past_[i];
        ring[seen_ % ring.size()] = values_[step.of[0]];
        values_[i] = ring[(seen_ + 1) % ring.size()];
        break;
      }
      default: {
        const size_t count = operands(step.op);
        const double x = values_[step.of[0]];
        values_[i] = apply(step.op, x, count > 1 ? values_[step.of[1]] : x,
                           count > 2 ? values_[step.of[2]] : x);
      }
    }
  }
  ++seen_;
  for (size_t j = 0; j < program_.features.size(); ++j) out[j] = values_[program_.features[j]];
}

std::vector<std::string> Stream::save() const {
  std::vector<std::string> parts = {bytes_of({static_cast<double>(seen_)})};
  for (const auto& one : indicators_) parts.push_back(one->save());
  for (const auto& ring : past_) parts.push_back(bytes_of(ring));
  return parts;
}

void Stream::load(const std::vector<std::string>& parts) {
  const char* const what = "not a state of this pipeline";
  require(parts.size() == 1 + indicators_.size() + past_.size(), what);
  require(parts[0].size() == sizeof(double), what);
  double seen;
  std::memcpy(&seen, parts[0].data(), sizeof seen);
  require(seen >= 0.0 && seen < 9e15, what);
  for (size_t i = 0; i < indicators_.size(); ++i) indicators_[i]->load(parts[1 + i]);
  for (size_t i = 0; i < past_.size(); ++i) {
    const std::string& part = parts[1 + indicators_.size() + i];
    require(part.size() == past_[i].size() * sizeof(double), what);
    std::memcpy(past_[i].data(), part.data(), part.size());
  }
  seen_ = static_cast<size_t>(seen);
}

}  // namespace marketsim::features
