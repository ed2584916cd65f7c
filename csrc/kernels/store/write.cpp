// The writing half of RecordFile: appending, creating and compacting.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <vector>

#include "kernels/store/crc32c.hpp"
#include "kernels/store/file.hpp"

namespace marketsim::store {
namespace {

constexpr size_t kWriteBytes = 256 * 1024;  // of records that are encoded and written at a time
constexpr char kReadOnly[] = "cannot write: the store is open for reading";
constexpr int kFolders = 5;  // that may be as new as a file: <root>/v1/<model>/<hh>, and the root
constexpr int kOpenTries = 1000;       // a file replaced that often while one waits: a defect
constexpr long kWatched = 20'000'000;  // nanoseconds in which a copy under way grows
constexpr double kCopyPatience = 1.0;  // seconds that an append waits for the end of a copy

double seconds_since(const struct timespec& then) {
  struct timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<double>(now.tv_sec - then.tv_sec) +
         1e-9 * static_cast<double>(now.tv_nsec - then.tv_nsec);
}

Stamp stamp_of(const struct stat& file) {
  return {file.st_dev, file.st_ino, file.st_size, file.st_ctim.tv_sec, file.st_ctim.tv_nsec};
}

std::string reason(const char* what, int code) {
  return std::string(what) + ": " + std::strerror(code);
}

}  // namespace

// Does the work while no one else writes to the folder. The mutex is free while the lock is
// awaited, and no descriptor with the lock is open outside the mutex, so that no fork can inherit
// one.
template <typename Work>
size_t RecordFile::under_lock(LockWait& wait, const Work& work) {
  if (!options_.writable) throw Failure(EROFS, kReadOnly, path_);
  const std::string folder = folder_of(path_);
  while (true) {
    {
      const std::lock_guard alone(mutex_);
      const Fd lock = try_lock_folder(folder);
      if (lock) {
        try {
          return work();
        } catch (const Busy&) {  // others may write to the folder while we wait
          if (wait.waited >= std::min(wait.limit, kCopyPatience)) throw;
        }
      }
    }
    wait_for_lock(wait, folder);
  }
}

// The file, looked at; made where there is none, made anew where its last sync failed.
RecordFile::Opened RecordFile::open_for_writing() {
  for (int i = 0; i < kOpenTries; ++i) {
    if (!is_as_left() && is_written_elsewhere(path_)) throw Busy(path_);
    Opened file{open_file(path_, O_RDWR), {}};
    if (!file.fd) {
      if (errno != ENOENT) throw Failure(errno, reason("cannot open", errno), path_);
      create();
      continue;
    }
    if (!status(file.fd.get(), file.status)) {
      throw Failure(errno, reason("cannot look at", errno), path_);
    }
    if (!S_ISREG(file.status.st_mode)) {
      throw Failure(EINVAL, "cannot write: it is no file", path_);
    }
    // What the disk did not give may be readable by now, and who writes the file anew must have all
    // of it. Where a look was interrupted, a second one each time would never end.
    const bool resumed = unfinished_;
    look_at(file.fd.get(), file.status, true);
    if (lost_ > 0 && !resumed) {
      forget();
      look_at(file.fd.get(), file.status, true);
    }
    if (!view_) {
      if (why_) throw Failure(why_, reason("cannot read", why_), path_);
      set_aside(file);
    } else if (unsynced_ && options_.sync) {
      require_all_read("cannot write the file anew");
      rewrite(file.status);
    } else if (grows(file)) {
      throw Busy(path_);
    } else {
      return file;
    }
  }
  throw Failure(EBUSY, "cannot open: the file is replaced again and again", path_);
}

// Whether nobody has changed the file since our last append. To ask who has it open costs more.
bool RecordFile::is_as_left() const {
  struct stat now;
  return status(path_, now) && left_ == stamp_of(now);
}

// Whether a file that ends within a record, as copies under way do, grows while we hold the lock.
// An append to it would take the place of records that are still to come. The system says of files
// of this user only whether they are being written to.
bool RecordFile::grows(const Opened& file) const {
  const auto size = static_cast<size_t>(file.status.st_size);
  if ((size - kDataStart) % stride_ == 0) return false;
  if (seconds_since(file.status.st_mtim) > kSettledAfter) return false;
  const struct timespec time{0, kWatched};
  ::nanosleep(&time, nullptr);
  struct stat now;
  return status(file.fd.get(), now) && now.st_size != file.status.st_size;
}

// Records that the disk does not give now may be read another time: they are not left out of a
// copy.
void RecordFile::require_all_read(const char* what) const {
  if (lost_ == 0) return;
  throw Failure(EIO,
                reason(what, EIO) + "; " + std::to_string(lost_) +
                    " records could not be read, and are kept as they are",
                path_);
}

// A file that is none of ours keeps its content under another name.
void RecordFile::set_aside(const Opened& file) {
  const double age = seconds_since(file.status.st_mtim);
  if (age >= 0 && age < kSettledAfter) {
    throw Failure(EBUSY,
                  "cannot write: what is there is no file of the store, or not yet; it is set "
                  "aside when it has not been written to for a minute",
                  path_);
  }
  if (!path_is(file.status)) return;
  struct timespec clock;
  ::clock_gettime(CLOCK_REALTIME, &clock);
  const std::string aside = path_ + ".bad-" + std::to_string(clock.tv_sec) + "-" +
                            std::to_string(clock.tv_nsec) + "-" +
                            std::to_string(file.status.st_ino);
  replace(path_, aside);
  ++counters_->quarantined;
}

// The header twice, as a file starts.
std::vector<std::byte> RecordFile::headers() const {
  std::vector<std::byte> both(kDataStart);
  encode_header(identity_, both.data());
  std::memcpy(both.data() + kHeaderBytes, both.data(), kHeaderBytes);
  return both;
}

void RecordFile::create() {
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
// this. Where it fails, the system may count the data as written: the file is marked, so that no
// one takes a later sync that works for a sync of these data.
void RecordFile::secure(const Opened& file) {
  if (!options_.sync) return;
  try {
    sync_data(file.fd.get(), path_);
    if (named_ == file.status.st_ino) return;
    sync_folders_of(path_, kFolders);
    named_ = file.status.st_ino;
  } catch (const Failure&) {
    if (!mark_unsynced(file.fd.get(), true)) {  // another user's file: it goes, and is written anew
      ::rename(path_.c_str(), (path_ + ".bad-" + std::to_string(::time(nullptr)) + "-0-" +
                               std::to_string(file.status.st_ino))
                                  .c_str());
    }
    throw;
  }
}

// Whether records that are held still are in the file.
bool RecordFile::on_disk(int fd, std::vector<uint32_t> slots) const {
  std::sort(slots.begin(), slots.end());
  const size_t most = std::max<size_t>(1, kWriteBytes / stride_);
  std::vector<std::byte> buffer;
  for (size_t i = 0; i < slots.size();) {
    size_t run = 1;  // records that lie side by side, in the file as in memory
    while (run < most && i + run < slots.size() && slots[i + run] == slots[i] + run &&
           places_[slots[i + run]] == places_[slots[i]] + run) {
      ++run;
    }
    buffer.resize(run * stride_);
    const size_t at = kDataStart + places_[slots[i]] * stride_;
    try {
      if (read_at(fd, buffer.data(), buffer.size(), at, path_) < buffer.size()) return false;
    } catch (const Failure&) {
      return false;
    }
    if (std::memcmp(buffer.data(), region_->record(slots[i]), buffer.size()) != 0) return false;
    i += run;
  }
  return true;
}

// Which records of a batch are to be written: not in the file, and the first of their key.
std::vector<uint32_t> RecordFile::fresh(const Opened& file, const RecordHead* heads, size_t count) {
  Index seen(count);
  std::vector<uint32_t> chosen, held;
  chosen.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    const Key& key = heads[i].key;
    const auto same = [&](uint32_t other) { return heads[other].key == key; };
    const uint32_t slot = view_->find(key);
    if (slot != kNoSlot) {
      held.push_back(slot);
    } else if (seen.insert(key, i, same)) {
      chosen.push_back(i);
    }
  }
  if (on_disk(file.fd.get(), held)) return chosen;
  // The file was changed by someone else: only what it holds now counts.
  forget();
  look_at(file.fd.get(), file.status, true);
  if (!view_) {
    if (why_ == 0) throw Failure(EIO, "cannot read: it was changed by another program", path_);
    throw Failure(why_, reason("cannot read", why_), path_);
  }
  return fresh(file, heads, count);
}

void RecordFile::write_batch(const Opened& file, const RecordHead* heads, const float* values,
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
  struct stat now;
  if (!status(file.fd.get(), now)) {
    throw Failure(errno, reason("cannot look at", errno), path_);
  }
  if (static_cast<size_t>(now.st_size) != offset) {
    throw Failure(EBUSY, "cannot write: another program writes to it", path_);
  }
  left_ = stamp_of(now);
}

size_t RecordFile::append(const RecordHead* heads, const float* values, size_t count,
                          LockWait& wait) {
  return under_lock(wait, [&] {
    const Opened file = open_for_writing();
    const std::vector<uint32_t> chosen = fresh(file, heads, count);
    counters_->superseded += count - chosen.size();
    if (!chosen.empty()) write_batch(file, heads, values, chosen);
    secure(file);  // what was written is verified when it is first looked for
    return chosen.size();
  });
}

// Writes the records held into a new file that takes the place of the old one; returns its size.
size_t RecordFile::rewrite(const struct stat& old) {
  std::string name;
  size_t size = 0;
  Fd fd = create_beside(path_, name);
  try {
    std::vector<std::byte> buffer = headers();
    const auto write = [&] {
      write_at(fd.get(), buffer.data(), buffer.size(), size, name);
      size += buffer.size();
      buffer.clear();
    };
    for (uint32_t slot = 0; slot < view_->count(); ++slot) {
      buffer.insert(buffer.end(), view_->record(slot), view_->record(slot) + stride_);
      if (buffer.size() >= kWriteBytes) write();
    }
    write();
    same_owner(fd.get(), old, name);
    sync_data(fd.get(), name);
    replace(name, path_);
  } catch (const Failure&) {
    ::unlink(name.c_str());
    throw;
  }
  try {
    sync_folder_of(path_);
  } catch (const Failure&) {
    mark_unsynced(fd.get(), true);  // its name may not be on the disk: written anew next time
    throw;
  }
  return size;
}

size_t RecordFile::compact(LockWait& wait) {
  struct stat found;
  if (options_.writable && !status(path_, found) && errno == ENOENT) return 0;
  return under_lock(wait, [&]() -> size_t {
    const Opened file = open_for_writing();
    require_all_read("cannot compact");
    const size_t size = rewrite(file.status);
    look();
    const auto before = static_cast<size_t>(file.status.st_size);
    return before > size ? before - size : 0;
  });
}

}  // namespace marketsim::store
