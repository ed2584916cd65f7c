// Features as a program of numbered values, run over whole series or one bar at a time.
//
// Value i is made by step i from inputs and values before it, so a program has no circles. Both
// forms do the same arithmetic in the same order and give the same bits. Nothing here knows Python.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "kernels/indicators/indicators.hpp"

namespace marketsim::features {

enum class Op {
  input,      // column `index`
  constant,   // `number`
  indicator,  // indicator `index`; its results are taken by `result`
  result,     // result `index` of indicator step `of[0]`
  lag,        // of[0], `index` rows earlier; NaN before there are that many
  add,
  subtract,
  multiply,
  divide,
  negative,
  magnitude,
  exponential,
  logarithm,
  root,
  smaller,  // NaN where either is
  larger,
  clip,     // of[0] between of[1] and of[2]; NaN becomes of[1]
  select,   // of[1] where of[0] is above 0, else of[2]
  greater,  // 1 or 0; NaN where either is
  fill      // of[0], where that is NaN of[1]
};

struct Step {
  Op op;
  size_t of[3];
  size_t index;
  double number;
};

// One indicator of a program; its inputs are values.
struct IndicatorStep {
  size_t kind;
  std::vector<double> parameters;
  indicators::Option option;
  size_t longest, lookback;
  std::vector<size_t> lags;
  std::vector<size_t> inputs;

  size_t results() const {
    return indicators::kinds()[kind].outputs * (lookback ? lags.size() : 1);
  }
};

struct Program {
  size_t inputs;
  std::vector<Step> steps;
  std::vector<IndicatorStep> indicators;
  std::vector<size_t> features;  // values that are given out

  // Throws std::invalid_argument where a step looks at what is not there.
  void check() const;
};

// columns[k][row] -> to[row * features + j] for rows first .. rows.
void run(const Program& program, const double* const* columns, size_t rows, size_t first,
         double* to);

// One bar at a time.
class Stream {
 public:
  explicit Stream(const Program& program);
  Stream(const Stream& other);

  // in: one number an input; out: one a feature.
  void update(const double* in, double* out);

  std::vector<std::string> save() const;
  void load(const std::vector<std::string>& parts);

 private:
  Program program_;
  std::vector<std::unique_ptr<indicators::Stream>> indicators_;
  std::vector<std::vector<double>> results_;  // of each indicator
  std::vector<std::vector<double>> past_;     // of each lag step: a ring
  std::vector<double> values_;
  size_t seen_ = 0;
};

}  // namespace marketsim::features
