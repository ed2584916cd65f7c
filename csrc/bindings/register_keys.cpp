#include <algorithm>

#include "bindings/numpy_args.hpp"
#include "bindings/register.hpp"
#include "kernels/store/keys.hpp"

namespace marketsim::bindings {
namespace {

using Stamps = py::array_t<int64_t, py::array::c_style>;
using KeyBytes = py::array_t<uint8_t, py::array::c_style>;

KeyBytes context_digests_py(const Stamps& timestamps, const py::array_t<double>& values,
                            const Stamps& ends, size_t context_length) {
  if (timestamps.ndim() != 1) {
    reject("timestamps must have shape (rows,): got " + shape_text(timestamps));
  }
  if (values.ndim() != 2 || values.shape(1) != timestamps.size()) {
    reject("values must have shape (columns, " + std::to_string(timestamps.size()) + "): got " +
           shape_text(values));
  }
  if (ends.ndim() != 1) reject("ends must have shape (n,): got " + shape_text(ends));
  const int64_t* last = ends.data();
  for (py::ssize_t i = 0; i < ends.size(); ++i) {
    if (last[i] < 1 || last[i] > timestamps.size()) {
      reject("ends must be 1 to " + std::to_string(timestamps.size()) + ": got " +
             std::to_string(last[i]));
    }
  }
  constexpr auto item = static_cast<py::ssize_t>(sizeof(double));
  if (values.strides(0) % item != 0 || values.strides(1) % item != 0) {
    reject("values must lie at whole float64 steps: copy them first");
  }
  const store::KeyRows rows{timestamps.data(),
                            values.data(),
                            static_cast<size_t>(timestamps.size()),
                            static_cast<size_t>(values.shape(0)),
                            values.strides(1) / item,
                            values.strides(0) / item};
  KeyBytes digests({ends.size(), static_cast<py::ssize_t>(store::kKeyBytes)});
  uint8_t* to = digests.mutable_data();
  const auto count = static_cast<size_t>(ends.size());
  {
    const py::gil_scoped_release release;
    store::context_digests(rows, last, count, context_length, to);
  }
  return digests;
}

KeyBytes record_keys_py(const py::bytes& head, const Stamps& as_of, const KeyBytes& contexts) {
  const auto text = static_cast<std::string_view>(head);
  if (text.size() != 32) reject("head must be 32 bytes: got " + std::to_string(text.size()));
  if (as_of.ndim() != 1) reject("as_of must have shape (n,): got " + shape_text(as_of));
  const auto width = static_cast<py::ssize_t>(store::kKeyBytes);
  if (contexts.ndim() != 2 || contexts.shape(0) != as_of.size() || contexts.shape(1) != width) {
    reject("contexts must have shape (" + std::to_string(as_of.size()) + ", 16): got " +
           shape_text(contexts));
  }
  KeyBytes keys({as_of.size(), width});
  uint8_t* to = keys.mutable_data();
  const int64_t* stamps = as_of.data();
  const uint8_t* seen = contexts.data();
  const auto count = static_cast<size_t>(as_of.size());
  {
    const py::gil_scoped_release release;
    store::record_keys(reinterpret_cast<const uint8_t*>(text.data()), stamps, seen, count, to);
  }
  return keys;
}

}  // namespace

void register_keys(py::module_& module) {
  using py::arg;
  module.def("context_digests", &context_digests_py, arg("timestamps").noconvert(),
             arg("values").noconvert(), arg("ends").noconvert(), arg("context_length"),
             "Digest [n, 16] of the last context_length rows (0: all) before each end; values is "
             "[column, row].");
  module.def("record_keys", &record_keys_py, arg("head"), arg("as_of").noconvert(),
             arg("contexts").noconvert(),
             "Key [n, 16] of each forecast, from a digest of what is the same for all of them.");
}

}  // namespace marketsim::bindings
