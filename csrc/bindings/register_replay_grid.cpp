#include <pybind11/typing.h>

#include <vector>

#include "bindings/register.hpp"
#include "bindings/replay_args.hpp"
#include "kernels/replay/replay_grid.hpp"

namespace marketsim::bindings {
namespace {

using namespace replay;
using Flags = py::array_t<bool, py::array::c_style>;
using Numbers = py::array_t<int64_t, py::array::c_style>;

struct GridComparisons {
  DoubleArray rows;
  Numbers entry_up, entry_over, exit_up, exit_over;
  bool crosses;
};

GridComparisons make_comparisons(const DoubleArray& rows, const Numbers& entry_up,
                                 const Numbers& entry_over, const Numbers& exit_up,
                                 const Numbers& exit_over, bool crosses) {
  if (rows.ndim() != 2) reject("rows must be [row, bar]: got shape " + shape_text(rows));
  for (const Numbers* of : {&entry_up, &entry_over, &exit_up, &exit_over}) {
    require_same_shape(entry_up, "entry_up", *of, "row numbers");
    for (py::ssize_t i = 0; i < of->size(); ++i) {
      if (of->data()[i] < 0 || of->data()[i] >= rows.shape(0)) {
        reject("row number " + std::to_string(of->data()[i]) + " of set " + std::to_string(i) +
               " is none of " + std::to_string(rows.shape(0)) + " rows");
      }
    }
  }
  return {rows, entry_up, entry_over, exit_up, exit_over, crosses};
}

using Figures = py::typing::Dict<py::str, py::array_t<double>>;

template <typename Figure>
void put(Figures& to, const char* name, const std::vector<Summary>& from, const Figure& figure) {
  py::array_t<double> values(static_cast<py::ssize_t>(from.size()));
  double* const data = values.mutable_data();
  for (size_t i = 0; i < from.size(); ++i) data[i] = static_cast<double>(figure(from[i]));
  to[name] = values;
}

Figures figures_of(const std::vector<Summary>& from) {
  Figures to;
  put(to, "final_equity", from, [](const Summary& s) { return s.final_equity; });
  put(to, "total_return", from, [](const Summary& s) { return s.curve.total_return; });
  put(to, "max_drawdown", from, [](const Summary& s) { return s.curve.max_drawdown; });
  put(to, "sharpe", from, [](const Summary& s) { return s.curve.sharpe; });
  put(to, "exposure", from, [](const Summary& s) { return s.exposure; });
  put(to, "gross_win", from, [](const Summary& s) { return s.gross_win; });
  put(to, "gross_loss", from, [](const Summary& s) { return s.gross_loss; });
  put(to, "cost", from, [](const Summary& s) { return s.cost; });
  put(to, "turnover", from, [](const Summary& s) { return s.turnover; });
  put(to, "trades", from, [](const Summary& s) { return s.trades; });
  put(to, "wins", from, [](const Summary& s) { return s.wins; });
  put(to, "orders", from, [](const Summary& s) { return s.orders; });
  put(to, "fills", from, [](const Summary& s) { return s.fills; });
  put(to, "refused", from, [](const Summary& s) { return s.refused; });
  put(to, "ambiguous_bars", from, [](const Summary& s) { return s.ambiguous_bars; });
  put(to, "ruined_bar", from, [](const Summary& s) { return s.ruined_bar; });
  return to;
}

Figures grid_py(const ReplayBars& bars, const Settings& settings,
                const std::optional<GridComparisons>& comparisons,
                const std::optional<Flags>& entries, const std::optional<Flags>& exits,
                int64_t side, int64_t size, double quantity, const DoubleArray& stop_loss,
                const DoubleArray& take_profit, const DoubleArray& trailing_stop,
                const Numbers& cooldown, const Numbers& time_stop, std::optional<DoubleArray> net) {
  const py::ssize_t sets = stop_loss.size(), count = bars.close.size();
  require_same_shape(stop_loss, "stop_loss", take_profit, "take_profit");
  require_same_shape(stop_loss, "stop_loss", trailing_stop, "trailing_stop");
  require_same_shape(stop_loss, "stop_loss", cooldown, "cooldown");
  require_same_shape(stop_loss, "stop_loss", time_stop, "time_stop");
  Comparisons rows{};
  if (comparisons) {
    const GridComparisons& c = *comparisons;
    require_same_shape(stop_loss, "stop_loss", c.entry_up, "entry_up");
    if (c.rows.shape(1) != count) reject("rows must be [row, bar]: got " + shape_text(c.rows));
    rows = {c.rows.data(),    c.entry_up.data(),  c.entry_over.data(),
            c.exit_up.data(), c.exit_over.data(), c.crosses};
  } else {
    for (const auto* flags : {&entries, &exits}) {
      if (!*flags || (*flags)->ndim() != 2 || (*flags)->shape(0) != sets ||
          (*flags)->shape(1) != count) {
        reject("entries and exits must be [set, bar] where no rows are compared");
      }
    }
  }
  if (net && (net->ndim() != 2 || net->shape(0) != sets || net->shape(1) != count)) {
    reject("net must be [set, bar]: got shape " + shape_text(*net));
  }
  const auto data = [](const std::optional<Flags>& flags) {
    return flags ? reinterpret_cast<const uint8_t*>(flags->data()) : nullptr;
  };
  const Grid grid{comparisons ? &rows : nullptr,
                  data(entries),
                  data(exits),
                  sets,
                  static_cast<Side>(side),
                  size,
                  quantity,
                  stop_loss.data(),
                  take_profit.data(),
                  trailing_stop.data(),
                  cooldown.data(),
                  time_stop.data()};
  double* const to = net ? net->mutable_data() : nullptr;
  const int threads = thread_limit();
  std::vector<Summary> summaries(static_cast<size_t>(sets));
  {
    const py::gil_scoped_release release;
    run_grid(bars.arrays(), settings, grid, threads, summaries.data(), to);
  }
  return figures_of(summaries);
}

}  // namespace

void register_replay_grid(py::module_& module) {
  using py::arg;
  py::class_<GridComparisons>(module, "GridComparisons",
                              "Signals of many sets as comparisons between rows of indicators.")
      .def(py::init(&make_comparisons), arg("rows").noconvert(), arg("entry_up").noconvert(),
           arg("entry_over").noconvert(), arg("exit_up").noconvert(), arg("exit_over").noconvert(),
           arg("crosses"));
  module.def("replay_grid", &grid_py, arg("bars"), arg("settings"), arg("comparisons").none(true),
             arg("entries").noconvert().none(true), arg("exits").noconvert().none(true),
             arg("side"), arg("size"), arg("quantity"), arg("stop_loss").noconvert(),
             arg("take_profit").noconvert(), arg("trailing_stop").noconvert(),
             arg("cooldown").noconvert(), arg("time_stop").noconvert(),
             arg("net").noconvert().none(true),
             "Figures by name [set] of a signal strategy with many sets of parameters; writes the "
             "returns of the equity to `net` [set, bar].");
}

}  // namespace marketsim::bindings
