// A library to preload. It counts the file system calls that touch what lies below one folder,
// makes chosen ones fail, and records those that change something, with the bytes, in their order.
//
// Controlled by the functions at the end, by ctypes from within the process. For one thread.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum kind {
  OPEN,
  PWRITE,
  PREAD,
  STAT,
  MMAP,
  FDATASYNC,
  FSYNC,
  RENAME,
  RENAMEAT2,
  LINK,
  FLOCK,
  UNLINK,
  MKDIR,
  KINDS,
  MARK
};
static const char* const kNames[KINDS] = {"open",      "pwrite", "pread",  "stat",      "mmap",
                                          "fdatasync", "fsync",  "rename", "renameat2", "link",
                                          "flock",     "unlink", "mkdir"};

// How an armed call goes wrong.
enum mode { ONCE, FROM_THEN_ON, SHORT, CUT };  // CUT: half of it, and failures from then on

struct arm {
  int kind, error, mode;
  unsigned long nth;
};
static struct arm arms[8];
static int armed, fired;
static unsigned long calls[KINDS];
static char folder[PATH_MAX];
static FILE* log_file;
static int busy;  // within the shim's own calls

#define REAL(name) ((__typeof__(&name))real(#name))

typedef void (*any_function)(void);

static any_function real(const char* name) {
  void* const found = dlsym(RTLD_NEXT, name);
  any_function function;
  memcpy(&function, &found, sizeof function);
  return function;
}

static int below(const char* path) {
  const size_t size = strlen(folder);
  return !busy && size > 0 && path && strncmp(path, folder, size) == 0 &&
         (path[size] == '/' || path[size] == 0);
}

static const char* path_of(int fd) {
  static char path[PATH_MAX];
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, path, sizeof path - 1);
  path[size < 0 ? 0 : size] = 0;
  return path;
}

// What an armed call is to do: 0 nothing, else the mode, with errno set.
static int strike(enum kind kind) {
  const unsigned long now = ++calls[kind];
  for (int i = 0; i < armed; ++i) {
    const struct arm* arm = &arms[i];
    if (arm->kind != (int)kind || now < arm->nth) continue;
    const int first = now == arm->nth;
    if (!first && arm->mode != FROM_THEN_ON && arm->mode != CUT) continue;
    ++fired;
    errno = arm->error;
    return first && arm->mode >= SHORT ? SHORT : FROM_THEN_ON;
  }
  return 0;
}

static int fails(enum kind kind, const char* path) {
  return below(path) && strike(kind) != 0;
}

struct entry {
  uint32_t kind, failed;
  uint64_t inode, offset, text, size;  // `text` bytes of names and `size` bytes of data follow
};

static void note(enum kind kind, int failed, int fd, const char* from, const char* to,
                 const void* data, size_t size, off_t offset) {
  if (!log_file) return;
  struct stat now = {0};
  struct entry entry = {(uint32_t)kind, (uint32_t)failed, 0, (uint64_t)offset, 0, size};
  const int before = errno;
  busy = 1;
  if (fd >= 0 && fstat(fd, &now) == 0) entry.inode = now.st_ino;
  char text[2 * PATH_MAX];
  entry.text = (uint64_t)snprintf(text, sizeof text, "%s%s%s", from, to ? "\n" : "", to ? to : "");
  fwrite(&entry, sizeof entry, 1, log_file);
  fwrite(text, 1, entry.text, log_file);
  if (size > 0) fwrite(data, 1, size, log_file);
  fflush(log_file);
  busy = 0;
  errno = before;
}

static int open_as(const char* name, int at, const char* path, int flags, mode_t mode) {
  if (fails(OPEN, path)) return -1;
  const int fresh = (flags & O_CREAT) && below(path) && access(path, F_OK) != 0;
  const int fd = ((int (*)(int, const char*, int, mode_t))real(name))(at, path, flags, mode);
  if (fd >= 0 && fresh) note(OPEN, 0, fd, path, NULL, NULL, 0, 0);
  return fd;
}

static mode_t mode_from(int flags, va_list more) {
  return flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
}

