#include <functional>
#include <memory>

#include "bindings/register.hpp"
#include "bindings/replay_args.hpp"
#include "kernels/replay/replay_shared.hpp"

namespace marketsim::bindings {
namespace {

using namespace replay;

// One instrument of a shared account: its bars, the time of each, and how its decider is made.
struct ReplayLeg {
  ReplayBars bars;
  Times time;
  std::function<std::unique_ptr<Decider>(Engine&, const BarArrays&, const Settings&, Refusal&)>
      decider;
  bool calls_python = false;

  ReplayLeg(const ReplayBars& of, const Times& at) : bars(of), time(at) {
    require_same_shape(bars.close, "close", time, "time");
  }
};

ReplayLeg signals_leg(const ReplayBars& bars, const Times& time, const SignalArgs& given) {
  given.signals(bars.close);  // checks the shapes
  ReplayLeg leg(bars, time);
  leg.decider = [given, close = bars.close](Engine& engine, const BarArrays& arrays,
                                            const Settings& settings,
                                            Refusal&) -> std::unique_ptr<Decider> {
    return std::make_unique<SignalDecider>(engine, arrays, settings, given.signals(close));
  };
  return leg;
}

ReplayLeg targets_leg(const ReplayBars& bars, const Times& time, const DoubleArray& target,
                      bool fraction) {
  require_same_shape(bars.close, "close", target, "target");
  ReplayLeg leg(bars, time);
  const Size size = fraction ? Size::target_fraction : Size::target_units;
  leg.decider = [target, size](Engine& engine, const BarArrays& arrays, const Settings&,
                               Refusal&) -> std::unique_ptr<Decider> {
    return std::make_unique<TargetDecider>(engine, arrays, target.data(), size);
  };
  return leg;
}

ReplayLeg strategy_leg(const ReplayBars& bars, const Times& time, uintptr_t address,
                       const std::vector<DoubleArray>& features, Bytes state, Bytes requests) {
  ReplayLeg leg(bars, time);
  state_of(state);
  requests_of(requests);
  leg.decider = [features, state, requests, given = StrategyArgs(bars, address, features)](
                    Engine& engine, const BarArrays& arrays, const Settings&,
                    Refusal& refusal) mutable -> std::unique_ptr<Decider> {
    return std::make_unique<StrategyDecider>(engine, arrays, given.strategy(), *state_of(state),
                                             requests_of(requests), refusal);
  };
  return leg;
}

ReplayLeg callback_leg(const ReplayBars& bars, const Times& time, const OnBarCallback& on_bar,
                       Bytes state, Bytes bar, Bytes requests) {
  ReplayLeg leg(bars, time);
  leg.calls_python = true;
  leg.decider = [on_bar, state, bar, requests](
                    Engine& engine, const BarArrays& arrays, const Settings&,
                    Refusal& refusal) mutable -> std::unique_ptr<Decider> {
    return std::make_unique<CallbackDecider>(engine, arrays, on_bar, state, bar, requests, refusal);
  };
  return leg;
}

// What a run of a shared account left.
struct SharedRun {
  SharedRun() = default;
  SharedRun(const SharedRun&) = delete;
  std::vector<ReplayLeg> legs;  // the memory that the engines read
  std::vector<std::unique_ptr<Engine>> engines;
  DoubleArray equity, cash, gross;
  double start;
  Summary summary{};
  Refusal refusal{};
  Ended ended = Ended::done;
  int64_t stopped = -1;

