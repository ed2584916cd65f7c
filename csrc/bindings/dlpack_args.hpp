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

// How tensors of one type are read: DLPack's functions, and what DLPack does not tell, by the C
// function behind the type's method. Looking a method up costs more than all else here.
struct TensorType {
  const dlpack::ExchangeApi* api = nullptr;  // null: tensors of this type are not read
  PyCFunction is_neg = nullptr;
  // What a view is a view of: a getter, which costs a fraction of `is_neg`, as that lets go of the
  // interpreter's lock and takes it again.
  const PyGetSetDef* base = nullptr;
};

inline const dlpack::ExchangeApi* exchange_api(py::handle type) {
  if (!py::hasattr(type, "__dlpack_c_exchange_api__")) return nullptr;
  const py::object capsule = type.attr("__dlpack_c_exchange_api__");
  if (!PyCapsule_IsValid(capsule.ptr(), "dlpack_exchange_api")) return nullptr;
  const auto* const api = static_cast<const dlpack::ExchangeApi*>(
      PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api"));
  return api->version.major == 1 && api->borrow ? api : nullptr;
}

// A method that is not implemented in C, as a subclass may have, leaves a type unread.
inline TensorType read_tensor_type(PyTypeObject* type) {
  const py::handle owner(reinterpret_cast<PyObject*>(type));
  const dlpack::ExchangeApi* const api = exchange_api(owner);
  if (!api || !py::hasattr(owner, "is_neg") || !py::hasattr(owner, "_base")) return {};
  const py::object is_neg = owner.attr("is_neg"), base = owner.attr("_base");
  if (!Py_IS_TYPE(is_neg.ptr(), &PyMethodDescr_Type)) return {};
  if (!Py_IS_TYPE(base.ptr(), &PyGetSetDescr_Type)) return {};
  const auto* const method = reinterpret_cast<PyMethodDescrObject*>(is_neg.ptr())->d_method;
  const auto* const property = reinterpret_cast<PyGetSetDescrObject*>(base.ptr())->d_getset;
  const bool fits = method->ml_flags == METH_NOARGS && property->get &&
                    PyType_IsSubtype(type, PyDescr_TYPE(is_neg.ptr())) &&
                    PyType_IsSubtype(type, PyDescr_TYPE(base.ptr()));
  return fits ? TensorType{api, method->ml_meth, property} : TensorType{};
}

inline const TensorType& tensor_type(PyTypeObject* type) {
  // Asked once a type: nearly all arguments are of one, which is kept, as its address stands for
  // it.
  thread_local PyTypeObject* known = nullptr;
  thread_local TensorType functions;
  if (type == known) return functions;
  functions = read_tensor_type(type);
  Py_INCREF(reinterpret_cast<PyObject*>(type));
  known = type;
  return functions;
}

// Whether a tensor is known to be a view of none. An error of a tensor that cannot tell is none.
inline bool is_own(const TensorType& type, PyObject* tensor) {
  PyObject* const base = type.base->get(tensor, type.base->closure);
  if (!base) {
    PyErr_Clear();
    return false;
  }
  Py_DECREF(base);
  return base == Py_None;
}

// Whether an answer, which is given away, is False. An error of a tensor that cannot tell is none.
inline bool is_false(PyObject* answer) {
  if (!answer) {
    PyErr_Clear();
    return false;
  }
  Py_DECREF(answer);
  return answer == Py_False;
}

struct FloatRow {
  const float* data;
  size_t size;
  int32_t dimensions;
};

// The values, row by row, of a float32 tensor without gaps in the memory of the CPU, whether or not
// it asks for a gradient; nothing for all else, which the caller then reads in another way. Valid
// as long as the tensor lives.
inline std::optional<FloatRow> borrow_floats(py::handle object) {
  const TensorType& type = tensor_type(Py_TYPE(object.ptr()));
  if (!type.api) return std::nullopt;
  dlpack::Tensor tensor;
  if (type.api->borrow(object.ptr(), &tensor) != 0) {
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
  // A negative view holds the values without their sign. It is a view, of imaginary parts, which do
  // not lie side by side; only a single one may have forgotten what it is a view of (`.data`).
  const bool may_be_negative = size <= 1 || !is_own(type, object.ptr());
  if (may_be_negative && !is_false(type.is_neg(object.ptr(), nullptr))) return std::nullopt;
  const char* const first = static_cast<const char*>(tensor.data) + tensor.byte_offset;
  return FloatRow{reinterpret_cast<const float*>(first), static_cast<size_t>(size),
                  tensor.dimensions};
}

}  // namespace marketsim::bindings
