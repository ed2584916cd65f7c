#include "kernels/store/keys.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "common/isa.hpp"
#include "kernels/store/blake3.hpp"

namespace marketsim {

#define MARKETSIM_DECLARE(isa)                                                            \
  namespace isa {                                                                         \
  void blake3_columns(const store::HashColumns& inputs, uint32_t* digests, size_t pitch); \
  }
MARKETSIM_DECLARE(baseline)
MARKETSIM_DECLARE(avx2)
MARKETSIM_DECLARE(avx512)
#undef MARKETSIM_DECLARE

namespace store {

void blake3_columns(const HashColumns& inputs, uint32_t* digests, size_t pitch) {
  switch (active_isa()) {
#if defined(__x86_64__)
    case Isa::avx512:
      return avx512::blake3_columns(inputs, digests, pitch);
    case Isa::avx2:
      return avx2::blake3_columns(inputs, digests, pitch);
#endif
    default:
      return baseline::blake3_columns(inputs, digests, pitch);
  }
}

namespace {

constexpr size_t kAtOnce = 256;  // inputs that are laid out by column at a time

uint32_t low_word(uint64_t value) {
  return static_cast<uint32_t>(value);
}
uint32_t high_word(uint64_t value) {
  return static_cast<uint32_t>(value >> 32);
}

// Digests by word: word w of digest i is words[w * count + i].
struct Digests {
  explicit Digests(size_t count_) : count(count_), words(kDigestWords * count_) {}
  uint32_t* at(size_t word, size_t i) { return words.data() + word * count + i; }
  const uint32_t* at(size_t word, size_t i) const { return words.data() + word * count + i; }
  size_t count;
  std::vector<uint32_t> words;
};

// Inputs by column in a buffer of their own.
class Layout {
 public:
  explicit Layout(size_t words) : buffer_(words * kAtOnce) {
    for (size_t w = 0; w < words; ++w) columns_.push_back(column(w));
  }
  uint32_t* column(size_t word) { return buffer_.data() + word * kAtOnce; }
  void set(size_t word, size_t i, uint64_t value) {
    column(word)[i] = low_word(value);
    column(word + 1)[i] = high_word(value);
  }
  HashColumns inputs(size_t count) const { return {columns_.data(), columns_.size(), count}; }

