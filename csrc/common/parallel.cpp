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

std::atomic<int> limit{0};     // set by a caller; 0 for none
std::atomic<int> variable{0};  // MARKETSIM_NUM_THREADS at load; 0 for none

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
  const int at_load = variable.load(std::memory_order_relaxed);
  return at_load > 0 ? at_load : available_cores();
}

void read_threads_variable() {
  const char* const text = std::getenv("MARKETSIM_NUM_THREADS");
  if (!text || !*text) return;
  char* end = nullptr;
  const long asked = std::strtol(text, &end, 10);
  if (*end || asked < 1 || asked > 4096) {
    throw std::invalid_argument(
        "MARKETSIM_NUM_THREADS must be a whole number from 1 to 4096: got " + std::string(text));
  }
  variable.store(static_cast<int>(asked), std::memory_order_relaxed);
}

void set_thread_limit(int threads) {
  limit.store(threads, std::memory_order_relaxed);
}

}  // namespace marketsim
