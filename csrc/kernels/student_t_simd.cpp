// Sums over the components of a mixture, and the search for its quantiles. Lanes are components.
#include <vector>

#include "kernels/student_t_search.hpp"

namespace marketsim::MARKETSIM_ISA {
namespace {

using namespace student_t;

constexpr size_t kVectors = kLanes / kWidth;

// Components side by side. The last of a mixture repeat one without weight.
struct Block {
  StudentTVector shapes[kVectors];
  alignas(64) Lanes df, loc, scale, weight;
  alignas(64) Lanes inverse;  // of the scale in units of the mixture's spread
};

struct Points {
  alignas(64) Lanes density, tail, slope, bend;

  // What is said of one value a lane.
  void look(const Block& block, const Lanes& at) {
    for (size_t i = 0; i < kVectors; ++i) {
      const size_t first = i * kWidth;
      const PointsOf<V> found = block.shapes[i].at(load(at + first));
      store(density + first, found.density);
      store(tail + first, found.tail);
      store(slope + first, found.slope);
      store(bend + first, found.bend);
    }
  }
  PointsOf<double> of(size_t i) const { return {density[i], tail[i], slope[i], bend[i]}; }
};

// Added in one order, whatever vectors the loops over lanes become: that of a team of threads.
double total(const Lanes& of) {
  return ((of[0] + of[1]) + (of[2] + of[3])) + ((of[4] + of[5]) + (of[6] + of[7]));
}

// One row of mixtures, with what all its values share.
class Mixture {
 public:
  void read(const Mixtures& from, size_t row);

  double tail(double x, bool upper) const { return sums(x, upper).tail; }

  // The value at a level.
  double quantile(const NormalLevel& at) const;

  // The mean between two values that lie at two levels.
  double mean_between(double low, double high, double mass) const;

 private:
  Sums sums(double x, bool upper) const;

  std::vector<Block> blocks_;
  Outline outline_{};
};

void Mixture::read(const Mixtures& from, size_t row) {
  const size_t begin = row * from.components, end = begin + from.components;
  outline_ = outline_of(from, row);
  blocks_.clear();
  size_t lane = 0, last = begin;
  const auto put = [&](size_t i, double share) {
    if (lane == 0) blocks_.emplace_back();
    Block& block = blocks_.back();
    block.df[lane] = from.df[i];
    block.loc[lane] = from.loc[i];
    block.scale[lane] = from.scale[i];
    block.weight[lane] = share;
    block.inverse[lane] = outline_.spread / from.scale[i];
    lane = lane + 1 == kLanes ? 0 : lane + 1;
  };
  for (size_t i = begin; i < end; ++i) {
    if (from.weight[i] == 0.0) continue;
    put(i, from.weight[i] / outline_.weight);
    last = i;
  }
  while (lane != 0) put(last, 0.0);
  for (Block& block : blocks_) {
    for (size_t i = 0; i < kVectors; ++i) block.shapes[i].set(load(block.df + i * kWidth));
  }
}

Sums Mixture::sums(double x, bool upper) const {
  alignas(64) Lanes tails{}, densities{}, firsts{}, seconds{}, t;
  Points points;
  for (const Block& block : blocks_) {
    for (size_t i = 0; i < kLanes; ++i) t[i] = std::fabs(x - block.loc[i]) / block.scale[i];
    points.look(block, t);
    for (size_t i = 0; i < kLanes; ++i) {
      const Sums part =
          sums_of(x, upper, block.loc[i], block.weight[i], block.inverse[i], points.of(i));
      tails[i] += part.tail;
      densities[i] += part.density;
      firsts[i] += part.first;
      seconds[i] += part.second;
    }
  }
  return {total(tails), total(densities), total(firsts), total(seconds)};
}

double Mixture::quantile(const NormalLevel& at) const {
  double x = finite_part(outline_.mean + outline_.spread * at.normal);
  Search search(at, x, outline_.spread, outline_.finest);
  while (!search.done()) x = search.next(x, sums(x, search.upper()));
  return x;
}

double Mixture::mean_between(double low, double high, double mass) const {
  const double middle = middle_of(low, high);
  alignas(64) Lanes sum{}, from, to;
  Points below, above;
  for (const Block& block : blocks_) {
    for (size_t i = 0; i < kLanes; ++i) {
      from[i] = std::fabs(low - block.loc[i]) / block.scale[i];
      to[i] = std::fabs(high - block.loc[i]) / block.scale[i];
    }
    below.look(block, from);
    above.look(block, to);
    for (size_t i = 0; i < kLanes; ++i) {
      sum[i] += part_between(low, high, middle, block.df[i], block.loc[i], block.scale[i],
                             block.weight[i], below.of(i), above.of(i));
    }
  }
  return middle + total(sum) / mass;
}

}  // namespace

void cdf_rows(const Mixtures& mixtures, const double* at, double* to, size_t begin, size_t end) {
  Mixture mixture;
  for (size_t row = begin; row < end; ++row) {
    mixture.read(mixtures, row);
    const double below = mixture.tail(at[row], false);
    to[row] = below < 1.0 ? below : 1.0;
  }
}

void quantile_rows(const Mixtures& mixtures, const NormalLevel* levels, size_t count, double* to,
                   size_t begin, size_t end) {
  Mixture mixture;
  for (size_t row = begin; row < end; ++row) {
    mixture.read(mixtures, row);
    for (size_t j = 0; j < count; ++j) to[row * count + j] = mixture.quantile(levels[j]);
  }
}

void mean_rows(const Mixtures& mixtures, const NormalLevel& low, const NormalLevel& high,
               double* to, size_t begin, size_t end) {
  Mixture mixture;
  for (size_t row = begin; row < end; ++row) {
    mixture.read(mixtures, row);
    const double from = low.level > 0.0 ? mixture.quantile(low) : -kInfinity;
    const double until = high.level < 1.0 ? mixture.quantile(high) : kInfinity;
    to[row] = mixture.mean_between(from, until, high.level - low.level);
  }
}

}  // namespace marketsim::MARKETSIM_ISA
