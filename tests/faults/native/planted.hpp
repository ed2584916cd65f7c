// The planted bug: a file of records that overwrites in place, and whose reader verifies a record
// in the map and then copies it, so that it can hand out what a writer put there in between.
//
// It has the interface of RecordFile, so the torture program can run on either; it must convict
// this one. It is part of no build but that program's.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>

#include <memory>
#include <string>
#include <vector>

#include "kernels/store/crc32c.hpp"
#include "kernels/store/file.hpp"

namespace faults {

namespace store = marketsim::store;

class PlantedFile {
 public:
  PlantedFile(std::string path, Identity identity, store::Options, std::shared_ptr<store::Counters>)
      : path_(std::move(path)),
        identity_(std::move(identity)),
        seed_(store::record_seed(identity_)),
        stride_(store::stride_of(identity_.width)) {
    store::make_folders_of(path_);
  }
  ~PlantedFile() {
    if (map_) ::munmap(const_cast<std::byte*>(map_), kCapacity);
  }

  size_t read(const Key* keys, size_t count, float* out, bool* found) {
    refresh();
    const size_t width = identity_.width;
    size_t hits = 0;
    for (size_t i = 0; i < count; ++i) {
      const uint32_t slot = find(keys[i]);
      found[i] = slot != store::kNoSlot && verifies(slot);
      if (!found[i]) continue;
      const std::byte* from = record(slot) + sizeof(RecordHead);
      std::memcpy(out + i * width, from, sizeof(float));
      ::sched_yield();  // where another process's pwrite may come in
      std::memcpy(out + i * width + 1, from + sizeof(float), (width - 1) * sizeof(float));
      ++hits;
    }
    return hits;
  }

  size_t append(const RecordHead* heads, const float* values, size_t count, store::LockWait&) {
    const store::Fd fd = open();
    ::flock(fd.get(), LOCK_EX);
    refresh();
    for (size_t i = 0; i < count; ++i) {
      uint32_t slot = find(heads[i].key);
      const bool fresh = slot == store::kNoSlot;
      if (fresh) slot = slots_;
      write(fd.get(), slot, heads[i], values + i * identity_.width);
      if (fresh) refresh();
    }
    return count;
  }

  size_t compact(store::LockWait&) { return 0; }

  store::Contents contents() {
    refresh();
    return {store::kDataStart + slots_ * stride_, slots_, slots_, 0, 0, 0, false};
  }

 private:
  static constexpr size_t kCapacity = size_t{1} << 30;

  store::Fd open() {
    store::Fd fd = store::open_file(path_, O_RDWR | O_CREAT);
    if (!fd) throw store::Failure(errno, "cannot open", path_);
    return fd;
  }

  const std::byte* record(uint32_t slot) const { return map_ + store::kDataStart + slot * stride_; }

  auto has(const Key& key) const {
    return [this, &key](uint32_t slot) {
      return reinterpret_cast<const RecordHead*>(record(slot))->key == key;
    };
  }

  uint32_t find(const Key& key) const { return index_.find(key, has(key)); }

  bool verifies(uint32_t slot) const {
    uint32_t crc;
    marketsim::crc32c_records(record(slot), stride_, 1, seed_, &crc);
    return crc == load_u32(record(slot) + offsetof(RecordHead, crc));
  }

  void refresh() {
    const store::Fd fd = open();
    struct stat now;
    if (!store::status(fd.get(), now)) throw store::Failure(errno, "cannot look at", path_);
    if (!map_) {
      void* found = ::mmap(nullptr, kCapacity, PROT_READ, MAP_SHARED, fd.get(), 0);
      if (found == MAP_FAILED) throw store::Failure(errno, "cannot map", path_);
      map_ = static_cast<const std::byte*>(found);
    }
    const auto size = static_cast<size_t>(now.st_size);
    const size_t slots = store::slots_in(size, stride_);
    for (; slots_ < slots; ++slots_) {
      const Key& key = reinterpret_cast<const RecordHead*>(record(slots_))->key;
      index_.insert(key, slots_, has(key));
    }
  }

  void write(int fd, uint32_t slot, const RecordHead& head, const float* values) {
    std::vector<std::byte> bytes(stride_);
    std::memcpy(bytes.data(), &head, sizeof head);
    std::memcpy(bytes.data() + sizeof head, values, identity_.width * sizeof(float));
    uint32_t crc;
    marketsim::crc32c_records(bytes.data(), stride_, 1, seed_, &crc);
    std::memcpy(bytes.data() + offsetof(RecordHead, crc), &crc, sizeof crc);
    store::write_at(fd, bytes.data(), stride_, store::kDataStart + slot * stride_, path_);
  }

  const std::string path_;
  const Identity identity_;
  const uint32_t seed_;
  const size_t stride_;
  const std::byte* map_ = nullptr;
  store::Index index_{1u << 17};
  uint32_t slots_ = 0;
};

}  // namespace faults
