// What there is of devices, and why not.
#include "cuda/device.cuh"

namespace marketsim::cuda {
namespace {

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

}  // namespace

int device_count() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

std::string driver_state() {
  int driver = 0, runtime = 0, count = 0;
  cudaRuntimeGetVersion(&runtime);
  const std::string built = "built with CUDA " + version_text(runtime);
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
    return "no NVIDIA driver; " + built;
  }
  const std::string versions = "driver for CUDA " + version_text(driver) + "; " + built;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) return error_text("no device", error) + "; " + versions;
  return std::to_string(count) + (count == 1 ? " device; " : " devices; ") + versions;
}

std::string device_name(int device) {
  cudaDeviceProp properties;
  if (cudaGetDeviceProperties(&properties, device) != cudaSuccess) return {};
  return properties.name;
}

}  // namespace marketsim::cuda
