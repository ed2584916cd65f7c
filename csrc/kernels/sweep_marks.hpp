// Fingerprints of pairs, for problems where very many pairs tie.
//
// Days that nobody would trade, bars without a range, fills at the open and clamped levels make
// plateaus: pairs by the million whose legs all earn the same to the last bit. One exact evaluation
// serves all of them. So each leg adds a mark to the columns and rows where it earns something,
// made of its number and what it earns; pairs with the same sum of marks have the same total. Where
// a leg's price follows h or l, the pair's h or l goes into the fingerprint as well.
//
// Marks are pseudo-random numbers of 64 bits and add up modulo 2^64. Two of the at most some 10^5
// different fingerprints that come near the best total of a problem are equal by accident in one
// problem of 10^9; the data cannot bring it about without knowing the constants below.
//
// Only offsets_sweep.cpp includes this header.
#pragma once

#include <cstring>

#include "kernels/sweep_work.hpp"

namespace marketsim::MARKETSIM_ISA {

inline uint64_t mix(uint64_t v) {
  v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9u;
  v = (v ^ (v >> 27)) * 0x94d049bb133111ebu;
  return v ^ (v >> 31);
}
inline uint64_t float_bits(float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, sizeof bits);
  return bits;
}

constexpr uint64_t kFollowsHigh = 1, kFollowsLow = uint64_t{1} << 32;  // in `counts`
constexpr uint32_t kNoMark = 0xffffffffu;

class MarkWriter {
 public:
  MarkWriter(const OffsetRules& rules, Work& work)
      : work_(work),
        legs_(work.legs, work.leg_capacity),
        rows_(work.rows),
        columns_(work.columns),
        charge_(charge_of(rules.rules)),
        open_aware_(rules.rules.fill == Fill::open_aware) {}

  void add(size_t leg) {
    leg_ = leg;
    const bool is_long = field(kDirection) < 0.0f;
    const Ranks& entry = is_long ? work_.rows_of : work_.columns_of;
    const Ranks& exit = is_long ? work_.columns_of : work_.rows_of;
    // Along the axis of the entry in the order of longs; shorts run the other way on both axes.
    const auto first_to_enter = [&](uint32_t rank) { return is_long ? rank : columns_ - rank; };
    const auto first_to_miss = [&](uint32_t rank) { return is_long ? rank : rows_ - rank; };
    const size_t entry_size = is_long ? rows_ : columns_, exit_size = is_long ? columns_ : rows_;
    const size_t enters = first_to_enter(entry.at[kMain][leg]);
    size_t at_open = entry_size;
    if (open_aware_) at_open = larger(enters, first_to_enter(entry.at[kAtOpen][leg]));
    size_t reach = first_to_miss(exit.at[kMain][leg]);
    const size_t reach_early = open_aware_ ? first_to_miss(exit.at[kAtOpen][leg]) : reach;
    // Long: L is 0 from a row on, H up to a column. Short: H is 0 up to a column, which in its
    // order comes last as well, L from a row on, which comes first.
    const size_t zero_entry = between(first_to_enter(entry.zero[leg]), enters, at_open);
    const size_t zero_exit = first_to_miss(exit.zero[leg]);
    const Piece level{enters, zero_entry, kLevel}, clamped{zero_entry, at_open, kZero},
        open{at_open, entry_size, kOpenOrClose};
    add_exits(is_long, level, reach_early, zero_exit, exit_size);
    add_exits(is_long, clamped, reach_early, zero_exit, exit_size);
    add_exits(is_long, open, reach, zero_exit, exit_size);
    if (charge_ == Charge::both_touched || charge_ == Charge::any_touched) add_touch();
  }

 private:
  enum Price : uint64_t { kLevel, kZero, kOpenOrClose };
  struct Piece {
    size_t begin, end;
    Price price;
  };

  float field(LegField index) const { return legs_.at(index)[leg_]; }
  static size_t larger(size_t x, size_t y) { return x > y ? x : y; }
  static size_t between(size_t v, size_t low, size_t high) {
    return v < low ? low : v > high ? high : v;
  }

