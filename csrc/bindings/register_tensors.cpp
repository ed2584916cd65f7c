#include <algorithm>
#include <vector>

#include "bindings/dlpack_args.hpp"
#include "bindings/numpy_args.hpp"
#include "bindings/register.hpp"

namespace marketsim::bindings {
namespace {

// Tensors with equally many values as rows; None where they are not all as `borrow_floats` wants
// them.
py::object rows_of_tensors(const py::object& tensors) {
  std::vector<py::object> held;  // what the rows belong to
  std::vector<FloatRow> rows;
  for (const py::handle tensor : tensors) {
    const std::optional<FloatRow> row = borrow_floats(tensor);
    if (!row || (!rows.empty() && row->size != rows[0].size)) return py::none();
    rows.push_back(*row);
    held.push_back(py::reinterpret_borrow<py::object>(tensor));
  }
  const size_t size = rows.empty() ? 0 : rows[0].size;
  py::array_t<float> out({rows.size(), size});
  float* to = out.mutable_data();
  for (const FloatRow& row : rows) to = std::copy_n(row.data, size, to);
  return out;
}

}  // namespace

void register_tensors(py::module_& module) {
  module.def("rows_of_tensors", &rows_of_tensors, py::arg("tensors"),
             "float32 [tensor, value] of float32 tensors of one size on the CPU; None of others.");
}

}  // namespace marketsim::bindings
