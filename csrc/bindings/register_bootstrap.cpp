#include <optional>

#include "bindings/numpy_args.hpp"
#include "bindings/register.hpp"
#include "kernels/bootstrap.hpp"
#include "kernels/performance.hpp"

namespace marketsim::bindings {
namespace {

using Doubles = py::array_t<double>;
using Flags = py::array_t<bool, py::array::c_style>;

Resampling resampling(double mean_length, std::uint64_t seed, py::ssize_t repetitions) {
  if (!(mean_length >= 1.0)) reject("mean_length: expected at least 1 bar");
  if (repetitions < 1) reject("repetitions: expected at least 1");
  return {mean_length, seed, static_cast<size_t>(repetitions)};
}

void require_rows(const DoubleArray& rows, const char* name) {
  if (rows.ndim() != 2 || rows.shape(0) == 0 || rows.shape(1) == 0) {
    reject(std::string(name) + " must be [strategy, bar] with at least one of each: got shape " +
           shape_text(rows));
  }
}

py::array_t<std::int64_t> bootstrap_bars_py(py::ssize_t bars, double mean_length,
                                            std::uint64_t seed, py::ssize_t repetitions) {
  const Resampling how = resampling(mean_length, seed, repetitions);
  if (bars < 1 || bars >= py::ssize_t{1} << 32) reject("bars: expected 1 to 2^32 - 1");
  py::array_t<std::int64_t> drawn({repetitions, bars});
  std::int64_t* const to = drawn.mutable_data();
  {
    const py::gil_scoped_release release;  // no Python object is touched below
    for (size_t r = 0; r < how.repetitions; ++r) {
      draw_bars(how, r, static_cast<size_t>(bars), to + r * static_cast<size_t>(bars));
    }
  }
  return drawn;
}

Doubles bootstrap_maxima_py(const DoubleArray& values, const DoubleArray& offsets,
                            const DoubleArray& scale, double mean_length, std::uint64_t seed,
                            py::ssize_t repetitions) {
  const Resampling how = resampling(mean_length, seed, repetitions);
  require_rows(values, "values");
  if (offsets.ndim() != 2 || offsets.shape(1) != values.shape(0) || scale.ndim() != 1 ||
      scale.size() != values.shape(0)) {
    reject("offsets must be [kind, strategy] and scale [strategy]: got shapes " +
           shape_text(offsets) + " and " + shape_text(scale));
  }
  Doubles maxima({repetitions, offsets.shape(0)});
  double* const to = maxima.mutable_data();
  {
    const py::gil_scoped_release release;
    bootstrap_maxima(values.data(), static_cast<size_t>(values.shape(0)),
                     static_cast<size_t>(values.shape(1)), offsets.data(),
                     static_cast<size_t>(offsets.shape(0)), scale.data(), how, to);
  }
  return maxima;
}

Doubles bootstrap_performance_py(const DoubleArray& net, const std::optional<Flags>& active,
                                 double mean_length, std::uint64_t seed, py::ssize_t repetitions) {
  const Resampling how = resampling(mean_length, seed, repetitions);
  require_rows(net, "net");
  if (active) require_same_shape(net, "net", *active, "active");
  Doubles figures({net.shape(0), repetitions, static_cast<py::ssize_t>(kWindowFigures)});
  double* const to = figures.mutable_data();
  const auto* const flags =
      active ? reinterpret_cast<const std::uint8_t*>(active->data()) : nullptr;
  {
    const py::gil_scoped_release release;
    bootstrap_performance(net.data(), flags, static_cast<size_t>(net.shape(0)),
                          static_cast<size_t>(net.shape(1)), how, to);
  }
  return figures;
}

}  // namespace

void register_bootstrap(py::module_& module) {
  using py::arg;
  module.def("bootstrap_bars", &bootstrap_bars_py, arg("bars"), arg("mean_length"), arg("seed"),
             arg("repetitions"), "The bars that each repetition draws: [repetition, bar].");
  module.def("bootstrap_maxima", &bootstrap_maxima_py, arg("values").noconvert(),
             arg("offsets").noconvert(), arg("scale").noconvert(), arg("mean_length"), arg("seed"),
             arg("repetitions"),
             "Largest (resampled centred mean + offset) * scale of all strategies: "
             "[repetition, kind].");
  module.def("bootstrap_performance", &bootstrap_performance_py, arg("net").noconvert(),
             arg("active").noconvert(), arg("mean_length"), arg("seed"), arg("repetitions"),
             "Window figures of resampled net returns: [strategy, repetition, figure].");
}

}  // namespace marketsim::bindings
