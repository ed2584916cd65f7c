#include "common/parallel.hpp"

#include <atomic>
#include <cstdlib>

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
  if (const char* text = std::getenv("MARKETSIM_NUM_THREADS")) {
    const int asked = std::atoi(text);
    if (asked > 0) return asked;
  }
  return available_cores();
}

void set_thread_limit(int threads) {
  limit.store(threads, std::memory_order_relaxed);
}

}  // namespace marketsim
