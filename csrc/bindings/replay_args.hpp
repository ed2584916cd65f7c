// The bars of a replay as an argument.
#pragma once

#include "bindings/numpy_args.hpp"
#include "kernels/replay/run.hpp"

namespace marketsim::bindings {

using Times = py::array_t<int64_t, py::array::c_style>;

// The bars of a run, and the arrays that keep their memory.
struct ReplayBars {
  DoubleArray open, high, low, close;
  std::optional<DoubleArray> volume;
  std::optional<Times> time;
  std::optional<DoubleArray> split, dividend;

  replay::BarArrays arrays() const {
    const auto data = [](const std::optional<DoubleArray>& array) {
      return array ? array->data() : nullptr;
    };
    return {open.data(),  high.data(),    low.data(),
            close.data(), data(volume),   time ? time->data() : nullptr,
            data(split),  data(dividend), close.size()};
  }
};

}  // namespace marketsim::bindings
