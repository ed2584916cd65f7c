#include "kernels/store/view.hpp"

#include <sys/random.h>
#include <time.h>

#include "common/isa.hpp"

namespace marketsim::store {
namespace {

constexpr size_t kCacheBytes = 2 * 1024 * 1024;  // files above do not stay in a core's caches
constexpr size_t kAheadBytes = 4 * 1024;         // of records to fetch ahead in those
constexpr size_t kRun = 16;                      // records compared before they are copied

struct Rows {
  const std::byte* from;  // values of the first record
  size_t stride, count, width, ahead;
  float* to;
};

// Eight float32 values that may lie anywhere.
using Eight [[gnu::vector_size(32), gnu::aligned(4), gnu::may_alias]] = float;

// Eight values at a time, the last eight perhaps for a second time: a record is too short for a
// call of memcpy to pay.
inline __attribute__((always_inline)) void copy_rows(const Rows rows) {
  const size_t whole = rows.width / 8, rest = rows.width % 8;
  const std::byte* record = rows.from;
  float* to = rows.to;
  for (size_t row = 0; row < rows.count; ++row, record += rows.stride, to += rows.width) {
    for (size_t at = 0; rows.ahead && at < rows.stride; at += 64) {
      __builtin_prefetch(record + rows.ahead + at);
    }
    const auto* from = reinterpret_cast<const float*>(record);
    for (size_t i = 0; i < whole; ++i) {
      *reinterpret_cast<Eight*>(to + 8 * i) = *reinterpret_cast<const Eight*>(from + 8 * i);
    }
    if (rest == 0) continue;
    if (whole) {
      const size_t last = rows.width - 8;
      *reinterpret_cast<Eight*>(to + last) = *reinterpret_cast<const Eight*>(from + last);
    } else {
      for (size_t i = 0; i < rest; ++i) to[i] = from[i];
    }
  }
}

inline void copy_baseline(const Rows& rows) {
  copy_rows(rows);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) void copy_avx2(const Rows& rows) {
  copy_rows(rows);
}
#endif

auto chosen_copy() {
#if defined(__x86_64__)
  if (active_isa() != Isa::baseline) return &copy_avx2;
#endif
  return &copy_baseline;
}

}  // namespace

const HashSecret& HashSecret::instance() {
  static const HashSecret secret = [] {
    HashSecret made{};
    if (::getrandom(&made, sizeof made, GRND_NONBLOCK) != sizeof made) {
      struct timespec now;  // the random pool is not ready in the first moments after a boot
      ::clock_gettime(CLOCK_MONOTONIC, &now);
      made = {static_cast<uint64_t>(now.tv_nsec) * 0x9E3779B97F4A7C15u,
              reinterpret_cast<uint64_t>(&now) * 0xBF58476D1CE4E5B9u};
    }
    return made;
  }();
  return secret;
}

size_t View::read(const Key* keys, size_t count, float* out, bool* found) const {
  const auto copy = chosen_copy();
  const uint32_t dense = this->count();
  // The processor fetches ahead within a page only; across many of them it has to be told. What
  // fits into its caches is slower for being told.
  const size_t ahead = dense * stride_ > kCacheBytes ? kAheadBytes : 0;
  size_t hits = 0;
  uint32_t next = 0;     // behind the last record found
  bool in_order = true;  // records are mostly read as they were written: that one is tried first
  for (size_t i = 0; i < count;) {
    const size_t most =
        in_order && next < dense ? std::min({kRun, count - i, size_t{dense - next}}) : 0;
    uint32_t slot = next;
    size_t run = 0;
    while (run < most && head(slot + static_cast<uint32_t>(run)).key == keys[i + run]) ++run;
    if (run == 0) {
      slot = find(keys[i]);
      run = slot != kNoSlot;
      in_order = slot == next;
    }
    if (run == 0) {
      found[i++] = false;
      continue;
    }
    const auto* from = reinterpret_cast<const std::byte*>(values(slot));
    const Rows rows{from, stride_, run, width_, ahead, out + i * width_};
    run == 1 ? copy_baseline(rows) : copy(rows);  // one by one, the call would cost more
    std::fill_n(found + i, run, true);
    next = slot + static_cast<uint32_t>(run);
    i += run;
    hits += run;
  }
  return hits;
}

}  // namespace marketsim::store
