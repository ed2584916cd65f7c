// Streaming indicators as C++ sees them; `bench_indicators.py` builds and calls this.
#include <string>

#include "kernels/indicators/indicators.hpp"

namespace indicators = marketsim::indicators;

extern "C" {

// Takes a new stream over `count` rows, each of as many numbers as the indicator has inputs;
// `seed` is an Option. Returns the last value of its first output, or NaN for an unknown name.
double stream_last(const char* name, double window, int seed, const double* rows, size_t count) {
  const auto kind = indicators::kind_of(std::string(name));
  if (!kind) return __builtin_nan("");
  const double parameters[indicators::kMostParameters] = {window, 2.0};
  const auto option = static_cast<indicators::Option>(seed);
  const auto stream =
      indicators::make_stream(*kind, parameters, option, static_cast<size_t>(window));
  const size_t width = indicators::kinds()[*kind].inputs;
  double out[indicators::kMostOutputs] = {};
  for (size_t i = 0; i < count; ++i) stream->update(rows + i * width, out);
  return out[0];
}
}