  const Engine& of(py::ssize_t leg) const {
    if (leg < 0 || leg >= static_cast<py::ssize_t>(engines.size())) throw py::index_error("leg");
    return *engines[static_cast<size_t>(leg)];
  }
};

std::unique_ptr<SharedRun> shared_py(const std::vector<ReplayLeg>& given, Settings settings,
                                     const Times& times, int64_t most_positions,
                                     double most_weight) {
  settings.most_positions = most_positions;
  settings.most_weight = most_weight;
  const py::ssize_t count = times.size();
  auto run_of = std::make_unique<SharedRun>();
  SharedRun& out = *run_of;
  out.legs = given;
  out.equity = DoubleArray(count);
  out.cash = DoubleArray(count);
  out.gross = DoubleArray(count);
  out.start = settings.cash;
  std::vector<Leg> legs;
  std::vector<std::unique_ptr<Decider>> deciders;
  bool calls_python = false;
  for (const ReplayLeg& leg : out.legs) {
    if ((settings.borrow != 0.0 || settings.financing != 0.0) && !leg.bars.time) {
      reject("bars without times pay no borrow and no financing");
    }
    const BarArrays arrays = leg.bars.arrays();
    out.engines.push_back(std::make_unique<Engine>(arrays, settings));
    deciders.push_back(leg.decider(*out.engines.back(), arrays, settings, out.refusal));
    legs.push_back({arrays, leg.time.data(), out.engines.back().get(), deciders.back().get()});
    calls_python = calls_python || leg.calls_python;
  }
  SharedAccount account(std::move(legs), settings, times.data(), count);
  double *const equity = out.equity.mutable_data(), *const cash = out.cash.mutable_data();
  double* const gross = out.gross.mutable_data();
  const auto run = [&] {
    out.ended = account.run(equity, cash, gross);
    out.stopped = account.stopped();
    if (out.ended == Ended::done) out.summary = account.summary(equity);
  };
  if (calls_python) {
    run();
  } else {
    const py::gil_scoped_release release;
    run();
  }
  return run_of;
}

}  // namespace

void register_replay_shared(py::module_& module) {
  using py::arg;
  py::class_<ReplayLeg>(module, "ReplayLeg", "One instrument of a shared account.");
  module.def("replay_signals_leg", &signals_leg, arg("bars"), arg("time").noconvert(),
             arg("signals"), "An instrument whose entries and exits are flags [bar].");
  module.def("replay_targets_leg", &targets_leg, arg("bars"), arg("time").noconvert(),
             arg("target").noconvert(), arg("fraction"), "An instrument with targets [bar].");
  module.def("replay_strategy_leg", &strategy_leg, arg("bars"), arg("time").noconvert(),
             arg("address"), arg("features"), arg("state").noconvert(), arg("requests").noconvert(),
             "An instrument of a compiled strategy.");
  module.def("replay_callback_leg", &callback_leg, arg("bars"), arg("time").noconvert(),
             arg("on_bar"), arg("state").noconvert(), arg("bar").noconvert(),
             arg("requests").noconvert(), "An instrument of a strategy in Python.");
  py::class_<SharedRun>(module, "SharedRun", "What a replay of a shared account left.")
      .def_readonly("equity", &SharedRun::equity, "Equity at each close [bar].")
      .def_readonly("cash", &SharedRun::cash, "Cash at each close [bar].")
      .def_readonly("gross", &SharedRun::gross, "Sum of the sizes held at each close [bar].")
      .def(
          "metrics",
          [](const SharedRun& run, double annual_root) {
            return metrics_of(run.summary, run.start, annual_root);
          },
          arg("annual_root"), "Figures by name.")
      .def_property_readonly(
          "ended", [](const SharedRun& run) { return static_cast<int64_t>(run.ended); },
          "0 done, 1 a strategy raised, 2 a request was no order.")
      .def_property_readonly(
          "refusal",
          [](const SharedRun& run) {
            return std::make_tuple(run.stopped, run.refusal.bar, run.refusal.request,
                                   static_cast<int64_t>(run.refusal.defect));
          },
          "(instrument, its bar, request, defect) of what stopped it.")
      .def(
          "position",
          [](const SharedRun& run, py::ssize_t leg) {
            const Engine& engine = run.of(leg);
            py::array_t<double> out(run.legs[static_cast<size_t>(leg)].bars.close.size());
            engine.write_positions(out.mutable_data());
            return out;
          },
          arg("leg"), "Units of an instrument held at each of its closes [bar].")
      .def(
          "fills",
          [](const SharedRun& run, py::ssize_t leg) { return bytes_of(run.of(leg).fills); },
          arg("leg"))
      .def(
          "trades",
          [](const SharedRun& run, py::ssize_t leg) { return bytes_of(run.of(leg).trades); },
          arg("leg"))
      .def(
          "orders",
          [](const SharedRun& run, py::ssize_t leg) { return bytes_of(run.of(leg).orders); },
          arg("leg"));
  module.def("replay_shared", &shared_py, arg("legs"), arg("settings"), arg("times").noconvert(),
             arg("most_positions"), arg("most_weight"),
             "Replays orders on many instruments that share one account.");
}

}  // namespace marketsim::bindings
