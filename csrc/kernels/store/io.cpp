#include "kernels/store/io.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace marketsim::store {
namespace {

[[noreturn]] void fail(const char* operation, const std::string& path) {
  const int code = errno;
  throw Failure(code, std::string(operation) + ": " + std::strerror(code), path);
}

// Repeats a call that a signal interrupted.
template <typename Call>
auto again(const Call& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Fd::~Fd() {
  // Not repeated after EINTR: the descriptor is gone by then.
  if (fd_ >= 0) ::close(fd_);
}

Fd open_file(const std::string& path, int flags) {
  const int all = flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  return Fd(again([&] { return ::open(path.c_str(), all, 0666); }));
}

bool status(int fd, struct stat& to) {
  return again([&] { return ::fstat(fd, &to); }) == 0;
}

bool status(const std::string& path, struct stat& to) {
  return again([&] { return ::lstat(path.c_str(), &to); }) == 0;
}

size_t read_at(int fd, void* to, size_t size, size_t offset, const std::string& path) {
  size_t done = 0;
  while (done < size) {
    const ssize_t got = again([&] {
      return ::pread(fd, static_cast<char*>(to) + done, size - done,
                     static_cast<off_t>(offset + done));
    });
    if (got < 0) fail("cannot read", path);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

void write_at(int fd, const void* from, size_t size, size_t offset, const std::string& path) {
  size_t done = 0;
  while (done < size) {
    const ssize_t put = again([&] {
      return ::pwrite(fd, static_cast<const char*>(from) + done, size - done,
                      static_cast<off_t>(offset + done));
    });
    if (put == 0) errno = ENOSPC;
    if (put <= 0) fail("cannot write", path);
    done += static_cast<size_t>(put);
  }
}

void lock_exclusive(int fd, const std::string& path) {
  if (::flock(fd, LOCK_EX) == 0) return;
  if (errno == EINTR) throw Interrupted{};
  fail("cannot lock", path);
}

bool try_lock_exclusive(int fd) {
  return again([&] { return ::flock(fd, LOCK_EX | LOCK_NB); }) == 0;
}

void sync_data(int fd, const std::string& path) {
  // Not repeated on failure: the pages may be marked clean by then, and a second call would say
  // that all is well.
  if (again([&] { return ::fdatasync(fd); }) != 0) fail("cannot write to the disk", path);
}

void sync_folder_of(const std::string& path) {
  const std::string folder = folder_of(path);
  const Fd fd(again([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!fd) fail("cannot open", folder);
  if (again([&] { return ::fsync(fd.get()); }) != 0) fail("cannot write to the disk", folder);
}

void sync_folders_of(const std::string& path, int depth) {
  std::string below = path;
  for (int i = 0; i < depth && below != "." && below != "/"; ++i) {
    try {
      sync_folder_of(below);
    } catch (const Failure& failure) {
      if (failure.code != EACCES) throw;
    }
    below = folder_of(below);
  }
}

void make_folders_of(const std::string& path) {
  const std::string folder = folder_of(path);
  struct stat found;
  if (::stat(folder.c_str(), &found) == 0) return;
  if (folder == "." || folder == "/") fail("cannot open", folder);
  make_folders_of(folder);
  if (::mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) fail("cannot create", folder);
}

Fd create_beside(const std::string& path, std::string& name) {
  static std::atomic<unsigned> counter{0};
  while (true) {
    struct timespec now;
    ::clock_gettime(CLOCK_REALTIME, &now);
    char suffix[64];
    std::snprintf(suffix, sizeof suffix, ".tmp-%ld-%u-%09ld", static_cast<long>(::getpid()),
                  counter.fetch_add(1), now.tv_nsec);
    name = path + suffix;
    Fd fd = open_file(name, O_RDWR | O_CREAT | O_EXCL);
    if (fd) return fd;
    if (errno != EEXIST) fail("cannot create", name);
  }
}

void same_owner(int fd, const struct stat& other, const std::string& path) {
  if (::fchown(fd, other.st_uid, other.st_gid) != 0 && errno != EPERM) fail("cannot own", path);
  if (::fchmod(fd, other.st_mode & 07777) != 0) fail("cannot set the permissions of", path);
}

bool publish_new(const std::string& from, const std::string& to) {
  const int renamed = again(
      [&] { return ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE); });
  if (renamed == 0) return true;
  if (errno == EINVAL || errno == ENOSYS) {  // a file system without that flag
    if (::link(from.c_str(), to.c_str()) == 0) {
      ::unlink(from.c_str());
      return true;
    }
  }
  const int code = errno;
  ::unlink(from.c_str());
  errno = code;
  if (code == EEXIST) return false;
  fail("cannot create", to);
}

void replace(const std::string& from, const std::string& to) {
  if (again([&] { return ::rename(from.c_str(), to.c_str()); }) != 0) fail("cannot replace", to);
}

}  // namespace marketsim::store