#define OPEN_AS(name)                                      \
  int name(const char* path, int flags, ...) {             \
    va_list more;                                          \
    va_start(more, flags);                                 \
    const mode_t mode = mode_from(flags, more);            \
    va_end(more);                                          \
    return open_as("openat", AT_FDCWD, path, flags, mode); \
  }
#define OPENAT_AS(name)                                \
  int name(int at, const char* path, int flags, ...) { \
    va_list more;                                      \
    va_start(more, flags);                             \
    const mode_t mode = mode_from(flags, more);        \
    va_end(more);                                      \
    return open_as("openat", at, path, flags, mode);   \
  }
OPEN_AS(open)
OPEN_AS(open64)
OPENAT_AS(openat)
OPENAT_AS(openat64)

#define PREAD_AS(name)                                                                    \
  ssize_t name(int fd, void* to, size_t size, off_t offset) {                             \
    const int how = below(path_of(fd)) ? strike(PREAD) : 0;                               \
    if (how == FROM_THEN_ON) return -1;                                                   \
    if (how == SHORT) size = (size + 1) / 2;                                              \
    return ((ssize_t (*)(int, void*, size_t, off_t))real("pread"))(fd, to, size, offset); \
  }
PREAD_AS(pread)
PREAD_AS(pread64)

#define PWRITE_AS(name)                                                                         \
  ssize_t name(int fd, const void* from, size_t size, off_t offset) {                           \
    const int ours = below(path_of(fd));                                                        \
    const int how = ours ? strike(PWRITE) : 0;                                                  \
    if (how == FROM_THEN_ON) return -1;                                                         \
    if (how == SHORT) size = (size + 1) / 2;                                                    \
    const ssize_t put =                                                                         \
        ((ssize_t (*)(int, const void*, size_t, off_t))real("pwrite"))(fd, from, size, offset); \
    if (ours && put > 0) note(PWRITE, 0, fd, "", NULL, from, (size_t)put, offset);              \
    return put;                                                                                 \
  }
PWRITE_AS(pwrite)
PWRITE_AS(pwrite64)