 private:
  std::vector<uint32_t> buffer_;
  std::vector<const uint32_t*> columns_;
};

void hash_rows(const KeyRows& rows, Digests& to) {
  Layout layout(2 * (1 + rows.columns));
  for (size_t first = 0; first < rows.count; first += kAtOnce) {
    const size_t some = std::min(kAtOnce, rows.count - first);
    for (size_t i = 0; i < some; ++i) {
      layout.set(0, i, static_cast<uint64_t>(rows.stamps[first + i]));
    }
    for (size_t c = 0; c < rows.columns; ++c) {
      const double* from = rows.values + static_cast<ptrdiff_t>(first) * rows.row_step +
                           static_cast<ptrdiff_t>(c) * rows.column_step;
      for (size_t i = 0; i < some; ++i, from += rows.row_step) {
        layout.set(2 * (1 + c), i, std::bit_cast<uint64_t>(*from));
      }
    }
    blake3_columns(layout.inputs(some), to.at(0, first), to.count);
  }
}

// Which spans are needed, by the row that they end at: those that contexts end with, and what the
// spans of twice the length are made of.
using Needed = std::vector<uint8_t>;

// The spans of `2 * half` rows that are needed, out of those of `half` rows. Runs of them are read
// where they lie; a few rows at a time would leave most lanes empty, so these are gathered.
void hash_spans(const Digests& halves, size_t half, const Needed& needed, Digests& to) {
  constexpr size_t kRun = 16;
  const uint32_t* columns[2 * kDigestWords];
  Layout layout(2 * kDigestWords);
  Digests made(kAtOnce);
  std::vector<size_t> loose;
  const auto hash_loose = [&] {
    for (size_t w = 0; w < kDigestWords; ++w) {
      const uint32_t* from = halves.at(w, 0);
      uint32_t* older = layout.column(w);
      uint32_t* newer = layout.column(kDigestWords + w);
      for (size_t i = 0; i < loose.size(); ++i) {
        older[i] = from[loose[i] - half];
        newer[i] = from[loose[i]];
      }
    }
    blake3_columns(layout.inputs(loose.size()), made.words.data(), kAtOnce);
    for (size_t w = 0; w < kDigestWords; ++w) {
      for (size_t i = 0; i < loose.size(); ++i) *to.at(w, loose[i]) = *made.at(w, i);
    }
    loose.clear();
  };
  for (size_t first = 2 * half - 1; first < needed.size();) {
    if (!needed[first]) {
      ++first;
      continue;
    }
    size_t end = first;
    while (end < needed.size() && needed[end]) ++end;
    if (end - first < kRun) {
      for (size_t i = first; i < end; ++i) loose.push_back(i);
      if (loose.size() > kAtOnce - kRun) hash_loose();
      first = end;
      continue;
    }
    for (size_t w = 0; w < kDigestWords; ++w) {
      columns[w] = halves.at(w, first - half);
      columns[kDigestWords + w] = halves.at(w, first);
    }
    blake3_columns({columns, 2 * kDigestWords, end - first}, to.at(0, first), to.count);
    first = end;
  }
  if (!loose.empty()) hash_loose();
}

struct Context {
  size_t place;  // among those that are asked for
  size_t first, rows;
  size_t span() const { return std::bit_floor(rows); }
};

// The digests of contexts that spans of one length make up.
void hash_contexts(const Digests& spans, const std::vector<Context>& contexts, uint8_t* out) {
  Layout layout(2 + 2 * kDigestWords);
  Digests made(kAtOnce);
  for (size_t begin = 0; begin < contexts.size(); begin += kAtOnce) {
    const size_t some = std::min(kAtOnce, contexts.size() - begin);
    for (size_t i = 0; i < some; ++i) {
      const Context& context = contexts[begin + i];
      layout.set(0, i, context.rows);
      for (size_t w = 0; w < kDigestWords; ++w) {
        layout.column(2 + w)[i] = *spans.at(w, context.first + context.span() - 1);
        layout.column(2 + kDigestWords + w)[i] = *spans.at(w, context.first + context.rows - 1);
      }
    }
    blake3_columns(layout.inputs(some), made.words.data(), kAtOnce);
    for (size_t i = 0; i < some; ++i) {
      uint8_t* to = out + kKeyBytes * contexts[begin + i].place;
      for (size_t w = 0; w < kKeyBytes / 4; ++w) std::memcpy(to + 4 * w, made.at(w, i), 4);
    }
  }
}

}  // namespace

void context_digests(const KeyRows& all, const int64_t* ends, size_t count, size_t length,
                     uint8_t* out) {
  if (count == 0) return;
  // Rows before the first context and behind the last one are not looked at.
  const auto [least, most] = std::minmax_element(ends, ends + count);
  const size_t stop = static_cast<size_t>(*most), low = static_cast<size_t>(*least);
  const size_t skipped = length == 0 || low <= length ? 0 : low - length;
  KeyRows rows = all;
  rows.stamps += skipped;
  rows.values += static_cast<ptrdiff_t>(skipped) * rows.row_step;
  rows.count = stop - skipped;
  std::vector<std::vector<Context>> by_level(64);  // by log2 of the spans that they are made of
  size_t levels = 0;
  for (size_t i = 0; i < count; ++i) {
    const size_t end = static_cast<size_t>(ends[i]) - skipped;
    const size_t seen = length == 0 ? end : std::min(length, end);
    const Context context{i, end - seen, seen};
    const auto level = static_cast<size_t>(std::countr_zero(context.span()));
    by_level[level].push_back(context);
    levels = std::max(levels, level + 1);
  }
  // From the longest spans down: a span needs its two halves.
  std::vector<Needed> needed(levels, Needed(rows.count));
  for (size_t level = levels; level-- > 0;) {
    const size_t span = size_t{1} << level;
    for (const Context& context : by_level[level]) {
      needed[level][context.first + span - 1] = 1;
      needed[level][context.first + context.rows - 1] = 1;
    }
    if (level == 0) break;
    for (size_t i = span - 1; i < rows.count; ++i) {
      if (!needed[level][i]) continue;
      needed[level - 1][i] = 1;
      needed[level - 1][i - span / 2] = 1;
    }
  }
  Digests spans(rows.count), longer(rows.count);
  hash_rows(rows, spans);
  for (size_t level = 0; level < levels; ++level) {
    if (level > 0) {
      hash_spans(spans, size_t{1} << (level - 1), needed[level], longer);
      std::swap(spans, longer);
    }
    hash_contexts(spans, by_level[level], out);
  }
}

void record_keys(const uint8_t* head, const int64_t* as_of, const uint8_t* contexts, size_t count,
                 uint8_t* out) {
  constexpr size_t kContextWords = kKeyBytes / 4;
  Layout layout(kDigestWords + 2 + kContextWords);
  Digests made(kAtOnce);
  for (size_t w = 0; w < kDigestWords; ++w) {
    uint32_t word;
    std::memcpy(&word, head + 4 * w, 4);
    std::fill_n(layout.column(w), kAtOnce, word);
  }
  for (size_t begin = 0; begin < count; begin += kAtOnce) {
    const size_t some = std::min(kAtOnce, count - begin);
    for (size_t i = 0; i < some; ++i) {
      layout.set(kDigestWords, i, static_cast<uint64_t>(as_of[begin + i]));
      for (size_t w = 0; w < kContextWords; ++w) {
        std::memcpy(layout.column(kDigestWords + 2 + w) + i,
                    contexts + kKeyBytes * (begin + i) + 4 * w, 4);
      }
    }
    blake3_columns(layout.inputs(some), made.words.data(), kAtOnce);
    for (size_t i = 0; i < some; ++i) {
      uint8_t* to = out + kKeyBytes * (begin + i);
      for (size_t w = 0; w < kKeyBytes / 4; ++w) std::memcpy(to + 4 * w, made.at(w, i), 4);
    }
  }
}

}  // namespace store
}  // namespace marketsim
