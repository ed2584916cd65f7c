#include <tuple>
#include <vector>

#include "bindings/numpy_args.hpp"
#include "bindings/register.hpp"
#include "kernels/legacy/scores.hpp"

namespace marketsim::bindings {
namespace {

using Doubles = py::array_t<double>;

// The five figures of each row: float64 [figure, ...] of rows [..., day].
Doubles figures_of(const DoubleArray& rows, const char* name) {
  if (rows.ndim() == 0 || rows.shape(rows.ndim() - 1) == 0) {
    reject(std::string(name) + " must be [..., day] with at least one day: got shape " +
           shape_text(rows));
  }
  std::vector<py::ssize_t> shape(rows.shape(), rows.shape() + rows.ndim() - 1);
  shape.insert(shape.begin(), 5);
  return Doubles(shape);
}

Scores rows_of(Doubles& figures) {
  double* const first = figures.mutable_data();
  const py::ssize_t rows = figures.size() / 5;
  return {first, first + rows, first + 2 * rows, first + 3 * rows, first + 4 * rows};
}

Doubles score_sums_py(const DoubleArray& returns, double periods) {
  Doubles figures = figures_of(returns, "returns");
  const Scores to = rows_of(figures);
  const auto rows = static_cast<size_t>(figures.size() / 5);
  const auto days = static_cast<size_t>(returns.shape(returns.ndim() - 1));
  {
    const py::gil_scoped_release release;  // no Python object is touched below
    score_sums(returns.data(), rows, days, periods, to);
  }
  return figures;
}

std::tuple<Doubles, Doubles> score_signals_py(const DoubleArray& signals,
                                              const DoubleArray& returns, double fee, double spread,
                                              double periods) {
  Doubles figures = figures_of(signals, "signals");
  if (signals.ndim() != 3 || returns.ndim() != 2 || signals.shape(1) != returns.shape(0) ||
      signals.shape(2) != returns.shape(1)) {
    reject("signals must be [strategy, row, day], and returns [row, day]: got shapes " +
           shape_text(signals) + " and " + shape_text(returns));
  }
  Doubles net({signals.shape(0), signals.shape(1), signals.shape(2)});
  const Scores to = rows_of(figures);
  const auto rows = static_cast<size_t>(returns.shape(0));
  const auto days = static_cast<size_t>(returns.shape(1));
  const auto strategies = static_cast<size_t>(signals.shape(0));
  double* const net_to = net.mutable_data();
  {
    const py::gil_scoped_release release;  // no Python object is touched below
    for (size_t i = 0; i < strategies; ++i) {
      const size_t at = i * rows;
      score_signals(signals.data() + at * days, returns.data(), rows, days, {fee, spread, periods},
                    net_to + at * days,
                    {to.total + at, to.mean + at, to.annual + at, to.sharpe + at, to.size + at});
    }
  }
  return {figures, net};
}

}  // namespace

void register_scores(py::module_& module) {
  using py::arg;
  module.def("score_sums", &score_sums_py, arg("returns").noconvert(), arg("periods"),
             "Total, mean, annual mean, Sharpe ratio, mean size: [5, ...] of returns [..., day].");
  module.def("score_signals", &score_signals_py, arg("signals").noconvert(),
             arg("returns").noconvert(), arg("fee"), arg("spread"), arg("periods"),
             "(the same figures [5, strategy, row], net returns) of signals held over returns.");
}

}  // namespace marketsim::bindings
