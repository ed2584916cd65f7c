// The launches of launch.hpp on the host: the bodies of the kernels with HostTeam, one team after
// the other. Pointers are to memory of the host. For tests: it is in no hurry.
#include "cuda/emulation.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "cuda/mixture_body.hpp"
#include "cuda/offsets_large.hpp"
#include "cuda/offsets_launch.hpp"
#include "cuda/offsets_small.hpp"
#include "cuda/profit_body.hpp"

namespace marketsim::device {
namespace {

RankOrder rank_order = RankOrder::forward;

// Shared memory of a team. What is read unwritten must show.
class Shared {
 public:
  explicit Shared(size_t bytes) : memory_((bytes + 15) / 16 * 16 / sizeof(Unit)) {
    uint32_t noise = 1;
    for (Unit& unit : memory_) {
      for (uint32_t& word : unit.words) {
        noise = noise * 1664525u + 1013904223u;
        word = noise;
      }
    }
  }
  char* data() { return reinterpret_cast<char*>(memory_.data()); }

 private:
  struct alignas(16) Unit {
    uint32_t words[4];
  };
  std::vector<Unit> memory_;
};

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
  const auto tile = std::make_unique<device::TileLeg[]>(device::kTileDays);
  for (size_t problem = 0; problem < problems; ++problem) {
    for (size_t c = 0; c < batch.candidates; c += device::kSumRows * kSumThreads) {
      if (sums.more_than_total()) {
        device::profit_sums_block<true>(team, batch, sums, problem, c, tile.get());
      } else {
        device::profit_sums_block<false>(team, batch, sums, problem, c, tile.get());
      }
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
  device::Shared memory(plan.team_bytes);
  for (size_t i = 0; i < groups.first[groups.count]; ++i) {
    if (plan.threads == kFewThreads) {
      HostTeam<kFewThreads> team(device::rank_order);
      device::solve_small<kFewTile>(team, groups, i, memory.data());
    } else {
      HostTeam<kManyThreads> team(device::rank_order);
      device::solve_small<kManyTile>(team, groups, i, memory.data());
    }
  }
  return {};
}

Error launch_large(const OffsetGroups& groups, size_t block_bytes, void* workspace, size_t blocks,
                   const Queue&) {
  HostTeam<kLargeThreads> team(device::rank_order);
  device::LargeWork work;
  for (size_t i = 0; i < groups.first[groups.count]; ++i) {
    char* of_block = static_cast<char*>(workspace) + i % blocks * block_bytes;
    device::solve_large(team, groups, i, of_block, work);
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
