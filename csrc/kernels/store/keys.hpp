// Keys of stored forecasts: digests of exactly the rows that a forecast saw.
//
// A row's digest is the BLAKE3 of its timestamp and its values, eight bytes each. A span of 2^k
// rows has the digest BLAKE3(digest of its first half, digest of its second half), and a context of
// n rows BLAKE3(n in eight bytes, span of its first 2^k rows, span of its last 2^k rows), 2^k being
// the largest power of two that n holds. So a context's digest depends on the rows in it alone, not
// on where a file begins or how many rows a model may see; and all T contexts of a series cost
// T * (1 + log2 of the context's length) compressions, whatever the length.
#pragma once

#include <cstddef>
#include <cstdint>

namespace marketsim::store {

constexpr size_t kKeyBytes = 16;

// Row i holds stamps[i] and, for each column c, values[i * row_step + c * column_step].
struct KeyRows {
  const int64_t* stamps;
  const double* values;
  size_t count, columns;
  ptrdiff_t row_step, column_step;
};

// Digest of the rows [max(0, end - length), end) for each end: out[kKeyBytes * i]. A length of 0
// takes all rows before the end. Each end is 1 to rows.count.
void context_digests(const KeyRows& rows, const int64_t* ends, size_t count, size_t length,
                     uint8_t* out);

// Key i = the first kKeyBytes of BLAKE3(head, as_of[i], context i); head is 32 bytes.
void record_keys(const uint8_t* head, const int64_t* as_of, const uint8_t* contexts, size_t count,
                 uint8_t* out);

}  // namespace marketsim::store
