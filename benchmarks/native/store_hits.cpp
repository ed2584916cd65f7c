// Lookups in the store's own index as C++ sees them; `bench_store.py` builds and calls this.
//
// A handle is a view of a file that has been verified. Each function walks over `count` keys and
// returns the sum of the first value of every record found, so that nothing can be left out.
#include <cstring>
#include <memory>

#include "kernels/store/file.hpp"

namespace store = marketsim::store;
using Handle = std::shared_ptr<const store::View>;

extern "C" {

void* store_open(const char* path, const char* model, const char* series, const char* schema,
                 uint32_t width) {
  store::RecordFile file(path, {model, series, schema, width}, {false, false, 1e9},
                         std::make_shared<store::Counters>());
  const Handle view = file.refresh();
  return view ? new Handle(view) : nullptr;
}

void store_close(void* handle) {
  delete static_cast<Handle*>(handle);
}

// One after the other, each guessed to lie behind the one before.
double store_sequential(void* handle, const store::Key* keys, size_t count) {
  const store::View& view = **static_cast<Handle*>(handle);
  double sum = 0.0;
  uint32_t guess = 0;
  for (size_t i = 0; i < count; ++i) {
    const uint32_t slot = view.find(keys[i], guess);
    if (slot == store::kNoSlot) continue;
    sum += view.values(slot)[0];
    guess = slot + 1;
  }
  return sum;
}

// Through the index, whatever came before.
double store_indexed(void* handle, const store::Key* keys, size_t count) {
  const store::View& view = **static_cast<Handle*>(handle);
  double sum = 0.0;
  for (size_t i = 0; i < count; ++i) {
    const uint32_t slot = view.find(keys[i]);
    if (slot != store::kNoSlot) sum += view.values(slot)[0];
  }
  return sum;
}

// As store_indexed, but no lookup starts before the last one has ended: the time to an answer.
double store_dependent(void* handle, const store::Key* keys, size_t count) {
  const store::View& view = **static_cast<Handle*>(handle);
  double sum = 0.0;
  uint64_t zero = 0;
  for (size_t i = 0; i < count; ++i) {
    store::Key key = keys[i];
    key.low ^= zero;
    const uint32_t slot = view.find(key);
    if (slot == store::kNoSlot) continue;
    const float value = view.values(slot)[0];
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    zero = bits == 0xFFFFFFFFu;  // never: but the next key waits for it
    sum += value;
  }
  return sum;
}
}
