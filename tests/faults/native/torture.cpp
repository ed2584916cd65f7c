// kill -9 under way: writers, readers and a compactor on the same files are killed at random points
// and started again, and all that any of them reads is checked.
//
//   torture FOLDER KILLS SEED [planted]
//
// The oracle: a record's values follow from its key and a version, which is one of its values. Once
// an append has returned, its writer notes the record as published, with the version found; from
// then on every reader must find it, with that version. Prints one line of JSON; exits with 1 where
// anything was wrong.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "kernels/store/file.hpp"
#include "oracle.hpp"
#include "planted.hpp"

namespace faults {
namespace {

using store::Counters;
using store::RecordFile;

constexpr int kWriters = 3, kReaders = 4, kWorkers = kWriters + kReaders + 1;
constexpr int kSeriesCount = 3;
constexpr uint64_t kRecords = 20'000;  // of a series, at most
constexpr int kKillsARound = 150;
constexpr int kKillsBeforeCalm = 50;
constexpr int kPatience = 30;  // seconds in which a worker that nobody kills must get on

constexpr uint32_t kWrong = ~0u;

struct Kind {
  uint32_t width;
  uint64_t largest;  // batch
};
constexpr Kind kKinds[kSeriesCount] = {{24, 2000}, {3, 2000}, {1000, 60}};

// Lies in shared memory.
struct Board {
  std::atomic<uint64_t> next[kSeriesCount];
  std::atomic<uint32_t> published[kSeriesCount][kRecords];  // the version, or 0
  std::atomic<uint64_t> progress[kWorkers];
  std::atomic<uint64_t> records, reads, hits, compactions;
  std::atomic<uint64_t> wrong, changed, lost, strange, told;

  void defect(std::atomic<uint64_t>& which, const char* what, uint64_t series, uint64_t number) {
    ++which;
    if (told++ < 10) {
      std::fprintf(stderr, "torture: %s: series %lu, record %lu\n", what,
                   static_cast<unsigned long>(series), static_cast<unsigned long>(number));
    }
  }
};

template <typename File>
class Worker {
 public:
  Worker(Board& board, std::string folder, int id, uint64_t seed)
      : board_(board), folder_(std::move(folder)), id_(id), random_(seed) {}

