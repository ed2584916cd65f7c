// What the native fault programs share: random numbers with a seed, records whose content follows
// from their key and a version, and a CRC that owes nothing to the engine's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/store/format.hpp"
#include "kernels/store/io.hpp"

namespace faults {

using marketsim::store::Identity;
using marketsim::store::Key;
using marketsim::store::RecordHead;

inline uint64_t mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// For calls that wait for a lock: as long as it takes.
inline marketsim::store::LockWait patience() {
  marketsim::store::LockWait wait;
  wait.limit = 1e9;
  wait.reported = true;
  return wait;
}

// Seconds that a call may read without a break.
constexpr double kNoBreak = 1e9;

class Random {
 public:
  explicit Random(uint64_t seed) : state_(mix(seed)) {}
  uint64_t next() { return state_ = mix(state_); }
  uint64_t below(uint64_t limit) { return next() % limit; }
  bool one_in(uint64_t chances) { return below(chances) == 0; }

 private:
  uint64_t state_;
};

inline Key key_of(uint64_t series, uint64_t number) {
  const uint64_t low = mix(series * 1'000'003 + number);
  return {low, mix(low)};
}

// The record says which it is, so that whoever finds it can work out its key.
inline RecordHead head_of(uint64_t series, uint64_t number) {
  return {key_of(series, number),
          static_cast<int64_t>(number),
          static_cast<uint16_t>(number % 1000),
          static_cast<uint8_t>(number % 4),
          static_cast<uint8_t>(series),
          0};
}

// The first value is the version, the others follow from it and the key. All are whole numbers that
// float32 holds exactly.
inline float value_of(const Key& key, uint32_t version, uint32_t at) {
  if (at == 0) return static_cast<float>(version);
  return static_cast<float>(mix(key.high + 31 * uint64_t{version} + at) >> 40);
}

inline void fill(const Key& key, uint32_t version, uint32_t width, float* out) {
  for (uint32_t i = 0; i < width; ++i) out[i] = value_of(key, version, i);
}

constexpr uint32_t kVersions = 1u << 20;

// The version that these are the values of, or 0 where they are none of the key's.
inline uint32_t version_of(const Key& key, const float* values, uint32_t width) {
  if (!(values[0] >= 1 && values[0] < static_cast<float>(kVersions))) return 0;
  const auto version = static_cast<uint32_t>(values[0]);
  for (uint32_t i = 0; i < width; ++i) {
    if (values[i] != value_of(key, version, i)) return 0;
  }
  return version;
}

// Heads and values of the records of one series with these numbers.
struct Records {
  std::vector<RecordHead> heads;
  std::vector<Key> keys;
  std::vector<float> values;

  Records(uint64_t series, const std::vector<uint64_t>& numbers, uint32_t version, uint32_t width)
      : values(numbers.size() * width) {
    for (size_t i = 0; i < numbers.size(); ++i) {
      heads.push_back(head_of(series, numbers[i]));
      keys.push_back(heads.back().key);
      fill(keys.back(), version, width, values.data() + i * width);
    }
  }
};

// CRC-32C bit by bit.
inline uint32_t slow_crc(uint32_t state, const void* data, size_t size) {
  const auto* at = static_cast<const unsigned char*>(data);
  for (size_t i = 0; i < size; ++i) {
    state ^= at[i];
    for (int bit = 0; bit < 8; ++bit) state = (state >> 1) ^ (state & 1 ? 0x82F63B78u : 0u);
  }
  return state;
}

inline uint32_t slow_header_crc(const void* header) {
  return slow_crc(0xFFFFFFFFu, header, marketsim::store::kHeaderBytes - 4);
}

inline uint32_t slow_seed(const void* header) {
  return std::max(slow_header_crc(header), 1u);
}

inline uint32_t slow_record_crc(uint32_t seed, const void* record, size_t stride) {
  std::vector<unsigned char> copy(stride);
  std::memcpy(copy.data(), record, stride);
  std::memset(copy.data() + offsetof(RecordHead, crc), 0, 4);
  return slow_crc(seed, copy.data(), stride);
}

inline uint32_t load_u32(const void* from) {
  uint32_t word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

inline bool record_is_whole(uint32_t seed, const void* record, size_t stride) {
  const auto* at = static_cast<const unsigned char*>(record);
  return load_u32(at + offsetof(RecordHead, crc)) == slow_record_crc(seed, record, stride);
}

}  // namespace faults
