// Indicators over whole series and bar by bar, chosen by kind. Nothing here knows Python.
//
// Three forms, equal bit for bit where they mean the same:
//   run          every row of a series, many series or parameter sets in one call
//   run_windowed each row from the `lookback` rows up to it alone, seeded anew
//   Stream       one row at a time
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/indicators/options.hpp"

namespace marketsim::indicators {

constexpr size_t kMostInputs = 5, kMostOutputs = 8, kMostParameters = 7;

struct KindInfo {
  const char* name;
  size_t inputs, outputs, parameters;
  bool recursive;  // its value follows from the value before, not from a window of rows
};

// Position in the table of kinds; nullopt where there is none of that name.
std::optional<size_t> kind_of(const std::string& name);
const std::vector<KindInfo>& kinds();

// One series with one parameter set: rows are in[k][0 .. rows), results out[j][0 .. rows), or
// out[j][lag * rows ..] for each lag of a windowed run. parameters[0] is the window where there is
// one.
struct Job {
  const double* in[kMostInputs];
  double* out[kMostOutputs];
  double parameters[kMostParameters];
};

struct Run {
  const Job* jobs;
  size_t count, rows;
  Option option;
  size_t longest;      // the largest window among the jobs
  size_t lookback;     // run_windowed: rows that each result may see
  const size_t* lags;  // run_windowed: results of so many rows earlier, each below lookback
  size_t lag_count;
};

void run(size_t kind, const Run& run);
void run_windowed(size_t kind, const Run& run);

// The rows from which every value of a window indicator follows.
size_t span_of(size_t kind, const double* parameters);

// One row at a time. save() and load() move the state as numbers' bytes; load() throws
// std::invalid_argument for bytes that are no state of this kind and parameters.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual void update(const double* in, double* out) = 0;
  virtual std::unique_ptr<Stream> clone() const = 0;
  virtual std::string save() const = 0;
  virtual void load(const std::string& bytes) = 0;
};
std::unique_ptr<Stream> make_stream(size_t kind, const double* parameters, Option option,
                                    size_t longest);

// run_windowed one row at a time: update() gives each output's lags one after the other.
// O(lookback) a row.
std::unique_ptr<Stream> make_windowed_stream(size_t kind, const double* parameters, Option option,
                                             size_t longest, size_t lookback,
                                             const std::vector<size_t>& lags);

}  // namespace marketsim::indicators
