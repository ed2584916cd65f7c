// MARKETSIM_FN marks the functions that run on a GPU as well; compilers for the CPU see nothing.
#pragma once

#if defined(__CUDACC__)
#define MARKETSIM_FN __host__ __device__
#else
#define MARKETSIM_FN
#endif
