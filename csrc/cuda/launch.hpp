// Starts the kernels on a GPU: csrc/cuda/*.cu, and emulation.cpp, which runs them on the host.
//
// Nothing here waits for the device or takes memory of it; work is put on the caller's stream and
// the caller keeps all arrays until that is done.
#pragma once

#include <cstddef>
#include <string>

#include "cuda/batch.hpp"

namespace marketsim::cuda {

// Threads of a block that sums profits.
constexpr unsigned kSumThreads = 128;

struct Queue {
  int device;    // a number of the CUDA runtime
  void* stream;  // a cudaStream_t; null: the default stream
};

// Empty where it went well, else what went wrong.
using Error = std::string;

// out[(problem * candidates + candidate) * days + day], float32.
Error profit_days(const ProfitBatch& batch, float* out, const Queue& queue);
Error profit_sums(const ProfitBatch& batch, const ProfitSums& sums, const Queue& queue);

// Sums over windows of values that are there already: window i is values[starts[i]] and the
// days - 1 values behind it. `trades` counts values other than 0.
Error window_sums(const float* values, const int64_t* starts, size_t windows, size_t days,
                  const ProfitSums& sums, const Queue& queue);

// Levels in (0, 1); of a mean between two also 0 and 1, which reach to infinity. A row that holds a
// NaN gives NaN; otherwise the values are those that kernels/student_t.hpp asks for.
Error mixture_values(const MixtureJob& job, const Queue& queue);

// How much workspace best_offsets needs at least, and how much it makes use of at most.
struct Workspace {
  size_t least, most;
};
Error offsets_workspace(const OffsetGroup* groups, size_t count, const Queue& queue,
                        Workspace* needed);

// All groups together, in one launch for few days a problem and one for many. `workspace` is
// aligned to 256 bytes. At most kMaxGroups groups.
Error best_offsets(const OffsetGroup* groups, size_t count, void* workspace, size_t bytes,
                   const Queue& queue);

// 0 where there is no driver.
int device_count();
// One line for people: the versions of driver and runtime, or why no device can be used.
std::string driver_state();
std::string device_name(int device);

}  // namespace marketsim::cuda
