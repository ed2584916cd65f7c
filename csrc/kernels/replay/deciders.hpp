// What is asked of an engine after each bar, by each way to say a strategy.
#pragma once

#include <vector>

#include "kernels/replay/run.hpp"

namespace marketsim::replay {

class Decider {
 public:
  virtual ~Decider() = default;
  // The first bar from t on after which something may be asked for, as the engine stands now.
  virtual int64_t next(int64_t t) = 0;
  // Asks for what follows from bar t, which the engine has seen.
  virtual Ended decide(int64_t t) = 0;
};

// Where flags are set, from any bar on; asked for bars that ascend.
class Flags {
 public:
  Flags(const uint8_t* flags, int64_t count) : flags_(flags), count_(count) {}

  bool operator[](int64_t t) const { return flags_ && flags_[t]; }

  // The first bar from t on whose flag is set, or the number of bars.
  int64_t from(int64_t t) {
    if (!flags_) return count_;
    if (next_ >= t) return next_;
    for (; t + 8 <= count_; t += 8) {
      uint64_t eight;
      std::memcpy(&eight, flags_ + t, sizeof eight);
      if (eight) break;
    }
    while (t < count_ && !flags_[t]) ++t;
    return next_ = t;
  }

 private:
  const uint8_t* flags_;
  int64_t count_, next_ = -1;
};

class SignalDecider final : public Decider {
 public:
  SignalDecider(Engine& engine, const BarArrays& bars, const Settings& settings,
                const Signals& signals);
  int64_t next(int64_t t) override;
  Ended decide(int64_t t) override;

 private:
  void enter(int64_t t, double side);

  Engine& engine_;
  BarArrays bars_;
  Signals signals_;
  Flags long_entry_, long_exit_, short_entry_, short_exit_;
  int64_t whole_, cooldown_, time_stop_;
};

class TargetDecider final : public Decider {
 public:
  TargetDecider(Engine& engine, const BarArrays& bars, const double* target, Size size)
      : engine_(engine), count_(bars.count), target_(target), size_(size) {}
  int64_t next(int64_t t) override;
  Ended decide(int64_t t) override;

 private:
  Engine& engine_;
  int64_t count_;
  const double* target_;
  Size size_;
  int64_t next_ = 0;  // the first bar with a target from the last one that was asked for
};

class StrategyDecider final : public Decider {
 public:
  StrategyDecider(Engine& engine, const BarArrays& bars, const Strategy& strategy, State& state,
                  Request* requests, Refusal& refusal);
  int64_t next(int64_t t) override { return t; }
  Ended decide(int64_t t) override;

 private:
  // Columns become the rows that a strategy reads, some bars at a time: they stay in the cache.
  static constexpr int64_t kRows = 32;

  Engine& engine_;
  BarArrays bars_;
  Strategy strategy_;
  State& state_;
  Request* requests_;
  Refusal& refusal_;
  std::vector<double> rows_;
  int64_t block_ = -1;
};

}  // namespace marketsim::replay
