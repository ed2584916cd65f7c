// The launches of launch.hpp on the host: the bodies of the kernels with HostTeam, one team after
// the other. Pointers are to memory of the host. For tests: it is in no hurry.
#include "cuda/emulation.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "cuda/mixture_body.hpp"
#include "cuda/offsets_large.hpp"
#include "cuda/offsets_launch.hpp"
#include "cuda/offsets_small.hpp"
#include "cuda/profit_body.hpp"

namespace marketsim::device {
namespace {

RankOrder rank_order = RankOrder::forward;

// Memory of a team, between two guards. What is read unwritten must show, and so must what is
// written outside.
class TeamMemory {
 public:
  explicit TeamMemory(size_t bytes)
      : bytes_(bytes), memory_(2 * kGuard + (bytes + sizeof(Unit) - 1) / sizeof(Unit)) {}

  // Full of noise, which no problem finds twice alike.
  char* fresh() {
    for (Unit& unit : memory_) {
      for (uint32_t& word : unit.words) {
        noise_ = noise_ * 1664525u + 1013904223u;
        word = noise_;
      }
    }
    std::memset(memory_.data(), kMark, kGuard * sizeof(Unit));
    std::memset(begin() + bytes_, kMark, behind());
    return begin();
  }
  bool intact() {
    const auto is_mark = [](char byte) { return static_cast<unsigned char>(byte) == kMark; };
    const char* const before = reinterpret_cast<const char*>(memory_.data());
    return std::all_of(before, before + kGuard * sizeof(Unit), is_mark) &&
           std::all_of(begin() + bytes_, begin() + bytes_ + behind(), is_mark);
  }

 private:
  struct alignas(32) Unit {
    uint32_t words[8];
  };
  static constexpr size_t kGuard = 8;
  static constexpr int kMark = 0xa5;

  char* begin() { return reinterpret_cast<char*>(memory_.data() + kGuard); }
  size_t behind() const { return (memory_.size() - kGuard) * sizeof(Unit) - bytes_; }

  size_t bytes_;
  std::vector<Unit> memory_;
  static inline uint32_t noise_ = 1;
};

constexpr const char* kOutside = "emulation: a problem wrote outside its memory";

}  // namespace

void set_rank_order(RankOrder order) {
  rank_order = order;
}

}  // namespace marketsim::device

namespace marketsim::cuda {

using device::HostTeam;

Error profit_days(const ProfitBatch& batch, float* out, const Queue&) {
  for (size_t i = 0; i < device::day_items(batch); ++i) device::profit_days_item(batch, out, i);
  return {};
}

Error profit_sums(const ProfitBatch& batch, const ProfitSums& sums, const Queue&) {
  const size_t problems = batch.windows.problems.count;
  if (batch.candidates < device::kBlockCandidates) {
    for (size_t i = 0; i < problems * batch.candidates; ++i) {
      device::profit_sums_item(batch, sums, i);
    }
    return {};
  }
  HostTeam<kSumThreads> team(device::rank_order);
  device::TeamMemory memory(device::kTileDays * sizeof(device::TileLeg));
  for (size_t problem = 0; problem < problems; ++problem) {
    for (size_t c = 0; c < batch.candidates; c += device::kSumRows * kSumThreads) {
      auto* const tile = reinterpret_cast<device::TileLeg*>(memory.fresh());
      if (sums.more_than_total()) {
        device::profit_sums_block<true>(team, batch, sums, problem, c, tile);
      } else {
        device::profit_sums_block<false>(team, batch, sums, problem, c, tile);
      }
      if (!memory.intact()) return device::kOutside;
    }
  }
  return {};
}

Error window_sums(const float* values, const int64_t* starts, size_t windows, size_t days,
                  const ProfitSums& sums, const Queue&) {
  for (size_t i = 0; i < windows; ++i) device::window_sums_item(values, starts, days, sums, i);
  return {};
}

Error mixture_values(const MixtureJob& job, const Queue&) {
  HostTeam<device::student_t::kLanes> team(device::rank_order);
  for (size_t row = 0; row < job.mixtures.rows; ++row) device::mixture_row(team, job, row);
  return {};
}

Error launch_small(const OffsetGroups& groups, const SmallPlan& plan, const Queue&) {
  device::TeamMemory memory(plan.team_bytes);
  for (size_t i = 0; i < groups.first[groups.count]; ++i) {
    if (plan.threads == kFewThreads) {
      HostTeam<kFewThreads> team(device::rank_order);
      device::solve_small<kFewTile>(team, groups, i, memory.fresh());
    } else {
      HostTeam<kManyThreads> team(device::rank_order);
      device::solve_small<kManyTile>(team, groups, i, memory.fresh());
    }
    if (!memory.intact()) return device::kOutside;
  }
  return {};
}

// In memory of its own instead of the workspace, so that it has guards and no byte too many.
Error launch_large(const OffsetGroups& groups, size_t block_bytes, void*, size_t, const Queue&) {
  device::TeamMemory near(device::kNearBytes);
  device::LargeWork work{};
  for (size_t i = 0; i < groups.first[groups.count]; ++i) {
    const OffsetGroup& group = groups.group[place_of(groups, i).group];
    char* const of_near = near.fresh();
    const size_t bytes = device::lay_out_large(group.rules, group.windows.problems.days, nullptr,
                                               of_near, device::kNearBytes, &work);
    if (bytes > block_bytes) return "emulation: the workspace of a block is too small";
    device::TeamMemory memory(bytes);
    HostTeam<kLargeThreads> team(device::rank_order);
    device::solve_large(team, groups, i, memory.fresh(), of_near, work);
    if (!near.intact() || !memory.intact()) return device::kOutside;
  }
  return {};
}

Error large_blocks(const Queue&, size_t* blocks) {
  *blocks = 2;
  return {};
}

int device_count() {
  return 1;
}
std::string driver_state() {
  return "emulation on the host";
}
std::string device_name(int) {
  return "emulation";
}

}  // namespace marketsim::cuda
