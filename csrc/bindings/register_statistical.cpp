#include <tuple>
#include <vector>

#include "bindings/numpy_args.hpp"
#include "bindings/register.hpp"
#include "kernels/statistical.hpp"

namespace marketsim::bindings {
namespace {

using ForecastArrays = std::tuple<py::array_t<double>, py::array_t<double>, py::array_t<double>>;

template <typename Forecast>
ForecastArrays forecast(const DoubleArray& series, py::ssize_t start, const DoubleArray& levels,
                        const DoubleArray& normal, const Forecast& run) {
  if (series.ndim() != 1) reject("series must be 1-D: got shape " + shape_text(series));
  if (start < 0 || start > series.size()) reject("start: expected 0 <= start <= len(series)");
  if (levels.ndim() != 1 || normal.ndim() != 1 || levels.size() != normal.size()) {
    reject("levels and normal: expected 1-D arrays of one length");
  }
  const py::ssize_t rows = series.size() - start + 1;
  py::array_t<double> mean(rows), std(rows), quantile({rows, levels.size()});
  const ForecastRows to{mean.mutable_data(), std.mutable_data(), quantile.mutable_data()};
  const Levels at{levels.data(), normal.data(), static_cast<size_t>(levels.size())};
  {
    const py::gil_scoped_release release;
    run(series.data(), static_cast<size_t>(series.size()), static_cast<size_t>(start), at, to);
  }
  return {mean, std, quantile};
}

ForecastArrays ewma_py(const DoubleArray& series, py::ssize_t start, double decay, size_t window,
                       size_t least, const DoubleArray& levels, const DoubleArray& normal) {
  if (window == 0) reject("window: expected at least 1");
  return forecast(series, start, levels, normal,
                  [=](const double* values, size_t size, size_t from, const Levels& at,
                      const ForecastRows& to) {
                    ewma_forecasts(values, size, from, decay, window, least, at, to);
                  });
}

ForecastArrays persistence_py(const DoubleArray& series, py::ssize_t start, size_t window,
                              const DoubleArray& levels, const DoubleArray& normal) {
  if (window == 0) reject("window: expected at least 1");
  return forecast(
      series, start, levels, normal,
      [=](const double* values, size_t size, size_t from, const Levels& at,
          const ForecastRows& to) { persistence_forecasts(values, size, from, window, at, to); });
}

py::array_t<double> weighted_sums_py(const DoubleArray& values,
                                     const std::vector<double>& weights) {
  const py::ssize_t last = values.ndim() - 1;
  if (last < 0 || values.shape(last) != static_cast<py::ssize_t>(weights.size())) {
    reject("values must end in an axis of " + std::to_string(weights.size()) +
           ", one a weight: got shape " + shape_text(values));
  }
  py::array_t<double> sums(std::vector<py::ssize_t>(values.shape(), values.shape() + last));
  double* const to = sums.mutable_data();
  const auto rows = static_cast<size_t>(sums.size());
  {
    const py::gil_scoped_release release;
    weighted_sums(values.data(), rows, weights.data(), weights.size(), to);
  }
  return sums;
}

}  // namespace

void register_statistical(py::module_& module) {
  using py::arg;
  module.def("ewma_forecasts", &ewma_py, arg("series").noconvert(), arg("start"), arg("decay"),
             arg("window"), arg("least"), arg("levels").noconvert(), arg("normal").noconvert(),
             "(mean, std, quantile) of the forecasts for start .. len(series).");
  module.def("weighted_sums", &weighted_sums_py, arg("values").noconvert(), arg("weights"),
             "Sums [...] of values [..., j] times the weight of each j, in the order of j.");
  module.def("persistence_forecasts", &persistence_py, arg("series").noconvert(), arg("start"),
             arg("window"), arg("levels").noconvert(), arg("normal").noconvert(),
             "(mean, std, quantile) of the forecasts for start .. len(series).");
}

}  // namespace marketsim::bindings
