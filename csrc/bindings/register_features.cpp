#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "bindings/numpy_args.hpp"
#include "bindings/register.hpp"
#include "kernels/features/program.hpp"

namespace marketsim::bindings {
namespace {

// (op, operands, index, number)
using StepTuple = std::tuple<int, std::vector<size_t>, size_t, double>;
// (name, parameters, option, longest, lookback, lags, inputs)
using IndicatorTuple = std::tuple<std::string, std::vector<double>, int, size_t, size_t,
                                  std::vector<size_t>, std::vector<size_t>>;

features::Program make_program(size_t inputs, const std::vector<StepTuple>& steps,
                               const std::vector<IndicatorTuple>& used, std::vector<size_t> given) {
  features::Program program{inputs, {}, {}, std::move(given)};
  for (const auto& [op, of, index, number] : steps) {
    features::Step step{static_cast<features::Op>(op), {}, index, number};
    if (of.size() > 3) reject("a step takes at most 3 values");
    std::copy(of.begin(), of.end(), step.of);
    program.steps.push_back(step);
  }
  for (const auto& [name, parameters, option, longest, lookback, lags, from] : used) {
    const auto kind = indicators::kind_of(name);
    if (!kind) reject("unknown indicator '" + name + "'");
    if (option < 0 || option > 3) reject("option: expected 0, 1, 2 or 3");
    std::vector<double> all = parameters;
    all.resize(std::max<size_t>(all.size(), indicators::kMostParameters));
    program.indicators.push_back(
        {*kind, all, static_cast<indicators::Option>(option), longest, lookback, lags, from});
  }
  program.check();
  return program;
}

py::array_t<double> run_program(const features::Program& program, const DoubleArray& columns,
                                py::ssize_t first) {
  if (columns.ndim() != 2 || static_cast<size_t>(columns.shape(0)) != program.inputs) {
    reject("columns: expected (" + std::to_string(program.inputs) + ", rows), got " +
           shape_text(columns));
  }
  const py::ssize_t rows = columns.shape(1);
  if (first < 0 || first > rows) reject("first: expected 0 to the number of rows");
  py::array_t<double> to({rows - first, static_cast<py::ssize_t>(program.features.size())});
  std::vector<const double*> at;
  for (py::ssize_t k = 0; k < columns.shape(0); ++k) at.push_back(columns.data(k, 0));
  double* const out = to.mutable_data();
  {
    const py::gil_scoped_release release;
    if (rows > 0) {
      features::run(program, at.data(), static_cast<size_t>(rows), static_cast<size_t>(first), out);
    }
  }
  return to;
}

class PyFeatureStream {
 public:
  explicit PyFeatureStream(const features::Program& program)
      : inputs_(program.inputs), features_(program.features.size()), stream_(program) {}

  py::array_t<double> update(const DoubleArray& row) {
    if (row.ndim() != 1 || static_cast<size_t>(row.size()) != inputs_) {
      reject("row: expected " + std::to_string(inputs_) + " numbers, got " + shape_text(row));
    }
    py::array_t<double> to(static_cast<py::ssize_t>(features_));
    stream_.update(row.data(), to.mutable_data());
    return to;
  }
  std::vector<py::bytes> save() const {
    std::vector<py::bytes> parts;
    for (const std::string& part : stream_.save()) parts.emplace_back(part);
    return parts;
  }
  void load(const std::vector<py::bytes>& parts) {
    std::vector<std::string> all;
    for (const py::bytes& part : parts) all.emplace_back(static_cast<std::string>(part));
    stream_.load(all);
  }

 private:
  size_t inputs_, features_;
  features::Stream stream_;
};

}  // namespace

void register_features(py::module_& module) {
  using py::arg;
  py::class_<PyFeatureStream>(module, "FeatureStream", "Features, one bar at a time.")
      .def("update", &PyFeatureStream::update, arg("row"), "Take one bar; its features.")
      .def(
          "copy", [](const PyFeatureStream& self) { return PyFeatureStream(self); },
          "An independent copy.")
      .def("save", &PyFeatureStream::save, "The state as bytes.")
      .def("load", &PyFeatureStream::load, arg("parts"), "Take up a saved state.");
  py::class_<features::Program>(module, "FeatureProgram", "Features as numbered steps.")
      .def(py::init(&make_program), arg("inputs"), arg("steps"), arg("indicators"), arg("features"))
      .def("run", &run_program, arg("columns"), arg("first") = 0,
           "Features [row, feature] of columns [input, row], from row `first` on.")
      .def(
          "stream", [](const features::Program& self) { return PyFeatureStream(self); },
          "A form that takes one bar at a time.");
}

}  // namespace marketsim::bindings
