// Threads that work on one problem together, on a GPU or one after the other on the host.
//
// A kernel's body is written over a team. Code outside each() is the same for all threads of the
// team; on the GPU all of them run it. each(work) calls work(rank) for every rank, and what one
// rank writes to memory is seen by all of them afterwards. Within one each() no rank reads what
// another one writes there, but for atomics: the emulation runs the ranks in any order and the
// answers must not depend on it.
//
//     Per<T>          a value of each rank: registers on the GPU, an array on the host
//     reduce(v, op)   combines those values, in the same tree on both; op(x, y) = op(y, x)
//     before(v)       for each rank the sum of the values of the ranks before it
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>

#include "common/annotate.hpp"

namespace marketsim::MARKETSIM_ISA {

#if defined(__CUDACC__)
#define MARKETSIM_BODY __device__ __forceinline__  // a function over a team, or a part of one
#define MARKETSIM_APART __device__ __noinline__    // one whose code is there once
#define MARKETSIM_UNROLL _Pragma("unroll")
#define MARKETSIM_ONCE _Pragma("unroll 1")  // a loop whose code is there once
#else
#define MARKETSIM_BODY inline
#define MARKETSIM_APART inline
#define MARKETSIM_UNROLL _Pragma("GCC unroll 32")
#define MARKETSIM_ONCE
#endif

struct Larger {
  template <typename T>
  MARKETSIM_FN T operator()(T x, T y) const {
    return x > y ? x : y;
  }
};
struct Smaller {
  template <typename T>
  MARKETSIM_FN T operator()(T x, T y) const {
    return x < y ? x : y;
  }
};
struct Sum {
  template <typename T>
  MARKETSIM_FN T operator()(T x, T y) const {
    return x + y;
  }
};

// The number of the lowest bit that is set.
inline MARKETSIM_FN unsigned lowest_bit(uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return static_cast<unsigned>(__ffs(static_cast<int>(bits))) - 1u;
#else
  return static_cast<unsigned>(__builtin_ctz(bits));
#endif
}

// Adds to memory that other ranks add to as well, and returns what was there.
template <typename T>
inline MARKETSIM_FN T atomic_add(T* to, T v) {
#if defined(__CUDA_ARCH__)
  return atomicAdd(to, v);
#else
  const T before = *to;
  *to = before + v;
  return before;
#endif
}
// The same for a sum in global memory, which nobody reads before the phase is over.
inline MARKETSIM_FN void add_to(double* to, double v) {
#if defined(__CUDA_ARCH__)
  // atomicAdd() has code for shared memory as well, a loop, where it cannot tell.
  asm volatile("red.global.add.f64 [%0], %1;" ::"l"(__cvta_generic_to_global(to)), "d"(v)
               : "memory");
#else
  *to += v;
#endif
}
inline MARKETSIM_FN uint32_t atomic_exchange(uint32_t* to, uint32_t v) {
#if defined(__CUDA_ARCH__)
  return atomicExch(to, v);
#else
  const uint32_t before = *to;
  *to = v;
  return before;
#endif
}

// Writes v where there is 0, and returns what was there.
inline MARKETSIM_FN unsigned long long atomic_claim(unsigned long long* to, unsigned long long v) {
#if defined(__CUDA_ARCH__)
  return atomicCAS(to, 0ull, v);
#else
  const unsigned long long before = *to;
  if (before == 0) *to = v;
  return before;
#endif
}
// Writes a value that other ranks may read once they see the flag.
inline MARKETSIM_FN void publish(double* to, double v, uint32_t* flag) {
#if defined(__CUDA_ARCH__)
  *static_cast<volatile double*>(to) = v;
  __threadfence_block();
  atomicExch(flag, 1u);
#else
  *to = v;
  *flag = 1;
#endif
}
inline MARKETSIM_FN bool is_published(uint32_t* flag) {
#if defined(__CUDA_ARCH__)
  const bool found = atomicAdd(flag, 0u) != 0;
  __threadfence_block();
  return found;
#else
  return *flag != 0;
#endif
}
inline MARKETSIM_FN double published(const double* from) {
#if defined(__CUDA_ARCH__)
  return *static_cast<const volatile double*>(from);
#else
  return *from;
#endif
}

#if defined(__CUDACC__)

// shuffle(word) of all words of a value.
template <typename T, typename Shuffle>
__device__ inline T shuffle_words(T v, const Shuffle& shuffle) {
  static_assert(sizeof(T) % sizeof(uint32_t) == 0);
  constexpr size_t kWords = sizeof(T) / sizeof(uint32_t);
  uint32_t words[kWords];
  memcpy(words, &v, sizeof v);
  for (size_t i = 0; i < kWords; ++i) words[i] = shuffle(words[i]);
  memcpy(&v, words, sizeof v);
  return v;
}
template <typename T>
__device__ inline T shuffle_xor(uint32_t mask, T v, unsigned distance) {
  return shuffle_words(v, [&](uint32_t w) { return __shfl_xor_sync(mask, w, distance); });
}
template <typename T>
__device__ inline T shuffle_up(uint32_t mask, T v, unsigned distance) {
  return shuffle_words(v, [&](uint32_t w) { return __shfl_up_sync(mask, w, distance); });
}

// kSize neighbouring threads: a part of a warp, a warp, or a whole block of several warps.
template <unsigned kThreads>
class DeviceTeam {
 public:
  static constexpr unsigned kSize = kThreads;
  static constexpr unsigned kWarp = kThreads < 32 ? kThreads : 32;
  static constexpr size_t kExchangeBytes = kThreads > 32 ? kThreads / 32 * 16 : 0;

