#include <tuple>

#include "bindings/numpy_args.hpp"
#include "bindings/register.hpp"
#include "kernels/scores.hpp"

namespace marketsim::bindings {
namespace {

using Doubles = py::array_t<double>;

// Where the five figures of each row are written: float64 [figure, row].
Scores rows_of(Doubles& figures) {
  double* const first = figures.mutable_data();
  const py::ssize_t rows = figures.shape(1);
  return {first, first + rows, first + 2 * rows, first + 3 * rows, first + 4 * rows};
}

void require_days(const DoubleArray& rows, const char* name) {
  if (rows.ndim() == 2 && rows.shape(1) > 0) return;
  reject(std::string(name) + " must be [row, day] with at least one day: got shape " +
         shape_text(rows));
}

Doubles score_sums_py(const DoubleArray& returns, double periods) {
  require_days(returns, "returns");
  Doubles figures({py::ssize_t{5}, returns.shape(0)});
  const Scores to = rows_of(figures);
  const auto rows = static_cast<size_t>(returns.shape(0));
  const auto days = static_cast<size_t>(returns.shape(1));
  {
    const py::gil_scoped_release release;  // no Python object is touched below
    score_sums(returns.data(), rows, days, periods, to);
  }
  return figures;
}

std::tuple<Doubles, Doubles> score_signals_py(const DoubleArray& signals,
                                              const DoubleArray& returns, double fee, double spread,
                                              double periods) {
  require_days(signals, "signals");
  require_same_shape(signals, "signals", returns, "returns");
  const py::ssize_t rows = signals.shape(0), days = signals.shape(1);
  Doubles figures({py::ssize_t{5}, rows}), net({rows, days});
  const Scores to = rows_of(figures);
  double* const net_to = net.mutable_data();
  {
    const py::gil_scoped_release release;  // no Python object is touched below
    score_signals(signals.data(), returns.data(), static_cast<size_t>(rows),
                  static_cast<size_t>(days), {fee, spread, periods}, net_to, to);
  }
  return {figures, net};
}

}  // namespace

void register_scores(py::module_& module) {
  using py::arg;
  module.def("score_sums", &score_sums_py, arg("returns").noconvert(), arg("periods"),
             "Total, mean, annual mean, Sharpe ratio and mean size of daily returns that add up, "
             "float64 [5, row].");
  module.def("score_signals", &score_signals_py, arg("signals").noconvert(),
             arg("returns").noconvert(), arg("fee"), arg("spread"), arg("periods"),
             "The figures of `score_sums` for signals held over returns that compound, and the "
             "daily returns after costs [row, day].");
}

}  // namespace marketsim::bindings
