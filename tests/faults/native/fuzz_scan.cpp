// Fuzzes a whole file: opened, scanned, read, appended to, compacted. A model reads the same bytes
// slot by slot with a CRC of its own; the engine must find what the model finds, and no more.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "fuzz.hpp"
#include "kernels/store/file.hpp"

namespace faults {
namespace {

namespace store = marketsim::store;
using store::kDataStart;
using store::kHeaderBytes;
using store::RecordFile;

struct Case {
  Identity identity{"model", "series", "schema", 3};
  std::vector<std::byte> bytes;
};

void put_crc_right(std::vector<std::byte>& record, uint32_t seed) {
  const uint32_t crc = slow_record_crc(seed, record.data(), record.size());
  std::memcpy(record.data() + offsetof(RecordHead, crc), &crc, sizeof crc);
}

// A record with a key of few, whole or with a byte of it changed.
std::vector<std::byte> record_from(Input& input, uint32_t seed, size_t stride) {
  const uint8_t number = input.byte(), mode = input.byte();
  std::vector<std::byte> record(stride);
  const RecordHead head = head_of(1, number % 16);
  std::memcpy(record.data(), &head, sizeof head);
  const std::vector<std::byte> values = input.bytes(mode & 1 ? stride - sizeof head : 4);
  std::copy(values.begin(), values.end(), record.begin() + sizeof head);
  if (mode & 2) record[input.byte() % stride] ^= std::byte{input.byte()};
  if (mode & 12) put_crc_right(record, seed);
  if (mode == 255) record[input.byte() % stride] ^= std::byte{1};
  return record;
}

Case case_from(Input& input) {
  Case made;
  const uint8_t mode = input.byte();
  if (mode & 2) made.identity.width = 24;
  if (mode & 4) {  // anything
    made.bytes = input.bytes(64 * 1024);
    return made;
  }
  made.bytes.resize(kDataStart);
  store::encode_header(made.identity, made.bytes.data());
  const uint32_t seed = slow_seed(made.bytes.data());
  std::copy_n(made.bytes.begin(), kHeaderBytes, made.bytes.begin() + kHeaderBytes);
  if (mode & 8) made.bytes[input.byte() * 16u] ^= std::byte{input.byte()};
  if (mode & 16) made.bytes[kHeaderBytes + input.byte() * 16u] ^= std::byte{input.byte()};
  while (input.left() > 0) {
    const bool any = mode & 32 && input.byte() % 4 == 0;
    const auto piece = any ? input.bytes(1 + input.byte())
                           : record_from(input, seed, store::stride_of(made.identity.width));
    made.bytes.insert(made.bytes.end(), piece.begin(), piece.end());
  }
  if (mode & 64) made.bytes.resize(made.bytes.size() - input.byte() % 64);
  return made;
}

// The records that count, in the order of the file; none where no header is this file's.
class Model {
 public:
  Model(const Case& made, bool ours) : stride_(store::stride_of(made.identity.width)) {
    std::vector<std::byte> header(kHeaderBytes);
    store::encode_header(made.identity, header.data());
    const uint32_t seed = slow_seed(header.data());
    const std::vector<std::byte>& bytes = made.bytes;
    for (size_t at = kDataStart; ours && at + stride_ <= bytes.size(); at += stride_) {
      if (!record_is_whole(seed, bytes.data() + at, stride_)) continue;
      Key key;
      std::memcpy(&key, bytes.data() + at, sizeof key);
      if (find(key) == SIZE_MAX) keys_.push_back(key), records_.push_back(bytes.data() + at);
    }
  }

  size_t find(const Key& key) const {
    const auto at = std::find(keys_.begin(), keys_.end(), key);
    return at == keys_.end() ? SIZE_MAX : static_cast<size_t>(at - keys_.begin());
  }

  const std::vector<Key>& keys() const { return keys_; }

  // The engine has every record of the model, bit for bit.
  void must_be_in(RecordFile& file) const {
    const auto view = file.refresh();
    for (size_t i = 0; i < keys_.size(); ++i) {
      const uint32_t slot = view ? view->find(keys_[i]) : store::kNoSlot;
      require(slot != store::kNoSlot);
      require(std::memcmp(view->record(slot), records_[i], stride_) == 0);
    }
  }

 private:
  const size_t stride_;
  std::vector<Key> keys_;
  std::vector<const std::byte*> records_;
};

// Whether some header is this file's: checked by its bytes, not by the engine.
bool header_holds(const Case& made) {
  std::vector<std::byte> header(kHeaderBytes);
  store::encode_header(made.identity, header.data());
  for (size_t at = 0; at < kDataStart && at + kHeaderBytes <= made.bytes.size();
       at += kHeaderBytes) {
    if (std::memcmp(made.bytes.data() + at, header.data(), kHeaderBytes) == 0) return true;
  }
  return false;
}

std::unique_ptr<RecordFile> open(const Case& made, const std::string& path) {
  return std::make_unique<RecordFile>(path, made.identity, store::Options{true, false, kNoBreak},
                                      std::make_shared<store::Counters>());
}

void append_and_compact(const Case& made, const std::string& path, const Model& model) {
  const auto file = open(made, path);
  const Records batch(1, {3, 500, 501, 500}, 7, made.identity.width);
  const size_t fresh = 2 + (model.find(batch.keys[0]) == SIZE_MAX);
  store::LockWait wait = patience();
  require(file->append(batch.heads.data(), batch.values.data(), 4, wait) == fresh);
  model.must_be_in(*file);
  const size_t live = model.keys().size() + fresh;
  require(file->contents().live == live);
  if (made.bytes.size() % 2) return;
  file->compact(wait);
  const auto again = open(made, path);
  model.must_be_in(*again);
  const store::Contents now = again->contents();
  require(now.live == live && now.slots == live && now.corrupt + now.superseded == 0);
}

// A writer waits for a file without a header of its own until it has not been written to for long.
void must_be_left_alone(const Case& made, const std::string& path) {
  const auto file = open(made, path);
  const Records batch(1, {3}, 7, made.identity.width);
  store::LockWait wait = patience();
  bool refused = false;
  try {
    file->append(batch.heads.data(), batch.values.data(), 1, wait);
  } catch (const store::Failure& failure) {
    refused = failure.code == EBUSY;
  }
  require(refused && read_file(path) == made.bytes);
}

void settle(const std::string& path) {
  const struct timespec old[2] = {{1, 0}, {1, 0}};
  require(::utimensat(AT_FDCWD, path.c_str(), old, 0) == 0);
}

void must_be_set_aside(const Case& made, const std::string& folder) {
  size_t kept = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().string();
    if (name.find(".bad-") != std::string::npos) kept += read_file(name) == made.bytes;
  }
  require(kept == 1);
}

void check(const Case& made, const std::string& folder) {
  const std::string path = folder + "/scan.msp";
  write_file(path, made.bytes);
  const bool ours = header_holds(made);
  const Model model(made, ours);
  {
    const auto file = open(made, path);
    model.must_be_in(*file);
    require(file->contents().live == model.keys().size());
    require(file->counters().unreadable == (ours ? 0 : 1));
    require(file->counters().quarantined == 0);
  }
  if (!ours) must_be_left_alone(made, path);
  settle(path);
  append_and_compact(made, path, model);
  if (!ours) must_be_set_aside(made, folder);
}

}  // namespace
}  // namespace faults

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  faults::Input input(data, size);
  const faults::Case made = faults::case_from(input);
  const std::string folder = faults::scratch_folder() + "/scan";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  faults::check(made, folder);
  return 0;
}
