// Tensors as kernel arguments without a copy and without a Python call each: DLPack's C functions,
// which a tensor type offers as __dlpack_c_exchange_api__ (DLPack 1.2 and later; torch has them).
//
// Reading a tensor's address so costs some ten nanoseconds, Tensor.numpy() some hundred.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace marketsim::bindings {

namespace py = pybind11;

// The structures of dlpack.h, as far as they are read here. Their layout is DLPack's, version 1.
namespace dlpack {

struct Version {
  uint32_t major, minor;
};

struct Tensor {
  void* data;
  int32_t device_type, device_id;
  int32_t dimensions;
  uint8_t type_code, type_bits;
  uint16_t type_lanes;
  int64_t* shape;
  int64_t* strides;  // in elements; null where rows are contiguous
  uint64_t byte_offset;
};

struct ExchangeApi {
  Version version;
  void* older;
  void* allocate;
  void* managed_from_python;
  void* managed_to_python;
  int (*borrow)(void* object, Tensor* out);  // null where a type does not support it
  void* current_stream;
};

constexpr int32_t kCpu = 1;
constexpr uint8_t kFloat = 2;

}  // namespace dlpack

// The functions of a type of tensors; null where it has none that are understood here.
inline const dlpack::ExchangeApi* exchange_api(PyTypeObject* type) {
  // Asked once a type: nearly all arguments are of one. Types are never freed while it is asked,
  // and another type at the same address has the same functions or none, which `borrow` reports.
  thread_local PyTypeObject* known = nullptr;
  thread_local const dlpack::ExchangeApi* functions = nullptr;
  if (type == known) return functions;
  const dlpack::ExchangeApi* found = nullptr;
  const py::handle owner(reinterpret_cast<PyObject*>(type));
  if (py::hasattr(owner, "__dlpack_c_exchange_api__")) {
    const py::object capsule = owner.attr("__dlpack_c_exchange_api__");
    if (PyCapsule_IsValid(capsule.ptr(), "dlpack_exchange_api")) {
      found = static_cast<const dlpack::ExchangeApi*>(
          PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api"));
      if (found->version.major != 1 || !found->borrow) found = nullptr;
    }
  }
  Py_INCREF(reinterpret_cast<PyObject*>(type));  // kept: its address stands for it from now on
  known = type;
  functions = found;
  return found;
}

struct FloatRow {
  const float* data;
  size_t size;
  int32_t dimensions;
};

// The values, row by row, of a float32 tensor without gaps in the memory of the CPU that asks for
// no gradient; nothing for all else, which the caller then reads in another way. Valid as long as
// the tensor lives.
inline std::optional<FloatRow> borrow_floats(py::handle object) {
  const dlpack::ExchangeApi* const api = exchange_api(Py_TYPE(object.ptr()));
  if (!api) return std::nullopt;
  static PyObject* const requires_grad = PyUnicode_InternFromString("requires_grad");
  PyObject* const grad = PyObject_GetAttr(object.ptr(), requires_grad);
  if (!grad) {
    PyErr_Clear();
    return std::nullopt;
  }
  const bool wants_gradient = grad != Py_False;
  Py_DECREF(grad);
  dlpack::Tensor tensor;
  if (wants_gradient) return std::nullopt;
  if (api->borrow(object.ptr(), &tensor) != 0) {
    PyErr_Clear();
    return std::nullopt;
  }
  const bool floats =
      tensor.type_code == dlpack::kFloat && tensor.type_bits == 32 && tensor.type_lanes == 1;
  if (!floats || tensor.device_type != dlpack::kCpu) return std::nullopt;
  int64_t size = 1;
  for (int32_t i = tensor.dimensions; i-- > 0; size *= tensor.shape[i]) {
    const bool matters = tensor.strides && tensor.shape[i] > 1;
    if (matters && tensor.strides[i] != size) return std::nullopt;
  }
  if (size > 0 && !tensor.data) return std::nullopt;  // a tensor without values, as tracing has
  // A negative view holds the values without their sign.
  static PyObject* const is_neg = PyUnicode_InternFromString("is_neg");
  PyObject* const negative = PyObject_CallMethodNoArgs(object.ptr(), is_neg);
  if (!negative) {
    PyErr_Clear();
    return std::nullopt;
  }
  Py_DECREF(negative);
  if (negative != Py_False) return std::nullopt;
  const char* const first = static_cast<const char*>(tensor.data) + tensor.byte_offset;
  return FloatRow{reinterpret_cast<const float*>(first), static_cast<size_t>(size),
                  tensor.dimensions};
}

}  // namespace marketsim::bindings
