// Splits independent work over the cores this process may use.
//
// Threads live for one call: there is no pool that a fork could break, and work small enough for
// the start of a thread to matter stays on the caller's thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <thread>
#include <vector>

namespace marketsim {

// How many threads a call may use: what was set, else MARKETSIM_NUM_THREADS as it was at load, else
// the cores in this process's affinity mask. set_thread_limit(0) returns to that default.
int thread_limit();
void set_thread_limit(int threads);

// Reads MARKETSIM_NUM_THREADS. Called once, at load: getenv races with whoever writes the
// environment. Throws std::invalid_argument where the variable is not a number of threads.
void read_threads_variable();

// As many as have at least the smallest share each, at most `most` of them.
inline int threads_for(size_t items, size_t smallest_share, int most) {
  const size_t useful = items / std::max<size_t>(smallest_share, 1);
  return static_cast<int>(std::clamp<size_t>(useful, 1, static_cast<size_t>(std::max(most, 1))));
}
inline int threads_for(size_t items, size_t smallest_share) {
  const size_t useful = items / std::max<size_t>(smallest_share, 1);
  return useful <= 1 ? 1 : threads_for(items, smallest_share, thread_limit());
}

// Calls work(thread, begin, end) for `threads` contiguous shares of [0, items). Items are
// independent, so the result does not depend on the number of threads. What `work` throws, such as
// std::bad_alloc for its scratch memory, is thrown on the caller's thread once all have ended.
template <typename Work>
void parallel_for(size_t items, int threads, const Work& work) {
  std::vector<std::thread> others;
  others.reserve(static_cast<size_t>(threads));
  std::atomic_flag failed = ATOMIC_FLAG_INIT;
  std::exception_ptr error;  // written by the first thread that fails, read after all are joined
  const auto share = [&](int i) noexcept {
    const auto at = [&](int k) {
      return items * static_cast<size_t>(k) / static_cast<size_t>(threads);
    };
    try {
      work(i, at(i), at(i + 1));
    } catch (...) {
      if (!failed.test_and_set()) error = std::current_exception();
    }
  };
  int started = 1;
  try {
    for (; started < threads; ++started) others.emplace_back(share, started);
  } catch (const std::exception&) {
    // No thread or memory to spare: the caller's thread does the remaining shares itself.
  }
  share(0);
  for (int i = started; i < threads; ++i) share(i);
  for (std::thread& other : others) other.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace marketsim
