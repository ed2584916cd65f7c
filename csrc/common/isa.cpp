#include "common/isa.hpp"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

namespace marketsim {
namespace {

constexpr const char* kNames[] = {"baseline", "avx2", "avx512"};

Isa best_supported() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  // What x86-64-v4 and x86-64-v3 promise and the kernels' compiler flags therefore may use.
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  return v4 ? Isa::avx512 : v3 ? Isa::avx2 : Isa::baseline;
#else
  return Isa::baseline;
#endif
}

Isa parse(const std::string& name) {
  for (int i = 0; i <= static_cast<int>(best_supported()); ++i) {
    if (name == kNames[i]) return static_cast<Isa>(i);
  }
  std::string message = "instruction set '" + name + "' is not available: this processor has";
  for (const std::string& known : supported_isas()) message += " " + known;
  throw std::invalid_argument(message);
}

std::atomic<int> chosen{static_cast<int>(best_supported())};

}  // namespace

Isa active_isa() {
  return static_cast<Isa>(chosen.load(std::memory_order_relaxed));
}

void read_isa_variable() {
  const char* const name = std::getenv("MARKETSIM_ISA");
  if (!name || !*name) return;
  try {
    set_isa(name);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument("MARKETSIM_ISA: " + std::string(error.what()));
  }
}

void set_isa(const std::string& name) {
  chosen.store(static_cast<int>(parse(name)), std::memory_order_relaxed);
}

std::string isa_name(Isa isa) {
  return kNames[static_cast<int>(isa)];
}

std::vector<std::string> supported_isas() {
  return {kNames, kNames + static_cast<int>(best_supported()) + 1};
}

}  // namespace marketsim