  template <typename T>
  struct Per {
    T value;
    __device__ T& operator[](unsigned) { return value; }
    __device__ const T& operator[](unsigned) const { return value; }
  };

  // `exchange` is memory of the team for reduce(): kExchangeBytes of it.
  __device__ explicit DeviceTeam(char* exchange)
      : exchange_(exchange),
        rank_(threadIdx.x % kThreads),
        mask_(kThreads >= 32
                  ? 0xffffffffu
                  : ((1u << (kThreads % 32)) - 1u) << (threadIdx.x % 32 / kWarp * kWarp)) {}

  template <typename Work>
  __device__ void each(const Work& work) {
    sync();  // all are done with reading what `work` may overwrite
    work(rank_);
    sync();
  }

  template <typename T, typename Op>
  __device__ T reduce(const Per<T>& values, const Op& op) {
    T v = values.value;
#pragma unroll
    for (unsigned distance = 1; distance < kWarp; distance *= 2) {
      v = op(v, shuffle_xor(mask_, v, distance));
    }
    if constexpr (kThreads > 32) {
      static_assert(sizeof(T) <= 16);
      T* warps = reinterpret_cast<T*>(exchange_);
      __syncthreads();
      if (rank_ % 32 == 0) warps[rank_ / 32] = v;
      __syncthreads();
      v = warps[0];
      for (unsigned i = 1; i < kThreads / 32; ++i) v = op(v, warps[i]);
    }
    return v;
  }

  template <typename T>
  __device__ Per<T> before(const Per<T>& values) {
    static_assert(kThreads > 32 && sizeof(T) <= 16, "only blocks have needed it");
    T sum = values.value;
#pragma unroll
    for (unsigned distance = 1; distance < 32; distance *= 2) {
      const T lower = shuffle_up(mask_, sum, distance);
      if (rank_ % 32 >= distance) sum += lower;
    }
    T* warps = reinterpret_cast<T*>(exchange_);
    __syncthreads();
    if (rank_ % 32 == 31) warps[rank_ / 32] = sum;
    __syncthreads();
    const T lower = shuffle_up(mask_, sum, 1);
    T base = rank_ % 32 == 0 ? T{} : lower;
    for (unsigned i = 0; i < rank_ / 32; ++i) base += warps[i];
    return {base};
  }

 private:
  __device__ void sync() const {
    if constexpr (kThreads > 32) {
      __syncthreads();
    } else {
      __syncwarp(mask_);
    }
  }

  char* exchange_;
  unsigned rank_;
  uint32_t mask_;
};

#endif

// How the emulation orders the ranks within each(); `random` is another order each time.
enum class RankOrder { forward = 0, backward = 1, mixed = 2, random = 3 };

template <unsigned kThreads>
class HostTeam {
 public:
  static constexpr unsigned kSize = kThreads;
  static constexpr unsigned kWarp = kThreads < 32 ? kThreads : 32;

  template <typename T>
  struct Per {
    T values[kThreads];
    T& operator[](unsigned rank) { return values[rank]; }
    const T& operator[](unsigned rank) const { return values[rank]; }
  };

  explicit HostTeam(RankOrder order, const bool* in_phase = nullptr)
      : order_(order), outer_(in_phase) {}
  HostTeam(const HostTeam& other) : HostTeam(other.order_, &other.in_phase_) {}
  HostTeam& operator=(const HostTeam&) = delete;

  template <typename Work>
  void each(const Work& work) {
    meet();
    in_phase_ = true;
    for (unsigned i = 0; i < kThreads; ++i) work(nth(i));
    in_phase_ = false;
    if (order_ == RankOrder::random) turn_ = turn_ * 1664525u + 1013904223u;
  }

  template <typename T, typename Op>
  T reduce(const Per<T>& values, const Op& op) {
    meet();
    T v[kThreads], next[kThreads];
    for (unsigned i = 0; i < kThreads; ++i) v[i] = values[i];
    for (unsigned distance = 1; distance < kWarp; distance *= 2) {
      for (unsigned i = 0; i < kThreads; ++i) next[i] = op(v[i], v[i ^ distance]);
      for (unsigned i = 0; i < kThreads; ++i) v[i] = next[i];
    }
    T result = v[0];
    for (unsigned i = 1; i < kThreads / kWarp; ++i) result = op(result, v[i * kWarp]);
    return result;
  }

  template <typename T>
  Per<T> before(const Per<T>& values) {
    meet();
    Per<T> sums;
    T sum{};
    for (unsigned i = 0; i < kThreads; ++i) {
      sums[i] = sum;
      sum += values[i];
    }
    return sums;
  }

 private:
  // Where all threads of the team must come by. Within a phase not all do: a GPU would hang.
  void meet() const {
    if (in_phase_ || (outer_ && *outer_)) throw std::logic_error("a team meets within each()");
  }
  unsigned nth(unsigned i) const {  // kThreads is a power of two: every rank once
    switch (order_) {
      case RankOrder::backward:
        return kThreads - 1 - i;
      case RankOrder::mixed:
        return i * 5 % kThreads;
      case RankOrder::random:
        return ((i ^ (turn_ >> 20)) * (turn_ >> 8 | 1u)) % kThreads;
      case RankOrder::forward:
        break;
    }
    return i;
  }

  RankOrder order_;
  const bool* outer_;
  bool in_phase_ = false;
  unsigned turn_ = 12345;
};

}  // namespace marketsim::MARKETSIM_ISA
