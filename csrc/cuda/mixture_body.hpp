// Quantiles of mixtures of Student-t distributions, and means between two of them: a team of
// threads a mixture, a thread a component.
//
// The formulas are the CPU's (kernels/student_t_search.hpp), and sums are added in the same order,
// so that the answers are the same bits.
#pragma once

#include "cuda/batch.hpp"
#include "cuda/team.hpp"
#include "kernels/student_t_search.hpp"

namespace marketsim::MARKETSIM_ISA {

using cuda::MixtureJob;

inline MARKETSIM_FN bool is_number(double x) {
  return x == x;
}

// A row of mixtures. Components without weight are left out; the last team repeats one, without
// weight, for each thread that has none.
template <typename Team>
class TeamMixture {
 public:
  static_assert(Team::kSize == student_t::kLanes);

  MARKETSIM_BODY TeamMixture(Team& team, const Mixtures& from, size_t row)
      : team_(team),
        from_(from),
        begin_(row * from.components),
        outline_(student_t::outline_of(from, row)) {
    for (size_t i = begin_; i < begin_ + from.components; ++i) weighted_ += from.weight[i] != 0.0;
    rounds_ = (weighted_ + Team::kSize - 1) / Team::kSize;
    if (rounds_ == 1) take(0);
  }

  // Whether its parameters are numbers: else the search would look for what is nowhere.
  MARKETSIM_BODY bool is_valid() const {
    bool valid = is_number(outline_.mean) && is_number(outline_.spread) && weighted_ > 0;
    for (size_t i = begin_; i < begin_ + from_.components; ++i) {
      valid = valid && is_number(from_.df[i]) && is_number(from_.scale[i]);
    }
    return valid;
  }

  MARKETSIM_APART double quantile(const NormalLevel& at) {
    double x = student_t::finite_part(outline_.mean + outline_.spread * at.normal);
    student_t::Search search(at, x, outline_.spread, outline_.finest);
    while (!search.done()) x = search.next(x, sums(x, search.upper()));
    return x;
  }

  MARKETSIM_APART double mean_between(double low, double high, double mass) {
    const double middle = student_t::middle_of(low, high);
    PerRank<double> parts;
    team_.each([&](unsigned rank) { parts[rank] = 0.0; });
    for (size_t round = 0; round < rounds_; ++round) {
      if (rounds_ > 1) take(round);
      team_.each([&](unsigned rank) {
        const Component& one = own_[rank];
        const Points below = one.shape.at(fabs(low - one.loc) / one.scale);
        const Points above = one.shape.at(fabs(high - one.loc) / one.scale);
        parts[rank] += student_t::part_between(low, high, middle, one.df, one.loc, one.scale,
                                               one.weight, below, above);
      });
    }
    return middle + team_.reduce(parts, Sum()) / mass;
  }

 private:
  using Points = student_t::PointsOf<double>;
  struct Component {
    student_t::StudentTVector shape;
    double df, loc, scale, weight, inverse;
  };
  template <typename T>
  using PerRank = typename Team::template Per<T>;

  // The components of a round, one a thread.
  MARKETSIM_BODY void take(size_t round) {
    team_.each([&](unsigned rank) {
      const size_t wanted = round * Team::kSize + rank;
      const size_t i = find(wanted < weighted_ ? wanted : weighted_ - 1);
      const double share = wanted < weighted_ ? from_.weight[i] / outline_.weight : 0.0;
      Component& one = own_[rank];
      one.df = from_.df[i], one.loc = from_.loc[i], one.scale = from_.scale[i];
      one.weight = share, one.inverse = outline_.spread / from_.scale[i];
      one.shape.set(one.df);
    });
  }

  // Where the component with weight is that has `number` such before it.
  MARKETSIM_BODY size_t find(size_t number) const {
    size_t i = begin_;
    for (;; ++i) {
      if (from_.weight[i] != 0.0 && number-- == 0) return i;
    }
  }

  MARKETSIM_APART student_t::Sums sums(double x, bool upper) {
    PerRank<double> tails, densities, firsts, seconds;
    team_.each(
        [&](unsigned rank) { tails[rank] = densities[rank] = firsts[rank] = seconds[rank] = 0.0; });
    for (size_t round = 0; round < rounds_; ++round) {
      if (rounds_ > 1) take(round);
      team_.each([&](unsigned rank) {
        const Component& one = own_[rank];
        const Points points = one.shape.at(fabs(x - one.loc) / one.scale);
        const student_t::Sums part =
            student_t::sums_of(x, upper, one.loc, one.weight, one.inverse, points);
        tails[rank] += part.tail;
        densities[rank] += part.density;
        firsts[rank] += part.first;
        seconds[rank] += part.second;
      });
    }
    return {team_.reduce(tails, Sum()), team_.reduce(densities, Sum()), team_.reduce(firsts, Sum()),
            team_.reduce(seconds, Sum())};
  }

  Team& team_;
  const Mixtures& from_;
  size_t begin_;
  student_t::Outline outline_;
  size_t weighted_ = 0, rounds_ = 0;
  PerRank<Component> own_;
};

// One row of a job. Rows with a parameter that is NaN give NaN.
template <typename Team>
MARKETSIM_BODY void mixture_row(Team& team, const MixtureJob& job, size_t row) {
  using student_t::kInfinity;
  TeamMixture<Team> mixture(team, job.mixtures, row);
  const bool valid = mixture.is_valid();
  const auto value = [&](const NormalLevel& at) {
    return !valid            ? NAN
           : at.level <= 0.0 ? -kInfinity
           : at.level >= 1.0 ? kInfinity
                             : mixture.quantile(at);
  };
  const auto put = [&](size_t j, size_t width, double v) {
    team.each([&](unsigned rank) {
      if (rank == 0) job.out[row * width + j] = v;
    });
  };
  if (!job.between) {
    for (size_t j = 0; j < job.count; ++j) put(j, job.width, value(job.levels[j]));
    return;
  }
  const double low = value(job.levels[0]), high = value(job.levels[1]);
  const double mass = job.levels[1].level - job.levels[0].level;
  put(0, 1, valid ? mixture.mean_between(low, high, mass) : NAN);
}

}  // namespace marketsim::MARKETSIM_ISA
