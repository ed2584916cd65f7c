#include "kernels/store/crc32c.hpp"

#include <array>
#include <cstring>

#include "common/isa.hpp"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace marketsim {
namespace {

constexpr size_t kCrcWord = 3;                         // bytes 24 .. 31
constexpr uint64_t kWithoutCrc = 0x00000000FFFFFFFFu;  // keeps bytes 24 .. 27 of them

uint64_t load(const std::byte* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

using Tables = std::array<std::array<uint32_t, 256>, 8>;

// tables[k][b]: the register after byte b and k zero bytes.
constexpr Tables make_tables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) ? 0x82F63B78u : 0u);
    tables[0][byte] = value;
  }
  for (uint32_t byte = 0; byte < 256; ++byte) {
    for (size_t k = 1; k < 8; ++k) {
      const uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xFF];
    }
  }
  return tables;
}

constexpr Tables kTables = make_tables();

uint32_t portable_byte(uint32_t state, std::byte byte) {
  return (state >> 8) ^ kTables[0][(state ^ static_cast<uint32_t>(byte)) & 0xFF];
}

uint32_t portable_word(uint32_t state, uint64_t word) {
  word ^= state;
  uint32_t next = 0;
  for (size_t k = 0; k < 8; ++k) next ^= kTables[7 - k][(word >> (8 * k)) & 0xFF];
  return next;
}

uint32_t portable(uint32_t state, const std::byte* at, size_t size) {
  for (; size >= 8; at += 8, size -= 8) state = portable_word(state, load(at));
  for (; size > 0; ++at, --size) state = portable_byte(state, *at);
  return state;
}

void portable_records(const std::byte* first, size_t stride, size_t count, uint32_t seed,
                      uint32_t* out) {
  for (size_t i = 0; i < count; ++i) {
    const std::byte* at = first + i * stride;
    uint32_t state = seed;
    for (size_t word = 0; word < stride / 8; ++word) {
      const uint64_t value = load(at + 8 * word);
      state = portable_word(state, word == kCrcWord ? value & kWithoutCrc : value);
    }
    out[i] = state;
  }
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) uint32_t hardware(uint32_t state, const std::byte* at,
                                                    size_t size) {
  uint64_t wide = state;
  for (; size >= 8; at += 8, size -= 8) wide = _mm_crc32_u64(wide, load(at));
  state = static_cast<uint32_t>(wide);
  for (; size > 0; ++at, --size) state = _mm_crc32_u8(state, static_cast<uint8_t>(*at));
  return state;
}

template <size_t kLanes>
__attribute__((target("sse4.2"))) void hardware_lanes(const std::byte* first, size_t stride,
                                                      uint32_t seed, uint32_t* out) {
  uint64_t state[kLanes];
  for (size_t lane = 0; lane < kLanes; ++lane) state[lane] = seed;
  for (size_t word = 0; word < stride / 8; ++word) {
    const uint64_t mask = word == kCrcWord ? kWithoutCrc : ~uint64_t{0};
    for (size_t lane = 0; lane < kLanes; ++lane) {
      state[lane] = _mm_crc32_u64(state[lane], load(first + lane * stride + 8 * word) & mask);
    }
  }
  for (size_t lane = 0; lane < kLanes; ++lane) out[lane] = static_cast<uint32_t>(state[lane]);
}

__attribute__((target("sse4.2"))) void hardware_records(const std::byte* first, size_t stride,
                                                        size_t count, uint32_t seed,
                                                        uint32_t* out) {
  size_t i = 0;
  for (; i + 4 <= count; i += 4) hardware_lanes<4>(first + i * stride, stride, seed, out + i);
  for (; i < count; ++i) hardware_lanes<1>(first + i * stride, stride, seed, out + i);
}

#endif

}  // namespace

uint32_t crc32c(uint32_t seed, const void* data, size_t size) {
  const auto* at = static_cast<const std::byte*>(data);
#if defined(__x86_64__)
  if (active_isa() != Isa::baseline) return hardware(seed, at, size);
#endif
  return portable(seed, at, size);
}

void crc32c_records(const std::byte* first, size_t stride, size_t count, uint32_t seed,
                    uint32_t* out) {
#if defined(__x86_64__)
  if (active_isa() != Isa::baseline) return hardware_records(first, stride, count, seed, out);
#endif
  portable_records(first, stride, count, seed, out);
}

}  // namespace marketsim
