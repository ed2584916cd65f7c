#include <algorithm>
#include <optional>

#include "bindings/numpy_args.hpp"
#include "bindings/register.hpp"
#include "kernels/performance.hpp"

namespace marketsim::bindings {
namespace {

using Doubles = py::array_t<double>;
using Flags = py::array_t<bool, py::array::c_style>;
using Starts = py::array_t<std::int64_t, py::array::c_style>;

NetReturns given_returns(const DoubleArray& net, const std::optional<Flags>& active,
                         const std::optional<DoubleArray>& risk_free) {
  if (net.ndim() != 2 || net.shape(1) == 0) {
    reject("net must be [strategy, bar] with at least one bar: got shape " + shape_text(net));
  }
  if (active) require_same_shape(net, "net", *active, "active");
  if (risk_free && (risk_free->ndim() != 1 || risk_free->size() != net.shape(1))) {
    reject("risk_free must be [bar] with " + std::to_string(net.shape(1)) + ": got shape " +
           shape_text(*risk_free));
  }
  static_assert(sizeof(bool) == 1);
  return {net.data(), active ? reinterpret_cast<const std::uint8_t*>(active->data()) : nullptr,

          risk_free ? risk_free->data() : nullptr, static_cast<size_t>(net.shape(0)),
          static_cast<size_t>(net.shape(1))};
}

Doubles window_performance_py(const DoubleArray& net, const std::optional<Flags>& active,
                              const Starts& starts, py::ssize_t length,
                              const std::optional<DoubleArray>& risk_free) {
  const NetReturns given = given_returns(net, active, risk_free);
  if (length < 1) reject("length: expected at least 1, got " + std::to_string(length));
  const std::int64_t* const first = starts.data();
  const auto outside = [&](std::int64_t start) {
    return start < 0 || start > net.shape(1) - length;
  };
  if (starts.ndim() != 1 || std::any_of(first, first + starts.size(), outside)) {
    reject("starts: expected windows of " + std::to_string(length) + " within " +
           std::to_string(net.shape(1)) + " bars");
  }
  Doubles figures({starts.size(), net.shape(0), static_cast<py::ssize_t>(kWindowFigures)});
  double* const to = figures.mutable_data();
  {
    const py::gil_scoped_release release;  // no Python object is touched below
    window_performance(given, first, static_cast<size_t>(starts.size()),
                       static_cast<size_t>(length), to);
  }
  return figures;
}

Doubles row_performance_py(const DoubleArray& net, const std::optional<Flags>& active, double tail,
                           const std::optional<DoubleArray>& risk_free,
                           const std::optional<DoubleArray>& position,
                           const std::optional<DoubleArray>& traded) {
  NetReturns given = given_returns(net, active, risk_free);
  if (position) {
    require_same_shape(net, "net", *position, "position");
    given.position = position->data();
  }
  if (traded) {
    require_same_shape(net, "net", *traded, "traded");
    given.traded = traded->data();
  }
  if (!(tail > 0.0 && tail < 1.0)) reject("tail: expected a share in (0, 1)");
  Doubles figures({net.shape(0), static_cast<py::ssize_t>(kFigures)});
  double* const to = figures.mutable_data();
  {
    const py::gil_scoped_release release;
    row_performance(given, tail, to);
  }
  return figures;
}

Doubles benchmark_performance_py(const DoubleArray& net, const DoubleArray& benchmark,
                                 const std::optional<DoubleArray>& risk_free) {
  const NetReturns given = given_returns(net, std::nullopt, risk_free);
  if (benchmark.ndim() != 1 || benchmark.size() != net.shape(1)) {
    reject("benchmark must be [bar] with " + std::to_string(net.shape(1)) + ": got shape " +
           shape_text(benchmark));
  }
  Doubles figures({net.shape(0), static_cast<py::ssize_t>(kBenchmarkFigures)});
  double* const to = figures.mutable_data();
  {
    const py::gil_scoped_release release;
    benchmark_performance(given, benchmark.data(), to);
  }
  return figures;
}

Doubles rolling_sharpe_py(const DoubleArray& net, py::ssize_t window,
                          const std::optional<DoubleArray>& risk_free) {
  const NetReturns given = given_returns(net, std::nullopt, risk_free);
  if (window < 2) reject("window: expected at least 2 bars, got " + std::to_string(window));
  Doubles ratios({net.shape(0), net.shape(1)});
  double* const to = ratios.mutable_data();
  {
    const py::gil_scoped_release release;
    rolling_sharpe(given, static_cast<size_t>(window), to);
  }
  return ratios;
}

}  // namespace

void register_performance(py::module_& module) {
  using py::arg;
  module.def("window_performance", &window_performance_py, arg("net").noconvert(),
             arg("active").noconvert(), arg("starts").noconvert(), arg("length"),
             arg("risk_free").noconvert() = py::none(),
             "Figures [window, strategy, figure] of windows of net returns [strategy, bar].");
  module.def("row_performance", &row_performance_py, arg("net").noconvert(),
             arg("active").noconvert(), arg("tail"), arg("risk_free").noconvert() = py::none(),
             arg("position").noconvert() = py::none(), arg("traded").noconvert() = py::none(),
             "Figures [strategy, figure] of net returns [strategy, bar].");
  module.def("benchmark_performance", &benchmark_performance_py, arg("net").noconvert(),
             arg("benchmark").noconvert(), arg("risk_free").noconvert() = py::none(),
             "Beta, alpha, correlation, active return, tracking error: [strategy, 5], per bar.");
  module.def("rolling_sharpe", &rolling_sharpe_py, arg("net").noconvert(), arg("window"),
             arg("risk_free").noconvert() = py::none(),
             "Sharpe ratio per bar of the window that ends at each bar: [strategy, bar].");
}

}  // namespace marketsim::bindings
