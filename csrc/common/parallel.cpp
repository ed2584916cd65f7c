#include "common/parallel.hpp"

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>

#if defined(__linux__)
#include <sched.h>
#endif

namespace marketsim {
namespace {

std::atomic<int> limit{0};

int available_cores() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

int thread_limit() {
  const int set = limit.load(std::memory_order_relaxed);
  if (set > 0) return set;
  const char* text = std::getenv("MARKETSIM_NUM_THREADS");
  if (!text || !*text) return available_cores();
  char* end = nullptr;
  const long asked = std::strtol(text, &end, 10);
  if (*end || asked < 1 || asked > 4096) {
    throw std::invalid_argument(
        "MARKETSIM_NUM_THREADS must be a whole number from 1 to 4096: got " + std::string(text));
  }
  return static_cast<int>(asked);
}

void set_thread_limit(int threads) {
  limit.store(threads, std::memory_order_relaxed);
}

}  // namespace marketsim
