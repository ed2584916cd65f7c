#include <pybind11/critical_section.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>
#include <pybind11/typing.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include "bindings/numpy_args.hpp"
#include "bindings/register.hpp"
#include "common/file_system.hpp"
#include "kernels/store/file.hpp"

namespace marketsim::bindings {
namespace {

using store::Counters;
using store::Key;
using store::RecordFile;
using store::RecordHead;
using store::View;

using KeyArray = py::array_t<uint8_t, py::array::c_style>;
template <typename T>
using Column = py::array_t<T, py::array::c_style>;
using ValueArray = py::array_t<float, py::array::c_style>;
using ViewPointer = std::shared_ptr<const View>;
using Path = std::filesystem::path;  // any str, bytes or PathLike, UTF-8 or not
using Facts = py::typing::Dict<py::str, uint64_t>;
using Found = py::typing::Tuple<ValueArray, py::array_t<bool>, size_t>;
using Table = py::typing::Tuple<KeyArray, Column<int64_t>, Column<uint8_t>, Column<uint16_t>,
                                Column<uint8_t>, ValueArray>;
using IdentityText = std::tuple<std::string, std::string, std::string, uint32_t>;
using Inspected = std::tuple<std::optional<IdentityText>, std::tuple<bool, bool>, uint64_t>;

// Runs what may stop to be called again. Signals are looked at here, where no lock of the engine is
// held: a forking thread may hold the GIL while it waits for one.
template <typename Work>
auto resumed(const Work& work) {
  while (true) {
    try {
      const py::gil_scoped_release release;
      return work();
    } catch (const store::Interrupted&) {
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    }
  }
}

void warn(const std::string& text) {
  const py::object type = py::module_::import("marketsim.errors").attr("StoreWarning");
  if (PyErr_WarnEx(type.ptr(), text.c_str(), 1) != 0) throw py::error_already_set();
}

// Runs what may wait for another process's lock: says so after a while, and gives up at a limit.
template <typename Work>
size_t patiently(double limit, const Work& work) {
  store::LockWait wait;
  wait.limit = limit;
  return resumed([&] {
    if (std::exchange(wait.report_due, false)) {
      wait.reported = true;
      const std::string folder = store::folder_of(wait.path);
      const std::string text = "waiting for the lock of a prediction store, which " +
                               store::lock_holder(folder) + " holds: " + wait.path +
                               " (the wait ends after " +
                               std::to_string(static_cast<long>(wait.limit)) + " s)";
      const py::gil_scoped_acquire gil;
      warn(text);
    }
    return work(wait);
  });
}

const Key* keys_of(const KeyArray& keys) {
  if (keys.ndim() != 2 || keys.shape(1) != sizeof(Key)) {
    reject("keys must have shape (n, 16): got " + shape_text(keys));
  }
  return reinterpret_cast<const Key*>(keys.data());
}

// An argument of a plain method as pybind11 would take it, without a conversion.
template <typename Array>
Array array_of(PyObject* given, const char* name) {
  if (Array::check_(given)) return py::reinterpret_borrow<Array>(given);
  const auto type = py::dtype::of<typename Array::value_type>();
  throw py::type_error(std::string(name) + " must be a contiguous array of " +
                       py::str(type).cast<std::string>());
}

template <typename T>
void require_column(const Column<T>& column, py::ssize_t count, const char* name) {
  if (column.ndim() == 1 && column.size() == count) return;
  reject(std::string(name) + " must have shape (" + std::to_string(count) + ",): got " +
         shape_text(column));
}

// The object in Python: the file, and the view that arrays given out keep alive.
struct StoreFile {
  RecordFile file;
  py::object base;       // of the arrays that get() gives out
  ViewPointer based_on;  // the view that it is
  uint32_t next = 0;     // behind the last record that get() found
  double lock_timeout;   // seconds

  // use_maps is taken for programs that still give it, and means nothing: nothing is mapped.
  StoreFile(const Path& path, std::string model, std::string series, std::string schema,
            uint32_t width, std::shared_ptr<Counters> counters, bool writable, bool sync,
            double lock_timeout_, bool /*use_maps*/)
      : file(path.native(), {std::move(model), std::move(series), std::move(schema), width},
             {writable, sync}, std::move(counters)),
        lock_timeout(lock_timeout_) {}

