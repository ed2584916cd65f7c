#include "bindings/numpy_args.hpp"
#include "bindings/register.hpp"
#include "kernels/climatology.hpp"

namespace marketsim::bindings {
namespace {

py::array_t<double> rolling_quantiles_py(const DoubleArray& values, py::ssize_t start,
                                         py::ssize_t window, const DoubleArray& levels) {
  if (values.ndim() != 2) {
    reject("values must be [series, bar]: got shape " + shape_text(values));
  }
  if (start < 0 || start > values.shape(1)) {
    reject("start: expected 0 to " + std::to_string(values.shape(1)) + ", got " +
           std::to_string(start));
  }
  if (window < 1) reject("window: expected at least 1 bar");
  if (levels.ndim() != 1) reject("levels must be 1-D: got shape " + shape_text(levels));
  const double* const at = levels.data();
  for (py::ssize_t i = 0; i < levels.size(); ++i) {
    if (!(at[i] >= 0.0 && at[i] <= 1.0)) reject("levels: expected numbers in [0, 1]");
  }
  py::array_t<double> quantiles({values.shape(0), values.shape(1) - start + 1, levels.size()});
  double* const to = quantiles.mutable_data();
  {
    const py::gil_scoped_release release;  // no Python object is touched below
    rolling_quantiles(values.data(), static_cast<size_t>(values.shape(0)),
                      static_cast<size_t>(values.shape(1)), static_cast<size_t>(start),
                      static_cast<size_t>(window), at, static_cast<size_t>(levels.size()), to);
  }
  return quantiles;
}

}  // namespace

void register_climatology(py::module_& module) {
  using py::arg;
  module.def("rolling_quantiles", &rolling_quantiles_py, arg("values").noconvert(), arg("start"),
             arg("window"), arg("levels").noconvert(),
             "Quantiles of the last values before each bar: [series, bars - start + 1, level].");
}

}  // namespace marketsim::bindings