  // Until killed.
  [[noreturn]] void run() {
    while (true) {
      const uint64_t series = pick_series();
      if (!files_[series] || random_.one_in(20)) open(series);
      if (id_ < kWriters) {
        write(series);
      } else if (id_ < kWriters + kReaders) {
        check(series, sample(series));
        check_held(series);
      } else {
        compact(series);
        ++board_.compactions;
        ::usleep(static_cast<useconds_t>(random_.below(20'000)));
      }
      ++board_.progress[id_];
      ::usleep(static_cast<useconds_t>(random_.below(300)));
    }
  }

  // All that was published is there, before and after a compaction, which leaves nothing else.
  void audit() {
    for (uint64_t series = 0; series < kSeriesCount; ++series) {
      std::vector<uint64_t> all(std::min(board_.next[series].load(), kRecords));
      for (uint64_t i = 0; i < all.size(); ++i) all[i] = i;
      open(series);
      check(series, all);
      const store::Contents before = files_[series]->contents();
      compact(series);
      open(series);
      check(series, all);
      const store::Contents after = files_[series]->contents();
      const bool clean = after.corrupt + after.superseded == 0 && after.slots == after.live;
      if (!clean || after.live != before.live) {
        board_.defect(board_.strange, "a compaction lost or left something", series, after.live);
      }
      check_all(series);
    }
  }

 private:
  uint64_t pick_series() {
    if (id_ == 0) return 0;
    if (id_ == 1) return random_.below(2);
    if (id_ == 2) return 1 + random_.below(2);
    return random_.below(kSeriesCount);
  }

  void open(uint64_t series) {
    const std::string name = "series-" + std::to_string(series);
    const Identity identity{"torture", name, "test", kKinds[series].width};
    held_[series].reset();
    files_[series] = std::make_unique<File>(folder_ + "/a/b/" + name + ".msp", identity,
                                            store::Options{true, false, kNoBreak}, counters_);
  }

  void compact(uint64_t series) {
    store::LockWait wait = patience();
    files_[series]->compact(wait);
  }

  void write(uint64_t series) {
    const Kind kind = kKinds[series];
    const uint64_t count = 1 + random_.below(random_.one_in(20) ? kind.largest : 8);
    const uint64_t begin = board_.next[series].fetch_add(count);
    std::vector<uint64_t> numbers;
    for (uint64_t i = begin; i < std::min(begin + count, kRecords); ++i) numbers.push_back(i);
    if (begin >= kRecords) board_.next[series] = kRecords;
    for (uint64_t i = 0; i < 1 + count / 4; ++i) {  // and some that may be there already
      numbers.push_back(pick(std::min(begin + 1, kRecords)));
    }
    const auto version = static_cast<uint32_t>(1 + random_.below(kVersions - 1));
    const Records batch(series, numbers, version, kind.width);
    store::LockWait wait = patience();
    files_[series]->append(batch.heads.data(), batch.values.data(), numbers.size(), wait);
    publish(series, numbers);
  }

  // Reads the records back, since another writer's may have come first.
  void publish(uint64_t series, const std::vector<uint64_t>& numbers) {
    const std::vector<uint32_t> versions = read(series, numbers);
    for (size_t i = 0; i < numbers.size(); ++i) {
      std::atomic<uint32_t>& noted = board_.published[series][numbers[i]];
      if (versions[i] == 0) {
        board_.defect(board_.lost, "not there after its append", series, numbers[i]);
        continue;
      }
      if (versions[i] == kWrong) continue;
      uint32_t before = 0;
      if (noted.compare_exchange_strong(before, versions[i])) ++board_.records;
      if (before != 0) compare(series, numbers[i], before, versions[i]);
    }
  }

  // One of all, one of the last, or one of a few that everyone is after.
  uint64_t pick(uint64_t limit) {
    const uint64_t kind = random_.below(3);
    const uint64_t few = std::min<uint64_t>(limit, kind == 1 ? 50 : 8);
    return kind == 0   ? random_.below(limit)
           : kind == 1 ? limit - 1 - random_.below(few)
                       : random_.below(few);
  }

  std::vector<uint64_t> sample(uint64_t series) {
    const uint64_t limit = std::min(board_.next[series].load(), kRecords);
    std::vector<uint64_t> numbers;
    const uint64_t first = random_.below(limit + 1);
    for (uint64_t i = first; i < std::min(first + 40, limit); ++i) numbers.push_back(i);
    for (int i = 0; i < 40 && limit > 0; ++i) numbers.push_back(pick(limit));
    return numbers;
  }

  // What was published before the read must be found by it.
  void check(uint64_t series, const std::vector<uint64_t>& numbers) {
    std::vector<uint32_t> noted;
    for (const uint64_t number : numbers) noted.push_back(board_.published[series][number]);
    const std::vector<uint32_t> versions = read(series, numbers);
    for (size_t i = 0; i < numbers.size(); ++i) {
      if (noted[i] != 0) compare(series, numbers[i], noted[i], versions[i]);
    }
  }

  void compare(uint64_t series, uint64_t number, uint32_t noted, uint32_t found) {
    if (found == 0) board_.defect(board_.lost, "lost", series, number);
    if (found != 0 && found != kWrong && found != noted) {
      ++board_.changed;
      if constexpr (kKeeps) board_.defect(board_.strange, "another version", series, number);
    }
  }

  // The version of each record, 0 where it is not there, kWrong where it has none.
  std::vector<uint32_t> read(uint64_t series, const std::vector<uint64_t>& numbers) {
    const uint32_t width = kKinds[series].width;
    std::vector<Key> keys;
    for (const uint64_t number : numbers) keys.push_back(key_of(series, number));
    std::vector<float> values(numbers.size() * width);
    const std::unique_ptr<bool[]> found(new bool[numbers.size()]);
    board_.hits += files_[series]->read(keys.data(), keys.size(), values.data(), found.get());
    board_.reads += keys.size();
    std::vector<uint32_t> versions(numbers.size());
    for (size_t i = 0; i < numbers.size(); ++i) {
      if (!found[i]) continue;
      versions[i] = version_of(keys[i], values.data() + i * width, width);
      if (versions[i] != 0) continue;
      board_.defect(board_.wrong, "wrong values", series, numbers[i]);
      versions[i] = kWrong;
    }
    if (counters_->quarantined + counters_->unreadable > 0) {
      board_.defect(board_.strange, "a file set aside or not readable", series, 0);
    }
    return versions;
  }

  // A view from earlier on, of a file that may have been replaced since, still holds its records.
  void check_held(uint64_t series) {
    if constexpr (kKeeps) {
      std::shared_ptr<const store::View>& view = held_[series];
      if (!view || random_.one_in(10)) view = files_[series]->view();
      const uint64_t limit = std::min(board_.next[series].load(), kRecords);
      for (int i = 0; view && limit > 0 && i < 20; ++i) {
        const uint64_t number = random_.below(limit);
        const uint32_t slot = view->find(key_of(series, number));
        if (slot == store::kNoSlot) continue;
        if (version_of(key_of(series, number), view->values(slot), view->width()) == 0) {
          board_.defect(board_.wrong, "wrong values in an old view", series, number);
        }
      }
    }
  }

  // Nothing is there but records of ours.
  void check_all(uint64_t series) {
    if constexpr (kKeeps) {
      const std::shared_ptr<const store::View> view = files_[series]->refresh();
      if (!view) return;
      for (uint32_t slot = 0; slot < view->count(); ++slot) {
        const RecordHead& head = view->head(slot);
        const auto number = static_cast<uint64_t>(head.as_of);
        const bool ours = number < kRecords && head.key == key_of(series, number);
        if (!ours || version_of(head.key, view->values(slot), view->width()) == 0) {
          board_.defect(board_.wrong, "a record that nobody wrote", series, number);
        }
      }
    }
  }

  static constexpr bool kKeeps = std::is_same_v<File, RecordFile>;  // the first version, that is

  Board& board_;
  const std::string folder_;
  const int id_;
  Random random_;
  std::shared_ptr<Counters> counters_ = std::make_shared<Counters>();
  std::unique_ptr<File> files_[kSeriesCount];
  std::shared_ptr<const store::View> held_[kSeriesCount];
};

// Starts, kills and watches the workers.
template <typename File>
class Round {
 public:
  Round(Board& board, std::string folder, Random& random)
      : board_(board), folder_(std::move(folder)), random_(random) {}

  void run(int kills) {
    for (int id = 0; id < kWorkers; ++id) start(id);
    for (int i = 0; i < kills; ++i) {
      ::usleep(static_cast<useconds_t>(random_.below(8'000)));
      const auto id = static_cast<int>(random_.below(kWorkers));
      stop(id);
      start(id);
      if (i % kKillsBeforeCalm == kKillsBeforeCalm / 2) wait_for_progress();
    }
    wait_for_progress();
    for (int id = 0; id < kWorkers; ++id) stop(id);
    const pid_t auditor = fork_one(kWorkers, [](Worker<File>& worker) { worker.audit(); });
    int status = 0;
    ::waitpid(auditor, &status, 0);
    if (status != 0) died("the auditor", status);
  }

 private:
  template <typename Work>
  pid_t fork_one(int id, const Work& work) {
    const uint64_t seed = random_.next();
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
      Worker<File> worker(board_, folder_, id, seed);
      work(worker);
    } catch (const store::Failure& failure) {
      std::fprintf(stderr, "torture: %s (%s)\n", failure.what(), failure.path.c_str());
      ::_exit(2);
    }
    ::_exit(0);
  }

  void start(int id) {
    pids_[id] = fork_one(id, [](Worker<File>& worker) { worker.run(); });
  }

  void stop(int id) {
    int status = 0;
    ::kill(pids_[id], SIGKILL);
    ::waitpid(pids_[id], &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) died("a worker", status);
  }

  void died(const char* who, int status) {
    ++board_.strange;
    std::fprintf(stderr, "torture: %s ended by itself, status %#x\n", who, status);
  }

  void wait_for_progress() {
    uint64_t before[kWorkers];
    for (int id = 0; id < kWorkers; ++id) before[id] = board_.progress[id];
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(kPatience);
    for (int id = 0; id < kWorkers; ++id) {
      while (board_.progress[id] == before[id]) {
        if (::waitpid(pids_[id], nullptr, WNOHANG) != 0) {
          died("a worker", 0);
          return start(id);
        }
        if (std::chrono::steady_clock::now() > end) {
          ++board_.strange;
          std::fprintf(stderr, "torture: worker %d does not get on\n", id);
          return;
        }
        ::usleep(500);
      }
    }
  }

  Board& board_;
  const std::string folder_;
  Random& random_;
  pid_t pids_[kWorkers] = {};
};

template <typename File>
int torture(const std::string& folder, int kills, uint64_t seed) {
  void* memory =
      ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 2;
  Board& board = *new (memory) Board{};
  Random random(seed);
  for (int done = 0, round = 0; done < kills; done += kKillsARound, ++round) {
    for (auto& next : board.next) next = 0;
    for (auto& series : board.published) {
      for (auto& record : series) record = 0;
    }
    const std::string here = folder + "/round-" + std::to_string(round);
    Round<File>(board, here, random).run(std::min(kKillsARound, kills - done));
    if (board.told + board.strange == 0) std::filesystem::remove_all(here);
  }
  const auto count = [](const std::atomic<uint64_t>& of) {
    return static_cast<unsigned long>(of.load());
  };
  std::printf(
      "{\"kills\": %d, \"records\": %lu, \"reads\": %lu, \"hits\": %lu, \"compactions\": %lu, "
      "\"wrong\": %lu, \"lost\": %lu, \"changed\": %lu, \"strange\": %lu}\n",
      kills, count(board.records), count(board.reads), count(board.hits), count(board.compactions),
      count(board.wrong), count(board.lost), count(board.changed), count(board.strange));
  return board.wrong + board.lost + board.strange > 0 ? 1 : 0;
}

}  // namespace
}  // namespace faults

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: torture FOLDER KILLS SEED [planted]\n");
    return 2;
  }
  const int kills = std::atoi(argv[2]);
  const uint64_t seed = std::strtoull(argv[3], nullptr, 10);
  const bool planted = argc > 4 && std::string(argv[4]) == "planted";
  return planted ? faults::torture<faults::PlantedFile>(argv[1], kills, seed)
                 : faults::torture<faults::RecordFile>(argv[1], kills, seed);
}