  // The pieces along the axis of the exit: at the limit up to `reach`, of which up to `zero` at 0.
  void add_exits(bool is_long, const Piece& entry, size_t reach, size_t zero, size_t size) {
    zero = between(zero, 0, reach);
    add_piece(is_long, entry, {0, zero, kZero});
    add_piece(is_long, entry, {zero, reach, kLevel});
    add_piece(is_long, entry, {reach, size, kOpenOrClose});
  }

  void add_piece(bool is_long, const Piece& entry, const Piece& exit) {
    if (entry.begin >= entry.end || exit.begin >= exit.end) return;
    uint64_t mark = 0, counts = 0;
    if (entry.price != kLevel && exit.price != kLevel) {
      const float paid = entry.price == kZero ? 0.0f : field(kOpen);
      const float left_at = exit.price == kZero ? 0.0f : field(kClose);
      const float gross = field(kWeight) * (left_at - paid);
      const float earned = charge_ == Charge::on_entry ? gross - field(kFee) : gross;
      if (earned == 0.0f) return;  // as good as no trade
      mark = mix(mix(leg_) + float_bits(earned));
    } else {
      mark = mix(mix(leg_) + (uint64_t{1} << 32) * (1 + 3 * entry.price + exit.price));
      if (entry.price == kLevel) counts += is_long ? kFollowsLow : kFollowsHigh;
      if (exit.price == kLevel) counts += is_long ? kFollowsHigh : kFollowsLow;
    }
    if (is_long) {
      add_rectangle(entry.begin, entry.end, exit.begin, exit.end, mark, counts);
    } else {
      add_rectangle(rows_ - exit.end, rows_ - exit.begin, columns_ - entry.end,
                    columns_ - entry.begin, mark, counts);
    }
  }

  void add_touch() {
    const size_t column = work_.columns_of.at[kTouch][leg_], row = work_.rows_of.at[kTouch][leg_];
    const uint64_t mark = mix(mix(leg_) + (uint64_t{1} << 36));
    if (charge_ == Charge::both_touched) {
      add_rectangle(row, rows_, 0, column, mark, 0);
    } else {
      add_rectangle(row, rows_, 0, columns_, mark, 0);
      add_rectangle(0, rows_, 0, column, mix(mark), 0);
    }
  }

  void add_rectangle(size_t row, size_t last_row, size_t begin, size_t end, uint64_t mark,
                     uint64_t counts) {
    if (row >= last_row || begin >= end) return;
    emit(row, begin, end, mark, counts);
    if (last_row < rows_) emit(last_row, begin, end, 0 - mark, 0 - counts);
  }

  void emit(size_t row, size_t begin, size_t end, uint64_t mark, uint64_t counts) {
    const uint32_t at = static_cast<uint32_t>(work_.mark_count++);
    work_.mark_events[at] = {work_.first_mark[row], static_cast<uint32_t>(begin),
                             static_cast<uint32_t>(end), mark, counts};
    work_.first_mark[row] = at;
  }

  Work& work_;
  const LegArrays legs_;
  const size_t rows_, columns_;
  const Charge charge_;
  const bool open_aware_;
  size_t leg_ = 0;
};

inline void write_marks(const OffsetRules& rules, Work& work) {
  work.mark_count = work.known_count = work.unsettled_count = 0;
  for (size_t row = 0; row < work.rows; ++row) work.first_mark[row] = kNoMark;
  MarkWriter writer(rules, work);
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
  uint64_t print = work.mark[column] + work.block_mark[block];
  const uint64_t counts = work.counts[column] + work.block_counts[block];
  if (counts % kFollowsLow != 0) print = mix(print + float_bits(work.high[column]) + kFollowsLow);
  if (counts / kFollowsLow != 0) print = mix(print + float_bits(low) + 2 * kFollowsLow);
  return print;
}

inline bool follows_low(const Work& work, size_t block, size_t column) {
  return (work.counts[column] + work.block_counts[block]) / kFollowsLow != 0;
}

}  // namespace marketsim::MARKETSIM_ISA
