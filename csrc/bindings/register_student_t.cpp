#include "bindings/numpy_args.hpp"
#include "bindings/register.hpp"
#include "kernels/student_t.hpp"

namespace marketsim::bindings {
namespace {

using Pair = std::pair<double, double>;

// Mixtures of the arrays [row, component], whose values the Python side has checked.
Mixtures make_mixtures(const DoubleArray& df, const DoubleArray& loc, const DoubleArray& scale,
                       const DoubleArray& weight) {
  if (df.ndim() != 2 || df.shape(1) < 1) {
    reject("df: expected shape [row, component]: got " + shape_text(df));
  }
  require_same_shape(df, "df", loc, "loc");
  require_same_shape(df, "df", scale, "scale");
  require_same_shape(df, "df", weight, "weight");
  return {df.data(),
          loc.data(),
          scale.data(),
          weight.data(),
          static_cast<size_t>(df.shape(0)),
          static_cast<size_t>(df.shape(1))};
}

py::array_t<double> cdf_py(const DoubleArray& df, const DoubleArray& loc, const DoubleArray& scale,
                           const DoubleArray& weight, const DoubleArray& at) {
  const Mixtures mixtures = make_mixtures(df, loc, scale, weight);
  if (at.ndim() != 1 || at.shape(0) != df.shape(0)) {
    reject("at: expected one value a row: got shape " + shape_text(at));
  }
  py::array_t<double> to(df.shape(0));
  double* values = to.mutable_data();
  {
    const py::gil_scoped_release release;
    mixture_cdf(mixtures, at.data(), values);
  }
  return to;
}

py::array_t<double> quantiles_py(const DoubleArray& df, const DoubleArray& loc,
                                 const DoubleArray& scale, const DoubleArray& weight,
                                 const std::vector<Pair>& levels) {
  const Mixtures mixtures = make_mixtures(df, loc, scale, weight);
  std::vector<NormalLevel> at;
  for (const auto& [level, normal] : levels) {
    if (!(level > 0.0 && level < 1.0)) reject("levels: expected numbers in (0, 1)");
    at.push_back({level, normal});
  }
  py::array_t<double> to({df.shape(0), static_cast<py::ssize_t>(at.size())});
  double* values = to.mutable_data();
  {
    const py::gil_scoped_release release;
    mixture_quantiles(mixtures, at.data(), at.size(), values);
  }
  return to;
}

py::array_t<double> means_py(const DoubleArray& df, const DoubleArray& loc,
                             const DoubleArray& scale, const DoubleArray& weight, const Pair& low,
                             const Pair& high) {
  const Mixtures mixtures = make_mixtures(df, loc, scale, weight);
  if (!(low.first >= 0.0 && low.first < high.first && high.first <= 1.0)) {
    reject("low, high: expected 0 <= low < high <= 1");
  }
  py::array_t<double> to(df.shape(0));
  double* values = to.mutable_data();
  {
    const py::gil_scoped_release release;
    mixture_means_between(mixtures, {low.first, low.second}, {high.first, high.second}, values);
  }
  return to;
}

}  // namespace

void register_student_t(py::module_& module) {
  using py::arg;
  module.def("mixture_cdf", &cdf_py, arg("df").noconvert(), arg("loc").noconvert(),
             arg("scale").noconvert(), arg("weight").noconvert(), arg("at").noconvert(),
             "P(X <= at) of mixtures [row, component] of Student-t distributions, [row].");
  module.def("mixture_quantiles", &quantiles_py, arg("df").noconvert(), arg("loc").noconvert(),
             arg("scale").noconvert(), arg("weight").noconvert(), arg("levels"),
             "Quantiles [row, level] at (level, the standard normal's quantile at it).");
  module.def("mixture_means_between", &means_py, arg("df").noconvert(), arg("loc").noconvert(),
             arg("scale").noconvert(), arg("weight").noconvert(), arg("low"), arg("high"),
             "Means [row] of the parts between two levels, given as for mixture_quantiles.");
}

}  // namespace marketsim::bindings
