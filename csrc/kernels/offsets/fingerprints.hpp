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
// Work is as in events.hpp; add_mark(work, row, begin, end, mark, counts) adds to it.
#pragma once

#include <cstring>

#include "kernels/offsets/candidates.hpp"

namespace marketsim::MARKETSIM_ISA {

inline MARKETSIM_FN uint64_t mix(uint64_t v) {
  v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9u;
  v = (v ^ (v >> 27)) * 0x94d049bb133111ebu;
  return v ^ (v >> 31);
}
inline MARKETSIM_FN uint64_t float_bits(float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, sizeof bits);
  return bits;
}

constexpr uint64_t kFollowsHigh = 1, kFollowsLow = uint64_t{1} << 32;  // in `counts`
constexpr uint32_t kNoMark = 0xffffffffu;

template <typename Work>
class MarkWriter {
 public:
  MARKETSIM_FN MarkWriter(const OffsetRules& rules, Work& work)
      : work_(work),
        legs_(work.legs, work.leg_capacity),
        rows_(work.rows),
        columns_(work.columns),
        formula_(formula_of(rules.rules)),
        proven_(proven_at(rules.rules)),
        floor_(floor_at(rules.rules)) {}

  MARKETSIM_FN void add(size_t leg) {
    leg_ = leg;
    const bool is_long = field(kDirection) < 0.0f;
    const auto& entry = is_long ? work_.rows_of : work_.columns_of;
    const auto& exit = is_long ? work_.columns_of : work_.rows_of;
    // Along the axis of the entry in the order of longs; shorts run the other way on both axes.
    const auto first_to_enter = [&](uint32_t rank) { return is_long ? rank : columns_ - rank; };
    const auto first_to_miss = [&](uint32_t rank) { return is_long ? rank : rows_ - rank; };
    const size_t entry_size = is_long ? rows_ : columns_, exit_size = is_long ? columns_ : rows_;
    const size_t enters = first_to_enter(entry.at[kMain][leg]);
    const size_t reach = first_to_miss(exit.at[kMain][leg]);
    const size_t floor = first_to_miss(exit.at[floor_][leg]);
    if (formula_ == Formula::contract) {
      const size_t at_open = larger(enters, first_to_enter(entry.at[kSecond][leg]));
      const size_t proven = first_to_miss(exit.at[proven_][leg]);
      add_exits(is_long, {enters, at_open, kLevel}, proven, {0, 0, kAtOpen}, exit_size);
      add_exits(is_long, {at_open, entry_size, kAtOpen}, reach, {0, floor, kAtOpen}, exit_size);
      return;
    }
    // Long: L is 0 from a row on, H up to a column. Short: H is 0 up to a column, which in its
    // order comes last as well, L from a row on, which comes first.
    const size_t zero = between(first_to_enter(entry.at[kFloor][leg]), enters, entry_size);
    add_exits(is_long, {enters, zero, kLevel}, reach, {0, floor, kZero}, exit_size);
    add_exits(is_long, {zero, entry_size, kZero}, reach, {0, floor, kZero}, exit_size);
    if (charges_touches(formula_)) add_touch();
  }

 private:
  enum Price : uint64_t { kLevel, kZero, kAtOpen, kAtClose };
  struct Piece {
    size_t begin, end;
    Price price;
  };

  MARKETSIM_FN float field(LegField index) const { return legs_.at(index)[leg_]; }
  static MARKETSIM_FN size_t larger(size_t x, size_t y) { return x > y ? x : y; }
  static MARKETSIM_FN size_t between(size_t v, size_t low, size_t high) {
    return v < low ? low : v > high ? high : v;
  }

  // The pieces along the axis of the exit: the floor's price up to its end, the limit up to
  // `reach`, the close beyond.
  MARKETSIM_FN void add_exits(bool is_long, const Piece& entry, size_t reach, Piece floor,
                              size_t size) {
    floor.end = between(floor.end, 0, reach);
    add_piece(is_long, entry, floor);
    add_piece(is_long, entry, {floor.end, reach, kLevel});
    add_piece(is_long, entry, {reach, size, kAtClose});
  }

  MARKETSIM_FN float price_of(Price price) const {
    return price == kZero ? 0.0f : price == kAtOpen ? field(kOpen) : field(kClose);
  }

  MARKETSIM_FN void add_piece(bool is_long, const Piece& entry, const Piece& exit) {
    if (entry.begin >= entry.end || exit.begin >= exit.end) return;
    uint64_t mark = 0, counts = 0;
    if (entry.price != kLevel && exit.price != kLevel) {
      const bool at_limit = formula_ == Formula::contract && exit.price != kAtClose;
      const float cost = field(at_limit ? kLimitCost : kCloseCost);
      const float gross = field(kWeight) * (price_of(exit.price) - price_of(entry.price));
      const float earned = charges_touches(formula_) ? gross : gross - cost;
      if (earned == 0.0f) return;  // as good as no trade
      mark = mix(mix(leg_) + float_bits(earned));
    } else {
      mark = mix(mix(leg_) + (uint64_t{1} << 32) * (1 + 4 * entry.price + exit.price));
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

  MARKETSIM_FN void add_touch() {
    const size_t column = work_.columns_of.at[kSecond][leg_], row = work_.rows_of.at[kSecond][leg_];
    const uint64_t mark = mix(mix(leg_) + (uint64_t{1} << 36));
    if (formula_ == Formula::legacy_both_touched) {
      add_rectangle(row, rows_, 0, column, mark, 0);
    } else {
      add_rectangle(row, rows_, 0, columns_, mark, 0);
      add_rectangle(0, rows_, 0, column, mix(mark), 0);
    }
  }

  MARKETSIM_FN void add_rectangle(size_t row, size_t last_row, size_t begin, size_t end,
                                  uint64_t mark, uint64_t counts) {
    if (row >= last_row || begin >= end) return;
    add_mark(work_, row, begin, end, mark, counts);
    if (last_row < rows_) add_mark(work_, last_row, begin, end, 0 - mark, 0 - counts);
  }

  Work& work_;
  const LegArrays legs_;
  const size_t rows_, columns_;
  const Formula formula_;
  const Condition proven_, floor_;
  size_t leg_ = 0;
};

// The fingerprint of a pair, of the marks and counts that hold there.
inline MARKETSIM_FN uint64_t print_of(uint64_t mark, uint64_t counts, float high, float low) {
  uint64_t print = mark;
  if (counts % kFollowsLow != 0) print = mix(print + float_bits(high) + kFollowsLow);
  if (counts / kFollowsLow != 0) print = mix(print + float_bits(low) + 2 * kFollowsLow);
  return print;
}

}  // namespace marketsim::MARKETSIM_ISA
