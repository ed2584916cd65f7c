#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>
#include <vector>

#include "bindings/dlpack_args.hpp"
#include "bindings/fast_call.hpp"
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

// The number, and whether it is one that the kernels take: a float of Python's or a whole number.
bool read_number(PyObject* object, double least, double most, double& to) {
  if (PyFloat_Check(object)) {
    to = PyFloat_AS_DOUBLE(object);
  } else if (PyLong_CheckExact(object)) {
    to = PyLong_AsDouble(object);
    if (to == -1.0 && PyErr_Occurred()) PyErr_Clear(), to = NAN;
  } else {
    return false;
  }
  return least <= to && to <= most;
}

// ((lowest, highest) high offset, (lowest, highest) low offset), tuples or lists; false for bounds
// that are no such pairs in [-1, 1].
bool read_bounds(PyObject* pairs, OffsetBounds& to) {
  const auto is_pair = [](PyObject* pair) {
    return (PyTuple_CheckExact(pair) || PyList_CheckExact(pair)) && Py_SIZE(pair) == 2;
  };
  if (!is_pair(pairs)) return false;
  double ends[4];
  for (int axis = 0; axis < 2; ++axis) {
    PyObject* const pair = PySequence_Fast_GET_ITEM(pairs, axis);
    if (!is_pair(pair)) return false;
    for (int end = 0; end < 2; ++end) {
      PyObject* const number = PySequence_Fast_GET_ITEM(pair, end);
      if (!read_number(number, end ? ends[2 * axis] : -1.0, 1.0, ends[2 * axis + end]))
        return false;
    }
  }
  to = inward_bounds(ends[0], ends[1], ends[2], ends[3]);
  return true;
}

// A fill's or a fee rule's number; -1, which is none, for what is no small whole number.
int read_code(PyObject* object) {
  const long code = PyLong_CheckExact(object) ? PyLong_AsLong(object) : -1;
  if (code == -1) PyErr_Clear();
  return code >= 0 && code < 256 ? static_cast<int>(code) : -1;
}

struct TensorProblem {
  std::array<const float*, 6> rows;
  size_t days;
  std::vector<float> twice;  // what rows point to where there are two positions
};

// `tensors`: close, high, low, high_pred, low_pred, position, and a second position or None, with
// which the problem is the days once with each. False where they are not all as `borrow_floats`
// wants them, or where a level is infinite: the kernels take days with infinite ones for missing.
bool read_problem(PyObject* const* tensors, TensorProblem& to) {
  const size_t count = tensors[6] == Py_None ? 6 : 7;
  std::array<const float*, 7> rows{};
  to.days = 0;
  for (size_t i = 0; i < count; ++i) {
    const std::optional<FloatRow> row = borrow_floats(tensors[i]);
    if (!row || row->dimensions != 1 || (i > 0 && row->size != to.days)) return false;
    const auto infinite = [](float value) { return std::isinf(value); };
    const bool is_level = i >= 1 && i <= 4;
    if (is_level && std::any_of(row->data, row->data + row->size, infinite)) return false;
    rows[i] = row->data;
    to.days = row->size;
  }
  std::copy_n(rows.begin(), 6, to.rows.begin());
  if (count == 6) return true;
  to.twice.reserve(12 * to.days);
  for (size_t i = 0; i < 6; ++i) {
    to.twice.insert(to.twice.end(), rows[i], rows[i] + to.days);
    const float* const again = i == 5 ? rows[6] : rows[i];
    to.twice.insert(to.twice.end(), again, again + to.days);
  }
  to.days *= 2;
  for (size_t i = 0; i < 6; ++i) to.rows[i] = to.twice.data() + i * to.days;
  return true;
}

// Arguments: the seven of `read_problem`, bounds, fill, fee_rule, fee. None for what it does not
// take, which the caller then answers in another way.
PyObject* best_offsets_of_tensors(PyObject*, PyObject* const* given, Py_ssize_t count) {
  return guarded([&]() -> PyObject* {
    if (count != 11) reject("best_offsets_of_tensors: expected 11 arguments");
    OffsetRules rules{};
    TensorProblem problem;
    double fee;
    if (!read_bounds(given[7], rules.bounds) || !read_number(given[10], 0.0, 0x1.fffffep-1, fee) ||
        !read_problem(given, problem)) {
      Py_RETURN_NONE;
    }
    const float rate = static_cast<float>(fee);
    rules.rules = make_rules(read_code(given[8]), read_code(given[9]), rate, rate, false);
    OffsetProblems one{};
    const auto& rows = problem.rows;
    one.first = {rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], nullptr};
    one.count = 1;
    one.days = problem.days;
    float high, low;
    double profit;
    // Reading the number of threads, and letting others run, cost more than a small search.
    constexpr size_t kSmall = 64;
    if (problem.days <= kSmall) {
      best_offsets(rules, one, 1, {&high, &low, &profit});
    } else {
      const int threads = thread_limit();
      const py::gil_scoped_release release;  // the caller holds the tensors
      best_offsets(rules, one, threads, {&high, &low, &profit});
    }
    PyObject* const found = PyTuple_New(3);
    if (!found) return nullptr;
    const double numbers[3] = {high, low, profit};
    for (Py_ssize_t i = 0; i < 3; ++i) {
      PyObject* const number = PyFloat_FromDouble(numbers[i]);
      if (!number) return Py_DECREF(found), nullptr;
      PyTuple_SET_ITEM(found, i, number);
    }
    return found;
  });
}

PyMethodDef fast_functions[] = {
    {"best_offsets_of_tensors", fast(&best_offsets_of_tensors), METH_FASTCALL,
     "best_offsets_of_tensors(close: object, high: object, low: object, high_pred: object, "
     "low_pred: object, position: object, second: object, bounds: object, fill: int, "
     "fee_rule: int, fee: float) -> tuple[float, float, float] | None\n\n"
     "Best offsets of one problem of tensors: (high, low, profit); None where none fit."},
    {nullptr, nullptr, 0, nullptr},
};

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
  add_fast(module, fast_functions);
}

}  // namespace marketsim::bindings
