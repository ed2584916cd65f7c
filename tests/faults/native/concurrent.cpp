// Threads on the same files, for the sanitizers to watch: shared objects, several objects on one
// path, views that outlive their file, and forks while threads append.
//
//   concurrent FOLDER ROUNDS SEED
//
// Exits with 1 where a thread or a child found what it should not, or did not find what it should.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "kernels/store/file.hpp"
#include "oracle.hpp"

namespace faults {
namespace {

namespace store = marketsim::store;
using store::RecordFile;
using store::View;

constexpr uint32_t kWidth = 24;
constexpr uint64_t kSeries = 1;
constexpr uint64_t kNumbers = 10000;
constexpr unsigned kSecondsToLive = 120;

// AddressSanitizer's allocator of GCC 12 may be in another thread's hands at a fork, and the child
// would wait for it for good. ThreadSanitizer's and the C library's are not.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kForks = false;
#else
constexpr bool kForks = true;
#endif

std::atomic<uint64_t> defects{0};

void expect(bool holds, const char* what) {
  if (!holds && defects++ < 10) std::fprintf(stderr, "concurrent: %s\n", what);
}

std::unique_ptr<RecordFile> open(const std::string& path) {
  return std::make_unique<RecordFile>(path, Identity{"threads", "one", "test", kWidth},
                                      store::Options{true, false, kNoBreak},
                                      std::make_shared<store::Counters>());
}

// The numbers of a batch, some of which others write too.
std::vector<uint64_t> some_numbers(Random& random, uint64_t count) {
  std::vector<uint64_t> numbers;
  const uint64_t first = random.below(kNumbers);
  for (uint64_t i = 0; i < count; ++i) numbers.push_back((first + i) % kNumbers);
  return numbers;
}

bool right(const Key& key, const float* values) {
  return version_of(key, values, kWidth) != 0;
}

// `whole`: all of them are there.
void read_and_check(RecordFile& file, const std::vector<uint64_t>& numbers, bool whole) {
  const size_t count = numbers.size();
  const Records wanted(kSeries, numbers, 1, kWidth);
  std::vector<float> values(count * kWidth);
  const std::unique_ptr<bool[]> found(new bool[count]);
  const size_t hits = file.read(wanted.keys.data(), count, values.data(), found.get());
  expect(!whole || hits == count, "an appended record is not there");
  for (size_t i = 0; i < count; ++i) {
    if (found[i]) expect(right(wanted.keys[i], values.data() + i * kWidth), "wrong values");
  }
}

void check_view(const std::shared_ptr<const View>& view, Random& random) {
  uint32_t guess = 0;
  for (int i = 0; view && i < 50; ++i) {
    const Key key = key_of(kSeries, random.below(kNumbers));
    const uint32_t slot = view->find(key, guess);
    if (slot == store::kNoSlot) continue;
    expect(right(key, view->values(slot)), "wrong values in a view");
    guess = slot + 1;
  }
}

void append(RecordFile& file, Random& random) {
  const std::vector<uint64_t> numbers = some_numbers(random, 1 + random.below(40));
  const auto version = static_cast<uint32_t>(1 + random.below(kVersions - 1));
  const Records batch(kSeries, numbers, version, kWidth);
  store::LockWait wait = patience();
  file.append(batch.heads.data(), batch.values.data(), numbers.size(), wait);
  read_and_check(file, numbers, true);
}

void compact(RecordFile& file) {
  store::LockWait wait = patience();
  file.compact(wait);
}

void look_at_contents(RecordFile& file) {
  const store::Contents now = file.contents();
  expect(now.live <= now.slots && now.live <= kNumbers, "more records than were written");
}

void visit_all(RecordFile& file) {
  const std::shared_ptr<const View> view = file.refresh();
  if (!view) return;
  for (uint32_t slot = 0; slot < view->count(); ++slot) {
    expect(right(view->head(slot).key, view->values(slot)), "wrong values in a walk");
  }
}

// One thread for each job, all at once.
void in_threads(const std::vector<std::function<void()>>& jobs) {
  std::vector<std::thread> threads;
  for (const auto& job : jobs) {
    threads.emplace_back([&job] {
      try {
        job();
      } catch (const store::Failure& failure) {
        expect(false, (std::string(failure.what()) + ": " + failure.path).c_str());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Three objects on one path, each shared by several threads.
void share(const std::string& path, uint64_t seed, int rounds) {
  const auto first = open(path);
  const auto second = open(path);
  const auto third = open(path);
  RecordFile* files[] = {first.get(), second.get(), third.get()};
  const auto job = [&](uint64_t id, auto work) {
    return [&files, seed, id, rounds, work] {
      Random random(seed * 100 + id);
      for (int i = 0; i < rounds; ++i) work(*files[random.below(3)], random);
    };
  };
  const auto write = [](RecordFile& file, Random& random) { append(file, random); };
  const auto read = [](RecordFile& file, Random& random) {
    read_and_check(file, some_numbers(random, 30), false);
    check_view(random.one_in(2) ? file.view() : file.refresh(), random);
  };
  const auto inspect = [](RecordFile& file, Random& random) {
    look_at_contents(file);
    visit_all(file);
    if (random.one_in(5)) compact(file);
  };
  in_threads({job(0, write), job(1, write), job(2, read), job(3, read), job(4, inspect)});
}

// Views of files that are closed, replaced and grown while other threads read them.
void outlive(const std::string& path, uint64_t seed, int rounds) {
  std::shared_ptr<const View> handed;  // by atomic loads and stores
  std::atomic<bool> done{false};
  const auto owner = [&] {
    Random random(seed);
    for (int i = 0; i < rounds; ++i) {
      const auto file = open(path);
      append(*file, random);
      std::atomic_store(&handed, file->refresh());
      append(*file, random);
      if (i % 4 == 0) compact(*file);
    }
    done = true;
  };
  const auto reader = [&] {
    Random random(seed + 1);
    std::vector<std::shared_ptr<const View>> kept(8);
    while (!done) {
      kept[random.below(kept.size())] = std::atomic_load(&handed);
      for (const auto& view : kept) check_view(view, random);
    }
  };
  in_threads({owner, reader, reader});
}

// A walk over a view ends where the view does, though its file has grown past it since.
void walk_an_old_view(const std::string& path) {
  constexpr uint32_t width = 1000;
  const Identity identity{"threads", "walk", "test", width};
  const store::Options options{true, false, kNoBreak};
  RecordFile file(path, identity, options, std::make_shared<store::Counters>());
  const auto append_some = [&](const std::vector<uint64_t>& numbers) {
    const Records some(kSeries, numbers, 1, width);
    store::LockWait wait = patience();
    file.append(some.heads.data(), some.values.data(), numbers.size(), wait);
  };
  append_some({0});
  const std::shared_ptr<const View> old = file.refresh();
  append_some({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20});
  file.refresh();
  for (uint32_t slot = 0; slot < old->count(); ++slot) {
    expect(version_of(key_of(kSeries, slot), old->values(slot), width) == 1,
           "a walk over an old view leads to what it does not hold");
  }
  expect(old->count() > 0, "a walk over an old view misses records");
}

// What a child of a fork does: the objects it got must still work there.
int child_work(RecordFile& first, RecordFile& second, uint64_t seed) {
  Random random(seed);
  try {
    for (RecordFile* file : {&first, &second}) {
      append(*file, random);
      read_and_check(*file, some_numbers(random, 30), false);
      check_view(file->view(), random);
      const auto own = open(file->path());
      append(*own, random);
    }
  } catch (const store::Failure&) {
    return 2;
  }
  return defects == 0 ? 0 : 1;
}

void fork_under_way(const std::string& path, uint64_t seed, int rounds) {
  const auto first = open(path);
  const auto second = open(path);
  std::atomic<bool> done{false};
  const auto writer = [&](uint64_t id, RecordFile& file) {
    return [&file, &done, seed, id] {
      Random random(seed * 10 + id);
      while (!done) append(file, random);
    };
  };
  const auto forker = [&] {
    for (int i = 0; i < rounds; ++i) {
      const pid_t pid = ::fork();
      if (pid == 0) {
        ::alarm(kSecondsToLive / 4);
        ::_exit(child_work(*first, *second, seed + static_cast<uint64_t>(i)));
      }
      int status = 0;
      ::waitpid(pid, &status, 0);
      expect(status == 0, "a child found a defect or did not end");
    }
    done = true;
  };
  in_threads({writer(1, *first), writer(2, *second), forker});
}

}  // namespace
}  // namespace faults

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: concurrent FOLDER ROUNDS SEED\n");
    return 2;
  }
  const std::string folder = argv[1];
  const int rounds = std::atoi(argv[2]);
  const uint64_t seed = std::strtoull(argv[3], nullptr, 10);
  ::alarm(faults::kSecondsToLive +
          2 * static_cast<unsigned>(rounds));  // a deadlock ends by a signal
  faults::share(folder + "/share.msp", seed, rounds);
  faults::outlive(folder + "/outlive.msp", seed, rounds);
  faults::walk_an_old_view(folder + "/walk.msp");
  if (faults::kForks) faults::fork_under_way(folder + "/fork.msp", seed, rounds / 4);
  std::printf("{\"rounds\": %d, \"defects\": %lu}\n", rounds,
              static_cast<unsigned long>(faults::defects.load()));
  return faults::defects == 0 ? 0 : 1;
}
