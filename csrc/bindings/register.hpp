// One function a topic; core_module.cpp calls them all.
#pragma once

#include <pybind11/pybind11.h>

namespace marketsim::bindings {

void register_bootstrap(pybind11::module_& module);
void register_build(pybind11::module_& module);
void register_climatology(pybind11::module_& module);
void register_cscv(pybind11::module_& module);
void register_day_trades(pybind11::module_& module);
void register_features(pybind11::module_& module);
void register_genesis(pybind11::module_& module);
void register_indicators(pybind11::module_& module);
void register_keys(pybind11::module_& module);
void register_moves(pybind11::module_& module);
void register_offsets(pybind11::module_& module);
void register_performance(pybind11::module_& module);
void register_profit(pybind11::module_& module);
void register_replay(pybind11::module_& module);
void register_replay_grid(pybind11::module_& module);
void register_replay_shared(pybind11::module_& module);
void register_scores(pybind11::module_& module);
void register_statistical(pybind11::module_& module);
void register_store(pybind11::module_& module);
void register_student_t(pybind11::module_& module);
void register_tensors(pybind11::module_& module);

}  // namespace marketsim::bindings
