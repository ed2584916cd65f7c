#include "kernels/store/io.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>

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

constexpr char kLockName[] = "/lock";
constexpr double kLongestPause = 5e-3;  // seconds
constexpr int kFolderTries = 1000;

}  // namespace

Busy::Busy(const std::string& path)
    : Failure(EBUSY, "cannot write: another program writes to it, such as one that copies it",
              path) {}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

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

bool is_written_elsewhere(const std::string& path) {
  // The system gives a lease for reading only on a file that nobody has open for writing. Who opens
  // it meanwhile waits until it is closed here. This process gets a signal then: SIGURG, which does
  // nothing unless it is handled, and not SIGIO, which would end it.
  const Fd fd = open_file(path, O_RDONLY);
  if (!fd || ::fcntl(fd.get(), F_SETSIG, SIGURG) != 0) return false;
  return ::fcntl(fd.get(), F_SETLEASE, F_RDLCK) != 0 && errno == EAGAIN;
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

size_t next_data(int fd, size_t offset, size_t size) {
  const off_t found = again([&] { return ::lseek(fd, static_cast<off_t>(offset), SEEK_DATA); });
  if (found >= 0) return static_cast<size_t>(found);
  return errno == ENXIO ? std::max(offset, size) : offset;  // else the file system cannot tell
}

Fd try_lock_folder(const std::string& folder) {
  const std::string path = folder + kLockName;
  // Who may not write cannot open the lock, and so cannot hold it either.
  const auto open = [&] {
    return Fd(again([&] {
      return ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0222);
    }));
  };
  Fd fd = open();
  // A clean-up may remove the empty folder between its making and its use.
  for (int i = 0; i < kFolderTries && !fd && errno == ENOENT; ++i) {
    make_folders_of(path);
    fd = open();
  }
  if (!fd) fail("cannot open the lock", path);
  if (again([&] { return ::flock(fd.get(), LOCK_EX | LOCK_NB); }) != 0) {
    if (errno == EWOULDBLOCK) return {};
    fail("cannot lock", path);
  }
  struct stat opened, named;
  if (!status(fd.get(), opened)) fail("cannot look at the lock", path);
  // A clean-up may have removed it, with its folder: then others lock another file.
  const bool same = status(path, named) && named.st_ino == opened.st_ino;
  return same ? std::move(fd) : Fd{};
}

void wait_for_lock(LockWait& wait, const std::string& folder) {
  if (wait.path.empty()) wait.path = folder + kLockName;
  if (wait.waited >= wait.limit) {
    throw Failure(ETIMEDOUT, "locked for writing by " + lock_holder(folder), wait.path);
  }
  if (wait.waited >= kReportAfter && !wait.reported) {
    wait.report_due = true;
    throw Interrupted{};
  }
  const struct timespec time{0, static_cast<long>(wait.pause * 1e9)};
  wait.waited += wait.pause;
  wait.pause = std::min(2 * wait.pause, kLongestPause);
  if (::nanosleep(&time, nullptr) != 0 && errno == EINTR) throw Interrupted{};
}

std::string lock_holder(const std::string& folder) {
  struct stat named;
  std::string found = "another process";
  if (!status(folder + kLockName, named)) return found;
  // 1: FLOCK  ADVISORY  WRITE 1234 fe:01:5678 0 EOF
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    long process = 0;
    unsigned major = 0, minor = 0;
    unsigned long inode = 0;
    const int read = std::sscanf(line.c_str(), "%*s FLOCK ADVISORY WRITE %ld %x:%x:%lu", &process,
                                 &major, &minor, &inode);
    if (read != 4 || inode != named.st_ino || process <= 0) continue;
    found = "process " + std::to_string(process);
    std::ifstream comm("/proc/" + std::to_string(process) + "/comm");
    if (std::string name; std::getline(comm, name)) found += " (" + name + ")";
    break;
  }
  char host[256] = "";
  if (::gethostname(host, sizeof host - 1) == 0) found += std::string(" on ") + host;
  return found;
}

void sync_data(int fd, const std::string& path) {
  // Not repeated on failure: the pages may be marked clean by then, and a second call would say
  // that all is well.
  if (again([&] { return ::fdatasync(fd); }) != 0) fail("cannot write to the disk", path);
}

bool mark_unsynced(int fd, bool unsynced) {
  struct stat now;
  if (!status(fd, now)) return false;
  const mode_t mode = now.st_mode & 07777;
  return again([&] { return ::fchmod(fd, unsynced ? mode | kUnsynced : mode & ~kUnsynced); }) == 0;
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
  if (::mkdir(folder.c_str(), 0777) == 0 || errno == EEXIST) return;
  if (errno != ENOENT) fail("cannot create", folder);  // else a clean-up removed the one above
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
  if (::fchmod(fd, other.st_mode & 07777 & ~kUnsynced) != 0)
    fail("cannot set the permissions of", path);
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
