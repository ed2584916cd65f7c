#include <pybind11/typing.h>

#include <cstring>
#include <vector>

#include "bindings/register.hpp"
#include "bindings/replay_args.hpp"
#include "kernels/replay/run.hpp"

namespace marketsim::bindings {
namespace {

using namespace replay;
using Flags = py::array_t<bool, py::array::c_style>;

ReplayBars make_bars(const DoubleArray& open, const DoubleArray& high, const DoubleArray& low,
                     const DoubleArray& close, const std::optional<DoubleArray>& volume,
                     const std::optional<Times>& time, const std::optional<DoubleArray>& split,
                     const std::optional<DoubleArray>& dividend,
                     const std::optional<DoubleArray>& trail) {
  if (close.ndim() != 1) reject("close must be 1-D: got shape " + shape_text(close));
  require_same_shape(close, "close", open, "open");
  require_same_shape(close, "close", high, "high");
  require_same_shape(close, "close", low, "low");
  if (volume) require_same_shape(close, "close", *volume, "volume");
  if (time) require_same_shape(close, "close", *time, "time");
  if (split) require_same_shape(close, "close", *split, "split");
  if (dividend) require_same_shape(close, "close", *dividend, "dividend");
  if (trail) require_same_shape(close, "close", *trail, "trail");
  return {open, high, low, close, volume, time, split, dividend, trail, {}, {}, {}};
}

// Structured rows as bytes [row, size]; the Python side views them as its dtype of this layout.
template <typename Record>
py::array_t<uint8_t> bytes_of(const std::vector<Record>& rows) {
  py::array_t<uint8_t> out(
      {static_cast<py::ssize_t>(rows.size()), static_cast<py::ssize_t>(sizeof(Record))});
  if (!rows.empty()) std::memcpy(out.mutable_data(), rows.data(), rows.size() * sizeof(Record));
  return out;
}

// What a run left: the rows are copied out when they are asked for.
struct ReplayRun {
  Engine engine;
  py::array_t<double> equity, position;
  Summary summary{};
  Refusal refusal{};
  Ended ended = Ended::done;
};

template <typename Run>
ReplayRun run(const ReplayBars& bars, const Settings& settings, const Run& strategy) {
  const BarArrays arrays = bars.arrays();
  ReplayRun out{Engine(arrays, settings), py::array_t<double>(arrays.count),
                py::array_t<double>(arrays.count)};
  const Curve curve{out.equity.mutable_data(), out.position.mutable_data()};
  {
    const py::gil_scoped_release release;
    strategy(out, arrays, curve);
    if (out.ended == Ended::done) out.summary = out.engine.summary(curve.equity, arrays.count);
  }
  return out;
}

Settings make_settings(double cash, double limit_cost, double market_cost, double fixed_cost,
                       double borrow, double financing, double leverage, double maintenance,
                       double lot, double participation, int64_t policy, bool same_close,
                       bool close_at_end) {
  return {cash,        limit_cost, market_cost,   fixed_cost, borrow,     financing,   leverage,
          maintenance, lot,        participation, policy,     same_close, close_at_end};
}

const uint8_t* flags_of(const std::optional<Flags>& flags, py::ssize_t count, const char* name) {
  if (!flags) return nullptr;
  if (flags->ndim() != 1 || flags->size() != count) {
    reject(std::string(name) + " must have one value a bar (" + std::to_string(count) +
           "): got shape " + shape_text(*flags));
  }
  return reinterpret_cast<const uint8_t*>(flags->data());
}

ReplayRun signals_py(const ReplayBars& bars, const Settings& settings,
                     const std::optional<Flags>& long_entry, const std::optional<Flags>& long_exit,
                     const std::optional<Flags>& short_entry,
                     const std::optional<Flags>& short_exit, int64_t size, double quantity,
                     const std::optional<DoubleArray>& quantities, double stop_loss,
                     double take_profit, double trailing_stop,
                     const std::optional<DoubleArray>& stop_losses,
                     const std::optional<DoubleArray>& take_profits, int64_t cooldown,
                     int64_t time_stop) {
  const py::ssize_t count = bars.close.size();
  if (stop_losses) require_same_shape(bars.close, "close", *stop_losses, "stop_loss");
  if (take_profits) require_same_shape(bars.close, "close", *take_profits, "take_profit");
  if (quantities) require_same_shape(bars.close, "close", *quantities, "size");
  const Signals signals{flags_of(long_entry, count, "entries"),
                        flags_of(long_exit, count, "exits"),
                        flags_of(short_entry, count, "short_entries"),
                        flags_of(short_exit, count, "short_exits"),
                        size,
                        quantity,
                        quantities ? quantities->data() : nullptr,
                        stop_loss,
                        take_profit,
                        trailing_stop,
                        stop_losses ? stop_losses->data() : nullptr,
                        take_profits ? take_profits->data() : nullptr,
                        cooldown,
                        time_stop};
  return run(bars, settings, [&](ReplayRun& out, const BarArrays& arrays, const Curve& curve) {
    run_signals(out.engine, arrays, settings, signals, curve);
  });
}

ReplayRun targets_py(const ReplayBars& bars, const Settings& settings, const DoubleArray& target,
                     bool fraction) {
  require_same_shape(bars.close, "close", target, "target");
  const Size size = fraction ? Size::target_fraction : Size::target_units;
  return run(bars, settings, [&](ReplayRun& out, const BarArrays& arrays, const Curve& curve) {
    run_targets(out.engine, arrays, settings, target.data(), size, curve);
  });
}

Request* requests_of(py::array_t<uint8_t, py::array::c_style>& requests) {
  if (requests.nbytes() != static_cast<py::ssize_t>(sizeof(Request)) * (kRequestRoom + 1)) {
    reject("requests: expected room for " + std::to_string(kRequestRoom + 1));
  }
  return reinterpret_cast<Request*>(requests.mutable_data());
}

State* state_of(py::array_t<uint8_t, py::array::c_style>& state) {
  if (state.nbytes() != static_cast<py::ssize_t>(sizeof(State))) reject("state: wrong size");
  return reinterpret_cast<State*>(state.mutable_data());
}

ReplayRun strategy_py(const ReplayBars& bars, const Settings& settings, uintptr_t address,
                      const DoubleArray& features, py::array_t<uint8_t, py::array::c_style> state,
                      py::array_t<uint8_t, py::array::c_style> requests) {
  if (features.ndim() != 2 || features.shape(0) != bars.close.size()) {
    reject("features must be [bar, feature]: got shape " + shape_text(features));
  }
  const Strategy strategy{reinterpret_cast<OnBar>(address), features.data(), features.shape(1)};
  State* const memory = state_of(state);
  Request* const room = requests_of(requests);
  return run(bars, settings, [&](ReplayRun& out, const BarArrays& arrays, const Curve& curve) {
    out.ended =
        run_strategy(out.engine, arrays, settings, strategy, *memory, room, curve, out.refusal);
  });
}

// A strategy in plain Python: `on_bar(t)` is called with the shared buffers filled in.
ReplayRun callback_py(const ReplayBars& bars, const Settings& settings,
                      const py::typing::Callable<void(py::int_)>& on_bar,
                      py::array_t<uint8_t, py::array::c_style> state,
                      py::array_t<uint8_t, py::array::c_style> bar,
                      py::array_t<uint8_t, py::array::c_style> requests) {
  const BarArrays arrays = bars.arrays();
  State* const memory = state_of(state);
  Request* const room = requests_of(requests);
  if (bar.nbytes() != static_cast<py::ssize_t>(sizeof(BarRecord))) reject("bar: wrong size");
  auto* const seen = reinterpret_cast<BarRecord*>(bar.mutable_data());
  ReplayRun out{Engine(arrays, settings), py::array_t<double>(arrays.count),
                py::array_t<double>(arrays.count)};
  double *const equity = out.equity.mutable_data(), *const position = out.position.mutable_data();
  for (int64_t t = 0; t < arrays.count; ++t) {
    out.engine.step(t);
    if (!out.engine.ruined()) {
      out.engine.describe(*memory);
      *seen = bar_record(arrays, t);
      room[0].action = 0;
      room[0].ticket = out.engine.next_ticket();
      on_bar(py::int_(t));
      if (!accept_requests(out.engine, t, room, out.refusal)) {
        out.ended = Ended::refused;
        return out;
      }
    }
    if (settings.same_close) out.engine.fill_at_seen_close(t);
    equity[t] = out.engine.equity();
    position[t] = out.engine.position();
  }
  if (arrays.count > 0) {
    out.engine.finish(arrays.count - 1);
    equity[arrays.count - 1] = out.engine.equity();
    position[arrays.count - 1] = out.engine.position();
  }
  out.summary = out.engine.summary(equity, arrays.count);
  return out;
}

py::typing::Dict<py::str, double> summary_of(const ReplayRun& run) {
  const Summary& s = run.summary;
  py::typing::Dict<py::str, double> out;
  out["final_equity"] = s.final_equity;
  out["total_return"] = s.figures[kTotalReturn];
  out["max_drawdown"] = s.figures[kMaxDrawdown];
  out["sharpe"] = s.figures[kSharpe];
  out["exposure"] = s.exposure;
  out["gross_win"] = s.gross_win;
  out["gross_loss"] = s.gross_loss;
  out["cost"] = s.cost;
  out["turnover"] = s.turnover;
  out["trades"] = s.trades;
  out["wins"] = s.wins;
  out["orders"] = s.orders;
  out["fills"] = s.fills;
  out["refused"] = s.refused;
  out["ambiguous_bars"] = s.ambiguous_bars;
  out["ruined_bar"] = s.ruined_bar;
  return out;
}

using Curves = py::typing::Tuple<py::array_t<double>, py::array_t<double>, py::array_t<double>,
                                 py::array_t<double>, py::array_t<double>>;

Curves portfolio_py(const DoubleArray& open, const DoubleArray& close, const DoubleArray& weights,
                    double cash, double cost, double fixed_cost, bool same_close, bool keep_units) {
  if (close.ndim() != 2) reject("close must be [bar, asset]: got shape " + shape_text(close));
  require_same_shape(close, "close", open, "open");
  require_same_shape(close, "close", weights, "weights");
  const py::ssize_t bars = close.shape(0), assets = close.shape(1);
  if (assets == 0) reject("close must have at least one asset");
  py::array_t<double> equity(bars), left(bars), paid(bars), turnover(bars);
  py::array_t<double> units({keep_units ? bars : 0, assets});
  const Portfolio portfolio{open.data(), close.data(), weights.data(), bars,      assets,
                            cash,        cost,         fixed_cost,     same_close};
  double *const to_equity = equity.mutable_data(), *const to_cash = left.mutable_data();
  double *const to_cost = paid.mutable_data(), *const to_turnover = turnover.mutable_data();
  double* const to_units = keep_units ? units.mutable_data() : nullptr;
  {
    const py::gil_scoped_release release;
    run_portfolio(portfolio, to_equity, to_cash, to_units, to_cost, to_turnover);
  }
  return py::make_tuple(equity, left, units, paid, turnover);
}

}  // namespace

void register_replay(py::module_& module) {
  using py::arg;
  py::class_<ReplayBars>(module, "ReplayBars", "OHLCV arrays [bar] of a replay, kept alive.")
      .def(py::init(&make_bars), arg("open").noconvert(), arg("high").noconvert(),
           arg("low").noconvert(), arg("close").noconvert(), arg("volume").noconvert().none(true),
           arg("time").noconvert().none(true), arg("split").noconvert().none(true),
           arg("dividend").noconvert().none(true), arg("trail").noconvert().none(true))
      .def("add_finer", &ReplayBars::add_finer, arg("columns"), arg("volumes").none(true),
           arg("first").noconvert(),
           "Gives each bar finer bars: rows first[t] .. first[t + 1] - 1 of the columns.");
  py::class_<Settings>(module, "ReplaySettings", "Cash, costs and rules of a replay.")
      .def(py::init(&make_settings), arg("cash"), arg("limit_cost"), arg("market_cost"),
           arg("fixed_cost"), arg("borrow"), arg("financing"), arg("leverage"), arg("maintenance"),
           arg("lot"), arg("participation"), arg("policy"), arg("same_close"), arg("close_at_end"));
  py::class_<ReplayRun>(module, "ReplayRun", "What a replay left.")
      .def_readonly("equity", &ReplayRun::equity, "Equity at each close [bar].")
      .def_readonly("position", &ReplayRun::position, "Units held at each close [bar].")
      .def_property_readonly("summary", &summary_of)
      .def_property_readonly(
          "ended", [](const ReplayRun& run) { return static_cast<int64_t>(run.ended); },
          "0 done, 1 the strategy raised, 2 a request was no order.")
      .def_property_readonly(
          "refusal",
          [](const ReplayRun& run) {
            return std::make_tuple(run.refusal.bar, run.refusal.request,
                                   static_cast<int64_t>(run.refusal.defect));
          },
          "(bar, request, defect) of the first request that was no order.")
      .def("fills", [](const ReplayRun& run) { return bytes_of(run.engine.fills); })
      .def("trades", [](const ReplayRun& run) { return bytes_of(run.engine.trades); })
      .def("orders", [](const ReplayRun& run) { return bytes_of(run.engine.orders); });
  module.def("replay_signals", &signals_py, arg("bars"), arg("settings"), arg("long_entry"),
             arg("long_exit"), arg("short_entry"), arg("short_exit"), arg("size"), arg("quantity"),
             arg("quantities").none(true), arg("stop_loss"), arg("take_profit"),
             arg("trailing_stop"), arg("stop_losses").none(true), arg("take_profits").none(true),
             arg("cooldown"), arg("time_stop"), "Replays entries and exits given as flags [bar].");
  module.def("replay_targets", &targets_py, arg("bars"), arg("settings"), arg("target").noconvert(),
             arg("fraction"),
             "Replays target positions [bar], in units or as fractions of equity.");
  module.def("replay_strategy", &strategy_py, arg("bars"), arg("settings"), arg("address"),
             arg("features").noconvert(), arg("state").noconvert(), arg("requests").noconvert(),
             "Replays a compiled strategy by the address of its function.");
  module.def("replay_callback", &callback_py, arg("bars"), arg("settings"), arg("on_bar"),
             arg("state").noconvert(), arg("bar").noconvert(), arg("requests").noconvert(),
             "Replays a strategy in Python: on_bar(t) is called once a bar.");
  module.def("replay_portfolio", &portfolio_py, arg("open").noconvert(), arg("close").noconvert(),
             arg("weights").noconvert(), arg("cash"), arg("cost"), arg("fixed_cost"),
             arg("same_close"), arg("keep_units"),
             "(equity, cash, units, cost, turnover) of moving to target weights [bar, asset].");
}

}  // namespace marketsim::bindings
