#include "kernels/replay/run.hpp"

#include "kernels/replay/deciders.hpp"

namespace marketsim::replay {

void note(Engine& engine, const Settings& settings, int64_t t) {
  if (settings.same_close) engine.fill_at_seen_close(t);
  engine.note(t);
}

void end(Engine& engine, const BarArrays& bars) {
  if (bars.count == 0) return;
  engine.finish(bars.count - 1);
  engine.note(bars.count - 1);
}

namespace {

// Moves the account over all bars, gliding over those in which nothing is decided.
template <class Some>
Ended run(Engine& engine, const BarArrays& bars, const Settings& settings, Some& decider) {
  const int64_t count = bars.count;
  for (int64_t t = 0; t < count; ++t) {
    t = engine.glide(t, engine.ruined() ? count : decider.next(t));
    if (t >= count) break;
    engine.step(t);
    if (!engine.ruined()) {
      if (const Ended ended = decider.decide(t); ended != Ended::done) return ended;
    }
    note(engine, settings, t);
  }
  end(engine, bars);
  return Ended::done;
}

// The same where something is decided after each bar.
template <class Some>
Ended run_each(Engine& engine, const BarArrays& bars, const Settings& settings, Some& decider) {
  for (int64_t t = 0; t < bars.count; ++t) {
    engine.step(t);
    if (!engine.ruined()) {
      if (const Ended ended = decider.decide(t); ended != Ended::done) return ended;
    }
    note(engine, settings, t);
  }
  end(engine, bars);
  return Ended::done;
}

}  // namespace

void run_signals(Engine& engine, const BarArrays& bars, const Settings& settings,
                 const Signals& signals) {
  SignalDecider decider(engine, bars, settings, signals);
  run(engine, bars, settings, decider);
}

void run_targets(Engine& engine, const BarArrays& bars, const Settings& settings,
                 const double* target, Size size) {
  TargetDecider decider(engine, bars, target, size);
  run(engine, bars, settings, decider);
}

Ended run_strategy(Engine& engine, const BarArrays& bars, const Settings& settings,
                   const Strategy& strategy, State& state, Request* requests, Refusal& refusal) {
  StrategyDecider decider(engine, bars, strategy, state, requests, refusal);
  return run_each(engine, bars, settings, decider);
}

Ended run_decider(Engine& engine, const BarArrays& bars, const Settings& settings,
                  Decider& decider) {
  return run_each(engine, bars, settings, decider);
}

}  // namespace marketsim::replay
