// Rows that are only appended to, in blocks that never move.
//
// Each block has twice the rows of the one before, so that nothing is copied on the way and a
// pointer to a row stays good. Blocks of many megabytes ask for large pages: the kernel's work for
// each fresh page of 4 KiB takes longer than filling it.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace marketsim {

template <typename Row>
class Rows {
  static_assert(std::is_trivially_copyable_v<Row>);

 public:
  Rows() = default;
  Rows(Rows&&) = default;
  Rows& operator=(Rows&&) = default;

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Appends a row and returns where it lies.
  Row* push_back(const Row& row) {
    if (end_ == limit_) grow();
    *end_ = row;
    ++size_;
    return end_++;
  }

  Row& back() { return end_[-1]; }
  const Row& back() const { return end_[-1]; }

  Row& operator[](size_t i) {
    const size_t at = i + kFirst;
    const auto block = static_cast<size_t>(std::bit_width(at / kFirst)) - 1;
    return blocks_[block].get()[at - (kFirst << block)];
  }

  // Calls use(rows, count) for each block in order.
  template <typename Use>
  void for_blocks(const Use& use) const {
    size_t left = size_;
    for (size_t b = 0; left > 0; ++b) {
      const size_t count = left < kFirst << b ? left : kFirst << b;
      use(static_cast<const Row*>(blocks_[b].get()), count);
      left -= count;
    }
  }

  void copy_to(void* to) const {
    auto* out = static_cast<std::byte*>(to);
    for_blocks([&](const Row* rows, size_t count) {
      std::memcpy(out, rows, count * sizeof(Row));
      out += count * sizeof(Row);
    });
  }

 private:
  struct Free {
    void operator()(Row* rows) const { std::free(rows); }
  };
  static constexpr size_t kFirst = 64;
  static constexpr size_t kLargePage = size_t{2} << 20;

  void grow() {
    const size_t rows = kFirst << blocks_.size(), bytes = rows * sizeof(Row);
    void* memory = nullptr;
    if (bytes < 2 * kLargePage) {
      memory = std::malloc(bytes);
    } else {
      const size_t whole = (bytes + kLargePage - 1) / kLargePage * kLargePage;
      memory = std::aligned_alloc(kLargePage, whole);
#if defined(MADV_HUGEPAGE)
      if (memory) madvise(memory, whole, MADV_HUGEPAGE);  // where it fails, pages are small
#endif
    }
    if (!memory) throw std::bad_alloc();
    blocks_.emplace_back(static_cast<Row*>(memory));
    end_ = blocks_.back().get();
    limit_ = end_ + rows;
  }

  std::vector<std::unique_ptr<Row, Free>> blocks_;
  size_t size_ = 0;
  Row *end_ = nullptr, *limit_ = nullptr;
};

}  // namespace marketsim
