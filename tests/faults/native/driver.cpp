// Drives a fuzz target where libFuzzer is missing: a fixed number of inputs, each from a corpus or
// from an earlier one by random changes, the same ones for the same seed. It follows no coverage.
//
//   TARGET -runs=N -seed=S [CORPUS...]
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace faults {
namespace {

using Bytes = std::vector<uint8_t>;
constexpr size_t kMost = 4096;  // bytes of an input that grows
constexpr size_t kPool = 256;

Bytes random_bytes(Random& random) {
  Bytes bytes(random.one_in(4) ? random.below(kMost) : random.below(200));
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.next());
  return bytes;
}

void change(Bytes& bytes, const Bytes& other, Random& random) {
  const size_t at = random.below(bytes.size() + 1);
  const auto here = bytes.begin() + static_cast<std::ptrdiff_t>(at);
  switch (random.below(6)) {
    case 0:
      if (at < bytes.size()) bytes[at] ^= static_cast<uint8_t>(1u << random.below(8));
      break;
    case 1:
      if (at < bytes.size()) bytes[at] = static_cast<uint8_t>(random.next());
      break;
    case 2:
      bytes.insert(here, static_cast<uint8_t>(random.next()));
      break;
    case 3:
      if (at < bytes.size()) bytes.erase(here);
      break;
    case 4:
      bytes.resize(at);
      break;
    default:
      bytes.insert(here, other.begin(), other.end());
      if (bytes.size() > kMost) bytes.resize(kMost);
  }
}

void add_corpus(std::vector<Bytes>& pool, const std::filesystem::path& from) {
  std::vector<std::filesystem::path> files{from};
  if (std::filesystem::is_directory(from)) {
    files.clear();
    for (const auto& entry : std::filesystem::directory_iterator(from)) {
      files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
  }
  for (const auto& file : files) {
    const std::vector<std::byte> bytes = read_file(file.string());
    const auto* begin = reinterpret_cast<const uint8_t*>(bytes.data());
    pool.emplace_back(begin, begin + bytes.size());
  }
}

void drive(std::vector<Bytes> pool, uint64_t runs, uint64_t seed) {
  Random random(seed);
  for (const Bytes& bytes : pool) LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  while (pool.size() < kPool / 2) pool.push_back(random_bytes(random));
  for (uint64_t i = 0; i < runs; ++i) {
    Bytes bytes = pool[random.below(pool.size())];
    const uint64_t changes = 1 + random.below(4);
    for (uint64_t j = 0; j < changes; ++j) {
      change(bytes, pool[random.below(pool.size())], random);
    }
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    if (pool.size() < kPool) {
      pool.push_back(std::move(bytes));
    } else {
      pool[random.below(kPool)] = random.one_in(50) ? random_bytes(random) : std::move(bytes);
    }
  }
}

}  // namespace
}  // namespace faults

int main(int argc, char** argv) {
  uint64_t runs = 1000, seed = 1;
  std::vector<faults::Bytes> pool;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.rfind("-runs=", 0) == 0) {
      runs = std::strtoull(argv[i] + 6, nullptr, 10);
    } else if (argument.rfind("-seed=", 0) == 0) {
      seed = std::strtoull(argv[i] + 6, nullptr, 10);
    } else {
      faults::add_corpus(pool, argument);
    }
  }
  faults::drive(std::move(pool), runs, seed);
  std::printf("{\"runs\": %lu}\n", static_cast<unsigned long>(runs));
  return 0;
}
