// The bars of a replay as an argument.
#pragma once

#include <vector>

#include "bindings/numpy_args.hpp"
#include "kernels/replay/run.hpp"

namespace marketsim::bindings {

using Times = py::array_t<int64_t, py::array::c_style>;

// The bars of a run, and the arrays that keep their memory.
struct ReplayBars {
  DoubleArray open, high, low, close;
  std::optional<DoubleArray> volume;
  std::optional<Times> time;
  std::optional<DoubleArray> split, dividend, trail;
  // Finer bars [finer bar, open high low close], their volume, and the first of each bar [bar + 1].
  std::vector<DoubleArray> finer;
  std::optional<DoubleArray> finer_volume;
  std::optional<Times> finer_first;

  replay::BarArrays arrays() const {
    const auto data = [](const auto& array) { return array ? array->data() : nullptr; };
    replay::BarArrays out{open.data(),  high.data(), low.data(),  close.data(),
                          data(volume), data(time),  data(split), data(dividend),
                          data(trail),  {},          close.size()};
    if (finer_first) {
      out.finer = {finer[0].data(), finer[1].data(),    finer[2].data(),
                   finer[3].data(), data(finer_volume), finer_first->data()};
    }
    return out;
  }

  // Gives bar t the finer bars of rows first[t] .. first[t + 1] - 1.
  void add_finer(const std::vector<DoubleArray>& columns, const std::optional<DoubleArray>& volumes,
                 const Times& first) {
    if (columns.size() != 4) reject("finer bars: expected open, high, low and close");
    for (const DoubleArray& column : columns) {
      require_same_shape(columns[0], "finer open", column, "finer column");
    }
    if (volumes) require_same_shape(columns[0], "finer open", *volumes, "finer volume");
    const auto* const at = first.data();
    bool ordered = first.ndim() == 1 && first.size() == close.size() + 1 && at[0] >= 0 &&
                   at[close.size()] <= columns[0].size();
    for (py::ssize_t t = 0; ordered && t < close.size(); ++t) ordered = at[t] <= at[t + 1];
    if (!ordered) reject("finer bars: first must ascend, one a bar and one more");
    finer = columns;
    finer_volume = volumes;
    finer_first = first;
  }
};

}  // namespace marketsim::bindings
