// The sweep's fingerprints (fingerprints.hpp), kept up to date from row to row.
//
// Only sweep.cpp includes this header.
#pragma once

#include "kernels/offsets/fingerprints.hpp"
#include "kernels/offsets/workspace.hpp"

namespace marketsim::MARKETSIM_ISA {

inline void write_marks(const OffsetRules& rules, Work& work) {
  work.mark_count = work.known_count = work.unsettled_count = 0;
  for (size_t row = 0; row < work.rows; ++row) work.first_mark[row] = kNoMark;
  MarkWriter<Work> writer(rules, work);
  for (size_t leg = 0; leg < work.legs_used; ++leg) writer.add(leg);
  for (size_t k = 0; k < work.blocks * kBlock; ++k) work.mark[k] = work.counts[k] = 0;
  for (size_t j = 0; j < work.blocks; ++j) {
    work.block_mark[j] = work.block_counts[j] = 0;
    work.block_alike[j] = 0;
  }
  for (size_t i = 0; i < kKnown; ++i) work.known[i].used = false;
}

// Brings the marks up to date for `row`.
inline void apply_marks(Work& work, size_t row) {
  for (uint32_t i = work.first_mark[row]; i != kNoMark; i = work.mark_events[i].next) {
    const MarkEvent& event = work.mark_events[i];
    const size_t first = event.begin / kBlock, last = (event.end - 1) / kBlock;
    for (size_t block = first; block <= last; ++block) {
      work.block_alike[block] = 0;
      const size_t begin = block * kBlock > event.begin ? block * kBlock : event.begin;
      const size_t end = (block + 1) * kBlock < event.end ? (block + 1) * kBlock : event.end;
      if (end - begin == kBlock) {
        work.block_mark[block] += event.mark;
        work.block_counts[block] += event.counts;
        continue;
      }
      for (size_t k = begin; k < end; ++k) {
        work.mark[k] += event.mark;
        work.counts[k] += event.counts;
      }
    }
  }
}

// The fingerprint of the pair in that row and column.
inline uint64_t print_of(const Work& work, size_t block, size_t column, float low) {
  return print_of(work.mark[column] + work.block_mark[block],
                  work.counts[column] + work.block_counts[block], work.high[column], low);
}

inline bool follows_low(const Work& work, size_t block, size_t column) {
  return (work.counts[column] + work.block_counts[block]) / kFollowsLow != 0;
}

}  // namespace marketsim::MARKETSIM_ISA
