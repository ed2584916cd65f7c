#include "kernels/replay/quiet_simd.hpp"

#include "common/lanes.hpp"

namespace marketsim::MARKETSIM_ISA {
namespace {

using namespace lanes;
using Bars = Pack<1>;

// Looks at the bars from t on that fill R; false, where not all are quiet, leaves the extremes.
template <class R>
bool look(const replay::Quiet& of, size_t t, R& lowest, R& highest) {
  const R open = load<R>(of.open + t), high = load<R>(of.high + t);
  const R low = load<R>(of.low + t), close = load<R>(of.close + t);
  const R value = spread<R>(of.cash) + spread<R>(of.position) * close;
  const auto apart = both(low > spread<R>(of.below), high < spread<R>(of.above));
  const auto inside = both(both(open >= low, open <= high), both(close >= low, close <= high));
  const auto alive = both(value > spread<R>(0.0), value >= spread<R>(of.maintenance) * close);
  if (!in_all_lanes(both(apart, both(inside, alive)))) return false;
  lowest = select(low < lowest, low, lowest);
  highest = select(high > highest, high, highest);
  return true;
}

}  // namespace

size_t quiet_bars(replay::Quiet& of, size_t count) {
  size_t t = 0;
  double lowest = __builtin_inf(), highest = 0.0;
  if (count >= kVectorWidth) {
    Bars low = spread<Bars>(lowest), high = spread<Bars>(highest);
    while (t + kVectorWidth <= count && look(of, t, low, high)) t += kVectorWidth;
    for (size_t j = 0; j < kVectorWidth; ++j) {
      lowest = low.v[j] < lowest ? low.v[j] : lowest;
      highest = high.v[j] > highest ? high.v[j] : highest;
    }
  }
  while (t < count && look(of, t, lowest, highest)) ++t;
  of.lowest = lowest;
  of.highest = highest;
  return t;
}

}  // namespace marketsim::MARKETSIM_ISA
