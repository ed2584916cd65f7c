#include "kernels/store/format.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/store/crc32c.hpp"

namespace marketsim::store {
namespace {

// A byte above 127, both line ends and an end-of-file mark, so that a transfer as text breaks it.
constexpr unsigned char kMagic[8] = {0x89, 'M', 'S', 'P', '\r', '\n', 0x1A, '\n'};
constexpr uint32_t kEndianTag = 0x01020304;
constexpr uint32_t kSeed = 0xFFFFFFFFu;

struct Fixed {
  unsigned char magic[8];
  uint32_t endian, version, stride, width, data_start;
  uint32_t lengths[3];
};
static_assert(sizeof(Fixed) == 40);
constexpr size_t kTextBytes = kHeaderBytes - sizeof(Fixed) - sizeof(uint32_t);

uint32_t stored_crc(const std::byte* header) {
  uint32_t crc;
  std::memcpy(&crc, header + kHeaderBytes - sizeof crc, sizeof crc);
  return crc;
}

}  // namespace

std::string identity_defect(const Identity& identity) {
  if (identity.width < 1 || identity.width > kMaxWidth) {
    return "width: expected 1 to " + std::to_string(kMaxWidth) + " values a record, got " +
           std::to_string(identity.width);
  }
  const size_t size = identity.model.size() + identity.series.size() + identity.schema.size();
  if (size > kTextBytes) {
    return "model, series and schema: expected at most " + std::to_string(kTextBytes) +
           " bytes of text together, got " + std::to_string(size);
  }
  return "";
}

void encode_header(const Identity& identity, std::byte* to) {
  Fixed fixed{};
  std::memcpy(fixed.magic, kMagic, sizeof kMagic);
  fixed.endian = kEndianTag;
  fixed.version = kVersion;
  fixed.stride = static_cast<uint32_t>(stride_of(identity.width));
  fixed.width = identity.width;
  fixed.data_start = kDataStart;
  std::memset(to, 0, kHeaderBytes);
  std::byte* text = to + sizeof fixed;
  const std::string* parts[3] = {&identity.model, &identity.series, &identity.schema};
  for (int i = 0; i < 3; ++i) {
    fixed.lengths[i] = static_cast<uint32_t>(parts[i]->size());
    std::memcpy(text, parts[i]->data(), parts[i]->size());
    text += parts[i]->size();
  }
  std::memcpy(to, &fixed, sizeof fixed);
  const uint32_t crc = crc32c(kSeed, to, kHeaderBytes - sizeof crc);
  std::memcpy(to + kHeaderBytes - sizeof crc, &crc, sizeof crc);
}

std::optional<Identity> decode_header(const std::byte* from) {
  if (stored_crc(from) != crc32c(kSeed, from, kHeaderBytes - sizeof(uint32_t))) return {};
  Fixed fixed;
  std::memcpy(&fixed, from, sizeof fixed);
  const bool ours = std::memcmp(fixed.magic, kMagic, sizeof kMagic) == 0 &&
                    fixed.endian == kEndianTag && fixed.version == kVersion &&
                    fixed.data_start == kDataStart && fixed.width >= 1 &&
                    fixed.width <= kMaxWidth && fixed.stride == stride_of(fixed.width);
  if (!ours) return {};
  const uint64_t size = uint64_t{fixed.lengths[0]} + fixed.lengths[1] + fixed.lengths[2];
  if (size > kTextBytes) return {};
  const char* text = reinterpret_cast<const char*>(from) + sizeof fixed;
  Identity identity{{}, {}, {}, fixed.width};
  std::string* parts[3] = {&identity.model, &identity.series, &identity.schema};
  for (int i = 0; i < 3; ++i) {
    parts[i]->assign(text, fixed.lengths[i]);
    text += fixed.lengths[i];
  }
  return identity;
}

uint32_t record_seed(const Identity& identity) {
  std::byte header[kHeaderBytes];
  encode_header(identity, header);
  return std::max(stored_crc(header), 1u);
}

}  // namespace marketsim::store
