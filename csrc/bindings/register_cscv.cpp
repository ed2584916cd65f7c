#include <tuple>

#include "bindings/numpy_args.hpp"
#include "bindings/register.hpp"
#include "kernels/cscv.hpp"

namespace marketsim::bindings {
namespace {

using Doubles = py::array_t<double>;

std::tuple<py::array_t<std::int64_t>, Doubles, Doubles, Doubles> cross_validate_py(
    const DoubleArray& net, py::ssize_t blocks, bool sharpe) {
  if (net.ndim() != 2 || net.shape(0) == 0) {
    reject("net must be [strategy, bar] with at least one strategy: got shape " + shape_text(net));
  }
  if (blocks < 2 || blocks % 2 || blocks > 24) {
    reject("blocks must be even, from 2 to 24: got " + std::to_string(blocks));
  }
  if (net.shape(1) < 2 * blocks) {
    reject("expected at least two bars a block: got " + std::to_string(net.shape(1)) +
           " bars for " + std::to_string(blocks) + " blocks");
  }
  const auto splits = static_cast<py::ssize_t>(split_count(static_cast<size_t>(blocks)));
  py::array_t<std::int64_t> chosen(splits);
  Doubles in_sample(splits), out_of_sample(splits), rank(splits);
  const SplitResults to{chosen.mutable_data(), in_sample.mutable_data(),
                        out_of_sample.mutable_data(), rank.mutable_data()};
  {
    const py::gil_scoped_release release;  // no Python object is touched below
    cross_validate(net.data(), static_cast<size_t>(net.shape(0)), static_cast<size_t>(net.shape(1)),
                   static_cast<size_t>(blocks), sharpe ? Statistic::sharpe : Statistic::mean, to);
  }
  return {chosen, in_sample, out_of_sample, rank};
}

}  // namespace

void register_cscv(py::module_& module) {
  using py::arg;
  module.def("cross_validate", &cross_validate_py, arg("net").noconvert(), arg("blocks"),
             arg("sharpe"),
             "(best in sample, its statistic in sample, out of sample, its rank there) of every "
             "split.");
}

}  // namespace marketsim::bindings
