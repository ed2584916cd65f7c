#include <pybind11/stl.h>

#include <cstdlib>

#include "bindings/register.hpp"
#include "common/isa.hpp"
#include "common/parallel.hpp"

namespace py = pybind11;

namespace marketsim::bindings {

namespace {

// The process's environment, which os.environ writes to. The GIL keeps its writers away.
py::object environment_variable(const char* name) {
  const char* const text = std::getenv(name);
  if (!text) return py::none();
  return py::reinterpret_steal<py::object>(PyUnicode_DecodeFSDefault(text));
}

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
  module.def("environment_variable", &environment_variable, py::arg("name"),
             "What os.environ.get(name) gives, in a fifth of its time where there is none.");
  module.def("compiler", [] { return std::string(MARKETSIM_COMPILER); }, "Compiler of this build.");
}

}  // namespace marketsim::bindings
