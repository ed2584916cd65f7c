#include <pybind11/typing.h>

#include <cstring>

#include "bindings/numpy_args.hpp"
#include "bindings/register.hpp"
#include "kernels/legacy/genesis/features.hpp"
#include "kernels/legacy/genesis/run.hpp"

namespace marketsim::bindings {
namespace {

using namespace genesis;
using Codes = py::array_t<int8_t, py::array::c_style>;

void require(const py::array& array, const char* name, py::ssize_t lines, py::ssize_t bars) {
  const bool flat = lines == 1 && array.ndim() == 1 && array.shape(0) == bars;
  const bool table = array.ndim() == 2 && array.shape(0) == lines && array.shape(1) == bars;
  if (flat || table) return;
  reject(std::string(name) + " must be [" + std::to_string(lines) + ", " + std::to_string(bars) +
         "]: got shape " + shape_text(array));
}

// [lag, bar] as it is; [bar] where a lag is a row back.
Lagged lagged(const DoubleArray& array, const char* name, py::ssize_t lags, py::ssize_t bars) {
  if (array.ndim() == 1 && array.shape(0) == bars) return {array.data(), -1};
  require(array, name, lags, bars);
  return {array.data(), bars};
}

using Pair = py::typing::Tuple<py::array_t<double>, py::array_t<double>>;

Pair features_py(const DoubleArray& close, const DoubleArray& rsi, const DoubleArray& rsi_before,
                 const DoubleArray& ema, const DoubleArray& ema_before, const DoubleArray& adx,
                 const DoubleArray& swing_high, const DoubleArray& swing_low,
                 const DoubleArray& atr_short, const DoubleArray& atr_long,
                 const DoubleArray& band_position, const DoubleArray& rows) {
  const py::ssize_t bars = close.size();
  const std::pair<const char*, const DoubleArray*> single[] = {{"close", &close},
                                                               {"rsi", &rsi},
                                                               {"rsi_before", &rsi_before},
                                                               {"ema", &ema},
                                                               {"ema_before", &ema_before},
                                                               {"adx", &adx},
                                                               {"swing_high", &swing_high},
                                                               {"swing_low", &swing_low},
                                                               {"rows", &rows}};
  for (const auto& [name, array] : single) require(*array, name, 1, bars);
  py::array_t<double> features({static_cast<py::ssize_t>(kFeatures), bars});
  py::array_t<double> percentiles({static_cast<py::ssize_t>(kPercentiles), bars});
  const FeatureInputs in{static_cast<size_t>(bars),
                         close.data(),
                         rsi.data(),
                         rsi_before.data(),
                         ema.data(),
                         ema_before.data(),
                         adx.data(),
                         swing_high.data(),
                         swing_low.data(),
                         lagged(atr_short, "atr_short", kAtrRows, bars),
                         lagged(atr_long, "atr_long", 3, bars),
                         lagged(band_position, "band_position", 3, bars),
                         rows.data()};
  double *const to = features.mutable_data(), *const shares = percentiles.mutable_data();
  {
    const py::gil_scoped_release release;
    compute_features(in, to, shares);
  }
  return py::make_tuple(features, percentiles);
}

Side make_side(const std::vector<py::ssize_t>& columns, const std::vector<double>& weights,
               double bias, const std::array<double, 4>& slope,
               const std::array<double, 4>& shift) {
  if (columns.size() != weights.size()) reject("columns and weights must be equally many");
  for (const py::ssize_t column : columns) {
    if (column >= static_cast<py::ssize_t>(kFeatures)) reject("no feature has that column");
  }
  return {columns, weights, bias, slope, shift};
}

py::array_t<double> probabilities_py(const DoubleArray& features, const Codes& regime,
                                     const Side& buy, const Side& sell) {
  require(features, "features", kFeatures, regime.size());
  py::array_t<double> out({py::ssize_t{3}, regime.size()});
  const auto bars = static_cast<size_t>(regime.size());
  double* const to = out.mutable_data();
  const auto* const codes = reinterpret_cast<const signed char*>(regime.data());
  {
    const py::gil_scoped_release release;
    compute_probabilities(features.data(), bars, codes, buy, sell, to, to + bars, to + 2 * bars);
  }
  return out;
}

template <typename Row>
py::array_t<uint8_t> bytes_of(const std::vector<Row>& rows) {
  py::array_t<uint8_t> out(
      {static_cast<py::ssize_t>(rows.size()), static_cast<py::ssize_t>(sizeof(Row))});
  if (!rows.empty()) std::memcpy(out.mutable_data(), rows.data(), rows.size() * sizeof(Row));
  return out;
}

void check(const Settings& s) {
  const auto level = [](int64_t k, int64_t count, const char* name) {
    if (k < -1 || k >= count) reject(std::string(name) + ": no such level");
  };
  level(s.long_min, 4, "long_min");
  level(s.short_max, 4, "short_max");
  level(s.long_max, 6, "long_max");
  level(s.short_min, 6, "short_min");
  for (const int64_t k : s.long_targets) level(k, 4, "long_targets");
  for (const int64_t k : s.short_targets) level(k, 4, "short_targets");
  level(s.percentile, 3, "percentile");
  if (s.zone_entry.size() != 4 || s.zone_threshold.size() != 16 ||
      s.override_multiplier.size() != 4 || s.partial.size() != 4 ||
      s.risk_confidence.size() != s.risk_size.size() || s.history_rows < 1) {
    reject(
        "settings: zone_entry 4, zone_threshold 16, override_multiplier 4, partial 4 numbers, "
        "risk_confidence as many as risk_size, history_rows at least 1");
  }
}

using Ran = py::typing::Tuple<py::array_t<uint8_t>, py::array_t<uint8_t>, Outcome>;

Ran run_py(const DoubleArray& high, const DoubleArray& low, const DoubleArray& close,
           const DoubleArray& p_buy, const DoubleArray& p_sell, const DoubleArray& atr,
           const DoubleArray& percentiles, const DoubleArray& exit_atr, const Codes& regime,
           const Codes& higher_ok, const DoubleArray& higher_levels, const DoubleArray& higher_high,
           const DoubleArray& higher_low, const Codes& lower_ok, const DoubleArray& lower_levels,
           const Settings& settings) {
  const py::ssize_t bars = close.size();
  const std::pair<const char*, const py::array*> single[] = {{"high", &high},
                                                             {"low", &low},
                                                             {"close", &close},
                                                             {"p_buy", &p_buy},
                                                             {"p_sell", &p_sell},
                                                             {"atr", &atr},
                                                             {"exit_atr", &exit_atr},
                                                             {"regime", &regime},
                                                             {"higher_ok", &higher_ok},
                                                             {"higher_high", &higher_high},
                                                             {"higher_low", &higher_low},
                                                             {"lower_ok", &lower_ok}};
  for (const auto& [name, array] : single) require(*array, name, 1, bars);
  require(percentiles, "percentiles", kPercentiles, bars);
  require(higher_levels, "higher_levels", 4, bars);
  require(lower_levels, "lower_levels", 6, bars);
  check(settings);
  const Inputs in{static_cast<size_t>(bars),
                  high.data(),
                  low.data(),
                  close.data(),
                  p_buy.data(),
                  p_sell.data(),
                  atr.data(),
                  percentiles.data(),
                  exit_atr.data(),
                  regime.data(),
                  higher_ok.data(),
                  higher_levels.data(),
                  higher_high.data(),
                  higher_low.data(),
                  lower_ok.data(),
                  lower_levels.data()};
  py::array_t<uint8_t> rows({bars, static_cast<py::ssize_t>(sizeof(BarRow))});
  auto* const to = reinterpret_cast<BarRow*>(rows.mutable_data());
  Outcome outcome;
  {
    const py::gil_scoped_release release;
    outcome = genesis::run(in, settings, to);
  }
  const py::array_t<uint8_t> trades = bytes_of(outcome.trades);
  return py::make_tuple(rows, trades, outcome);
}

void register_settings(py::module_& module) {
  py::class_<Settings> s(module, "GenesisSettings",
                         "Settings of one run of the second old system's bar loop.");
  s.def(py::init<>());
#define FIELD(name) s.def_readwrite(#name, &Settings::name)
  FIELD(reward);
  FIELD(event_block);
  FIELD(risk_cap);
  FIELD(adapts);
  FIELD(percentile);
  FIELD(zone_entry);
  FIELD(zone_threshold);
  FIELD(higher_gate);
  FIELD(higher_pass);
  FIELD(higher_disabled);
  FIELD(higher_tolerance);
  FIELD(long_min);
  FIELD(short_max);
  FIELD(long_targets);
  FIELD(short_targets);
  FIELD(lower_gate);
  FIELD(lower_pass);
  FIELD(lower_tolerance);
  FIELD(long_max);
  FIELD(short_min);
  FIELD(may_override);
  FIELD(adaptive);
  FIELD(range_override);
  FIELD(override_threshold);
  FIELD(override_fallback);
  FIELD(override_share);
  FIELD(override_floor);
  FIELD(override_ceiling);
  FIELD(range_min);
  FIELD(range_max);
  FIELD(override_multiplier);
  FIELD(history_rows);
  FIELD(history_least);
  FIELD(min_edge);
  FIELD(hysteresis);
  FIELD(cooldown);
  FIELD(risk_confidence);
  FIELD(risk_size);
  FIELD(exits);
  FIELD(partials);
  FIELD(trailing);
  FIELD(stop_loss);
  FIELD(take_profit);
  FIELD(exit_confidence);
  FIELD(even_trigger);
  FIELD(even_offset);
  FIELD(partial_even);
  FIELD(partial_even_offset);
  FIELD(partial);
  FIELD(trail);
  FIELD(capital);
  FIELD(commission);
  FIELD(slippage);
  FIELD(warmup);
  FIELD(skip_errors);
#undef FIELD
}

}  // namespace

void register_genesis(py::module_& module) {
  using py::arg;
  register_settings(module);
  py::class_<Side>(module, "GenesisSide", "One side of a logistic model.")
      .def(py::init(&make_side), arg("columns"), arg("weights"), arg("bias"), arg("slope"),
           arg("shift"));
  py::class_<Outcome>(module, "GenesisOutcome", "What a run leaves beside its rows.")
      .def_readonly("buy_history", &Outcome::buy_history)
      .def_readonly("sell_history", &Outcome::sell_history)
      .def_readonly("capital", &Outcome::capital)
      .def_readonly("commission", &Outcome::commission)
      .def_readonly("max_capital", &Outcome::max_capital)
      .def_readonly("min_capital", &Outcome::min_capital)
      .def_readonly("processed", &Outcome::processed)
      .def_readonly("failed", &Outcome::failed)
      .def_readonly("failed_bar", &Outcome::failed_bar);
  module.def("genesis_features", &features_py, arg("close"), arg("rsi"), arg("rsi_before"),
             arg("ema"), arg("ema_before"), arg("adx"), arg("swing_high"), arg("swing_low"),
             arg("atr_short"), arg("atr_long"), arg("band_position"), arg("rows"),
             "(features [15, bar], percentiles [6, bar]) from indicators as of each bar.");
  module.def("genesis_probabilities", &probabilities_py, arg("features"), arg("regime"), arg("buy"),
             arg("sell"), "Probabilities [buy sell hold, bar].");
  module.def("genesis_run", &run_py, arg("high"), arg("low"), arg("close"), arg("p_buy"),
             arg("p_sell"), arg("atr"), arg("percentiles"), arg("exit_atr"), arg("regime"),
             arg("higher_ok"), arg("higher_levels"), arg("higher_high"), arg("higher_low"),
             arg("lower_ok"), arg("lower_levels"), arg("settings"),
             "(rows, trades, outcome) of the bar loop; rows and trades as bytes [row, size].");
}

}  // namespace marketsim::bindings
