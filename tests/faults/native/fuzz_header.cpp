// Fuzzes the header: arbitrary bytes, and bytes whose CRC has been put right, so that what lies
// behind it is reached. What is accepted must verify bit by bit and survive being written again.
#include <string>
#include <vector>

#include "fuzz.hpp"
#include "kernels/store/file.hpp"

namespace faults {
namespace {

namespace store = marketsim::store;
using store::kDataStart;
using store::kHeaderBytes;

// Input on top of a whole header, or alone.
std::vector<std::byte> header_from(Input& input) {
  const uint8_t mode = input.byte();
  std::vector<std::byte> header(kHeaderBytes);
  if (mode & 1) store::encode_header({"model", "series", "schema", 24}, header.data());
  const size_t at = mode & 2 ? input.byte() : 0;
  const std::vector<std::byte> given = input.bytes(kHeaderBytes - at);
  std::copy(given.begin(), given.end(), header.begin() + static_cast<std::ptrdiff_t>(at));
  if (mode & 4) {
    const uint32_t crc = slow_header_crc(header.data());
    std::memcpy(header.data() + kHeaderBytes - sizeof crc, &crc, sizeof crc);
  }
  return header;
}

void check_header(const std::vector<std::byte>& header) {
  const auto identity = store::decode_header(header.data());
  if (!identity) return;
  require(slow_header_crc(header.data()) == load_u32(header.data() + kHeaderBytes - 4));
  require(store::identity_defect(*identity).empty());
  std::vector<std::byte> again(kHeaderBytes);
  store::encode_header(*identity, again.data());
  require(store::decode_header(again.data()) == identity);
}

void check_file(const std::vector<std::byte>& bytes) {
  const std::string path = scratch_folder() + "/header.msp";
  write_file(path, bytes);
  const store::Inspection found = store::inspect(path);
  require(found.bytes == bytes.size());
  for (size_t i = 0; i < 2; ++i) {
    const bool all = bytes.size() >= (i + 1) * kHeaderBytes;
    const std::byte* at = bytes.data() + i * kHeaderBytes;
    require(found.headers[i] == (all && store::decode_header(at).has_value()));
  }
  require(found.identity.has_value() == (found.headers[0] || found.headers[1]));
}

}  // namespace
}  // namespace faults

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  faults::Input input(data, size);
  std::vector<std::byte> file = faults::header_from(input);
  faults::check_header(file);
  const std::vector<std::byte> second = faults::header_from(input);
  file.insert(file.end(), second.begin(), second.end());
  file.resize(input.byte() % 4 ? file.size() : input.byte() * 33u % (file.size() + 1));
  faults::check_file(file);
  return 0;
}
