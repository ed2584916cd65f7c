#include <pybind11/typing.h>

#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "bindings/numpy_args.hpp"
#include "bindings/register.hpp"
#include "kernels/indicators/indicators.hpp"

namespace marketsim::bindings {
namespace {

namespace ind = marketsim::indicators;

size_t kind_named(const std::string& name) {
  const auto kind = ind::kind_of(name);
  if (!kind) reject("unknown indicator '" + name + "'");
  return *kind;
}

ind::Option option_numbered(int option) {
  if (option < 0 || option > 3) reject("option: expected 0, 1, 2 or 3");
  return static_cast<ind::Option>(option);
}

// An indicator with its parameter sets, [set, number], whose shape comes first in the results.
class PyCall {
 public:
  PyCall(const std::string& name, const DoubleArray& parameters, std::vector<py::ssize_t> shape,
         int option, size_t longest)
      : name_(name),
        kind_(kind_named(name)),
        info_(ind::kinds()[kind_]),
        shape_(std::move(shape)),
        option_(option_numbered(option)),
        longest_(longest) {
    if (parameters.ndim() != 2 || parameters.shape(1) > py::ssize_t{ind::kMostParameters}) {
      reject("parameters: expected [set, number]");
    }
    sets_.resize(static_cast<size_t>(parameters.shape(0)));
    const auto each = static_cast<size_t>(parameters.shape(1));
    for (size_t i = 0; i < sets_.size(); ++i) {
      std::copy_n(parameters.data() + i * each, each, sets_[i].begin());
    }
    py::ssize_t sets = 1;
    for (const py::ssize_t length : shape_) sets *= length;
    if (static_cast<size_t>(sets) != sets_.size()) reject("shape: expected that of the sets");
  }

  // Results in fresh arrays, for inputs that are float64 [row] and not large; else None.
  py::object fresh(const py::typing::Tuple<py::object, py::ellipsis>& arrays) const {
    if (arrays.size() != info_.inputs) return py::none();
    const double* in[ind::kMostInputs];
    py::ssize_t rows = -1;
    for (size_t k = 0; k < info_.inputs; ++k) {
      const py::handle given = arrays[k];
      // Not of a class of its own: masked arrays are among those.
      if (Py_TYPE(given.ptr()) != py::detail::npy_api::get().PyArray_Type_ ||
          !py::isinstance<DoubleArray>(given)) {
        return py::none();
      }
      const auto array = py::reinterpret_borrow<DoubleArray>(given);
      if (array.ndim() != 1 || (rows >= 0 && array.size() != rows)) return py::none();
      rows = array.size();
      in[k] = array.data();
    }
    const size_t each = sets_.size() * static_cast<size_t>(rows);
    if (rows == 0 || each * info_.outputs >= kLarge) return py::none();
    std::vector<py::ssize_t> shape = shape_;
    shape.push_back(rows);
    py::tuple results(info_.outputs);
    double* out[ind::kMostOutputs];
    for (size_t j = 0; j < info_.outputs; ++j) {
      py::array_t<double> result(shape);
      out[j] = result.mutable_data();
      results[j] = std::move(result);
    }
    compute(in, out, 1, static_cast<size_t>(rows), 0, {});
    return results;
  }