  Found read(const KeyArray& keys) {
    const Key* wanted = keys_of(keys);
    const auto count = static_cast<size_t>(keys.shape(0));
    ValueArray values({keys.shape(0), static_cast<py::ssize_t>(file.identity().width)});
    py::array_t<bool> found(keys.shape(0));
    float* to = values.mutable_data();
    bool* flags = found.mutable_data();
    const size_t hits = resumed([&] {
      const size_t found_now = file.read(wanted, count, to, flags);
      if (found_now < count) fill_missing(to, flags, count);
      return found_now;
    });
    return py::make_tuple(std::move(values), std::move(found), hits);
  }

  void fill_missing(float* to, const bool* found, size_t count) const {
    const size_t width = file.identity().width;
    for (size_t i = 0; i < count; ++i) {
      if (!found[i]) std::fill_n(to + i * width, width, std::numeric_limits<float>::quiet_NaN());
    }
  }

  // The columns of a batch in the order of append().
  size_t append(PyObject* const* given) {
    const auto keys = array_of<KeyArray>(given[0], "keys");
    const auto as_of = array_of<Column<int64_t>>(given[1], "as_of");
    const auto target = array_of<Column<uint8_t>>(given[2], "target");
    const auto horizon = array_of<Column<uint16_t>>(given[3], "horizon");
    const auto flags = array_of<Column<uint8_t>>(given[4], "flags");
    const auto values = array_of<ValueArray>(given[5], "records");
    const Key* tags = keys_of(keys);
    const py::ssize_t count = keys.shape(0);
    require_column(as_of, count, "as_of");
    require_column(target, count, "target");
    require_column(horizon, count, "horizon");
    require_column(flags, count, "flags");
    if (values.ndim() != 2 || values.shape(0) != count ||
        values.shape(1) != file.identity().width) {
      reject("records must have shape (" + std::to_string(count) + ", " +
             std::to_string(file.identity().width) + "): got " + shape_text(values));
    }
    std::vector<RecordHead> heads(static_cast<size_t>(count));
    for (size_t i = 0; i < heads.size(); ++i) {
      heads[i] = {tags[i],          as_of.data()[i], horizon.data()[i],
                  target.data()[i], flags.data()[i], 0};
    }
    return patiently(lock_timeout, [&](store::LockWait& wait) {
      return file.append(heads.data(), values.data(), heads.size(), wait);
    });
  }

  ViewPointer look() {
    return resumed([&] { return file.refresh(); });
  }
};

// The values of a record in our memory, not writable; the array keeps the view alive.
PyObject* values_of(StoreFile& self, const ViewPointer& view, uint32_t slot) {
  static PyObject* const float32 = py::dtype::of<float>().release().ptr();
  const auto& numpy = py::detail::npy_api::get();
  if (self.based_on != view) {
    self.base = py::cast(view);
    self.based_on = view;
  }
  Py_intptr_t width = view->width();
  Py_INCREF(float32);  // the array takes both references
  PyObject* array = numpy.PyArray_NewFromDescr_(
      numpy.PyArray_Type_, float32, 1, &width, nullptr, const_cast<float*>(view->values(slot)),
      py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_,
      nullptr);
  if (!array) return nullptr;
  if (numpy.PyArray_SetBaseObject_(array, py::object(self.base).release().ptr()) == 0) return array;
  Py_DECREF(array);
  return nullptr;
}

PyObject* get_values(StoreFile& self, const Key& key) {
  ViewPointer view = self.file.view();
  uint32_t slot = view ? view->find(key, self.next) : store::kNoSlot;
  if (slot == store::kNoSlot) {
    view = self.look();
    slot = view ? view->find(key) : store::kNoSlot;
  }
  Counters& counters = self.file.counters();
  if (slot == store::kNoSlot) {
    counters.misses.fetch_add(1, std::memory_order_relaxed);
    Py_RETURN_NONE;
  }
  counters.hits.fetch_add(1, std::memory_order_relaxed);
  self.next = slot + 1;
  return values_of(self, view, slot);
}

void translate(std::exception_ptr thrown) {
  try {
    if (thrown) std::rethrow_exception(thrown);
  } catch (const store::Failure& failure) {
    const auto path = py::reinterpret_steal<py::object>(PyUnicode_DecodeFSDefaultAndSize(
        failure.path.data(), static_cast<py::ssize_t>(failure.path.size())));
    const py::object error =
        py::reinterpret_borrow<py::object>(PyExc_OSError)(failure.code, failure.what(), path);
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.ptr())), error.ptr());
  }
}

