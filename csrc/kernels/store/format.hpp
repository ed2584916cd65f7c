// What a file of predictions looks like.
//
//   offset 0      header, 4,096 bytes
//   offset 4096   the same header again: one broken sector must not cost the file
//   offset 8192   records, each `stride` bytes, one after the other
//
// A header holds magic, endian tag, version, stride, width, and the identity: the model's
// fingerprint, the series' name and the field schema as text. Its last four bytes are a CRC-32C.
// A record is a RecordHead and `width` float32 values, padded with zeros to a multiple of 64 bytes.
// Its CRC is seeded with the header's identity, so a record that got into another file is none
// there. A record is there once its CRC is right; there is no other commit mark.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace marketsim::store {

// 128 bits of BLAKE3 over all that the prediction depends on.
struct Key {
  uint64_t low, high;
  friend bool operator==(const Key&, const Key&) = default;
};

// What one file is for. All text is UTF-8; width is the number of float32 values a record.
struct Identity {
  std::string model, series, schema;
  uint32_t width;
  friend bool operator==(const Identity&, const Identity&) = default;
};

struct RecordHead {
  Key key;
  int64_t as_of;  // nanoseconds since 1970, UTC: the last bar that the forecast saw
  uint16_t horizon;
  uint8_t target;
  uint8_t flags;
  uint32_t crc;
};
static_assert(sizeof(RecordHead) == 32 && offsetof(RecordHead, crc) == 28);

constexpr size_t kHeaderBytes = 4096;
constexpr size_t kDataStart = 2 * kHeaderBytes;
constexpr uint32_t kVersion = 1;
constexpr uint32_t kMaxWidth = 1u << 16;

constexpr size_t stride_of(uint32_t width) {
  return (sizeof(RecordHead) + size_t{width} * sizeof(float) + 63) / 64 * 64;
}

// How many whole records a file of that size has.
constexpr size_t slots_in(size_t size, size_t stride) {
  return size < kDataStart ? 0 : (size - kDataStart) / stride;
}

// Empty where the identity can be stored, else what is wrong with it.
std::string identity_defect(const Identity& identity);

// Fills kHeaderBytes bytes. The identity has no defect.
void encode_header(const Identity& identity, std::byte* to);

// The identity of one copy of a header, or nothing where it is damaged or of another kind.
std::optional<Identity> decode_header(const std::byte* from);

// What the CRC of every record of the file starts from; never zero.
uint32_t record_seed(const Identity& identity);

}  // namespace marketsim::store
