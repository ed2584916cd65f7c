#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>
#include <vector>

#include "bindings/dlpack_args.hpp"
#include "bindings/numpy_args.hpp"
#include "bindings/register.hpp"
#include "kernels/offsets/offsets.hpp"

namespace marketsim::bindings {
namespace {

using OffsetArrays = std::tuple<py::array_t<float>, py::array_t<float>, py::array_t<double>>;
using FillOffsetArrays = std::tuple<py::array_t<unsigned char>, py::array_t<float>,
                                    py::array_t<float>, py::array_t<double>>;

// The float32 nearest to `bound` that does not lie beyond it.
float inward(double bound, bool is_upper) {
  const float nearest = static_cast<float>(bound);
  if (is_upper && nearest > bound) return std::nextafter(nearest, -INFINITY);
  if (!is_upper && nearest < bound) return std::nextafter(nearest, INFINITY);
  return nearest;
}

// The distance between rows in elements; rows that are not contiguous are replaced by a copy.
size_t contiguous_rows(FloatRows& rows) {
  constexpr py::ssize_t kItem = sizeof(float);
  const py::ssize_t axis = rows.ndim() - 1;
  const bool inner = rows.shape(axis) <= 1 || rows.strides(axis) == kItem;
  const bool outer = axis == 0 || (rows.strides(0) >= 0 && rows.strides(0) % kItem == 0);
  if (!inner || !outer) rows = FloatArray::ensure(rows);
  return axis == 0 ? 0 : static_cast<size_t>(rows.strides(0) / kItem);
}

// Rows of days, one problem each; arrays without contiguous rows are replaced by copies.
OffsetProblems check_problems(const std::array<FloatRows*, 7>& rows) {
  const FloatRows& close = *rows[0];
  if (close.ndim() != 1 && close.ndim() != 2) {
    reject("close must be [day] or [problem, day]: got shape " + shape_text(close));
  }
  OffsetProblems problems{};
  problems.count = close.ndim() == 1 ? 1 : static_cast<size_t>(close.shape(0));
  problems.days = static_cast<size_t>(close.shape(close.ndim() - 1));
  size_t* const strides[] = {&problems.close_stride,    &problems.high_stride,
                             &problems.low_stride,      &problems.high_pred_stride,
                             &problems.low_pred_stride, &problems.position_stride,
                             &problems.open_stride};
  for (size_t i = 0; i < 7; ++i) {
    if (!rows[i]) continue;
    require_same_shape(close, "close", *rows[i], kDayNames[i]);
    *strides[i] = contiguous_rows(*rows[i]);
  }
  problems.first = {rows[0]->data(),
                    rows[1]->data(),
                    rows[2]->data(),
                    rows[3]->data(),
                    rows[4]->data(),
                    rows[5]->data(),
                    rows[6] ? rows[6]->data() : nullptr};
  return problems;
}

OffsetBounds inward_bounds(double high_min, double high_max, double low_min, double low_max) {
  return {inward(high_min, false), inward(high_max, true), inward(low_min, false),
          inward(low_max, true)};
}

// Looks at each problem only where the lowest levels of all are no prices.
void require_problem_prices(const OffsetRules& rules, const OffsetProblems& problems) {
  const size_t count = problems.count, days = problems.days;
  const auto least = [&](const float* rows, size_t stride) {
    if (stride <= days) return count == 0 ? 0.0f : lowest(rows, (count - 1) * stride + days);
    float found = 0.0f;
    for (size_t i = 0; i < count; ++i) found = std::min(found, lowest(rows + i * stride, days));
    return found;
  };
  const OffsetBounds& bounds = rules.bounds;
  if (least(problems.first.high_pred, problems.high_pred_stride) + bounds.high_min > -1.0f &&
      least(problems.first.low_pred, problems.low_pred_stride) + bounds.low_min > -1.0f) {
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    require_prices(rules.rules, problems.row(i), days, bounds.high_min, bounds.low_min,
                   rules.always_on, " of problem " + std::to_string(i));
  }
}

OffsetArrays best_offsets_py(FloatRows close, FloatRows high, FloatRows low, FloatRows high_pred,
                             FloatRows low_pred, FloatRows position, std::optional<FloatRows> open,
                             double high_min, double high_max, double low_min, double low_max,
                             int fill, int fee_rule, float limit_cost, float close_cost,
                             float margin, bool always_on, bool long_only) {
  const OffsetProblems problems = check_problems(
      {&close, &high, &low, &high_pred, &low_pred, &position, open ? &*open : nullptr});
  const OffsetRules rules{make_rules(fill, fee_rule, limit_cost, close_cost, open.has_value()),
                          inward_bounds(high_min, high_max, low_min, low_max), margin, always_on,
                          long_only};
  require_problem_prices(rules, problems);
  const py::ssize_t count = static_cast<py::ssize_t>(problems.count);
  const int threads = thread_limit();
  py::array_t<float> high_out(count), low_out(count);
  py::array_t<double> profit_out(count);
  const OffsetAnswers answers{high_out.mutable_data(), low_out.mutable_data(),
                              profit_out.mutable_data()};
  {
    const py::gil_scoped_release release;  // no Python object is touched below
    best_offsets(rules, problems, threads, answers);
  }
  return {high_out, low_out, profit_out};
}

FillOffsetArrays best_offsets_of_fills_py(FloatRows close, FloatRows high, FloatRows low,
                                          FloatRows high_pred, FloatRows low_pred,
                                          FloatRows position, double high_min, double high_max,
                                          double low_min, double low_max,
                                          const std::vector<int>& fills, int fee_rule, float fee,
                                          bool always_on) {
  const OffsetProblems problems =
      check_problems({&close, &high, &low, &high_pred, &low_pred, &position, nullptr});
  if (fills.empty() || fills.size() > 4) {
    reject("fills: expected 1 to 4 of them, got " + std::to_string(fills.size()));
  }
  OffsetRules rules{};
  rules.bounds = inward_bounds(high_min, high_max, low_min, low_max);
  rules.always_on = always_on;
  std::array<Fill, 4> tried{};
  for (size_t i = 0; i < fills.size(); ++i) {
    rules.rules = make_rules(fills[i], fee_rule, fee, fee, false);
    tried[i] = rules.rules.fill;
  }
  const py::ssize_t count = static_cast<py::ssize_t>(problems.count);
  py::array_t<unsigned char> chosen(count);
  py::array_t<float> high_out(count), low_out(count);
  py::array_t<double> profit_out(count);
  const int threads = thread_limit();
  unsigned char* const chosen_to = chosen.mutable_data();
  const OffsetAnswers answers{high_out.mutable_data(), low_out.mutable_data(),
                              profit_out.mutable_data()};
  {
    const py::gil_scoped_release release;  // no Python object is touched below
    best_offsets_of_fills(rules, tried.data(), fills.size(), problems, threads, answers, chosen_to);
  }
  return {chosen, high_out, low_out, profit_out};
}

// One problem given as tensors; None where they are not all as `borrow_floats` wants them, or where
// a level is infinite. With a
// second position the problem is the days once with each.
py::object best_offsets_of_tensors(py::handle close, py::handle high, py::handle low,
                                   py::handle high_pred, py::handle low_pred, py::handle position,
                                   py::handle second, double high_min, double high_max,
                                   double low_min, double low_max, int fill, int fee_rule,
                                   float fee) {
  const std::array<py::handle, 7> given = {close, high, low, high_pred, low_pred, position, second};
  const size_t count = second.is_none() ? 6 : 7;
  std::array<const float*, 7> rows{};
  size_t days = 0;
  for (size_t i = 0; i < count; ++i) {
    const std::optional<FloatRow> row = borrow_floats(given[i]);
    if (!row || row->dimensions != 1 || (i > 0 && row->size != days)) return py::none();
    const auto infinite = [](float value) { return std::isinf(value); };
    const bool is_level = i >= 1 && i <= 4;  // the kernels take days with infinite ones for missing
    if (is_level && std::any_of(row->data, row->data + row->size, infinite)) return py::none();
    rows[i] = row->data;
    days = row->size;
  }
  const OffsetRules rules{make_rules(fill, fee_rule, fee, fee, false),
                          inward_bounds(high_min, high_max, low_min, low_max)};
  std::vector<float> twice;
  if (count == 7) {
    twice.reserve(12 * days);
    for (size_t i = 0; i < 6; ++i) {
      twice.insert(twice.end(), rows[i], rows[i] + days);
      const float* const again = i == 5 ? rows[6] : rows[i];
      twice.insert(twice.end(), again, again + days);
    }
    for (size_t i = 0; i < 6; ++i) rows[i] = twice.data() + 2 * i * days;
    days *= 2;
  }
  OffsetProblems problem{};
  problem.first = {rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], nullptr};
  problem.count = 1;
  problem.days = days;
  const int threads = thread_limit();
  float best_high, best_low;
  double profit;
  {
    const py::gil_scoped_release release;  // the caller holds the tensors
    best_offsets(rules, problem, threads, {&best_high, &best_low, &profit});
  }
  return py::make_tuple(static_cast<double>(best_high), static_cast<double>(best_low), profit);
}

}  // namespace

