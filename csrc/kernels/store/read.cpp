// The reading half of RecordFile; write.cpp is the other one.
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "kernels/store/crc32c.hpp"
#include "kernels/store/file.hpp"

namespace marketsim::store {
namespace {

constexpr size_t kScanBytes = 256 * 1024;       // read and verified at a time
constexpr size_t kFirstRoom = 16;               // records
constexpr size_t kMostRoom = 64 * 1024 * 1024;  // bytes reserved on a file's word alone
constexpr size_t kBlock = 4096;                 // what a disk gives or does not

double seconds_since(const struct timespec& begin) {
  struct timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec - begin.tv_sec) +
         1e-9 * static_cast<double>(now.tv_nsec - begin.tv_nsec);
}

// What the two headers of a file say, each read by itself: the disk may have lost one of them.
// Throws Failure where it gives neither.
std::array<std::optional<Identity>, 2> read_headers(int fd, const std::string& path) {
  std::array<std::optional<Identity>, 2> found;
  std::array<std::byte, kHeaderBytes> bytes;
  bool failed = false;
  for (size_t i = 0; i < 2; ++i) {
    try {
      const size_t got = read_at(fd, bytes.data(), bytes.size(), i * kHeaderBytes, path);
      if (got == bytes.size()) found[i] = decode_header(bytes.data());
    } catch (const Failure&) {
      if (failed) throw;
      failed = true;
    }
  }
  return found;
}

bool same_time(const struct timespec& a, const struct timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

}  // namespace

// Every RecordFile of the process, so that a fork finds none of their mutexes held.
struct ForkGuard {
  std::mutex mutex;
  std::set<RecordFile*> files;

