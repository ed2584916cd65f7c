// What the .cu files share: starting a kernel on the caller's device and stream.
#pragma once

#include <cuda_runtime.h>

#include <string>

#include "cuda/launch.hpp"

namespace marketsim::device {

__device__ inline size_t first_item() {
  return static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline size_t all_threads() {
  return static_cast<size_t>(gridDim.x) * blockDim.x;
}

}  // namespace marketsim::device

namespace marketsim::cuda {

inline Error error_text(const char* what, cudaError_t error) {
  return std::string(what) + ": " + cudaGetErrorString(error) + " (" + cudaGetErrorName(error) +
         ")";
}

// Errors of work that ran before, which every call from then on returns.
inline bool is_of_earlier_work(cudaError_t error) {
  switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorECCUncorrectable:
      return true;
    default:
      return false;
  }
}

// Makes a device the current one for as long as it lives.
class OnDevice {
 public:
  explicit OnDevice(int device) {
    error_ = cudaGetDevice(&before_);
    if (error_ == cudaSuccess && before_ != device) {
      error_ = cudaSetDevice(device);
      changed_ = error_ == cudaSuccess;
    }
  }
  ~OnDevice() {
    if (changed_) cudaSetDevice(before_);
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  cudaError_t error() const { return error_; }

 private:
  int before_ = 0;
  bool changed_ = false;
  cudaError_t error_;
};

// Kernels step over the whole grid, so that fewer blocks than there is work for do it as well.
inline unsigned blocks_for(size_t items, size_t each) {
  constexpr size_t kMost = 1u << 30;
  const size_t blocks = (items + each - 1) / each;
  return static_cast<unsigned>(blocks < kMost ? blocks : kMost);
}

template <typename... Parameters, typename... Arguments>
Error launch(const Queue& queue, unsigned blocks, unsigned threads, size_t shared_bytes,
             void (*kernel)(Parameters...), const Arguments&... arguments) {
  const OnDevice on(queue.device);
  if (on.error() != cudaSuccess) return error_text("cannot use the device", on.error());
  if (shared_bytes > 0) {
    // A processor's memory is shared memory first: it limits how many blocks there is room for.
    const void* const function = reinterpret_cast<const void*>(kernel);
    cudaError_t set = cudaFuncSetAttribute(function, cudaFuncAttributePreferredSharedMemoryCarveout,
                                           cudaSharedmemCarveoutMaxShared);
    constexpr size_t kWithoutAsking = 48 * 1024;
    if (set == cudaSuccess && shared_bytes > kWithoutAsking) {
      set = cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(shared_bytes));
    }
    if (set != cudaSuccess) return error_text("not enough shared memory", set);
  }
  cudaGetLastError();  // what an earlier caller left behind is not ours to report
  kernel<<<blocks, threads, shared_bytes, static_cast<cudaStream_t>(queue.stream)>>>(arguments...);
  const cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess) return {};
  return error_text(is_of_earlier_work(error) ? "earlier work on the device failed"
                                              : "the kernel could not be started",
                    error);
}

}  // namespace marketsim::cuda
