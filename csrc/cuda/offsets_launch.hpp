// How best_offsets divides its groups between the kernels for few and for many days. Plain C++: the
// launches on a GPU and their emulation plan alike.
#pragma once

#include "cuda/launch.hpp"

namespace marketsim::cuda {

// Threads of a team, and low candidates it keeps in registers, of problems with few and with many
// candidates.
constexpr unsigned kFewThreads = 4, kManyThreads = 32;
constexpr size_t kFewTile = 8, kManyTile = 32, kFewCandidates = 16;
// Threads of a block that solves a problem of many days.
constexpr unsigned kLargeThreads = 128;

struct SmallPlan {
  unsigned threads;   // a team
  size_t teams;       // a block
  size_t team_bytes;  // shared memory
};

struct OffsetPlan {
  OffsetGroups small, large;
  SmallPlan for_small;
  size_t large_bytes;  // workspace of a block
};

// Throws nothing; the text says what is wrong with the groups.
Error plan_offsets(const OffsetGroup* groups, size_t count, OffsetPlan* plan);

Error launch_small(const OffsetGroups& groups, const SmallPlan& plan, const Queue& queue);
Error launch_large(const OffsetGroups& groups, size_t block_bytes, void* workspace, size_t blocks,
                   const Queue& queue);

// Blocks that a device works on at a time, about.
Error large_blocks(const Queue& queue, size_t* blocks);

}  // namespace marketsim::cuda
