#include "bindings/numpy_args.hpp"
#include "bindings/register.hpp"
#include "kernels/moves.hpp"

namespace marketsim::bindings {
namespace {

py::array_t<double> close_moves_py(const DoubleArray& open, const DoubleArray& high,
                                   const DoubleArray& low, const DoubleArray& close) {
  for (const DoubleArray* column : {&open, &high, &low, &close}) {
    if (column->ndim() != 1 || column->size() != close.size()) {
      reject("prices must be 1-D and of one length: got shapes " + shape_text(*column) + " and " +
             shape_text(close));
    }
  }
  const py::ssize_t bars = close.size();
  py::array_t<double> moves({py::ssize_t{4}, bars > 0 ? bars - 1 : 0});
  double* const to = moves.mutable_data();
  {
    const py::gil_scoped_release release;  // no Python object is touched below
    close_moves(open.data(), high.data(), low.data(), close.data(), static_cast<size_t>(bars), to);
  }
  return moves;
}

}  // namespace

void register_moves(py::module_& module) {
  using py::arg;
  module.def("close_moves", &close_moves_py, arg("open").noconvert(), arg("high").noconvert(),
             arg("low").noconvert(), arg("close").noconvert(),
             "Log moves of the four prices against the close before: [price, bars - 1].");
}

}  // namespace marketsim::bindings
