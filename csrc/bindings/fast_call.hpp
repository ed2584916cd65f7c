// Functions that Python calls without pybind11's dispatch, which costs as much as a small kernel:
// arguments by position alone, as an array.
#pragma once

#include <pybind11/pybind11.h>

#include <exception>
#include <new>
#include <stdexcept>

namespace marketsim::bindings {

using FastFunction = PyObject* (*)(PyObject*, PyObject* const*, Py_ssize_t);

// For a PyMethodDef with METH_FASTCALL.
inline PyCFunction fast(FastFunction function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

// `functions` ends with an empty entry and lives as long as the module.
inline void add_fast(pybind11::module_& module, PyMethodDef* functions) {
  if (PyModule_AddFunctions(module.ptr(), functions) != 0) throw pybind11::error_already_set();
}

// What `work` returns; exceptions of C++ become those that pybind11 makes of them.
template <typename Work>
PyObject* guarded(const Work& work) {
  try {
    return work();
  } catch (pybind11::error_already_set& error) {
    error.restore();
  } catch (const pybind11::cast_error& error) {
    PyErr_SetString(PyExc_TypeError, error.what());
  } catch (const std::invalid_argument& error) {
    PyErr_SetString(PyExc_ValueError, error.what());
  } catch (const std::bad_alloc& error) {
    PyErr_SetString(PyExc_MemoryError, error.what());
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return nullptr;
}

}  // namespace marketsim::bindings
