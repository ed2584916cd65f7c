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

// A signal came while a lock was awaited; nothing was done. The caller may look what it was (it may
// hold no lock of ours while it does) and try again.
struct Interrupted {};

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

// Reads until `size` bytes or the end of the file; returns how many. Throws Failure.
size_t read_at(int fd, void* to, size_t size, size_t offset, const std::string& path);
// Throws Failure where not all bytes could be written; what was written stays.
void write_at(int fd, const void* from, size_t size, size_t offset, const std::string& path);

// Waits for the lock. Throws Failure, or Interrupted.
void lock_exclusive(int fd, const std::string& path);
// Takes the lock if no one has it.
bool try_lock_exclusive(int fd);
void sync_data(int fd, const std::string& path);
void sync_folder_of(const std::string& path);
// The folder of a path and `depth` - 1 above it, except those that this user may not open.
void sync_folders_of(const std::string& path, int depth);

void make_folders_of(const std::string& path);

// A name beside `path` that no other process or thread picks; its file is opened for writing.
Fd create_beside(const std::string& path, std::string& name);
// Owner, as far as the system lets us, and permissions as those of another file.
void same_owner(int fd, const struct stat& other, const std::string& path);
// Gives the file its final name unless one is there already: false then. Throws Failure.
bool publish_new(const std::string& from, const std::string& to);
void replace(const std::string& from, const std::string& to);

}  // namespace marketsim::store
