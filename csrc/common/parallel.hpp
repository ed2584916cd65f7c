// Splits independent work over the cores this process may use.
//
// Threads live for one call: there is no pool that a fork could break, and work small enough for
// the start of a thread to matter stays on the caller's thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <thread>
#include <vector>

namespace marketsim {

// How many threads a call may use: MARKETSIM_NUM_THREADS where set, else the cores in this
// process's affinity mask. set_thread_limit(0) returns to that default. Throws
// std::invalid_argument where the variable is not a number of threads.
int thread_limit();
void set_thread_limit(int threads);

// As many as have at least the smallest share each, at most `most` of them.
inline int threads_for(size_t items, size_t smallest_share, int most) {
  const size_t useful = items / std::max<size_t>(smallest_share, 1);
  return static_cast<int>(std::clamp<size_t>(useful, 1, static_cast<size_t>(std::max(most, 1))));
}
inline int threads_for(size_t items, size_t smallest_share) {
  const size_t useful = items / std::max<size_t>(smallest_share, 1);
  return useful <= 1 ? 1 : threads_for(items, smallest_share, thread_limit());
}

// Calls work(thread, begin, end) for `threads` contiguous shares of [0, items). `work` must not
// throw. Items are independent, so the result does not depend on the number of threads.
template <typename Work>
void parallel_for(size_t items, int threads, const Work& work) {
  std::vector<std::thread> others;
  others.reserve(static_cast<size_t>(threads));
  const auto share = [&](int i) {
    return items * static_cast<size_t>(i) / static_cast<size_t>(threads);
  };
  int started = 1;
  try {
    for (; started < threads; ++started) {
      others.emplace_back([&work, started, begin = share(started), end = share(started + 1)] {
        work(started, begin, end);
      });
    }
  } catch (const std::exception&) {
    // No thread or memory to spare: the caller's thread does the remaining shares itself.
  }
  work(0, share(0), share(1));
  for (int i = started; i < threads; ++i) work(i, share(i), share(i + 1));
  for (std::thread& other : others) other.join();
}

}  // namespace marketsim
