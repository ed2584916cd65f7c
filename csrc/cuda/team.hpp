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
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/annotate.hpp"

namespace marketsim::MARKETSIM_ISA {

#if defined(__CUDACC__)
#define MARKETSIM_BODY __device__ __forceinline__  // a function over a team, or a part of one
#define MARKETSIM_APART __device__ __noinline__    // one whose code is there once
#define MARKETSIM_UNROLL _Pragma("unroll")
#else
#define MARKETSIM_BODY inline
#define MARKETSIM_APART inline
#define MARKETSIM_UNROLL _Pragma("GCC unroll 16")
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

template <typename T>
__device__ inline T shuffle_xor(uint32_t mask, T v, unsigned distance) {
  static_assert(sizeof(T) % sizeof(uint32_t) == 0);
  constexpr size_t kWords = sizeof(T) / sizeof(uint32_t);
  uint32_t words[kWords];
  memcpy(words, &v, sizeof v);
  for (size_t i = 0; i < kWords; ++i) words[i] = __shfl_xor_sync(mask, words[i], distance);
  memcpy(&v, words, sizeof v);
  return v;
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

// How the emulation orders the ranks within each().
enum class RankOrder { forward = 0, backward = 1, mixed = 2 };

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

  explicit HostTeam(RankOrder order) : order_(order) {}

  template <typename Work>
  void each(const Work& work) {
    for (unsigned i = 0; i < kThreads; ++i) {
      const unsigned mixed = i * 5 % kThreads;  // kThreads is a power of two: every rank once
      work(order_ == RankOrder::forward    ? i
           : order_ == RankOrder::backward ? kThreads - 1 - i
                                           : mixed);
    }
  }

  template <typename T, typename Op>
  T reduce(const Per<T>& values, const Op& op) {
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

 private:
  RankOrder order_;
};

}  // namespace marketsim::MARKETSIM_ISA
