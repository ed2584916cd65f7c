// The kernel and launch of offsets_large.hpp.
#include <algorithm>

#include "cuda/device.cuh"
#include "cuda/offsets_large.hpp"
#include "cuda/offsets_launch.hpp"

namespace marketsim::device {
namespace {

__global__ void __launch_bounds__(cuda::kLargeThreads, 6)
    large_kernel(const __grid_constant__ OffsetGroups groups, char* workspace, size_t block_bytes) {
  using Block = DeviceTeam<cuda::kLargeThreads>;
  __shared__ __align__(16) char exchange[Block::kExchangeBytes];
  __shared__ LargeWork work;
  __shared__ __align__(32) char near[kNearBytes];
  Block team(exchange);
  char* of_block = workspace + blockIdx.x * block_bytes;
  const size_t problems = groups.first[groups.count];
  for (size_t i = blockIdx.x; i < problems; i += gridDim.x) {
    solve_large(team, groups, i, of_block, near, work);
  }
}

}  // namespace
}  // namespace marketsim::device

namespace marketsim::cuda {

Error launch_large(const OffsetGroups& groups, size_t block_bytes, void* workspace, size_t blocks,
                   const Queue& queue) {
  const unsigned most = blocks_for(groups.first[groups.count], 1);
  return launch(queue, static_cast<unsigned>(std::min<size_t>(blocks, most)), kLargeThreads, 0,
                device::large_kernel, groups, static_cast<char*>(workspace), block_bytes);
}

Error large_blocks(const Queue& queue, size_t* blocks) {
  const OnDevice on(queue.device);
  if (on.error() != cudaSuccess) return error_text("cannot use the device", on.error());
  int processors = 0, of_each = 0;
  cudaError_t error =
      cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, queue.device);
  if (error == cudaSuccess) {
    error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&of_each, device::large_kernel,
                                                          kLargeThreads, 0);
  }
  *blocks = static_cast<size_t>(processors) * static_cast<size_t>(of_each);
  return error == cudaSuccess ? Error{} : error_text("cannot ask the device", error);
}

}  // namespace marketsim::cuda
