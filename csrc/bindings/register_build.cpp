#include <pybind11/stl.h>

#include <cstdlib>

#include "bindings/fast_call.hpp"
#include "bindings/register.hpp"
#include "common/isa.hpp"
#include "common/parallel.hpp"

namespace py = pybind11;

namespace marketsim::bindings {

namespace {

// The process's environment, which os.environ writes to. The GIL keeps its writers away.
PyObject* environment_variable(PyObject*, PyObject* name) {
  const char* const asked = PyUnicode_AsUTF8(name);
  if (!asked) return nullptr;
  const char* const text = std::getenv(asked);
  if (!text) Py_RETURN_NONE;
  return PyUnicode_DecodeFSDefault(text);
}

PyMethodDef fast_functions[] = {
    {"environment_variable", &environment_variable, METH_O,
     "environment_variable(name: str) -> str | None\n\n"
     "What os.environ.get(name) gives, in a tenth of its time where there is none."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

void register_build(py::module_& module) {
  read_isa_variable();
  read_threads_variable();
  module.def("isa", [] { return isa_name(active_isa()); }, "Instruction set the kernels run on.");
  module.def("set_isa", &set_isa, py::arg("name"),
             "Run the kernels on another supported instruction set (for tests).");
  module.def("supported_isas", &supported_isas, "Instruction sets of this processor.");
  module.def("thread_limit", &thread_limit, "Threads that one call may use.");
  module.def("set_thread_limit", &set_thread_limit, py::arg("threads"),
             "Set that number; 0 returns to MARKETSIM_NUM_THREADS or the cores available.");
  add_fast(module, fast_functions);
  module.def("compiler", [] { return std::string(MARKETSIM_COMPILER); }, "Compiler of this build.");
}

}  // namespace marketsim::bindings
