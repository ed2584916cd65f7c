// The reading half of RecordFile; store_write.cpp is the other one.
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <set>
#include <vector>

#include "kernels/store/crc32c.hpp"
#include "kernels/store/file.hpp"

namespace marketsim::store {
namespace {

constexpr size_t kSmallestMap = 64 * 1024;
constexpr uint32_t kScanAhead = 64;  // records verified before they enter the index

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
  const std::lock_guard hold(guard.mutex);
  guard.files.insert(this);
}

RecordFile::~RecordFile() {
  ForkGuard& guard = ForkGuard::instance();
  const std::lock_guard hold(guard.mutex);
  guard.files.erase(this);
}

std::shared_ptr<const View> RecordFile::view() const {
  const std::lock_guard hold(view_mutex_);
  return view_;
}

void RecordFile::show(std::shared_ptr<const View> view) {
  const std::lock_guard hold(view_mutex_);
  view_.swap(view);  // the old one goes after the lock
}

std::shared_ptr<const View> RecordFile::refresh() {
  const std::lock_guard hold(mutex_);
  look(nullptr);
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
  const std::lock_guard hold(mutex_);
  look(nullptr);
  if (!view_) return {};
  return {size_, slots_in(size_, stride_), live_, broken_ + pending_, repeated_};
}

void RecordFile::forget() {
  region_.reset();
  index_.reset();
  show(nullptr);
  size_ = 0;
  checked_ = live_ = broken_ = repeated_ = pending_ = 0;
}

// What cannot be read is a miss, and counted; `code` says why to whoever wants to write.
void RecordFile::give_up(int code) {
  why_ = code;
  if (code != ENOENT && code != ENOTDIR) ++counters_->unreadable;
  forget();
}

bool RecordFile::same_file(const struct stat& now) const {
  return view_ && now.st_dev == device_ && now.st_ino == inode_;
}

// Brings the view up to date. `locked` is the file's state where the caller holds its lock: then no
// one is writing, and what failed before is settled by looking again.
void RecordFile::look(const struct stat* locked) {
  struct stat now;
  if (locked) {
    now = *locked;
  } else if (!status(path_, now)) {
    return give_up(errno);
  }
  if (refused_ == std::tuple(now.st_dev, now.st_ino, now.st_size)) return;
  const size_t size = static_cast<size_t>(now.st_size);
  // Written to without growing: not by us, so nothing that was verified is certain any more.
  const bool changed = size == size_ && !same_time(now.st_mtim, modified_);
  const bool grown = same_file(now) && !changed && size >= kDataStart + checked_ * stride_;
  if (grown && size == size_ && !(locked && pending_)) return;
  modified_ = now.st_mtim;
  if (grown && region_->mapped() && size <= region_->capacity()) return scan(size);
  const Fd fd = open_file(path_, O_RDONLY);
  if (!fd || !status(fd.get(), now)) return give_up(errno);
  modified_ = now.st_mtim;
  if (!S_ISREG(now.st_mode)) return give_up(EINVAL);
  try {
    const bool same = grown && same_file(now);
    same ? extend(fd, now) : reopen(fd, now, locked != nullptr);
  } catch (const Failure& failure) {
    give_up(failure.code);
  } catch (const std::bad_alloc&) {  // a size that no file of records has
    give_up(ENOMEM);
  }
}

bool RecordFile::header_is_ours(int fd) const {
  std::vector<std::byte> both(kDataStart);
  const size_t got = read_at(fd, both.data(), both.size(), 0, path_);
  for (size_t at = 0; at + kHeaderBytes <= got; at += kHeaderBytes) {
    const std::optional<Identity> found = decode_header(both.data() + at);
    if (found) return *found == identity_;
  }
  return false;
}

void RecordFile::reopen(const Fd& fd, const struct stat& now, bool locked) {
  forget();
  if (!header_is_ours(fd.get())) return set_aside(fd, locked);
  if (now.st_dev != device_ || now.st_ino != inode_) counted_ = 0;
  named_ = 0;
  device_ = now.st_dev;
  inode_ = now.st_ino;
  extend(fd, now);
}

// The file has more records than the region or the index has room for, or the region is a copy.
void RecordFile::extend(const Fd& fd, const struct stat& now) {
  const size_t size = static_cast<size_t>(now.st_size);
  if (!region_ || size > region_->capacity()) {
    const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    const size_t capacity = (std::max(2 * size, kSmallestMap) + page - 1) / page * page;
    std::shared_ptr<Region> larger = options_.use_maps ? Region::map(fd.get(), capacity) : nullptr;
    // A copy starts anew: what an older view finds through a shared index must be in its region.
    if (!larger || (region_ && !region_->mapped())) forget();
    region_ = larger ? std::move(larger) : Region::copy(capacity);
    if (!region_) return give_up(ENOMEM);
  }
  if (!region_->mapped()) copy_tail(fd, size);
  if (!index_) index_ = std::make_shared<Index>(slots_in(size, stride_));
  show(std::make_shared<View>(region_, index_, identity_.width));
  why_ = 0;
  scan(size);
}

// Reads what is not settled into a region that is a copy. Copied first, verified after: what is
// verified is what will be read.
void RecordFile::copy_tail(const Fd& fd, size_t size) {
  const size_t from = view_ ? kDataStart + checked_ * stride_ : 0;
  const size_t got = read_at(fd.get(), region_->data() + from, size - from, from, path_);
  if (got < size - from) std::memset(region_->data() + from + got, 0, size - from - got);
}

bool RecordFile::path_is(const struct stat& opened) const {
  struct stat named;
  return status(path_, named) && named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

// A file that is none of ours keeps its content under another name. Under its lock, and only while
// the path still leads to it: another process may have set it aside and made a new one.
void RecordFile::set_aside(const Fd& fd, bool locked) {
  if (!options_.writable) {
    struct stat now;
    if (status(fd.get(), now)) refused_ = {now.st_dev, now.st_ino, now.st_size};
    ++counters_->quarantined;
    return;
  }
  if (!locked && !try_lock_exclusive(fd.get())) return;  // who has it sets it aside
  struct stat now;
  if (!status(fd.get(), now) || !path_is(now) || header_is_ours(fd.get())) return;
  struct timespec clock;
  ::clock_gettime(CLOCK_REALTIME, &clock);
  const std::string aside = path_ + ".bad-" + std::to_string(clock.tv_sec) + "-" +
                            std::to_string(clock.tv_nsec) + "-" + std::to_string(now.st_ino);
  replace(path_, aside);
  ++counters_->quarantined;
}

void RecordFile::make_room(size_t slots) {
  if (index_->holds(slots)) return;
  auto larger = std::make_shared<Index>(2 * slots);
  const auto other = [](uint32_t) { return false; };  // all keys differ
  for (const uint32_t slot : view_->slots()) larger->insert(view_->head(slot).key, slot, other);
  larger->dense_end.store(index_->dense_end.load());
  index_ = std::move(larger);
  show(std::make_shared<View>(region_, index_, identity_.width));
}

// Verifies the slots that are not settled yet and admits those that are records.
void RecordFile::scan(size_t size) {
  const size_t slots = std::min<size_t>(slots_in(size, stride_), kNoSlot - 1);
  make_room(slots);
  const uint32_t repeated_before = repeated_;
  pending_ = 0;
  uint32_t crcs[kScanAhead];
  bool good[kScanAhead];
  for (size_t begin = checked_; begin < slots; begin += kScanAhead) {
    const auto count = static_cast<uint32_t>(std::min<size_t>(kScanAhead, slots - begin));
    const auto first = static_cast<uint32_t>(begin);
    crc32c_records(view_->record(first), stride_, count, seed_, crcs);
    for (uint32_t i = 0; i < count; ++i) {
      const RecordHead& head = view_->head(first + i);
      good[i] = head.crc == crcs[i];
      index_->prefetch(head.key);
    }
    admit(first, good, count);
  }
  size_ = size;
  const uint32_t broken = broken_ + pending_;
  if (broken > counted_) counters_->corrupt += broken - counted_;
  counted_ = broken;
  counters_->superseded += repeated_ - repeated_before;
}

// Settles slots up to the last good one: what failed after it may be being written.
void RecordFile::admit(uint32_t first, const bool* good, uint32_t count) {
  const View& view = *view_;
  Index& index = *index_;
  uint32_t broken = broken_, pending = pending_, repeated = 0, checked = checked_, live = live_;
  for (uint32_t i = 0; i < count; ++i) {
    if (!good[i]) {
      ++pending;
      continue;
    }
    broken += pending;
    pending = 0;
    const Key& key = view.head(first + i).key;
    const auto same = [&](uint32_t other) { return view.head(other).key == key; };
    index.insert(key, first + i, same) ? ++live : ++repeated;
    checked = first + i + 1;
    if (broken == 0 && repeated_ + repeated == 0) {
      index.dense_end.store(checked, std::memory_order_release);
    }
  }
  broken_ = broken, pending_ = pending, checked_ = checked, live_ = live;
  repeated_ += repeated;
}

Inspection inspect(const std::string& path) {
  Inspection found;
  const Fd fd = open_file(path, O_RDONLY);
  struct stat now;
  if (!fd || !status(fd.get(), now) || !S_ISREG(now.st_mode)) {
    throw Failure(fd ? EINVAL : errno, "cannot open as a file", path);
  }
  found.bytes = static_cast<uint64_t>(now.st_size);
  std::vector<std::byte> both(kDataStart);
  const size_t got = read_at(fd.get(), both.data(), both.size(), 0, path);
  for (size_t i = 0; i < 2 && (i + 1) * kHeaderBytes <= got; ++i) {
    std::optional<Identity> identity = decode_header(both.data() + i * kHeaderBytes);
    found.headers[i] = identity.has_value();
    if (identity && !found.identity) found.identity = std::move(identity);
  }
  return found;
}

}  // namespace marketsim::store
