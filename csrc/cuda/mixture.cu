// Kernel and launch of mixture_body.hpp.
#include "cuda/device.cuh"
#include "cuda/mixture_body.hpp"

namespace marketsim::device {
namespace {

constexpr unsigned kThreads = 128;
constexpr unsigned kTeam = student_t::kLanes;

__global__ void __launch_bounds__(kThreads) mixture_kernel(MixtureJob job) {
  DeviceTeam<kTeam> team(nullptr);  // of one warp: nothing is exchanged through memory
  for (size_t row = first_item() / kTeam; row < job.mixtures.rows; row += all_threads() / kTeam) {
    mixture_row(team, job, row);
  }
}

}  // namespace
}  // namespace marketsim::device

namespace marketsim::cuda {

Error mixture_values(const MixtureJob& job, const Queue& queue) {
  if (job.mixtures.rows == 0) return {};
  return launch(queue, blocks_for(job.mixtures.rows, device::kThreads / device::kTeam),
                device::kThreads, 0, device::mixture_kernel, job);
}

}  // namespace marketsim::cuda
