// Verified records in memory: the bytes, the index from key to slot, and a view that keeps both.
//
// Writers of the index hold the file's mutex; readers take no lock. A cell of the index is stored
// with release order after its record has been verified, and loaded with acquire order.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "kernels/store/format.hpp"

namespace marketsim::store {

constexpr uint32_t kNoSlot = ~uint32_t{0};

// The bytes of a file from its start: a map of it, or a copy. Stays until the last view is gone.
class Region {
 public:
  // A map of `capacity` bytes, of which those up to the file's end may be touched: as the file
  // grows, more of them. Null where the file cannot be mapped.
  static std::shared_ptr<Region> map(int fd, size_t capacity);
  static std::shared_ptr<Region> copy(size_t capacity);
  ~Region();
  Region(const Region&) = delete;

  std::byte* data() const { return data_; }
  size_t capacity() const { return capacity_; }
  bool mapped() const { return mapped_; }

 private:
  Region(std::byte* data, size_t capacity, bool mapped)
      : data_(data), capacity_(capacity), mapped_(mapped) {}
  std::byte* data_;
  size_t capacity_;
  bool mapped_;
};

// Open addressing with linear probing, at most half full. A cell is 32 bits of the key beside
// slot + 1, so a probe seldom touches a record that is not the one looked for.
class Index {
 public:
  explicit Index(size_t slots) : mask_(cells_for(slots) - 1) {
    cells_ = static_cast<uint64_t*>(std::calloc(mask_ + 1, sizeof(uint64_t)));
    if (!cells_) throw std::bad_alloc();
  }
  ~Index() { std::free(cells_); }
  Index(const Index&) = delete;

  bool holds(size_t slots) const { return cells_for(slots) <= mask_ + 1; }
  void prefetch(const Key& key) const { __builtin_prefetch(cells_ + (key.low & mask_), 1); }

  // The slot for which matches(slot) holds, among those whose cell agrees with the key.
  template <typename Matches>
  uint32_t find(const Key& key, const Matches& matches) const {
    for (uint64_t at = key.low & mask_;; at = (at + 1) & mask_) {
      const uint64_t cell = std::atomic_ref(cells_[at]).load(std::memory_order_acquire);
      if (cell == 0) return kNoSlot;
      const uint32_t slot = static_cast<uint32_t>(cell) - 1;
      if (((cell ^ key.high) & kTag) == 0 && matches(slot)) return slot;
    }
  }

  // False where there is such a slot already. There is room.
  template <typename Matches>
  bool insert(const Key& key, uint32_t slot, const Matches& matches) {
    uint64_t at = key.low & mask_;
    for (; cells_[at] != 0; at = (at + 1) & mask_) {
      const uint32_t other = static_cast<uint32_t>(cells_[at]) - 1;
      if (((cells_[at] ^ key.high) & kTag) == 0 && matches(other)) return false;
    }
    const uint64_t cell = (key.high & kTag) | (slot + 1);
    std::atomic_ref(cells_[at]).store(cell, std::memory_order_release);
    return true;
  }

  // All slots below `limit`, ascending.
  std::vector<uint32_t> slots(uint32_t limit) const {
    std::vector<uint32_t> found;
    for (uint64_t at = 0; at <= mask_; ++at) {
      const uint64_t cell = std::atomic_ref(cells_[at]).load(std::memory_order_acquire);
      if (cell != 0 && static_cast<uint32_t>(cell) - 1 < limit) {
        found.push_back(static_cast<uint32_t>(cell) - 1);
      }
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  // While every slot before this one holds a record that counts, a reader may guess slots.
  std::atomic<uint32_t> dense_end{0};

 private:
  static constexpr uint64_t kTag = 0xFFFFFFFF00000000u;
  static size_t cells_for(size_t slots) {
    size_t cells = 64;
    while (cells < 2 * slots) cells *= 2;
    return cells;
  }
  uint64_t mask_;
  uint64_t* cells_;
};

// What a reader holds: as long as it lives, records found through it stay where they are, whatever
// happens to the file's name or to the object that gave it.
class View {
 public:
  View(std::shared_ptr<const Region> region, std::shared_ptr<Index> index, uint32_t width)
      : region_(std::move(region)),
        index_(std::move(index)),
        width_(width),
        stride_(stride_of(width)),
        limit_(region_->capacity() <= kDataStart
                   ? 0
                   : static_cast<uint32_t>((region_->capacity() - kDataStart) / stride_)) {}

  uint32_t width() const { return width_; }
  size_t stride() const { return stride_; }
  std::vector<uint32_t> slots() const { return index_->slots(limit_); }
  const std::byte* record(uint32_t slot) const {
    return region_->data() + kDataStart + slot * stride_;
  }
  const RecordHead& head(uint32_t slot) const {
    return *reinterpret_cast<const RecordHead*>(record(slot));
  }
  const float* values(uint32_t slot) const {
    return reinterpret_cast<const float*>(record(slot) + sizeof(RecordHead));
  }

  // As RecordFile::read, of the records of this view.
  size_t read(const Key* keys, size_t count, float* out, bool* found) const;

  // An index may be shared with a later view of more bytes, hence the limit.
  uint32_t find(const Key& key) const {
    return index_->find(key, [&](uint32_t slot) { return slot < limit_ && head(slot).key == key; });
  }

  // As find, trying `guess` first: records are mostly read in the order they were written.
  uint32_t find(const Key& key, uint32_t guess) const {
    const bool may = guess < limit_ && guess < index_->dense_end.load(std::memory_order_acquire);
    return may && head(guess).key == key ? guess : find(key);
  }

 private:
  std::shared_ptr<const Region> region_;
  std::shared_ptr<Index> index_;
  uint32_t width_;
  size_t stride_;
  uint32_t limit_;
};

}  // namespace marketsim::store
