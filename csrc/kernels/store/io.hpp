// System calls as the store needs them: descriptors that close themselves, calls that go on after a
// signal and after a short count, failures that carry what was tried, on which path, and why not.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <stdexcept>
#include <string>

namespace marketsim::store {

// A system call that failed. The Python side turns it into OSError(code, what, path).
struct Failure : std::runtime_error {
  Failure(int code_, const std::string& what, std::string path_)
      : std::runtime_error(what), code(code_), path(std::move(path_)) {}
  int code;
  std::string path;
};

// Another program writes to the file, such as one that copies it to its place.
struct Busy : Failure {
  explicit Busy(const std::string& path);
};

// The work stopped where it can go on: a signal came, a lock has been awaited for long, or much has
// been read. The caller may look for signals (it may hold no lock of ours while it does), say what
// is awaited, and call again.
struct Interrupted {};

// How long one call has waited for a lock; outlives its Interrupted.
struct LockWait {
  double limit = 10.0;      // seconds, after which it gives up
  double waited = 0.0;      // seconds
  double pause = 50e-6;     // seconds until the next try
  bool report_due = false;  // it is time to say what is awaited ...
  bool reported = false;    // ... which has been said
  std::string path;         // of the lock
};
constexpr double kReportAfter = 2.0;  // seconds

// Set in the mode of a file whose last sync failed: what is in it may be in memory only, and a
// later sync would say nothing of it. The bit means nothing on a file otherwise.
constexpr mode_t kUnsynced = S_ISVTX;

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// These answer with an invalid descriptor or false and leave the reason in errno.
Fd open_file(const std::string& path, int flags);  // never follows a link, never waits for a peer
bool status(int fd, struct stat& to);
bool status(const std::string& path, struct stat& to);

// Whether a process has the file open for writing. The caller has not. False where the system does
// not say so, as of a file of another user.
bool is_written_elsewhere(const std::string& path);

// Where the next data lies at or after `offset`: a hole is skipped; `size` where only holes follow.
size_t next_data(int fd, size_t offset, size_t size);
// Reads until `size` bytes or the end of the file; returns how many. Throws Failure.
size_t read_at(int fd, void* to, size_t size, size_t offset, const std::string& path);
// Throws Failure where not all bytes could be written; what was written stays.
void write_at(int fd, const void* from, size_t size, size_t offset, const std::string& path);

// A descriptor that holds the lock of a folder, which only those can open who may write to it; not
// valid where someone else has it. Throws Failure.
Fd try_lock_folder(const std::string& folder);
// Sleeps until it is time for the next try. Throws Failure at the limit, or Interrupted.
void wait_for_lock(LockWait& wait, const std::string& folder);
// Who holds a folder's lock: "process 123 (python)", or "another process" where that is not known.
std::string lock_holder(const std::string& folder);
std::string folder_of(const std::string& path);

void sync_data(int fd, const std::string& path);
// Sets or clears kUnsynced; false where that fails.
bool mark_unsynced(int fd, bool unsynced);
void sync_folder_of(const std::string& path);
// The folder of a path and `depth` - 1 above it, except those that this user may not open.
void sync_folders_of(const std::string& path, int depth);

// Whoever opens `path` then tries again where a clean-up has removed a folder meanwhile.
void make_folders_of(const std::string& path);

// A name beside `path` that no other process or thread picks; its file is opened for writing.
Fd create_beside(const std::string& path, std::string& name);
// Owner, as far as the system lets us, and permissions as those of another file.
void same_owner(int fd, const struct stat& other, const std::string& path);
// Gives the file its final name unless one is there already: false then. Throws Failure.
bool publish_new(const std::string& from, const std::string& to);
void replace(const std::string& from, const std::string& to);

}  // namespace marketsim::store
