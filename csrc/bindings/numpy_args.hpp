// NumPy arrays as kernel arguments: one alias a dtype, shapes checked with what was got and
// expected.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <optional>
#include <stdexcept>
#include <string>

#include "common/isa.hpp"
#include "common/parallel.hpp"
#include "kernels/profit.hpp"

namespace marketsim::bindings {

namespace py = pybind11;

// One row of float32; a view with gaps is copied. The Python entry points have rounded to float32.
using FloatArray = py::array_t<float, py::array::c_style | py::array::forcecast>;
using DoubleArray = py::array_t<double, py::array::c_style>;
// Rows may overlap or lie apart: a sliding window is passed without a copy.
using FloatRows = py::array_t<float>;

// Becomes ValueError, which the Python entry points turn into ArgumentError.
[[noreturn]] inline void reject(const std::string& what) {
  throw std::invalid_argument(what);
}

inline std::string shape_text(const py::array& array) {
  std::string text;
  for (py::ssize_t i = 0; i < array.ndim(); ++i) {
    if (i) text.append(", ");
    text.append(std::to_string(array.shape(i)));
  }
  if (array.ndim() == 1) text.append(",");
  return "(" + text + ")";
}

inline void require_same_shape(const py::array& first, const char* first_name,
                               const py::array& other, const char* name) {
  bool same = first.ndim() == other.ndim();
  for (py::ssize_t i = 0; same && i < first.ndim(); ++i) same = first.shape(i) == other.shape(i);
  if (same) return;
  if (first.ndim() == 1 && other.ndim() == 1) {
    reject(std::string("lengths differ: ") + first_name + " has " + std::to_string(first.size()) +
           ", " + name + " has " + std::to_string(other.size()));
  }
  reject(std::string("shapes differ: ") + first_name + " has " + shape_text(first) + ", " + name +
         " has " + shape_text(other));
}

// Names of the arrays of Days, in its order.
constexpr std::array<const char*, 7> kDayNames = {"close",    "high",     "low", "high_pred",
                                                  "low_pred", "position", "open"};

// `limit_cost` and `close_cost`: see Rules.
inline Rules make_rules(int fill, int fee_rule, float limit_cost, float close_cost, bool has_open) {
  if (fill < 0 || fill >= kFills) reject("fill: expected 0 to " + std::to_string(kFills - 1));
  if (fee_rule < 0 || fee_rule > 1) reject("fee_rule: expected 0 or 1");
  const Rules rules{static_cast<Fill>(fill), static_cast<FeeRule>(fee_rule), limit_cost,
                    close_cost};
  if (!is_legacy(rules.fill) && !has_open) reject("open= is needed: the open of each day");
  return rules;
}

// Raises for a limit that is no price.
inline void require_prices(const Rules& rules, const Days& days, size_t count, float high_offset,
                           float low_offset, bool always_on, const std::string& where) {
  if (is_legacy(rules.fill)) return;
  const size_t i = find_no_price(days, count, high_offset, low_offset, always_on);
  if (i == count) return;
  reject("a limit must be a price, a move above -1 against the previous close: got high_pred " +
         std::to_string(days.high_pred[i]) + " with offset " + std::to_string(high_offset) +
         " and low_pred " + std::to_string(days.low_pred[i]) + " with offset " +
         std::to_string(low_offset) + " on day " + std::to_string(i) + where +
         "; raise the offsets, or set the day's position to 0");
}

}  // namespace marketsim::bindings