  static ForkGuard& instance() {
    static ForkGuard* guard = [] {
      ::pthread_atfork(&before, &after, &after);
      return new ForkGuard;  // never destroyed: a fork may come while the process ends
    }();
    return *guard;
  }
  static void before() {
    instance().mutex.lock();
    for (RecordFile* file : instance().files) {
      file->mutex_.lock();
      file->view_mutex_.lock();
    }
  }
  static void after() {
    for (RecordFile* file : instance().files) {
      file->view_mutex_.unlock();
      file->mutex_.unlock();
    }
    instance().mutex.unlock();
  }
};

RecordFile::RecordFile(std::string path, Identity identity, Options options,
                       std::shared_ptr<Counters> counters)
    : path_(std::move(path)),
      identity_(std::move(identity)),
      seed_(identity_defect(identity_).empty() ? record_seed(identity_) : 1),
      stride_(stride_of(identity_.width)),
      options_(options),
      counters_(std::move(counters)) {
  const std::string defect = identity_defect(identity_);
  if (!defect.empty()) throw std::invalid_argument(defect);
  ForkGuard& guard = ForkGuard::instance();
  const std::lock_guard alone(guard.mutex);
  guard.files.insert(this);
}

RecordFile::~RecordFile() {
  ForkGuard& guard = ForkGuard::instance();
  const std::lock_guard alone(guard.mutex);
  guard.files.erase(this);
  hold(nullptr);
}

std::shared_ptr<const View> RecordFile::view() const {
  const std::lock_guard alone(view_mutex_);
  return view_;
}

void RecordFile::show(std::shared_ptr<const View> view) {
  const std::lock_guard alone(view_mutex_);
  view_.swap(view);  // the old one goes after the lock
}

// Takes over a region and counts its bytes.
void RecordFile::hold(std::shared_ptr<Region> region) {
  if (region_) counters_->held -= region_->bytes();
  if (region) counters_->held += region->bytes();
  region_ = std::move(region);
}

std::shared_ptr<const View> RecordFile::refresh() {
  const std::lock_guard alone(mutex_);
  look();
  return view_;
}

size_t RecordFile::read(const Key* keys, size_t count, float* out, bool* found) {
  const std::shared_ptr<const View> view = refresh();
  const size_t hits = view ? view->read(keys, count, out, found) : 0;
  if (!view) std::fill_n(found, count, false);
  counters_->hits.fetch_add(hits, std::memory_order_relaxed);
  counters_->misses.fetch_add(count - hits, std::memory_order_relaxed);
  return hits;
}

Contents RecordFile::contents() {
  const std::lock_guard alone(mutex_);
  look();
  if (!view_) return {};
  return {size_,    slots_in(size_, stride_), places_.size(), broken_ + pending_, repeated_, lost_,
          unsynced_};
}

void RecordFile::forget() {
  show(nullptr);
  hold(nullptr);
  index_.reset();
  places_.clear();
  size_ = scanned_ = settled_ = 0;
  broken_ = repeated_ = pending_ = lost_ = 0;
  unfinished_ = unsynced_ = false;
}

// What cannot be read is a miss, and counted; `code` says why to whoever wants to write.
void RecordFile::give_up(int code) {
  why_ = code;
  if (code != ENOENT && code != ENOTDIR) ++counters_->unreadable;
  forget();
}

// A file that is none of ours, or not yet: a miss, and counted once.
void RecordFile::refuse(const struct stat& now) {
  const std::tuple which(now.st_dev, now.st_ino, now.st_size);
  if (refused_ != which) ++counters_->unreadable;
  refused_ = which;
  why_ = 0;
  forget();
}

bool RecordFile::same_file(const struct stat& now) const {
  return view_ && now.st_dev == device_ && now.st_ino == inode_;
}

// Whether to try again what the disk did not give: for at most half of the time, and not while the
// first try, which may be interrupted many times, goes on.
bool RecordFile::is_lost_due() const {
  return lost_ > 0 && !unfinished_ && seconds_since(lost_at_) > lost_took_;
}

// Brings the view up to date.
void RecordFile::look() {
  struct stat now;
  if (!status(path_, now)) return give_up(errno);
  const bool same = same_file(now) && static_cast<size_t>(now.st_size) == size_ &&
                    same_time(now.st_ctim, changed_);
  const bool again = is_lost_due();
  if (same && !unfinished_ && !again) return;
  if (again) forget();
  const Fd fd = open_file(path_, O_RDONLY);
  if (!fd || !status(fd.get(), now)) return give_up(errno);
  if (!S_ISREG(now.st_mode)) return give_up(EINVAL);
  look_at(fd.get(), now, false);
}

// As look, of an open file. Where the caller holds the lock, no one is writing, and what failed
// before is settled by looking again.
void RecordFile::look_at(int fd, const struct stat& now, bool locked) {
  const size_t size = static_cast<size_t>(now.st_size);
  try {
    // A change that did not make it longer was not ours, so nothing that was verified is certain to
    // be there any more; neither is it where the last record is another one.
    const bool touched = size == size_ && !same_time(now.st_ctim, changed_);
    // Another program may still be filling the slots before the last good one.
    const bool filling =
        size != size_ && !unfinished_ && broken_ > 0 && seconds_since(broken_at_) < kSettledAfter;
    const bool grown =
        same_file(now) && !touched && !filling && size >= kDataStart + settled_ * stride_;
    if (grown && size == size_ && !unfinished_ && !(locked && pending_)) return;
    if (!grown || !last_is_there(fd)) {
      forget();
      if (!header_is_ours(fd)) return refuse(now);
      if (now.st_dev != device_ || now.st_ino != inode_) counted_ = 0;
      named_ = 0;
      device_ = now.st_dev;
      inode_ = now.st_ino;
    }
    refused_ = {};
    scan(fd, now);
  } catch (const Failure& failure) {
    give_up(failure.code);
  } catch (const std::bad_alloc&) {
    give_up(ENOMEM);
  }
}

bool RecordFile::header_is_ours(int fd) const {
  for (const std::optional<Identity>& found : read_headers(fd, path_)) {
    if (found) return *found == identity_;
  }
  return false;
}

// Whether the last settled record still is where it was.
bool RecordFile::last_is_there(int fd) const {
  if (settled_ == 0) return true;
  RecordHead now;
  const size_t at = kDataStart + (settled_ - 1) * stride_;
  return read_at(fd, &now, sizeof now, at, path_) == sizeof now && now.key == last_.key &&
         now.crc == last_.crc;
}

bool RecordFile::path_is(const struct stat& opened) const {
  struct stat named;
  return status(path_, named) && named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

// Room for that many records. Older views keep the region and the index that they have.
void RecordFile::make_room(size_t records) {
  if (region_ && records <= region_->capacity()) return;
  if (records > kMostRecords) throw std::bad_alloc();
  const size_t held = places_.size();
  const size_t capacity = std::max({records, 2 * held, kFirstRoom});
  auto region = std::make_shared<Region>(capacity, stride_);
  auto index = std::make_shared<Index>(capacity);
  if (held) std::memcpy(region->record(0), region_->record(0), held * stride_);
  const auto other = [](uint32_t) { return false; };  // all keys differ
  for (uint32_t slot = 0; slot < held; ++slot) {
    index->insert(reinterpret_cast<const RecordHead*>(region->record(slot))->key, slot, other);
  }
  index->count.store(static_cast<uint32_t>(held), std::memory_order_release);
  hold(std::move(region));
  index_ = std::move(index);
  show(std::make_shared<View>(region_, index_, identity_.width));
}

// Reads slots behind the records held; returns how many are whole. A slot that the disk does not
// give is left as zeros, which are no record.
size_t RecordFile::read_slots(int fd, size_t first, size_t count) {
  std::byte* to = region_->record(places_.size());
  const size_t from = kDataStart + first * stride_;
  try {
    return read_at(fd, to, count * stride_, from, path_) / stride_;
  } catch (const Failure&) {
    std::memset(to, 0, count * stride_);
  }
  for (size_t i = 0; i < count;) {
    const size_t at = from + i * stride_;
    try {
      if (read_at(fd, to + i * stride_, stride_, at, path_) < stride_) return i;
      ++i;
    } catch (const Failure&) {
      std::memset(to + i * stride_, 0, stride_);
      const size_t next = ((at / kBlock + 1) * kBlock - from + stride_ - 1) / stride_;
      const size_t beyond = std::min(count, std::max(i + 1, next));
      lost_ += beyond - i;
      i = beyond;
    }
  }
  return count;
}

// Reads, verifies and admits the slots that are not settled yet.
void RecordFile::scan(int fd, const struct stat& now) {
  struct timespec begin;
  ::clock_gettime(CLOCK_MONOTONIC, &begin);
  size_t size = static_cast<size_t>(now.st_size);
  size_t slots = slots_in(size, stride_);
  const bool sparse = static_cast<size_t>(now.st_blocks) * 512 < size;
  if (!unfinished_) {  // what failed at the end may be a record by now
    scanned_ = settled_;
    pending_ = 0;
    before_ = {0.0, repeated_, lost_};
  }
  unsynced_ = now.st_mode & kUnsynced;
  why_ = 0;
  const size_t chunk = std::max<size_t>(1, kScanBytes / stride_);
  std::vector<uint32_t> crcs(chunk);
  const std::unique_ptr<bool[]> good(new bool[chunk]);
  const size_t filled = static_cast<size_t>(now.st_blocks) * 512 / stride_ + 1;
  make_room(places_.size() + std::min({slots - scanned_, filled, kMostRoom / stride_}));
  while (scanned_ < slots) {
    if (sparse) {  // zeros are no records
      const size_t data = next_data(fd, kDataStart + scanned_ * stride_, size);
      const size_t next = std::min(slots, (data - kDataStart) / stride_);
      pending_ += next - scanned_;
      scanned_ = next;
    }
    const size_t count = std::min(chunk, slots - scanned_);
    make_room(places_.size() + count);
    const size_t whole = read_slots(fd, scanned_, count);
    const std::byte* bytes = region_->record(places_.size());
    crc32c_records(bytes, stride_, whole, seed_, crcs.data());
    for (size_t i = 0; i < whole; ++i) {
      const auto& head = *reinterpret_cast<const RecordHead*>(bytes + i * stride_);
      good[i] = head.crc == crcs[i];
      index_->prefetch(head.key);
    }
    admit(scanned_, whole, good.get());
    scanned_ += whole;
    if (whole < count) {  // cut meanwhile: the next look sees it
      size = std::min(size, kDataStart + scanned_ * stride_);
      slots = scanned_;
    }
    if (scanned_ < slots && seconds_since(begin) > options_.longest_scan) {
      unfinished_ = true;
      before_.took += seconds_since(begin);
      throw Interrupted{};
    }
  }
  unfinished_ = false;
  size_ = size;
  changed_ = now.st_ctim;
  const uint64_t broken = broken_ + pending_;
  if (broken > counted_) counters_->corrupt += broken - counted_;
  if (broken != counted_) ::clock_gettime(CLOCK_MONOTONIC, &broken_at_);
  counted_ = broken;
  counters_->superseded += repeated_ - before_.repeated;
  if (lost_ > before_.lost) {
    ++counters_->unreadable;
    lost_took_ = before_.took + seconds_since(begin);
    ::clock_gettime(CLOCK_MONOTONIC, &lost_at_);
  }
}

// Takes over the records among the slots that were read behind those held. Slots are settled up to
// the last good one: what failed after it may be being written.
void RecordFile::admit(size_t first, size_t count, const bool* good) {
  const std::byte* read = region_->record(places_.size());
  for (size_t i = 0; i < count; ++i) {
    if (!good[i]) {
      ++pending_;
      continue;
    }
    broken_ += pending_;
    pending_ = 0;
    const auto slot = static_cast<uint32_t>(places_.size());
    std::byte* to = region_->record(slot);
    if (to != read + i * stride_) std::memmove(to, read + i * stride_, stride_);
    std::memcpy(&last_, to, sizeof last_);
    settled_ = first + i + 1;
    const auto same = [&](uint32_t other) { return view_->head(other).key == last_.key; };
    if (!index_->insert(last_.key, slot, same)) {
      ++repeated_;
      continue;
    }
    places_.push_back(first + i);
    index_->count.store(slot + 1, std::memory_order_release);
  }
}

Inspection inspect(const std::string& path) {
  Inspection found;
  const Fd fd = open_file(path, O_RDONLY);
  struct stat now;
  if (!fd || !status(fd.get(), now) || !S_ISREG(now.st_mode)) {
    throw Failure(fd ? EINVAL : errno, "cannot open as a file", path);
  }
  found.bytes = static_cast<uint64_t>(now.st_size);
  std::array<std::optional<Identity>, 2> headers = read_headers(fd.get(), path);
  for (size_t i = 0; i < 2; ++i) {
    found.headers[i] = headers[i].has_value();
    if (headers[i] && !found.identity) found.identity = std::move(headers[i]);
  }
  return found;
}

}  // namespace marketsim::store
