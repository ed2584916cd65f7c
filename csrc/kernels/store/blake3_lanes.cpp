// The lanes of blake3.hpp, compiled once per instruction set.
#include "kernels/store/blake3.hpp"

namespace marketsim::MARKETSIM_ISA {
namespace {

using store::HashColumns;
using store::kDigestWords;

#if defined(__AVX512F__)
constexpr size_t kLanes = 16;
#elif defined(__AVX2__)
constexpr size_t kLanes = 8;
#else
constexpr size_t kLanes = 4;
#endif

using V [[gnu::vector_size(4 * kLanes)]] = uint32_t;

constexpr uint32_t kIv[8] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                             0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};
constexpr size_t kBlockWords = 16, kChunkWords = 256;
constexpr uint32_t kChunkStart = 1, kChunkEnd = 2, kParent = 4, kRoot = 8;

// Which message word each step of each round takes.
constexpr uint8_t kSchedule[7][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8},
    {3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1},
    {10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6},
    {12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4},
    {9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7},
    {11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13},
};

struct Chaining {
  V word[8];
};

template <int bits>
inline __attribute__((always_inline)) void rotate_right(V& x) {
#if defined(__AVX2__) && !defined(__AVX512F__)
  if constexpr (bits % 8 == 0) {  // one shuffle of bytes instead of two shifts and an or
    using Bytes [[gnu::vector_size(sizeof(V))]] = uint8_t;
    constexpr int n = bits / 8;
    Bytes order;
    for (int i = 0; i < static_cast<int>(sizeof(V)); ++i) {
      order[i] = static_cast<uint8_t>(i / 4 * 4 + (i + n) % 4);
    }
    x = reinterpret_cast<V>(__builtin_shuffle(reinterpret_cast<Bytes>(x), order));
    return;
  }
#endif
  x = (x >> bits) | (x << (32 - bits));
}

inline __attribute__((always_inline)) void mix(V& a, V& b, V& c, V& d, const V& x, const V& y) {
  a += b + x;
  d ^= a;
  rotate_right<16>(d);
  c += d;
  b ^= c;
  rotate_right<12>(b);
  a += b + y;
  d ^= a;
  rotate_right<8>(d);
  c += d;
  b ^= c;
  rotate_right<7>(b);
}

inline V all(uint32_t x) {
  return V{} + x;
}

void compress(Chaining& cv, const V* m, uint64_t counter, uint32_t length, uint32_t flags) {
  V a0 = cv.word[0], a1 = cv.word[1], a2 = cv.word[2], a3 = cv.word[3];
  V b0 = cv.word[4], b1 = cv.word[5], b2 = cv.word[6], b3 = cv.word[7];
  V c0 = all(kIv[0]), c1 = all(kIv[1]), c2 = all(kIv[2]), c3 = all(kIv[3]);
  V d0 = all(static_cast<uint32_t>(counter)), d1 = all(static_cast<uint32_t>(counter >> 32));
  V d2 = all(length), d3 = all(flags);
#pragma GCC unroll 7
  for (int round = 0; round < 7; ++round) {
    const uint8_t* s = kSchedule[round];
    mix(a0, b0, c0, d0, m[s[0]], m[s[1]]);
    mix(a1, b1, c1, d1, m[s[2]], m[s[3]]);
    mix(a2, b2, c2, d2, m[s[4]], m[s[5]]);
    mix(a3, b3, c3, d3, m[s[6]], m[s[7]]);
    mix(a0, b1, c2, d3, m[s[8]], m[s[9]]);
    mix(a1, b2, c3, d0, m[s[10]], m[s[11]]);
    mix(a2, b3, c0, d1, m[s[12]], m[s[13]]);
    mix(a3, b0, c1, d2, m[s[14]], m[s[15]]);
  }
  cv = {{a0 ^ c0, a1 ^ c1, a2 ^ c2, a3 ^ c3, b0 ^ d0, b1 ^ d1, b2 ^ d2, b3 ^ d3}};
}

void start(Chaining& cv) {
  for (int i = 0; i < 8; ++i) cv.word[i] = all(kIv[i]);
}

// The inputs that the lanes hold: `lanes` of them from input `first` on.
struct Part {
  const HashColumns& inputs;
  size_t first, lanes;

  void load(V& to, size_t word) const {
    const uint32_t* from = inputs.columns[word] + first;
    if (lanes == kLanes) {
      __builtin_memcpy(&to, from, sizeof to);
    } else {
      to = V{};
      for (size_t i = 0; i < lanes; ++i) to[i] = from[i];
    }
  }
};

// The chaining value of words [begin, begin + words) of each input, a chunk or less.
void hash_chunk(const Part& part, size_t begin, size_t words, uint32_t root, Chaining& cv) {
  start(cv);
  const size_t blocks = words ? (words + kBlockWords - 1) / kBlockWords : 1;
  for (size_t block = 0; block < blocks; ++block) {
    const size_t from = block * kBlockWords;
    const size_t some = words - from < kBlockWords ? words - from : kBlockWords;
    V m[kBlockWords];
    for (size_t i = 0; i < some; ++i) part.load(m[i], begin + from + i);
    for (size_t i = some; i < kBlockWords; ++i) m[i] = V{};
    uint32_t flags = block == 0 ? kChunkStart : 0;
    if (block + 1 == blocks) flags |= kChunkEnd | root;
    compress(cv, m, begin / kChunkWords, static_cast<uint32_t>(4 * some), flags);
  }
}

// A tree over the chunks, its left part the largest power of two of them.
void hash_tree(const Part& part, size_t begin, size_t words, uint32_t root, Chaining& cv) {
  if (words <= kChunkWords) return hash_chunk(part, begin, words, root, cv);
  size_t left = kChunkWords;
  while (2 * left < words) left *= 2;
  Chaining children[2];
  hash_tree(part, begin, left, 0, children[0]);
  hash_tree(part, begin + left, words - left, 0, children[1]);
  start(cv);
  compress(cv, children[0].word, 0, 64, kParent | root);
}

}  // namespace

void blake3_columns(const HashColumns& inputs, uint32_t* digests, size_t pitch) {
  for (size_t first = 0; first < inputs.count; first += kLanes) {
    const size_t left = inputs.count - first;
    const Part part{inputs, first, left < kLanes ? left : kLanes};
    Chaining cv;
    hash_tree(part, 0, inputs.words, kRoot, cv);
    for (size_t w = 0; w < kDigestWords; ++w) {
      uint32_t* to = digests + w * pitch + first;
      if (part.lanes == kLanes) {
        __builtin_memcpy(to, &cv.word[w], sizeof(V));
      } else {
        for (size_t i = 0; i < part.lanes; ++i) to[i] = cv.word[w][i];
      }
    }
  }
}

}  // namespace marketsim::MARKETSIM_ISA
