#include <pybind11/stl.h>

#include "bindings/register.hpp"
#include "common/isa.hpp"
#include "common/parallel.hpp"

namespace py = pybind11;

namespace marketsim::bindings {

void register_build(py::module_& module) {
  module.def("isa", [] { return isa_name(active_isa()); }, "Instruction set the kernels run on.");
  module.def("set_isa", &set_isa, py::arg("name"),
             "Run the kernels on another supported instruction set (for tests).");
  module.def("supported_isas", &supported_isas, "Instruction sets of this processor.");
  module.def("thread_limit", &thread_limit, "Threads that one call may use.");
  module.def("set_thread_limit", &set_thread_limit, py::arg("threads"),
             "Set that number; 0 returns to MARKETSIM_NUM_THREADS or the cores available.");
  module.def("compiler", [] { return std::string(MARKETSIM_COMPILER); }, "Compiler of this build.");
}

}  // namespace marketsim::bindings
