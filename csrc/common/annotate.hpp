// How functions are marked that run on a GPU as well; compilers for the CPU see little of it.
//
//     MARKETSIM_FN       for both
//     MARKETSIM_INLINE   for both, and always inlined, so that it costs the CPU's kernels nothing
//     to
//                        have taken it out of a longer function
#pragma once

#if defined(__CUDACC__)
#define MARKETSIM_FN __host__ __device__
#define MARKETSIM_INLINE __host__ __device__ __forceinline__
#else
#define MARKETSIM_FN
#define MARKETSIM_INLINE __attribute__((always_inline)) inline
#endif