#define STAT_OF_FD(name)                                      \
  int name(int fd, struct stat* to) {                         \
    if (!busy && fails(STAT, path_of(fd))) return -1;         \
    return ((int (*)(int, struct stat*))real(#name))(fd, to); \
  }
#define STAT_OF_PATH(name)                                              \
  int name(const char* path, struct stat* to) {                         \
    if (fails(STAT, path)) return -1;                                   \
    return ((int (*)(const char*, struct stat*))real(#name))(path, to); \
  }
// The names that older C libraries gave them.
#define XSTAT_OF_FD(name)                                                   \
  int name(int version, int fd, struct stat* to) {                          \
    if (!busy && fails(STAT, path_of(fd))) return -1;                       \
    return ((int (*)(int, int, struct stat*))real(#name))(version, fd, to); \
  }
#define XSTAT_OF_PATH(name)                                                           \
  int name(int version, const char* path, struct stat* to) {                          \
    if (fails(STAT, path)) return -1;                                                 \
    return ((int (*)(int, const char*, struct stat*))real(#name))(version, path, to); \
  }
#define STAT_AT(name)                                                                        \
  int name(int at, const char* path, struct stat* to, int flags) {                           \
    if (fails(STAT, path)) return -1;                                                        \
    return ((int (*)(int, const char*, struct stat*, int))real(#name))(at, path, to, flags); \
  }
STAT_OF_FD(fstat)
STAT_OF_PATH(stat)
STAT_OF_PATH(lstat)
STAT_AT(fstatat)
XSTAT_OF_FD(__fxstat)
XSTAT_OF_FD(__fxstat64)
XSTAT_OF_PATH(__xstat)
XSTAT_OF_PATH(__xstat64)
XSTAT_OF_PATH(__lxstat)
XSTAT_OF_PATH(__lxstat64)
// The same with struct stat64, which is struct stat where long has 64 bits.
int fstat64(int fd, struct stat64* to) {
  return fstat(fd, (struct stat*)to);
}
int stat64(const char* path, struct stat64* to) {
  return stat(path, (struct stat*)to);
}
int lstat64(const char* path, struct stat64* to) {
  return lstat(path, (struct stat*)to);
}
int fstatat64(int at, const char* path, struct stat64* to, int flags) {
  return fstatat(at, path, (struct stat*)to, flags);
}

#define MMAP_AS(name)                                                                           \
  void* name(void* at, size_t size, int protection, int flags, int fd, off_t offset) {          \
    if (fd >= 0 && fails(MMAP, path_of(fd))) return MAP_FAILED;                                 \
    return ((void* (*)(void*, size_t, int, int, int, off_t))real("mmap"))(at, size, protection, \
                                                                          flags, fd, offset);   \
  }
MMAP_AS(mmap)
MMAP_AS(mmap64)

static int synced(enum kind kind, int fd) {
  char path[PATH_MAX];
  strcpy(path, path_of(fd));
  if (!below(path)) return ((int (*)(int))real(kNames[kind]))(fd);
  const int failed = strike(kind) != 0;
  note(kind, failed, fd, path, NULL, NULL, 0, 0);
  return failed ? -1 : ((int (*)(int))real(kNames[kind]))(fd);
}
int fdatasync(int fd) {
  return synced(FDATASYNC, fd);
}
int fsync(int fd) {
  return synced(FSYNC, fd);
}

int flock(int fd, int operation) {
  if (fails(FLOCK, path_of(fd))) return -1;
  return REAL(flock)(fd, operation);
}

int rename(const char* from, const char* to) {
  if (fails(RENAME, from)) return -1;
  const int done = REAL(rename)(from, to);
  if (done == 0 && below(from)) note(RENAME, 0, -1, from, to, NULL, 0, 0);
  return done;
}

int renameat2(int at, const char* from, int to_at, const char* to, unsigned flags) {
  if (fails(RENAMEAT2, from)) return -1;
  const int done = REAL(renameat2)(at, from, to_at, to, flags);
  if (done == 0 && below(from)) note(RENAME, 0, -1, from, to, NULL, 0, 0);
  return done;
}

int link(const char* from, const char* to) {
  if (fails(LINK, from)) return -1;
  const int done = REAL(link)(from, to);
  if (done == 0 && below(from)) note(LINK, 0, -1, from, to, NULL, 0, 0);
  return done;
}

int unlink(const char* path) {
  if (fails(UNLINK, path)) return -1;
  const int done = REAL(unlink)(path);
  if (done == 0 && below(path)) note(UNLINK, 0, -1, path, NULL, NULL, 0, 0);
  return done;
}

int mkdir(const char* path, mode_t mode) {
  if (fails(MKDIR, path)) return -1;
  const int done = REAL(mkdir)(path, mode);
  if (done == 0 && below(path)) note(MKDIR, 0, -1, path, NULL, NULL, 0, 0);
  return done;
}

static int kind_named(const char* name) {
  for (int kind = 0; kind < KINDS; ++kind) {
    if (strcmp(name, kNames[kind]) == 0) return kind;
  }
  return -1;
}

// Counts from 0 again, for what lies below this folder.
void shim_watch(const char* path) {
  memset(calls, 0, sizeof calls);
  snprintf(folder, sizeof folder, "%s", path);
  armed = fired = 0;
}

// The nth call of a kind from the last shim_watch on goes wrong.
int shim_arm(const char* kind, unsigned long nth, int error, int mode) {
  if (armed == sizeof arms / sizeof arms[0] || kind_named(kind) < 0) return -1;
  arms[armed++] = (struct arm){kind_named(kind), error, mode, nth};
  return 0;
}

// Forgets what was armed; returns how many calls went wrong.
int shim_disarm(void) {
  armed = 0;
  return fired;
}

unsigned long shim_calls(const char* kind) {
  return kind_named(kind) < 0 ? 0 : calls[kind_named(kind)];
}

int shim_record_start(const char* path) {
  busy = 1;
  log_file = fopen(path, "wb");
  busy = 0;
  return log_file ? 0 : -1;
}

void shim_record_stop(void) {
  busy = 1;
  if (log_file) fclose(log_file);
  log_file = NULL;
  busy = 0;
}

// A remark of the caller's in the log.
void shim_mark(const char* text) {
  note(MARK, 0, -1, text, NULL, NULL, 0, 0);
}