// A lookup takes less time than pybind11's call of a function and its array together, and an append
// not much more: these two methods are plain ones of Python's.
template <typename Work>
PyObject* with_file(PyObject* self, const Work& work) {
  try {
    auto* instance = reinterpret_cast<py::detail::instance*>(self);
    auto* file = instance->get_value_and_holder().value_ptr<StoreFile>();
    if (file) return work(*file);
    PyErr_SetString(PyExc_TypeError, "StoreFile.__init__() was not called");
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const py::builtin_exception& error) {
    error.set_error();
  } catch (const store::Failure&) {
    translate(std::current_exception());
  } catch (const std::invalid_argument& error) {
    PyErr_SetString(PyExc_ValueError, error.what());
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return nullptr;
}

PyObject* get(PyObject* self, PyObject* key) {
  char* bytes;
  py::ssize_t size;
  if (PyBytes_AsStringAndSize(key, &bytes, &size) != 0) return nullptr;
  if (size != sizeof(Key)) {
    return PyErr_Format(PyExc_ValueError, "key must be 16 bytes: got %zd", size);
  }
  Key wanted;
  std::memcpy(&wanted, bytes, sizeof wanted);
  return with_file(self, [&](StoreFile& file) {
    const py::scoped_critical_section alone{py::handle(self)};
    return get_values(file, wanted);
  });
}

PyObject* append(PyObject* self, PyObject* const* given, py::ssize_t count) {
  if (count != 6) {
    return PyErr_Format(PyExc_TypeError, "append() takes 6 arguments: got %zd", count);
  }
  return with_file(self, [&](StoreFile& file) { return PyLong_FromSize_t(file.append(given)); });
}

// The first line of each is what pybind11 would write, for the stub.
PyMethodDef get_method = {"get", &get, METH_O,
                          "get(self: marketsim._core.StoreFile, key: bytes) -> "
                          "typing.Optional[numpy.typing.NDArray[numpy.float32]]\n\n"
                          "The values of a record, not writable, or None."};

PyMethodDef append_method = {
    "append", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&append)), METH_FASTCALL,
    "append(self: marketsim._core.StoreFile, keys: numpy.typing.NDArray[numpy.uint8], "
    "as_of: numpy.typing.NDArray[numpy.int64], target: numpy.typing.NDArray[numpy.uint8], "
    "horizon: numpy.typing.NDArray[numpy.uint16], flags: numpy.typing.NDArray[numpy.uint8], "
    "records: numpy.typing.NDArray[numpy.float32], /) -> int\n\n"
    "Appends what is not there yet; returns how many."};

void add_method(py::class_<StoreFile>& type, PyMethodDef& method) {
  auto* raw = reinterpret_cast<PyTypeObject*>(type.ptr());
  type.attr(method.ml_name) = py::reinterpret_steal<py::object>(PyDescr_NewMethod(raw, &method));
}

// All records that count, in the order they were written.
Table table(StoreFile& self) {
  const ViewPointer view = self.look();
  const uint32_t slots = view ? view->count() : 0;
  const auto count = static_cast<py::ssize_t>(slots);
  KeyArray keys({count, static_cast<py::ssize_t>(sizeof(Key))});
  Column<int64_t> as_of(count);
  Column<uint8_t> target(count), flags(count);
  Column<uint16_t> horizon(count);
  const uint32_t width = self.file.identity().width;
  ValueArray values({count, static_cast<py::ssize_t>(width)});
  for (uint32_t i = 0; i < slots; ++i) {
    const RecordHead& head = view->head(i);
    std::memcpy(keys.mutable_data() + i * sizeof(Key), &head.key, sizeof(Key));
    as_of.mutable_data()[i] = head.as_of;
    target.mutable_data()[i] = head.target;
    horizon.mutable_data()[i] = head.horizon;
    flags.mutable_data()[i] = head.flags;
    std::memcpy(values.mutable_data() + i * width, view->values(i), width * sizeof(float));
  }
  return py::make_tuple(keys, as_of, target, horizon, flags, values);
}

