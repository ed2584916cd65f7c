// The prediction store's engine: one append-only, self-verifying file of records for each model,
// series and schema.
//
// Writing. A batch is appended by pwrite under an exclusive flock, taken on a descriptor opened for
// this batch (the lock follows the open file, so a fork cannot inherit it by accident) and checked
// against the path's inode (a compaction may have replaced the file while the lock was awaited).
// Nothing is ever overwritten or cut off: a torn tail costs the slots it reaches into, no more. The
// record's CRC is the commit. Of two records with one key the first counts.
//
// Reading. Each record is verified once, when its file is opened or has grown, and enters an index.
// A record that fails is a miss and is counted; at the end of a file it may be one that is being
// written, and is looked at again when the file grows. A file whose both headers fail, or are
// another file's, is renamed aside, counted, and a miss. Reading throws nothing.
//
// Replacing (compaction) writes a new file, syncs it, renames it over the old one and syncs the
// folder, all under the old file's lock. Views of the old file keep it alive.
//
// Threads may share a RecordFile. A fork waits for running appends, so that a child can use it too.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/store/io.hpp"
#include "kernels/store/view.hpp"

namespace marketsim::store {

// Counts since the store was opened, shared by all its files.
struct Counters {
  std::atomic<uint64_t> hits{0}, misses{0};
  std::atomic<uint64_t> corrupt{0};      // records whose CRC failed
  std::atomic<uint64_t> superseded{0};   // records whose key was there already
  std::atomic<uint64_t> quarantined{0};  // files renamed aside
  std::atomic<uint64_t> unreadable{0};   // files that could not be opened, mapped or read
};

struct Options {
  bool writable = true;
  bool sync = true;      // fdatasync after each batch
  bool use_maps = true;  // false: files are read into memory, as network file systems need it
};

// What a file holds, slot by slot.
struct Contents {
  uint64_t bytes = 0, slots = 0, live = 0, corrupt = 0, superseded = 0;
};

class RecordFile {
 public:
  // Touches no file yet. Throws std::invalid_argument where the identity cannot be stored.
  RecordFile(std::string path, Identity identity, Options options,
             std::shared_ptr<Counters> counters);
  ~RecordFile();
  RecordFile(const RecordFile&) = delete;

  const Identity& identity() const { return identity_; }
  const std::string& path() const { return path_; }

  // The records as they are now; null where there is no file, or none that can be read.
  std::shared_ptr<const View> refresh();
  // The records as they were when last looked at.
  std::shared_ptr<const View> view() const;

  // Copies the values of each key found into out[i * width]; returns how many were found. Looks at
  // the file once before, so it sees every batch that was appended before the call.
  size_t read(const Key* keys, size_t count, float* out, bool* found);

  // Appends the records whose keys are not there; returns how many. With options.sync, all of the
  // batch is on the disk then, whoever wrote it. Throws Failure, and records that had been written
  // whole before it are kept; or Interrupted.
  size_t append(const RecordHead* heads, const float* values, size_t count);

  // Rewrites the file with whole headers, the records that count, and nothing else; returns how
  // many bytes that saves. Without a file: 0, and nothing happens. Throws Failure or Interrupted.
  size_t compact();

  Contents contents();
  Counters& counters() const { return *counters_; }

 private:
  friend struct ForkGuard;
  struct Locked {
    Fd fd;
    struct stat status;
  };

  void show(std::shared_ptr<const View> view);
  void look(const struct stat* locked);
  void forget();
  void give_up(int code);
  bool same_file(const struct stat& now) const;
  void reopen(const Fd& fd, const struct stat& now, bool locked);
  void extend(const Fd& fd, const struct stat& now);
  void copy_tail(const Fd& fd, size_t size);
  bool header_is_ours(int fd) const;
  void set_aside(const Fd& fd, bool locked);
  std::vector<std::byte> headers() const;
  void make_room(size_t slots);
  void scan(size_t size);
  void admit(uint32_t first, const bool* good, uint32_t count);

  Locked lock_for_writing();
  void create();
  std::vector<uint32_t> fresh(const RecordHead* heads, size_t count) const;
  void secure(const Locked& file);
  void write_batch(const Locked& file, const RecordHead* heads, const float* values,
                   const std::vector<uint32_t>& chosen);
  bool path_is(const struct stat& opened) const;

  const std::string path_;
  const Identity identity_;
  const uint32_t seed_;
  const size_t stride_;
  const Options options_;
  const std::shared_ptr<Counters> counters_;

  // Guards all below; held while an append waits for the file's lock and for the disk.
  mutable std::mutex mutex_;
  // Guards the pointer view_ besides, and is never held for long: view() must not wait for a disk,
  // its caller may hold an interpreter's lock.
  mutable std::mutex view_mutex_;
  std::shared_ptr<Region> region_;
  std::shared_ptr<Index> index_;
  std::shared_ptr<const View> view_;
  // A file that is none of ours and cannot be set aside, so that it is counted once.
  std::tuple<dev_t, ino_t, off_t> refused_{};
  dev_t device_ = 0;
  ino_t inode_ = 0;
  size_t size_ = 0;             // of the file when last looked at
  struct timespec modified_{};  // when it was last written to, then
  uint32_t checked_ = 0;        // slots before this one are settled
  uint32_t live_ = 0;           // settled records that count
  uint32_t broken_ = 0;         // settled slots whose CRC fails
  uint32_t repeated_ = 0;       // settled records whose key was there already
  uint32_t pending_ = 0;        // slots at the end whose CRC fails so far
  uint32_t counted_ = 0;        // broken slots of this file that the counters have heard of
  ino_t named_ = 0;             // the inode whose name is known to be on the disk
  int why_ = 0;                 // why the file could not be read when last looked at; 0 if it could
};

// What stands in a file's header, whatever file it is. Not readable: `identity` is empty.
struct Inspection {
  std::optional<Identity> identity;
  std::array<bool, 2> headers{false, false};
  uint64_t bytes = 0;
};
Inspection inspect(const std::string& path);

}  // namespace marketsim::store
