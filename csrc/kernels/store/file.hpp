// The prediction store's engine: one append-only, self-verifying file of records for each model,
// series and schema.
//
// Writing. A batch is appended by pwrite under an exclusive flock on the folder's lock file, which
// only those can open who may write; the lock is taken on a descriptor opened for this batch (the
// lock follows the open file, so a fork cannot inherit it by accident). Nothing is ever overwritten
// or cut off: a torn tail costs the slots it reaches into, no more. The record's CRC is the commit.
// Of two records with one key the first counts. A record that is there already is compared with the
// disk before it is acknowledged again.
//
// A file that another program has open for writing, as one that copies it in place has, is not
// appended to: the copy would overwrite the records. An append waits a second for its end, and
// fails.
//
// Syncing. After a failed sync a file is marked, and what is in it is acknowledged to no one until
// it has been written anew, into a new file, and that was synced.
//
// Reading. Records are read into memory of our own, verified there, and enter an index. So what is
// given out is right, whatever happens to the file meanwhile, and no read can end in a signal. A
// record that fails, or cannot be read, is a miss and is counted; at the end of a file it may be
// one that is being written, and is looked at again when the file changes. Reading throws nothing
// but Interrupted, and changes nothing.
//
// A file whose both headers fail, or are another file's, is a miss. Only a writer sets it aside,
// and only after nobody has written to it for a while: it may be one that is being copied to its
// place.
//
// Replacing (compaction) writes a new file, syncs it, renames it over the old one and syncs the
// folder, all under the lock.
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
  std::atomic<uint64_t> corrupt{0};      // records whose CRC failed, or that could not be read
  std::atomic<uint64_t> superseded{0};   // records whose key was there already
  std::atomic<uint64_t> quarantined{0};  // files renamed aside
  std::atomic<uint64_t> unreadable{0};   // files not read, or not in full, or not the store's
  std::atomic<uint64_t> held{0};         // bytes of memory that records take
};

// A file that another program wrote to so recently may be one that is being copied to its place.
constexpr double kSettledAfter = 60.0;  // seconds

struct Options {
  bool writable = true;
  bool sync = true;           // fdatasync after each batch
  double longest_scan = 0.1;  // seconds of reading after which a call throws Interrupted
};

// What a file holds, slot by slot. Unreadable slots are corrupt ones that the disk did not give.
struct Contents {
  uint64_t bytes = 0, slots = 0, live = 0, corrupt = 0, superseded = 0, unreadable = 0;
  bool unsynced = false;  // its last sync failed
};

// Which file it is, its size, and when it was last changed in any way.
using Stamp = std::tuple<dev_t, ino_t, off_t, time_t, long>;

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
  size_t append(const RecordHead* heads, const float* values, size_t count, LockWait& wait);

  // Rewrites the file with whole headers, the records that count, and nothing else; returns how
  // many bytes that saves. Without a file: 0, and nothing happens. Throws Failure or Interrupted.
  size_t compact(LockWait& wait);

  Contents contents();
  Counters& counters() const { return *counters_; }

 private:
  friend struct ForkGuard;
  struct Opened {
    Fd fd;
    struct stat status;
  };

  void show(std::shared_ptr<const View> view);
  void hold(std::shared_ptr<Region> region);
  void look();
  void look_at(int fd, const struct stat& now, bool locked);
  void forget();
  void give_up(int code);
  void refuse(const struct stat& now);
  bool is_lost_due() const;
  bool same_file(const struct stat& now) const;
  bool last_is_there(int fd) const;
  bool header_is_ours(int fd) const;
  std::vector<std::byte> headers() const;
  void make_room(size_t records);
  void scan(int fd, const struct stat& now);
  size_t read_slots(int fd, size_t first, size_t count);
  void admit(size_t first, size_t count, const bool* good);

  template <typename Work>
  size_t under_lock(LockWait& wait, const Work& work);
  Opened open_for_writing();
  void create();
  bool is_as_left() const;
  bool grows(const Opened& file) const;
  void require_all_read(const char* what) const;
  void set_aside(const Opened& file);
  std::vector<uint32_t> fresh(const Opened& file, const RecordHead* heads, size_t count);
  bool on_disk(int fd, std::vector<uint32_t> slots) const;
  void secure(const Opened& file);
  void write_batch(const Opened& file, const RecordHead* heads, const float* values,
                   const std::vector<uint32_t>& chosen);
  size_t rewrite(const struct stat& old);
  bool path_is(const struct stat& opened) const;

  const std::string path_;
  const Identity identity_;
  const uint32_t seed_;
  const size_t stride_;
  const Options options_;
  const std::shared_ptr<Counters> counters_;

  // Guards all below; held while an append waits for the disk, but not while it waits for the lock.
  mutable std::mutex mutex_;
  // Guards the pointer view_ besides, and is never held for long: view() must not wait for a disk,
  // its caller may hold an interpreter's lock.
  mutable std::mutex view_mutex_;
  std::shared_ptr<Region> region_;
  std::shared_ptr<Index> index_;
  std::shared_ptr<const View> view_;
  std::vector<uint64_t> places_;  // the slot in the file of each record in the region
  // A file that is none of ours, so that it is counted once.
  std::tuple<dev_t, ino_t, off_t> refused_{};
  Stamp left_{};  // of the file after our last append
  dev_t device_ = 0;
  ino_t inode_ = 0;
  size_t size_ = 0;            // of the file when last looked at
  struct timespec changed_{};  // when it was last changed in any way, then
  size_t scanned_ = 0;         // slots before this one have been looked at
  size_t settled_ = 0;         // slots before this one are settled: up to the last good one
  RecordHead last_{};          // of the last settled slot
  bool unfinished_ = false;    // the last look was interrupted
  struct {
    double took = 0.0;  // seconds, up to its last interruption
    uint64_t repeated = 0, lost = 0;
  } before_;  // a scan that may be interrupted began with these counts
  // The last scan that the disk did not give all of: when it ended, and how long it took.
  struct timespec lost_at_{};
  double lost_took_ = 0.0;
  uint64_t broken_ = 0;          // settled slots whose CRC fails
  uint64_t repeated_ = 0;        // settled records whose key was there already
  uint64_t pending_ = 0;         // slots at the end whose CRC fails so far
  uint64_t counted_ = 0;         // broken slots of this file that the counters have heard of
  struct timespec broken_at_{};  // when their number last changed
  uint64_t lost_ = 0;            // slots that the disk did not give
  ino_t named_ = 0;              // the inode whose name is known to be on the disk
  bool unsynced_ = false;        // the file is marked so
  int why_ = 0;  // why the file could not be read when last looked at; 0 if it could
};

// What stands in a file's header, whatever file it is. Not readable: `identity` is empty.
struct Inspection {
  std::optional<Identity> identity;
  std::array<bool, 2> headers{false, false};
  uint64_t bytes = 0;
};
Inspection inspect(const std::string& path);

}  // namespace marketsim::store
