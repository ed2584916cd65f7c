#include <pybind11/typing.h>

#include "bindings/register.hpp"
#include "bindings/replay_args.hpp"
#include "kernels/replay/run.hpp"

namespace marketsim::bindings {

using namespace replay;

namespace {

const uint8_t* flags_of(const std::optional<BoolArray>& flags, py::ssize_t count,
                        const char* name) {
  if (!flags) return nullptr;
  if (flags->ndim() != 1 || flags->size() != count) {
    reject(std::string(name) + " must have one value a bar (" + std::to_string(count) +
           "): got shape " + shape_text(*flags));
  }
  return reinterpret_cast<const uint8_t*>(flags->data());
}

}  // namespace

Signals SignalArgs::signals(const DoubleArray& close) const {
  const py::ssize_t count = close.size();
  if (stop_losses) require_same_shape(close, "close", *stop_losses, "stop_loss");
  if (take_profits) require_same_shape(close, "close", *take_profits, "take_profit");
  if (quantities) require_same_shape(close, "close", *quantities, "size");
  return {flags_of(long_entry, count, "entries"),
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
}

Request* requests_of(Bytes& requests) {
  if (requests.nbytes() != static_cast<py::ssize_t>(sizeof(Request)) * (kRequestRoom + 1)) {
    reject("requests: expected room for " + std::to_string(kRequestRoom + 1));
  }
  return reinterpret_cast<Request*>(requests.mutable_data());
}

State* state_of(Bytes& state) {
  if (state.nbytes() != static_cast<py::ssize_t>(sizeof(State))) reject("state: wrong size");
  return reinterpret_cast<State*>(state.mutable_data());
}

StrategyArgs::StrategyArgs(const ReplayBars& bars, uintptr_t at,
                           const std::vector<DoubleArray>& features)
    : address(at) {
  for (const DoubleArray& column : features) {
    require_same_shape(bars.close, "close", column, "feature");
    columns.push_back(column.data());
  }
}

CallbackDecider::CallbackDecider(Engine& engine, const BarArrays& bars, const OnBarCallback& on_bar,
                                 Bytes& state, Bytes& bar, Bytes& requests, Refusal& refusal)
    : engine_(engine),
      bars_(bars),
      on_bar_(on_bar),
      state_(state_of(state)),
      requests_(requests_of(requests)),
      refusal_(refusal) {
  if (bar.nbytes() != static_cast<py::ssize_t>(sizeof(BarRecord))) reject("bar: wrong size");
  bar_ = reinterpret_cast<BarRecord*>(bar.mutable_data());
}

Ended CallbackDecider::decide(int64_t t) {
  engine_.describe(*state_);
  *bar_ = bar_record(bars_, t);
  requests_[0].action = 0;
  requests_[0].ticket = engine_.next_ticket();
  on_bar_(py::int_(t));
  return accept_requests(engine_, t, requests_, refusal_) ? Ended::done : Ended::refused;
}

py::typing::Dict<py::str, double> metrics_of(const Summary& s, double cash, double annual_root) {
  const auto trades = static_cast<double>(s.trades);
  py::typing::Dict<py::str, double> out;
  const auto put = [&](const char* name, auto value) { out[name] = static_cast<double>(value); };
  put("final_equity", s.final_equity);
  put("total_return", s.curve.total_return);
  put("max_drawdown", s.curve.max_drawdown);
  put("sharpe", s.curve.sharpe * annual_root);
  put("exposure", s.exposure);
  put("cost", s.cost);
  put("turnover", s.turnover / cash);
  put("trades", s.trades);
  put("orders", s.orders);
  put("fills", s.fills);
  put("refused", s.refused);
  put("ambiguous_bars", s.ambiguous_bars);
  put("ruined_bar", s.ruined_bar);
  put("win_rate", s.trades ? static_cast<double>(s.wins) / trades : kNone);
  put("profit_factor", s.gross_loss > 0.0 ? s.gross_win / s.gross_loss : kNone);
  return out;
}

namespace {

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

// What a run left: the rows are copied out when they are asked for.
struct ReplayRun {
  Engine engine;
  DoubleArray close;  // what the equity is read from
  double cash;        // at the start
  Refusal refusal{};
  Ended ended = Ended::done;
};

template <typename Run>
ReplayRun run(const ReplayBars& bars, const Settings& settings, const Run& strategy) {
  const BarArrays arrays = bars.arrays();
  ReplayRun out{Engine(arrays, settings), bars.close, settings.cash};
  {
    const py::gil_scoped_release release;
    strategy(out, arrays);
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

ReplayRun signals_py(const ReplayBars& bars, const Settings& settings, const SignalArgs& given) {
  const Signals signals = given.signals(bars.close);
  return run(bars, settings, [&](ReplayRun& out, const BarArrays& arrays) {
    run_signals(out.engine, arrays, settings, signals);
  });
}

ReplayRun targets_py(const ReplayBars& bars, const Settings& settings, const DoubleArray& target,
                     bool fraction) {
  require_same_shape(bars.close, "close", target, "target");
  const Size size = fraction ? Size::target_fraction : Size::target_units;
  return run(bars, settings, [&](ReplayRun& out, const BarArrays& arrays) {
    run_targets(out.engine, arrays, settings, target.data(), size);
  });
}

ReplayRun strategy_py(const ReplayBars& bars, const Settings& settings, uintptr_t address,
                      const std::vector<DoubleArray>& features, Bytes state, Bytes requests) {
  const StrategyArgs given(bars, address, features);
  State* const memory = state_of(state);
  Request* const room = requests_of(requests);
  return run(bars, settings, [&](ReplayRun& out, const BarArrays& arrays) {
    out.ended =
        run_strategy(out.engine, arrays, settings, given.strategy(), *memory, room, out.refusal);
  });
}

ReplayRun callback_py(const ReplayBars& bars, const Settings& settings, const OnBarCallback& on_bar,
                      Bytes state, Bytes bar, Bytes requests) {
  const BarArrays arrays = bars.arrays();
  ReplayRun out{Engine(arrays, settings), bars.close, settings.cash};
  CallbackDecider decider(out.engine, arrays, on_bar, state, bar, requests, out.refusal);
  out.ended = run_decider(out.engine, arrays, settings, decider);
  return out;
}

using Curves = py::typing::Tuple<py::array_t<double>, py::array_t<double>, py::array_t<double>,
                                 py::array_t<double>, py::array_t<double>>;

Curves portfolio_py(const DoubleArray& open, const DoubleArray& close, const DoubleArray& weights,
                    double cash, double cost, double fixed_cost, double lot, bool same_close,
                    bool keep_units) {
  if (close.ndim() != 2) reject("close must be [bar, asset]: got shape " + shape_text(close));
  require_same_shape(close, "close", open, "open");
  require_same_shape(close, "close", weights, "weights");
  const py::ssize_t bars = close.shape(0), assets = close.shape(1);
  if (assets == 0) reject("close must have at least one asset");
  py::array_t<double> equity(bars), left(bars), paid(bars), turnover(bars);
  py::array_t<double> units({keep_units ? bars : 0, assets});
  const Portfolio portfolio{open.data(), close.data(), weights.data(), bars, assets,
                            cash,        cost,         fixed_cost,     lot,  same_close};
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
  py::class_<SignalArgs>(module, "ReplaySignals", "Entries and exits as flags [bar], kept alive.")
      .def(py::init<std::optional<BoolArray>, std::optional<BoolArray>, std::optional<BoolArray>,
                    std::optional<BoolArray>, int64_t, double, std::optional<DoubleArray>, double,
                    double, double, std::optional<DoubleArray>, std::optional<DoubleArray>, int64_t,
                    int64_t>(),
           arg("long_entry").noconvert().none(true), arg("long_exit").noconvert().none(true),
           arg("short_entry").noconvert().none(true), arg("short_exit").noconvert().none(true),
           arg("size"), arg("quantity"), arg("quantities").noconvert().none(true), arg("stop_loss"),
           arg("take_profit"), arg("trailing_stop"), arg("stop_losses").noconvert().none(true),
           arg("take_profits").noconvert().none(true), arg("cooldown"), arg("time_stop"));
  py::class_<ReplayRun>(module, "ReplayRun", "What a replay left.")
      .def_property_readonly(
          "equity",
          [](const ReplayRun& run) {
            py::array_t<double> out(run.close.size());
            run.engine.write_equity(out.mutable_data());
            return out;
          },
          "Equity at each close [bar], made at each access.")
      .def_property_readonly(
          "position",
          [](const ReplayRun& run) {
            py::array_t<double> out(run.close.size());
            run.engine.write_positions(out.mutable_data());
            return out;
          },
          "Units held at each close [bar], made at each access.")
      .def(
          "metrics",
          [](const ReplayRun& run, double annual_root) {
            return metrics_of(run.engine.summary(), run.cash, annual_root);
          },
          arg("annual_root"), "Figures by name.")
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
  module.def("replay_signals", &signals_py, arg("bars"), arg("settings"), arg("signals"),
             "Replays entries and exits given as flags [bar].");
  module.def("replay_targets", &targets_py, arg("bars"), arg("settings"), arg("target").noconvert(),
             arg("fraction"),
             "Replays target positions [bar], in units or as fractions of equity.");
  module.def("replay_strategy", &strategy_py, arg("bars"), arg("settings"), arg("address"),
             arg("features"), arg("state").noconvert(), arg("requests").noconvert(),
             "Replays a compiled strategy by the address of its function.");
  module.def("replay_callback", &callback_py, arg("bars"), arg("settings"), arg("on_bar"),
             arg("state").noconvert(), arg("bar").noconvert(), arg("requests").noconvert(),
             "Replays a strategy in Python: on_bar(t) is called once a bar.");
  module.def("replay_portfolio", &portfolio_py, arg("open").noconvert(), arg("close").noconvert(),
             arg("weights").noconvert(), arg("cash"), arg("cost"), arg("fixed_cost"), arg("lot"),
             arg("same_close"), arg("keep_units"),
             "(equity, cash, units, cost, turnover) of moving to target weights [bar, asset].");
}

}  // namespace marketsim::bindings
