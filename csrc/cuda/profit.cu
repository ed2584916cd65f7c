// Kernels and launches of profit_body.hpp.
#include "cuda/device.cuh"
#include "cuda/profit_body.hpp"

namespace marketsim::device {
namespace {

constexpr unsigned kThreads = cuda::kSumThreads;

__global__ void __launch_bounds__(kThreads) profit_days_kernel(ProfitBatch batch, float* out) {
  const size_t items = day_items(batch);
  for (size_t i = first_item(); i < items; i += all_threads()) profit_days_item(batch, out, i);
}

template <bool kAll>
__global__ void __launch_bounds__(kThreads) profit_sums_kernel(ProfitBatch batch, ProfitSums sums) {
  __shared__ TileLeg tile[kTileDays];
  using Block = DeviceTeam<kThreads>;
  Block team(nullptr);  // nothing is reduced
  const size_t chunks = chunks_of(batch.candidates, kSumRows * kThreads);
  const size_t blocks = batch.windows.problems.count * chunks;
  for (size_t block = blockIdx.x; block < blocks; block += gridDim.x) {
    profit_sums_block<kAll>(team, batch, sums, block / chunks, block % chunks * kSumRows * kThreads,
                            tile);
  }
}

__global__ void __launch_bounds__(kThreads)
    profit_sums_each_kernel(ProfitBatch batch, ProfitSums sums) {
  const size_t items = batch.windows.problems.count * batch.candidates;
  for (size_t i = first_item(); i < items; i += all_threads()) profit_sums_item(batch, sums, i);
}

__global__ void __launch_bounds__(kThreads)
    window_sums_kernel(const float* values, const int64_t* starts, size_t windows, size_t days,
                       ProfitSums sums) {
  for (size_t i = first_item(); i < windows; i += all_threads()) {
    window_sums_item(values, starts, days, sums, i);
  }
}

}  // namespace
}  // namespace marketsim::device

namespace marketsim::cuda {

Error profit_days(const ProfitBatch& batch, float* out, const Queue& queue) {
  const size_t items = device::day_items(batch);
  if (items == 0) return {};
  return launch(queue, blocks_for(items, device::kThreads), device::kThreads, 0,
                device::profit_days_kernel, batch, out);
}

Error profit_sums(const ProfitBatch& batch, const ProfitSums& sums, const Queue& queue) {
  const size_t problems = batch.windows.problems.count, items = problems * batch.candidates;
  if (items == 0) return {};
  if (batch.candidates < device::kBlockCandidates) {
    return launch(queue, blocks_for(items, device::kThreads), device::kThreads, 0,
                  device::profit_sums_each_kernel, batch, sums);
  }
  const size_t chunks = device::chunks_of(batch.candidates, device::kSumRows * device::kThreads);
  return launch(
      queue, blocks_for(problems * chunks, 1), device::kThreads, 0,
      sums.more_than_total() ? device::profit_sums_kernel<true> : device::profit_sums_kernel<false>,
      batch, sums);
}

Error window_sums(const float* values, const int64_t* starts, size_t windows, size_t days,
                  const ProfitSums& sums, const Queue& queue) {
  if (windows == 0) return {};
  return launch(queue, blocks_for(windows, device::kThreads), device::kThreads, 0,
                device::window_sums_kernel, values, starts, windows, days, sums);
}

}  // namespace marketsim::cuda
