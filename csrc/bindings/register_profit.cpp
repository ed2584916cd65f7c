#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "bindings/numpy_args.hpp"
#include "bindings/register.hpp"
#include "kernels/profit.hpp"

namespace marketsim::bindings {
namespace {

using FillCodes = py::array_t<unsigned char, py::array::c_style>;
using FillArrays = std::tuple<py::array_t<float>, py::array_t<float>, py::array_t<unsigned char>>;

struct DayArgs {
  Days days;
  py::ssize_t count;
};

DayArgs check_days(const FloatArray& close, const FloatArray& high, const FloatArray& low,
                   const FloatArray& high_pred, const FloatArray& low_pred,
                   const FloatArray& position, const std::optional<FloatArray>& open) {
  if (close.ndim() != 1)
    reject("close must be 1-D, one value a day: got shape " + shape_text(close));
  const FloatArray* const others[] = {&high, &low, &high_pred, &low_pred, &position};
  for (size_t i = 0; i < 5; ++i) require_same_shape(close, "close", *others[i], kDayNames[i + 1]);
  if (open) require_same_shape(close, "close", *open, "open");
  return {{close.data(), high.data(), low.data(), high_pred.data(), low_pred.data(),
           position.data(), open ? open->data() : nullptr},
          close.size()};
}

constexpr float kLargest = std::numeric_limits<float>::max();

void require_offsets(const FloatArray& offsets, const char* name) {
  if (offsets.ndim() != 1) {
    reject(std::string(name) + " must be a scalar or 1-D: got shape " + shape_text(offsets));
  }
  const float* const values = offsets.data();
  bool finite = true;  // without a branch that ends the loop, which is vectorised so
  for (py::ssize_t i = 0; i < offsets.size(); ++i) finite &= std::fabs(values[i]) <= kLargest;
  for (py::ssize_t i = 0; !finite && i < offsets.size(); ++i) {
    if (!std::isfinite(values[i])) {
      reject(std::string(name) + " must be finite: element " + std::to_string(i) + " is " +
             std::to_string(values[i]));
    }
  }
}

// Looks at each day only where the lowest levels of all are no prices.
void require_level_prices(const Rules& rules, const Days& days, size_t count, float high_offset,
                          float low_offset) {
  if (lowest(days.high_pred, count) + high_offset > -1.0f &&
      lowest(days.low_pred, count) + low_offset > -1.0f) {
    return;
  }
  require_prices(rules, days, count, high_offset, low_offset, false, "");
}

py::array_t<float> profit_py(const FloatArray& close, const FloatArray& high, const FloatArray& low,
                             const FloatArray& high_pred, const FloatArray& low_pred,
                             const FloatArray& position, const std::optional<FloatArray>& open,
                             const FloatArray& high_offset, const FloatArray& low_offset, int fill,
                             int fee_rule, float limit_cost, float close_cost) {
  const DayArgs args = check_days(close, high, low, high_pred, low_pred, position, open);
  const Rules rules = make_rules(fill, fee_rule, limit_cost, close_cost, open.has_value());
  require_offsets(high_offset, "high_offset");
  require_offsets(low_offset, "low_offset");
  require_same_shape(high_offset, "high_offset", low_offset, "low_offset");
  const py::ssize_t candidates = high_offset.size();
  if (candidates > 0) {
    const auto least = [](const FloatArray& of) {
      return lowest(of.data(), static_cast<size_t>(of.size()), of.data()[0]);
    };
    require_level_prices(rules, args.days, static_cast<size_t>(args.count), least(high_offset),
                         least(low_offset));
  }
  const int threads = thread_limit();
  py::array_t<float> out({candidates, args.count});
  float* to = out.mutable_data();
  {
    const py::gil_scoped_release release;  // no Python object is touched below
    profit(rules, args.days, static_cast<size_t>(args.count), high_offset.data(), low_offset.data(),
           static_cast<size_t>(candidates), threads, to);
  }
  return out;
}

// Rows of days under several positions, each row at several pairs of offsets of its own.
py::array_t<float> profit_of_rows_py(const FloatArray& close, const FloatArray& high,
                                     const FloatArray& low, const FloatArray& high_pred,
                                     const FloatArray& low_pred, const FloatArray& position,
                                     const FloatArray& high_offset, const FloatArray& low_offset,
                                     const FillCodes& fill, int fee_rule, float fee) {
  if (close.ndim() != 2) reject("close must be [row, day]: got shape " + shape_text(close));
  const FloatArray* const others[] = {&high, &low, &high_pred, &low_pred};
  for (size_t i = 0; i < 4; ++i) require_same_shape(close, "close", *others[i], kDayNames[i + 1]);
  const py::ssize_t rows = close.shape(0), days = close.shape(1);
  if (position.ndim() != 3 || position.shape(1) != rows || position.shape(2) != days) {
    reject("position must be [position, row, day] with the rows and days of close, " +
           shape_text(close) + ": got shape " + shape_text(position));
  }
  const std::pair<const char*, const py::array*> of_pairs[] = {
      {"high_offset", &high_offset}, {"low_offset", &low_offset}, {"fill", &fill}};
  for (const auto& [name, values] : of_pairs) {
    if (values->ndim() == 2 && values->shape(1) == rows &&
        values->shape(0) == high_offset.shape(0)) {
      continue;
    }
    reject(std::string(name) + " must be [pair, row], equally many pairs and " +
           std::to_string(rows) + " rows: got shape " + shape_text(*values));
  }
  for (const FloatArray* offsets : {&high_offset, &low_offset}) {
    for (py::ssize_t i = 0; i < offsets->size(); ++i) {
      if (!std::isfinite(offsets->data()[i])) reject("offsets must be finite");
    }
  }
  for (py::ssize_t i = 0; i < fill.size(); ++i)
    make_rules(fill.data()[i], fee_rule, fee, fee, false);
  const py::ssize_t pairs = high_offset.shape(0), positions = position.shape(0);
  py::array_t<float> out({pairs, positions, rows, days});
  float* to = out.mutable_data();
  {
    const py::gil_scoped_release release;  // no Python object is touched below
    for (py::ssize_t i = 0; i < pairs * positions * rows; ++i, to += days) {
      const py::ssize_t row = i % rows, held = i / rows % positions, pair = i / rows / positions;
      const py::ssize_t at = row * days, offset = pair * rows + row;
      const Rules rules = make_rules(fill.data()[offset], fee_rule, fee, fee, false);
      const Days input{close.data() + at,
                       high.data() + at,
                       low.data() + at,
                       high_pred.data() + at,
                       low_pred.data() + at,
                       position.data() + held * rows * days + at,
                       nullptr};
      profit(rules, input, static_cast<size_t>(days), high_offset.data() + offset,
             low_offset.data() + offset, 1, 1, to);
    }
  }
  return out;
}

FillArrays fills_py(const FloatArray& close, const FloatArray& high, const FloatArray& low,
                    const FloatArray& high_pred, const FloatArray& low_pred,
                    const FloatArray& position, const std::optional<FloatArray>& open, int fill,
                    int fee_rule, float limit_cost, float close_cost) {
  const DayArgs args = check_days(close, high, low, high_pred, low_pred, position, open);
  const Rules rules = make_rules(fill, fee_rule, limit_cost, close_cost, open.has_value());
  require_level_prices(rules, args.days, static_cast<size_t>(args.count), 0.0f, 0.0f);
  py::array_t<float> gross(args.count), paid(args.count);
  py::array_t<unsigned char> flags(args.count);
  float *gross_to = gross.mutable_data(), *paid_to = paid.mutable_data();
  unsigned char* flags_to = flags.mutable_data();
  {
    const py::gil_scoped_release release;
    fills(rules, args.days, static_cast<size_t>(args.count), gross_to, paid_to, flags_to);
  }
  return {gross, paid, flags};
}

}  // namespace

void register_profit(py::module_& module) {
  using py::arg;
  module.def("profit", &profit_py, arg("close"), arg("high"), arg("low"), arg("high_pred"),
             arg("low_pred"), arg("position"), arg("open"), arg("high_offset"), arg("low_offset"),
             arg("fill"), arg("fee_rule"), arg("limit_cost"), arg("close_cost"),
             "Profit of each candidate and day, float32 [candidate, day].");
  module.def("profit_of_rows", &profit_of_rows_py, arg("close"), arg("high"), arg("low"),
             arg("high_pred"), arg("low_pred"), arg("position"), arg("high_offset"),
             arg("low_offset"), arg("fill").noconvert(), arg("fee_rule"), arg("fee"),
             "Profit of each day of rows, float32 [pair of offsets, position, row, day].");
  module.def("fills", &fills_py, arg("close"), arg("high"), arg("low"), arg("high_pred"),
             arg("low_pred"), arg("position"), arg("open"), arg("fill"), arg("fee_rule"),
             arg("limit_cost"), arg("close_cost"),
             "Gross profit, cost and FillFlag bits of each day.");
}

}  // namespace marketsim::bindings
