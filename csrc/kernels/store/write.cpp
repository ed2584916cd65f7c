// The writing half of RecordFile: appending, creating and compacting.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "kernels/store/crc32c.hpp"
#include "kernels/store/file.hpp"

namespace marketsim::store {
namespace {

constexpr size_t kWriteBytes = 256 * 1024;  // of records that are encoded and written at a time
constexpr char kReadOnly[] = "cannot write: the store is open for reading";
constexpr int kFolders = 5;  // that may be as new as a file: <root>/v1/<model>/<hh>, and the root
constexpr int kLockTries = 1000;  // a file replaced that often while one waits: a defect

}  // namespace

// Opens, locks and looks at the file, until the one that was locked is the one at the path.
RecordFile::Locked RecordFile::lock_for_writing() {
  for (int i = 0; i < kLockTries; ++i) {
    Locked file{open_file(path_, O_RDWR), {}};
    if (!file.fd) {
      if (errno != ENOENT)
        throw Failure(errno, std::string("cannot open: ") + std::strerror(errno), path_);
      try {
        create();
      } catch (const Failure& failure) {
        // A clean-up may have removed the empty folder between its making and its use.
        if (failure.code != ENOENT) throw;
      }
      continue;
    }
    lock_exclusive(file.fd.get(), path_);
    if (!status(file.fd.get(), file.status)) {
      throw Failure(errno, std::string("cannot look at: ") + std::strerror(errno), path_);
    }
    if (!path_is(file.status)) continue;
    look(&file.status);
    if (same_file(file.status)) return file;
    // Set aside by look, or not readable: only the former gets better by trying again.
    if (path_is(file.status)) {
      const int code = why_ ? why_ : EIO;
      throw Failure(code, std::string("cannot read: ") + std::strerror(code), path_);
    }
  }
  throw Failure(EBUSY, "cannot lock: the file is replaced again and again", path_);
}

// The header twice, as a file starts.
std::vector<std::byte> RecordFile::headers() const {
  std::vector<std::byte> both(kDataStart);
  encode_header(identity_, both.data());
  std::memcpy(both.data() + kHeaderBytes, both.data(), kHeaderBytes);
  return both;
}

void RecordFile::create() {
  make_folders_of(path_);
  const std::vector<std::byte> header = headers();
  std::string name;
  const Fd fd = create_beside(path_, name);
  try {
    write_at(fd.get(), header.data(), header.size(), 0, name);
    if (options_.sync) sync_data(fd.get(), name);
  } catch (const Failure&) {
    ::unlink(name.c_str());
    throw;
  }
  publish_new(name, path_);
}

// Makes what the file holds, and once that it is called so, outlast a loss of power. Another
// process may have written the records, or made the file or a folder, and ended before it could do
// this.
void RecordFile::secure(const Locked& file) {
  if (!options_.sync) return;
  sync_data(file.fd.get(), path_);
  if (named_ == file.status.st_ino) return;
  sync_folders_of(path_, kFolders);
  named_ = file.status.st_ino;
}

// Which records of a batch are to be written: not in the file, and the first of their key.
std::vector<uint32_t> RecordFile::fresh(const RecordHead* heads, size_t count) const {
  Index seen(count);
  std::vector<uint32_t> chosen;
  chosen.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    const Key& key = heads[i].key;
    const auto same = [&](uint32_t other) { return heads[other].key == key; };
    if (view_->find(key) == kNoSlot && seen.insert(key, i, same)) chosen.push_back(i);
  }
  return chosen;
}

void RecordFile::write_batch(const Locked& file, const RecordHead* heads, const float* values,
                             const std::vector<uint32_t>& chosen) {
  const auto size = static_cast<size_t>(file.status.st_size);
  const size_t whole = slots_in(size + stride_ - 1, stride_);
  size_t offset = kDataStart + whole * stride_;
  const size_t width = identity_.width;
  const size_t at_once = std::min(std::max<size_t>(1, kWriteBytes / stride_), chosen.size());
  std::vector<std::byte> buffer(at_once * stride_);
  std::vector<uint32_t> crcs(at_once);
  for (size_t begin = 0; begin < chosen.size(); begin += at_once) {
    const size_t some = std::min(at_once, chosen.size() - begin);
    for (size_t i = 0; i < some; ++i) {
      const size_t from = chosen[begin + i];
      std::byte* to = buffer.data() + i * stride_;
      std::memcpy(to, &heads[from], sizeof(RecordHead));
      std::memcpy(to + sizeof(RecordHead), values + from * width, width * sizeof(float));
    }
    crc32c_records(buffer.data(), stride_, some, seed_, crcs.data());
    for (size_t i = 0; i < some; ++i) {
      std::memcpy(buffer.data() + i * stride_ + offsetof(RecordHead, crc), &crcs[i], 4);
    }
    write_at(file.fd.get(), buffer.data(), some * stride_, offset, path_);
    offset += some * stride_;
  }
}

size_t RecordFile::append(const RecordHead* heads, const float* values, size_t count) {
  if (!options_.writable) throw Failure(EROFS, kReadOnly, path_);
  const std::lock_guard hold(mutex_);
  Locked file = lock_for_writing();
  const std::vector<uint32_t> chosen = fresh(heads, count);
  counters_->superseded += count - chosen.size();
  if (!chosen.empty()) write_batch(file, heads, values, chosen);
  secure(file);  // what was written is verified when it is first looked for
  return chosen.size();
}

size_t RecordFile::compact() {
  if (!options_.writable) throw Failure(EROFS, kReadOnly, path_);
  const std::lock_guard hold(mutex_);
  struct stat found;
  if (!status(path_, found) && errno == ENOENT) return 0;
  const Locked file = lock_for_writing();
  std::string name;
  const Fd fd = create_beside(path_, name);
  size_t size = 0;
  try {
    std::vector<std::byte> buffer = headers();
    const auto write = [&] {
      write_at(fd.get(), buffer.data(), buffer.size(), size, name);
      size += buffer.size();
      buffer.clear();
    };
    for (const uint32_t slot : view_->slots()) {
      buffer.insert(buffer.end(), view_->record(slot), view_->record(slot) + stride_);
      if (buffer.size() >= kWriteBytes) write();
    }
    write();
    same_owner(fd.get(), file.status, name);
    sync_data(fd.get(), name);
    replace(name, path_);
  } catch (const Failure&) {
    ::unlink(name.c_str());
    throw;
  }
  sync_folder_of(path_);
  look(nullptr);
  const auto before = static_cast<size_t>(file.status.st_size);
  return before > size ? before - size : 0;
}

}  // namespace marketsim::store
