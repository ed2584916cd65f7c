// Verified records in memory: their bytes, the index from key to slot, and a view that keeps both.
//
// The bytes are copies. A file may be cut, replaced or damaged by anyone at any moment, and a map
// of it would then be a signal or another number; a copy that has been verified stays right.
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

#include "kernels/store/format.hpp"

namespace marketsim::store {

constexpr uint32_t kNoSlot = ~uint32_t{0};
constexpr uint32_t kMostRecords = kNoSlot - 1;

// Room for records, one after the other. Stays until the last view of it is gone.
class Region {
 public:
  // Throws std::bad_alloc.
  Region(size_t records, size_t stride)
      : capacity_(records),
        stride_(stride),
        data_(static_cast<std::byte*>(
            std::aligned_alloc(64, std::max<size_t>(1, records) * stride))) {
    if (!data_) throw std::bad_alloc();
  }
  ~Region() { std::free(data_); }
  Region(const Region&) = delete;

  size_t capacity() const { return capacity_; }
  size_t bytes() const { return capacity_ * stride_; }
  std::byte* record(size_t slot) const { return data_ + slot * stride_; }

 private:
  size_t capacity_, stride_;
  std::byte* data_;
};

// Two random numbers of this process, so that no file can choose keys that collide in the index.
struct HashSecret {
  uint64_t low, high;
  static const HashSecret& instance();
};

// Open addressing with linear probing, at most half full. A cell is 32 bits of the key's hash
// beside slot + 1, so a probe seldom touches a record that is not the one looked for.
class Index {
 public:
  explicit Index(size_t slots) : mask_(cells_for(slots) - 1), secret_(HashSecret::instance()) {
    cells_ = static_cast<uint64_t*>(std::calloc(mask_ + 1, sizeof(uint64_t)));
    if (!cells_) throw std::bad_alloc();
  }
  ~Index() { std::free(cells_); }
  Index(const Index&) = delete;

  void prefetch(const Key& key) const { __builtin_prefetch(cells_ + (hash(key) & mask_), 1); }

  // The slot for which matches(slot) holds, among those whose cell agrees with the key.
  template <typename Matches>
  uint32_t find(const Key& key, const Matches& matches) const {
    const uint64_t hashed = hash(key);
    for (uint64_t at = hashed & mask_;; at = (at + 1) & mask_) {
      const uint64_t cell = std::atomic_ref(cells_[at]).load(std::memory_order_acquire);
      if (cell == 0) return kNoSlot;
      const uint32_t slot = static_cast<uint32_t>(cell) - 1;
      if (((cell ^ hashed) & kTag) == 0 && matches(slot)) return slot;
    }
  }

  // False where there is such a slot already. There is room.
  template <typename Matches>
  bool insert(const Key& key, uint32_t slot, const Matches& matches) {
    const uint64_t hashed = hash(key);
    uint64_t at = hashed & mask_;
    for (; cells_[at] != 0; at = (at + 1) & mask_) {
      const uint32_t other = static_cast<uint32_t>(cells_[at]) - 1;
      if (((cells_[at] ^ hashed) & kTag) == 0 && matches(other)) return false;
    }
    const uint64_t cell = (hashed & kTag) | (slot + 1);
    std::atomic_ref(cells_[at]).store(cell, std::memory_order_release);
    return true;
  }

  // Records in the slots before this one are in the index.
  std::atomic<uint32_t> count{0};

 private:
  static constexpr uint64_t kTag = 0xFFFFFFFF00000000u;
  static size_t cells_for(size_t slots) {
    size_t cells = 64;
    while (cells < 2 * slots) cells *= 2;
    return cells;
  }
  uint64_t hash(const Key& key) const {
    __extension__ using Wide = unsigned __int128;
    const Wide product = Wide{key.low ^ secret_.low} * (key.high ^ secret_.high);
    // The product alone is 0 for half of a key that equals the secret; nobody knows that one.
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  }
  uint64_t mask_;
  HashSecret secret_;
  uint64_t* cells_;
};

// What a reader holds: as long as it lives, records found through it stay where they are, whatever
// happens to the file or to the object that gave it.
class View {
 public:
  View(std::shared_ptr<const Region> region, std::shared_ptr<const Index> index, uint32_t width)
      : region_(std::move(region)),
        index_(std::move(index)),
        width_(width),
        stride_(stride_of(width)) {}

  uint32_t width() const { return width_; }
  size_t stride() const { return stride_; }
  // How many records there are now, in slots 0 and up, in the order of the file.
  uint32_t count() const { return index_->count.load(std::memory_order_acquire); }
  const std::byte* record(uint32_t slot) const { return region_->record(slot); }
  const RecordHead& head(uint32_t slot) const {
    return *reinterpret_cast<const RecordHead*>(record(slot));
  }
  const float* values(uint32_t slot) const {
    return reinterpret_cast<const float*>(record(slot) + sizeof(RecordHead));
  }

  // As RecordFile::read, of the records of this view.
  size_t read(const Key* keys, size_t count, float* out, bool* found) const;

  uint32_t find(const Key& key) const {
    return index_->find(key, [&](uint32_t slot) { return head(slot).key == key; });
  }

  // As find, trying `guess` first: records are mostly read in the order they were written.
  uint32_t find(const Key& key, uint32_t guess) const {
    return guess < count() && head(guess).key == key ? guess : find(key);
  }

 private:
  std::shared_ptr<const Region> region_;
  std::shared_ptr<const Index> index_;
  uint32_t width_;
  size_t stride_;
};

}  // namespace marketsim::store