  // inputs: [series, row] each; outputs: [set, series, row], or with lags [set, series, lag, row].
  void run(const std::vector<DoubleArray>& inputs, size_t lookback, const std::vector<size_t>& lags,
           std::vector<py::array_t<double>> outputs) const {
    if (inputs.size() != info_.inputs || outputs.size() != info_.outputs) {
      reject(name_ + ": expected " + std::to_string(info_.inputs) + " inputs and " +
             std::to_string(info_.outputs) + " outputs");
    }
    const double* in[ind::kMostInputs];
    double* out[ind::kMostOutputs];
    for (size_t k = 0; k < inputs.size(); ++k) {
      if (inputs[k].ndim() != 2) reject("inputs: expected [series, row]");
      require_same_shape(inputs[0], "the first input", inputs[k], "another");
      in[k] = inputs[k].data();
    }
    const auto series = static_cast<size_t>(inputs[0].shape(0));
    const auto rows = static_cast<size_t>(inputs[0].shape(1));
    for (const size_t lag : lags) {
      if (lag >= lookback) reject("lags: each must be below lookback");
    }
    const size_t each = rows * (lookback ? lags.size() : 1);
    for (size_t j = 0; j < outputs.size(); ++j) {
      if (static_cast<size_t>(outputs[j].size()) != sets_.size() * series * each ||
          !(outputs[j].flags() & py::array::c_style) || !outputs[j].writeable()) {
        reject("outputs: expected writable contiguous arrays of [set, series, (lag,) row]");
      }
      out[j] = outputs[j].mutable_data();
    }
    if (rows > 0 && series > 0) compute(in, out, series, rows, lookback, lags);
  }

 private:
  static constexpr size_t kLarge = size_t{1} << 19;  // numbers; compute.py allocates those

  void compute(const double* const* in, double* const* out, size_t series, size_t rows,
               size_t lookback, const std::vector<size_t>& lags) const {
    const py::gil_scoped_release release;
    const size_t each = rows * (lookback ? lags.size() : 1);
    std::vector<ind::Job> jobs(sets_.size() * series);
    for (size_t i = 0; i < jobs.size(); ++i) {
      for (size_t k = 0; k < info_.inputs; ++k) jobs[i].in[k] = in[k] + i % series * rows;
      for (size_t j = 0; j < info_.outputs; ++j) jobs[i].out[j] = out[j] + i * each;
      std::copy(sets_[i / series].begin(), sets_[i / series].end(), jobs[i].parameters);
    }
    const ind::Run all{jobs.data(), jobs.size(), rows,        option_,
                       longest_,    lookback,    lags.data(), lags.size()};
    lookback ? ind::run_windowed(kind_, all) : ind::run(kind_, all);
  }

  std::string name_;
  size_t kind_;
  ind::KindInfo info_;
  std::vector<std::array<double, ind::kMostParameters>> sets_;
  std::vector<py::ssize_t> shape_;
  ind::Option option_;
  size_t longest_;
};

// An indicator that takes one bar at a time.
class PyStream {
 public:
  using State = py::typing::Tuple<std::string, std::vector<double>, int, size_t, size_t,
                                  std::vector<size_t>, py::bytes>;
  static constexpr size_t kMostLags = 64;

  PyStream(const std::string& name, std::vector<double> parameters, int option, size_t longest,
           size_t lookback, std::vector<size_t> lags)
      : name_(name),
        parameters_(std::move(parameters)),
        option_(option),
        longest_(longest),
        lookback_(lookback),
        lags_(std::move(lags)) {
    const size_t kind = kind_named(name);
    inputs_ = ind::kinds()[kind].inputs;
    outputs_ = ind::kinds()[kind].outputs;
    if (parameters_.size() > ind::kMostParameters) reject("parameters: too many");
    parameters_.resize(ind::kMostParameters);
    const ind::Option chosen = option_numbered(option);
    if (lookback_ == 0) {
      lags_.clear();
      stream_ = ind::make_stream(kind, parameters_.data(), chosen, longest);
    } else {
      if (lags_.empty() || lags_.size() > kMostLags) reject("lags: expected 1 to 64 of them");
      for (const size_t lag : lags_) {
        if (lag >= lookback_) reject("lags: each must be below lookback");
      }
      stream_ =
          ind::make_windowed_stream(kind, parameters_.data(), chosen, longest, lookback_, lags_);
      outputs_ *= lags_.size();
    }
  }
  PyStream(const PyStream& other)
      : name_(other.name_),
        parameters_(other.parameters_),
        option_(other.option_),
        longest_(other.longest_),
        lookback_(other.lookback_),
        lags_(other.lags_),
        inputs_(other.inputs_),
        outputs_(other.outputs_),
        stream_(other.stream_->clone()) {}

