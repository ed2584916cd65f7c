// CRC-32C (Castagnoli polynomial, reflected 0x82F63B78), without the customary inversions: the
// caller's seed takes the place of the initial one, and the register itself is the result. A zero
// register maps zeros to zero, so with a seed that is not zero a block of zeros never verifies.
//
// The processor's instruction takes eight bytes a cycle but three cycles to answer, so records are
// computed four side by side. The portable twin (tables, eight bytes a step) gives the same values
// and runs where the active instruction set is the baseline.
#pragma once

#include <cstddef>
#include <cstdint>

namespace marketsim {

uint32_t crc32c(uint32_t seed, const void* data, size_t size);

// The CRC of each of `count` blocks of `stride` bytes (a multiple of 8, at least 32) that follow
// one another, each as if its bytes 28 .. 31, where a record keeps its CRC, were zero.
void crc32c_records(const std::byte* first, size_t stride, size_t count, uint32_t seed,
                    uint32_t* out);

}  // namespace marketsim
