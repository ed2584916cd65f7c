// The kernel and launch of offsets_small.hpp.
#include "cuda/device.cuh"
#include "cuda/offsets_launch.hpp"
#include "cuda/offsets_small.hpp"

namespace marketsim::device {
namespace {

template <unsigned kThreads, size_t kTile>
__global__ void __launch_bounds__(128, kThreads == cuda::kFewThreads ? 5 : 1)
    small_kernel(const __grid_constant__ OffsetGroups groups, size_t team_bytes) {
  extern __shared__ __align__(16) char memory[];
  using SmallTeam = DeviceTeam<kThreads>;
  SmallTeam team(nullptr);  // a team within a warp exchanges by shuffles
  char* of_team = memory + threadIdx.x / kThreads * team_bytes;
  const size_t teams = all_threads() / kThreads, problems = groups.first[groups.count];
  for (size_t i = first_item() / kThreads; i < problems; i += teams) {
    solve_small<kTile>(team, groups, i, of_team);
  }
}

}  // namespace
}  // namespace marketsim::device

namespace marketsim::cuda {

Error launch_small(const OffsetGroups& groups, const SmallPlan& plan, const Queue& queue) {
  const size_t problems = groups.first[groups.count];
  const size_t shared = plan.team_bytes * plan.teams;
  const unsigned blocks = blocks_for(problems, plan.teams);
  const unsigned threads = static_cast<unsigned>(plan.teams) * plan.threads;
  if (plan.threads == kFewThreads) {
    return launch(queue, blocks, threads, shared, device::small_kernel<kFewThreads, kFewTile>,
                  groups, plan.team_bytes);
  }
  return launch(queue, blocks, threads, shared, device::small_kernel<kManyThreads, kManyTile>,
                groups, plan.team_bytes);
}

}  // namespace marketsim::cuda
