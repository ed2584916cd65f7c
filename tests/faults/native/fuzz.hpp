// What the two fuzz targets share: input in small pieces, and a folder for the files they make.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "oracle.hpp"

namespace faults {

// Aborts, so that a fuzzer keeps the input that led here.
inline void require_at(bool holds, const char* what, int line) {
  if (holds) return;
  std::fprintf(stderr, "line %d: not so: %s\n", line, what);
  std::abort();
}
#define require(holds) ::faults::require_at((holds), #holds, __LINE__)

// Zeros after its end.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : at_(data), end_(data + size) {}
  size_t left() const { return static_cast<size_t>(end_ - at_); }
  uint8_t byte() { return at_ < end_ ? *at_++ : 0; }
  std::vector<std::byte> bytes(size_t most) {
    const size_t count = std::min(most, left());
    std::vector<std::byte> some(count);
    if (count > 0) std::memcpy(some.data(), at_, count);
    at_ += count;
    return some;
  }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
};

// FAULTS_FOLDER belongs to whoever started the program; several of them may share it.
inline const std::string& scratch_folder() {
  static const std::string folder = [] {
    const char* given = std::getenv("FAULTS_FOLDER");
    std::string name = std::string(given ? given : "/tmp") + "/fuzz-XXXXXX";
    if (!::mkdtemp(name.data())) std::abort();
    return name;
  }();
  return folder;
}

inline void write_file(const std::string& path, const std::vector<std::byte>& bytes) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (!file) std::abort();
  if (!bytes.empty()) std::fwrite(bytes.data(), 1, bytes.size(), file);
  if (std::fclose(file) != 0) std::abort();
}

inline std::vector<std::byte> read_file(const std::string& path) {
  std::vector<std::byte> bytes(std::filesystem::file_size(path));
  if (bytes.empty()) return bytes;
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (!file || std::fread(bytes.data(), 1, bytes.size(), file) != bytes.size()) std::abort();
  std::fclose(file);
  return bytes;
}

}  // namespace faults
