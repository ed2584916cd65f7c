#include <pybind11/pybind11.h>

#include "bindings/register.hpp"

PYBIND11_MODULE(_core, module) {
  module.doc() = "Compiled kernels of marketsim. Private: call them through marketsim.";
  marketsim::bindings::register_bootstrap(module);
  marketsim::bindings::register_build(module);
  marketsim::bindings::register_climatology(module);
  marketsim::bindings::register_cscv(module);
  marketsim::bindings::register_day_trades(module);
  marketsim::bindings::register_features(module);
  marketsim::bindings::register_genesis(module);
  marketsim::bindings::register_indicators(module);
  marketsim::bindings::register_keys(module);
  marketsim::bindings::register_moves(module);
  marketsim::bindings::register_offsets(module);
  marketsim::bindings::register_performance(module);
  marketsim::bindings::register_profit(module);
  marketsim::bindings::register_replay(module);
  marketsim::bindings::register_replay_grid(module);
  marketsim::bindings::register_replay_shared(module);
  marketsim::bindings::register_scores(module);
  marketsim::bindings::register_statistical(module);
  marketsim::bindings::register_store(module);
  marketsim::bindings::register_student_t(module);
  marketsim::bindings::register_tensors(module);
}
