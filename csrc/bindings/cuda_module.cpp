// The module _cuda, and _cuda_emulation, which runs the same kernels on the host.
//
// Arrays come as addresses in the device's memory (0: none) and streams as the address of a
// cudaStream_t. Nothing here looks at what the addresses point to: the Python side has checked
// dtypes, shapes and devices.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>
#include <vector>

#include "cuda/launch.hpp"
#include "kernels/fill.hpp"
#if defined(MARKETSIM_EMULATION)
#include "cuda/emulation.hpp"
#endif

namespace marketsim::bindings {
namespace {

namespace py = pybind11;
using namespace marketsim::cuda;

// close, high, low, high_pred, low_pred, position, open
using Addresses = std::array<uintptr_t, 7>;
using Strides = std::array<size_t, 7>;

template <typename T>
T* at(uintptr_t address) {
  return reinterpret_cast<T*>(address);  // NOLINT: an address of the device
}

void check(const Error& error) {
  if (!error.empty()) throw std::runtime_error(error);
}

Rules rules_of(int fill, int fee_rule, float limit_cost, float close_cost) {
  if (fill < 0 || fill >= kFills) throw std::invalid_argument("fill: no policy of that code");
  if (fee_rule < 0 || fee_rule > 1) throw std::invalid_argument("fee_rule: expected 0 or 1");
  return {static_cast<Fill>(fill), static_cast<FeeRule>(fee_rule), limit_cost, close_cost};
}

Windows windows_of(const Rules& rules, const Addresses& days, const Strides& strides,
                   uintptr_t starts, size_t problems, size_t count) {
  if (!is_legacy(rules.fill) && days[6] == 0) throw std::invalid_argument("open: none given");
  OffsetProblems of{};
  of.first = {at<const float>(days[0]), at<const float>(days[1]), at<const float>(days[2]),
              at<const float>(days[3]), at<const float>(days[4]), at<const float>(days[5]),
              at<const float>(days[6])};
  of.close_stride = strides[0], of.high_stride = strides[1], of.low_stride = strides[2];
  of.high_pred_stride = strides[3], of.low_pred_stride = strides[4];
  of.position_stride = strides[5], of.open_stride = strides[6];
  of.count = problems, of.days = count;
  return {of, at<const int64_t>(starts)};
}

ProfitSums sums_of(uintptr_t total, uintptr_t squares, uintptr_t wins, uintptr_t trades) {
  return {at<double>(total), at<double>(squares), at<uint32_t>(wins), at<uint32_t>(trades)};
}

ProfitBatch make_batch(const Addresses& days, const Strides& strides, uintptr_t starts,
                       size_t problems, size_t count, uintptr_t high, uintptr_t low,
                       size_t offset_stride, size_t candidates, size_t grid_lows, int fill,
                       int fee_rule, float limit_cost, float close_cost) {
  const Rules rules = rules_of(fill, fee_rule, limit_cost, close_cost);
  return {rules,
          windows_of(rules, days, strides, starts, problems, count),
          at<const float>(high),
          at<const float>(low),
          offset_stride,
          candidates,
          grid_lows};
}

OffsetGroup make_group(const Addresses& days, const Strides& strides, uintptr_t starts,
                       size_t problems, size_t count, const std::array<float, 4>& bounds, int fill,
                       int fee_rule, float limit_cost, float close_cost, float margin,
                       bool always_on, bool long_only, uintptr_t high, uintptr_t low,
                       uintptr_t profit, uintptr_t applied, size_t applied_gap,
                       size_t applied_days) {
  OffsetGroup group{};
  group.rules = {rules_of(fill, fee_rule, limit_cost, close_cost),
                 {bounds[0], bounds[1], bounds[2], bounds[3]},
                 margin,
                 always_on,
                 long_only};
  group.windows = windows_of(group.rules.rules, days, strides, starts, problems, count);
  group.answers = {at<float>(high), at<float>(low), at<double>(profit)};
  group.application = {at<float>(applied), applied_gap, applied_days};
  return group;
}

using Level = std::pair<double, double>;  // with the standard normal's quantile at it

MixtureJob make_job(uintptr_t df, uintptr_t loc, uintptr_t scale, uintptr_t weight, size_t rows,
                    size_t components, uintptr_t out) {
  if (components == 0) throw std::invalid_argument("components: expected at least 1");
  MixtureJob job{};
  job.mixtures = {at<const double>(df),
                  at<const double>(loc),
                  at<const double>(scale),
                  at<const double>(weight),
                  rows,
                  components};
  job.out = at<double>(out);
  return job;
}

void mixture_quantiles_at(MixtureJob job, const std::vector<Level>& levels, const Queue& queue) {
  for (const auto& [level, normal] : levels) {
    if (!(level > 0.0 && level < 1.0)) throw std::invalid_argument("levels: expected (0, 1)");
  }
  double* const out = job.out;
  job.width = levels.size();
  for (size_t first = 0; first < levels.size(); first += kMaxLevels) {
    job.count = std::min(levels.size() - first, kMaxLevels);
    job.out = out + first;
    for (size_t j = 0; j < job.count; ++j) {
      job.levels[j] = {levels[first + j].first, levels[first + j].second};
    }
    check(mixture_values(job, queue));
  }
}

void mixture_means_at(MixtureJob job, const Level& low, const Level& high, const Queue& queue) {
  if (!(low.first >= 0.0 && low.first < high.first && high.first <= 1.0)) {
    throw std::invalid_argument("low, high: expected 0 <= low < high <= 1");
  }
  job.between = true;
  job.levels[0] = {low.first, low.second};
  job.levels[1] = {high.first, high.second};
  check(mixture_values(job, queue));
}

void register_mixtures(py::module_& module) {
  using py::arg;
  module.def(
      "mixture_quantiles",
      [](uintptr_t df, uintptr_t loc, uintptr_t scale, uintptr_t weight, size_t rows,
         size_t components, const std::vector<Level>& levels, uintptr_t out, int device,
         uintptr_t stream) {
        const py::gil_scoped_release release;
        mixture_quantiles_at(make_job(df, loc, scale, weight, rows, components, out), levels,
                             {device, at<void>(stream)});
      },
      arg("df"), arg("loc"), arg("scale"), arg("weight"), arg("rows"), arg("components"),
      arg("levels"), arg("out"), arg("device"), arg("stream"),
      "Quantiles [row, level] of mixtures [row, component], float64, at (level, the standard "
      "normal's quantile at it).");
  module.def(
      "mixture_means_between",
      [](uintptr_t df, uintptr_t loc, uintptr_t scale, uintptr_t weight, size_t rows,
         size_t components, const Level& low, const Level& high, uintptr_t out, int device,
         uintptr_t stream) {
        const py::gil_scoped_release release;
        mixture_means_at(make_job(df, loc, scale, weight, rows, components, out), low, high,
                         {device, at<void>(stream)});
      },
      arg("df"), arg("loc"), arg("scale"), arg("weight"), arg("rows"), arg("components"),
      arg("low"), arg("high"), arg("out"), arg("device"), arg("stream"),
      "Means [row] of the parts between two levels, given as for mixture_quantiles.");
}

void register_types(py::module_& module) {
  using py::arg;
  // Both modules may be loaded.
  py::class_<ProfitBatch>(module, "ProfitBatch", py::module_local(),
                          "Candidates and the days they are tried on.")
      .def(py::init(&make_batch), py::kw_only(), arg("days"), arg("strides"), arg("starts"),
           arg("problems"), arg("day_count"), arg("high_offset"), arg("low_offset"),
           arg("offset_stride"), arg("candidates"), arg("grid_lows"), arg("fill"), arg("fee_rule"),
           arg("limit_cost"), arg("close_cost"));
  py::class_<OffsetGroup>(module, "OffsetGroup", py::module_local(),
                          "Problems of one kind, and where answers go.")
      .def(py::init(&make_group), py::kw_only(), arg("days"), arg("strides"), arg("starts"),
           arg("problems"), arg("day_count"), arg("bounds"), arg("fill"), arg("fee_rule"),
           arg("limit_cost"), arg("close_cost"), arg("margin"), arg("always_on"), arg("long_only"),
           arg("high"), arg("low"), arg("profit"), arg("applied"), arg("applied_gap"),
           arg("applied_days"));
}

void register_launches(py::module_& module) {
  using py::arg;
  module.def(
      "profit_days",
      [](const ProfitBatch& batch, uintptr_t out, int device, uintptr_t stream) {
        const py::gil_scoped_release release;  // a launch may wait for room in the stream's queue
        check(profit_days(batch, at<float>(out), {device, at<void>(stream)}));
      },
      arg("batch"), arg("out"), arg("device"), arg("stream"),
      "Profit of each problem, candidate and day, float32, into `out`.");
  module.def(
      "profit_sums",
      [](const ProfitBatch& batch, uintptr_t total, uintptr_t squares, uintptr_t wins,
         uintptr_t trades, int device, uintptr_t stream) {
        const py::gil_scoped_release release;
        check(
            profit_sums(batch, sums_of(total, squares, wins, trades), {device, at<void>(stream)}));
      },
      arg("batch"), arg("total"), arg("squares"), arg("wins"), arg("trades"), arg("device"),
      arg("stream"),
      "Sums over the days for each problem and candidate; 0 for what is not wanted.");
  module.def(
      "window_sums",
      [](uintptr_t values, uintptr_t starts, size_t windows, size_t days, uintptr_t total,
         uintptr_t squares, uintptr_t wins, uintptr_t trades, int device, uintptr_t stream) {
        const py::gil_scoped_release release;
        check(window_sums(at<const float>(values), at<const int64_t>(starts), windows, days,
                          sums_of(total, squares, wins, trades), {device, at<void>(stream)}));
      },
      arg("values"), arg("starts"), arg("windows"), arg("days"), arg("total"), arg("squares"),
      arg("wins"), arg("trades"), arg("device"), arg("stream"),
      "The same sums over windows of values.");
  module.def(
      "offsets_workspace",
      [](const std::vector<OffsetGroup>& groups, int device) {
        Workspace needed{};
        check(offsets_workspace(groups.data(), groups.size(), {device, nullptr}, &needed));
        return py::make_tuple(needed.least, needed.most);
      },
      arg("groups"), arg("device"),
      "Bytes of workspace that best_offsets needs at least, and uses at most.");
  module.def(
      "best_offsets",
      [](const std::vector<OffsetGroup>& groups, uintptr_t workspace, size_t bytes, int device,
         uintptr_t stream) {
        const py::gil_scoped_release release;
        check(best_offsets(groups.data(), groups.size(), at<void>(workspace), bytes,
                           {device, at<void>(stream)}));
      },
      arg("groups"), arg("workspace"), arg("workspace_bytes"), arg("device"), arg("stream"),
      "Best offsets, their profit and what they earn behind the window, for all groups.");
}

void register_driver(py::module_& module) {
  using py::arg;
  module.def("device_count", &device_count, "Devices that can be used; 0 without a driver.");
  module.def("driver_state", &driver_state, "Driver and runtime, or why no device can be used.");
  module.def("device_name", &device_name, arg("device"), "The device's name; empty if unknown.");
  module.attr("MAX_GROUPS") = kMaxGroups;
  module.attr("MAX_DAYS") = kMaxDays;
  module.attr("ARCHITECTURES") = MARKETSIM_CUDA_ARCHITECTURES;
}

}  // namespace
}  // namespace marketsim::bindings

#if defined(MARKETSIM_EMULATION)
PYBIND11_MODULE(_cuda_emulation, module) {
  module.doc() = "The kernels of _cuda on the host, for tests.";
  module.def(
      "set_rank_order",
      [](int order) {
        marketsim::device::set_rank_order(static_cast<marketsim::device::RankOrder>(order));
      },
      pybind11::arg("order"),
      "0 forward, 1 backward, 2 mixed, 3 random: the order of threads in a phase.");
#else
PYBIND11_MODULE(_cuda, module) {
  module.doc() = "CUDA kernels of marketsim. Private: call them through marketsim.";
#endif
  marketsim::bindings::register_types(module);
  marketsim::bindings::register_launches(module);
  marketsim::bindings::register_mixtures(module);
  marketsim::bindings::register_driver(module);
}
