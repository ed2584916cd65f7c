// The bars of a replay as an argument.
#pragma once

#include <pybind11/typing.h>

#include <string>
#include <vector>

#include "bindings/numpy_args.hpp"
#include "kernels/replay/deciders.hpp"

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

using BoolArray = py::array_t<bool, py::array::c_style>;
using Bytes = py::array_t<uint8_t, py::array::c_style>;
using OnBarCallback = py::typing::Callable<void(py::int_)>;

// The arguments of entries and exits given as flags, and the arrays that keep their memory.
struct SignalArgs {
  std::optional<BoolArray> long_entry, long_exit, short_entry, short_exit;
  int64_t size;
  double quantity;
  std::optional<DoubleArray> quantities;
  double stop_loss, take_profit, trailing_stop;
  std::optional<DoubleArray> stop_losses, take_profits;
  int64_t cooldown, time_stop;

  replay::Signals signals(const DoubleArray& close) const;
};

// Structured rows as bytes [row, size]; the Python side views them as its dtype of this layout.
template <typename Record>
py::array_t<uint8_t> bytes_of(const Rows<Record>& rows) {
  py::array_t<uint8_t> out(
      {static_cast<py::ssize_t>(rows.size()), static_cast<py::ssize_t>(sizeof(Record))});
  rows.copy_to(out.mutable_data());
  return out;
}

// The memory that a strategy and an engine share.
replay::Request* requests_of(Bytes& requests);
replay::State* state_of(Bytes& state);

// A compiled strategy, by the address of its function, over columns of features [bar].
struct StrategyArgs {
  uintptr_t address;
  std::vector<const double*> columns;

  StrategyArgs(const ReplayBars& bars, uintptr_t at, const std::vector<DoubleArray>& features);
  replay::Strategy strategy() const {
    return {reinterpret_cast<replay::OnBar>(address), columns.data(),
            static_cast<int64_t>(columns.size())};
  }
};

// A strategy in plain Python: on_bar(t) is called with the shared buffers filled in.
class CallbackDecider final : public replay::Decider {
 public:
  CallbackDecider(replay::Engine& engine, const replay::BarArrays& bars,
                  const OnBarCallback& on_bar, Bytes& state, Bytes& bar, Bytes& requests,
                  replay::Refusal& refusal);
  int64_t next(int64_t t) override { return t; }
  replay::Ended decide(int64_t t) override;

 private:
  replay::Engine& engine_;
  replay::BarArrays bars_;
  const OnBarCallback& on_bar_;
  replay::State* state_;
  replay::BarRecord* bar_;
  replay::Request* requests_;
  replay::Refusal& refusal_;
};

// The figures of ReplayResult.metrics; `annual_root` is the root of the periods a year.
py::typing::Dict<py::str, double> metrics_of(const replay::Summary& summary, double cash,
                                             double annual_root);

}  // namespace marketsim::bindings