Facts contents(StoreFile& self) {
  const store::Contents found = resumed([&] { return self.file.contents(); });
  Facts facts;
  facts["bytes"] = found.bytes;
  facts["slots"] = found.slots;
  facts["live"] = found.live;
  facts["corrupt"] = found.corrupt;
  facts["superseded"] = found.superseded;
  facts["unreadable"] = found.unreadable;
  facts["unsynced"] = found.unsynced;
  return facts;
}

Facts counts(const Counters& counters) {
  Facts facts;
  facts["hits"] = counters.hits.load();
  facts["misses"] = counters.misses.load();
  facts["corrupt"] = counters.corrupt.load();
  facts["superseded"] = counters.superseded.load();
  facts["quarantined"] = counters.quarantined.load();
  facts["unreadable"] = counters.unreadable.load();
  return facts;
}

Inspected inspect_py(const Path& path) {
  const store::Inspection found = store::inspect(path.native());
  std::optional<IdentityText> identity;
  if (found.identity) {
    const store::Identity& is = *found.identity;
    identity.emplace(is.model, is.series, is.schema, is.width);
  }
  return {identity, {found.headers[0], found.headers[1]}, found.bytes};
}

}  // namespace

void register_store(py::module_& module) {
  using py::arg;
  py::register_local_exception_translator(&translate);
  py::class_<View, std::shared_ptr<View>>(module, "StoreView",
                                          "Keeps the bytes of records that were given out.");
  py::class_<Counters, std::shared_ptr<Counters>>(module, "StoreCounters",
                                                  "Counts of all files of a store.")
      .def(py::init<>())
      .def("counts", &counts, "The counts by name.")
      .def_property_readonly(
          "held", [](const Counters& self) { return self.held.load(); },
          "Bytes of memory that the records of all files take.");
  py::class_<StoreFile> file(module, "StoreFile",
                             "One file of records; see csrc/kernels/store/file.hpp.");
  file.def(py::init<const Path&, std::string, std::string, std::string, uint32_t,
                    std::shared_ptr<Counters>, bool, bool, double, bool>(),
           arg("path"), arg("model"), arg("series"), arg("schema"), arg("width"), arg("counters"),
           arg("writable"), arg("sync"), arg("lock_timeout") = 10.0, arg("use_maps") = false)
      .def("read", &StoreFile::read, arg("keys").noconvert(),
           "(records [n, width], found [n], how many were found).")
      .def("table", &table, "(keys, as_of, target, horizon, flags, records) of all records.")
      .def(
          "compact",
          [](StoreFile& self) {
            return patiently(self.lock_timeout,
                             [&](store::LockWait& wait) { return self.file.compact(wait); });
          },
          "Rewrites the file with what counts; returns the bytes saved.")
      .def("contents", &contents, "Bytes, slots and what is in them.");
  add_method(file, get_method);
  add_method(file, append_method);
  module.def("store_inspect", &inspect_py, arg("path"),
             "((model, series, schema, width) or None, whether each header is whole, bytes).");
  module.def(
      "store_layout",
      [](uint32_t width) {
        return std::tuple<size_t, size_t>{store::kDataStart, store::stride_of(width)};
      },
      arg("width"), "(where records begin, how far they lie apart), in bytes.");
  module.def(
      "store_lock_holder", [](const Path& folder) { return store::lock_holder(folder.native()); },
      arg("folder"), "Who holds the lock of a folder of the store, for people.");
  module.def(
      "store_network_file_system",
      [](const Path& path) { return network_file_system(path.native()); }, arg("path"),
      "The kind of network file system a path lies on, or an empty text.");
}

}  // namespace marketsim::bindings