  template <class... Numbers>
  py::object update(Numbers... numbers) {
    if (sizeof...(numbers) != inputs_) {
      throw py::type_error(name_ + ".update: expected " + std::to_string(inputs_) +
                           " numbers, got " + std::to_string(sizeof...(numbers)));
    }
    const double in[] = {numbers...};
    double out[ind::kMostOutputs * kMostLags];
    stream_->update(in, out);
    if (outputs_ == 1) return py::float_(out[0]);
    py::tuple all(outputs_);
    for (size_t j = 0; j < outputs_; ++j) all[j] = py::float_(out[j]);
    return all;
  }
  State state() const {
    return py::make_tuple(name_, parameters_, option_, longest_, lookback_, lags_,
                          py::bytes(stream_->save()));
  }
  static PyStream from_state(const State& state) {
    if (state.size() != 7) reject("not the state of an indicator");
    PyStream stream(state[0].cast<std::string>(), state[1].cast<std::vector<double>>(),
                    state[2].cast<int>(), state[3].cast<size_t>(), state[4].cast<size_t>(),
                    state[5].cast<std::vector<size_t>>());
    stream.stream_->load(state[6].cast<std::string>());
    return stream;
  }
  const std::string& name() const { return name_; }

 private:
  std::string name_;
  std::vector<double> parameters_;
  int option_;
  size_t longest_, lookback_;
  std::vector<size_t> lags_;
  size_t inputs_ = 0, outputs_ = 0;
  std::unique_ptr<ind::Stream> stream_;
};

}  // namespace

void register_indicators(py::module_& module) {
  using py::arg;
  py::class_<PyCall>(module, "IndicatorCall", "An indicator with its parameters.")
      .def(
          py::init<const std::string&, const DoubleArray&, std::vector<py::ssize_t>, int, size_t>(),
          arg("name"), arg("parameters"), arg("shape"), arg("option"), arg("longest"))
      .def("fresh", &PyCall::fresh, arg("arrays"),
           "A tuple of results in fresh arrays, for small float64 arrays [row]; else None.")
      .def("run", &PyCall::run, arg("inputs"), arg("lookback"), arg("lags"), arg("outputs"),
           "Fill the outputs; lookback 0 sees all rows before each.");
  module.def(
      "indicator_kinds",
      [] {
        py::typing::Dict<std::string, std::tuple<size_t, size_t, bool>> all;
        for (const ind::KindInfo& kind : ind::kinds()) {
          all[kind.name] = py::make_tuple(kind.inputs, kind.outputs, kind.recursive);
        }
        return all;
      },
      "{name: (inputs, outputs, recursive)} of every indicator.");
  py::class_<PyStream>(module, "IndicatorStream", "An indicator that takes one bar at a time.")
      .def(py::init<const std::string&, std::vector<double>, int, size_t, size_t,
                    std::vector<size_t>>(),
           arg("name"), arg("parameters"), arg("option"), arg("longest"), arg("lookback") = 0,
           arg("lags") = std::vector<size_t>{})
      .def_property_readonly("name", &PyStream::name)
      .def("update", &PyStream::update<double>, "Take one bar; its value.")
      .def("update", &PyStream::update<double, double>)
      .def("update", &PyStream::update<double, double, double>)
      .def("update", &PyStream::update<double, double, double, double>)
      .def("update", &PyStream::update<double, double, double, double, double>)
      .def(
          "copy", [](const PyStream& self) { return PyStream(self); }, "An independent copy.")
      .def("__copy__", [](const PyStream& self) { return PyStream(self); })
      .def("__deepcopy__", [](const PyStream& self, const py::object&) { return PyStream(self); })
      .def(py::pickle([](const PyStream& self) { return self.state(); }, &PyStream::from_state));
}

}  // namespace marketsim::bindings
