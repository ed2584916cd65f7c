#include <tuple>

#include "bindings/numpy_args.hpp"
#include "bindings/register.hpp"
#include "kernels/legacy/day_trades.hpp"

namespace marketsim::bindings {
namespace {

template <typename Real>
using Rows = py::array_t<Real, py::array::c_style>;
// Functions of both precisions return plain objects: type checkers take arrays of one precision for
// arrays of the other, and then refuse the overload.
template <typename Real>
using Made = py::array_t<Real>;

template <typename Real>
ForecastDays<Real> check_days(const Rows<Real>& close_pred, const Rows<Real>& high_pred,
                              const Rows<Real>& low_pred, const Rows<Real>& close,
                              const Rows<Real>& high, const Rows<Real>& low) {
  if (close_pred.ndim() != 2) {
    reject("close_pred must be [row, day]: got shape " + shape_text(close_pred));
  }
  const std::pair<const char*, const Rows<Real>*> others[] = {{"high_pred", &high_pred},
                                                              {"low_pred", &low_pred},
                                                              {"close", &close},
                                                              {"high", &high},
                                                              {"low", &low}};
  for (const auto& [name, rows] : others) {
    require_same_shape(close_pred, "close_pred", *rows, name);
  }
  return {close_pred.data(),
          high_pred.data(),
          low_pred.data(),
          close.data(),
          high.data(),
          low.data(),
          static_cast<size_t>(close_pred.shape(0)),
          static_cast<size_t>(close_pred.shape(1))};
}

template <typename Real>
std::tuple<py::object, py::object, py::object> take_profit_py(
    const Rows<Real>& close_pred, const Rows<Real>& high_pred, const Rows<Real>& low_pred,
    const Rows<Real>& close, const Rows<Real>& high, const Rows<Real>& low, double fee) {
  const auto days = check_days<Real>(close_pred, high_pred, low_pred, close, high, low);
  const std::array<py::ssize_t, 2> shape = {close_pred.shape(0), close_pred.shape(1)};
  Made<Real> returns(shape), high_pred_out(shape), close_out(shape);
  Real *const returns_to = returns.mutable_data(), *const high_pred_to =
                                                       high_pred_out.mutable_data();
  Real* const close_to = close_out.mutable_data();
  {
    const py::gil_scoped_release release;  // no Python object is touched below
    take_profit_returns(days, fee, returns_to, high_pred_to, close_to);
  }
  return {returns, high_pred_out, close_out};
}

template <typename Real>
py::object high_low_py(const Rows<Real>& close_pred, const Rows<Real>& high_pred,
                       const Rows<Real>& low_pred, const Rows<Real>& close, const Rows<Real>& high,
                       const Rows<Real>& low, double fee, bool long_only) {
  const auto days = check_days<Real>(close_pred, high_pred, low_pred, close, high, low);
  Made<Real> returns({close_pred.shape(0), close_pred.shape(1)});
  Real* const to = returns.mutable_data();
  {
    const py::gil_scoped_release release;  // no Python object is touched below
    high_low_returns(days, fee, long_only, to);
  }
  return returns;
}

template <typename Real>
Made<double> shutdown_py(const Rows<Real>& forecasts, const DoubleArray& returns, bool long_only) {
  if (forecasts.ndim() != 2 || returns.ndim() != 2 || forecasts.shape(0) != returns.shape(0)) {
    reject("forecasts and returns must be [row, day] with equally many rows: got shapes " +
           shape_text(forecasts) + " and " + shape_text(returns));
  }
  Made<double> signals({forecasts.shape(0), forecasts.shape(1)});
  double* const to = signals.mutable_data();
  const auto rows = static_cast<size_t>(forecasts.shape(0));
  const auto days = static_cast<size_t>(forecasts.shape(1));
  const auto known = static_cast<size_t>(returns.shape(1));
  {
    const py::gil_scoped_release release;  // no Python object is touched below
    shutdown_signals(forecasts.data(), returns.data(), rows, days, known, long_only, to);
  }
  return signals;
}

template <typename Real>
void register_precision(py::module_& module) {
  const auto rows = [](const char* name) { return py::arg(name).noconvert(); };
  module.def("take_profit_returns", &take_profit_py<Real>, rows("close_pred"), rows("high_pred"),
             rows("low_pred"), rows("close"), rows("high"), rows("low"), py::arg("fee"),
             "(returns, high_pred, close) [row, day] of entry at the previous close.");
  module.def("high_low_returns", &high_low_py<Real>, rows("close_pred"), rows("high_pred"),
             rows("low_pred"), rows("close"), rows("high"), rows("low"), py::arg("fee"),
             py::arg("long_only"), "Returns [row, day] of entry at the forecast low or high.");
  module.def("shutdown_signals", &shutdown_py<Real>, rows("forecasts"), rows("returns"),
             py::arg("long_only"),
             "Positions [row, day] by the sign of forecasts, flat after one that was wrong.");
}

}  // namespace

void register_day_trades(py::module_& module) {
  register_precision<float>(module);
  register_precision<double>(module);
}

}  // namespace marketsim::bindings