void register_offsets(py::module_& module) {
  using py::arg;
  module.def("best_offsets", &best_offsets_py, arg("close").noconvert(), arg("high").noconvert(),
             arg("low").noconvert(), arg("high_pred").noconvert(), arg("low_pred").noconvert(),
             arg("position").noconvert(), arg("open").noconvert(), arg("high_min"), arg("high_max"),
             arg("low_min"), arg("low_max"), arg("fill"), arg("fee_rule"), arg("limit_cost"),
             arg("close_cost"), arg("margin"), arg("always_on"), arg("long_only"),
             "Best offsets and their profit for each row: (high, low, profit).");
  module.def("best_offsets_of_fills", &best_offsets_of_fills_py, arg("close").noconvert(),
             arg("high").noconvert(), arg("low").noconvert(), arg("high_pred").noconvert(),
             arg("low_pred").noconvert(), arg("position").noconvert(), arg("high_min"),
             arg("high_max"), arg("low_min"), arg("low_max"), arg("fills"), arg("fee_rule"),
             arg("fee"), arg("always_on"),
             "For each row the best of several fills: (number among `fills`, high, low, profit).");
  module.def("best_offsets_of_tensors", &best_offsets_of_tensors, arg("close"), arg("high"),
             arg("low"), arg("high_pred"), arg("low_pred"), arg("position"), arg("second"),
             arg("high_min"), arg("high_max"), arg("low_min"), arg("low_max"), arg("fill"),
             arg("fee_rule"), arg("fee"),
             "Best offsets of one problem of tensors: (high, low, profit); None where none fit.");
}

}  // namespace marketsim::bindings
