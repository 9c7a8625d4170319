#include "shim.h"

#include <ATen/ATen.h>
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <new>
#include <string>

struct tr_module {
  torch::jit::Module module;
  // An optimised graph is run as it is: the profiling executor would spend the first requests on observing shapes.
  bool optimized;
};

struct tr_value {
  c10::IValue value;
};

namespace {

char *copy_of(const std::string &text) { return strdup(text.c_str()); }

int guarded(char **error, const std::function<void()> &work) {
  try {
    work();
    return TR_OK;
  } catch (const c10::OutOfMemoryError &e) {
    *error = copy_of(e.what_without_backtrace());
    return TR_OUT_OF_MEMORY;
  } catch (const std::bad_alloc &) {
    *error = copy_of("out of memory");
    return TR_OUT_OF_MEMORY;
  } catch (const c10::Error &e) {
    *error = copy_of(e.what_without_backtrace());
  } catch (const std::exception &e) {
    *error = copy_of(e.what());
  } catch (...) {
    *error = copy_of("an exception of unknown type");
  }
  return TR_FAILED;
}

c10::Device device_of(int device) {
  return device < 0 ? c10::Device(c10::kCPU) : c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(device));
}

// libtorch's memory on the CPU, from an allocator that keeps what is given back for a while. The C library's returns a
// network's activations to the system after every run, and getting them again costs a page fault for each 4 KiB.
class BorrowedMemory final : public c10::Allocator {
public:
  using Take = void *(*)(size_t, size_t, size_t);
  using GiveBack = void (*)(void *);

  BorrowedMemory(Take take, GiveBack give_back) : take_(take), give_back_(give_back) {}

  c10::DataPtr allocate(size_t bytes) override {
    if (bytes == 0) {
      return {nullptr, nullptr, give_back_, c10::Device(c10::kCPU)};
    }
    void *data = bytes < large ? take_(bytes, line, 0) : take_(bytes, page, next_offset());
    // In words, because they are all that gets through libtorch's interpreter.
    TORCH_CHECK_WITH(OutOfMemoryError, data != nullptr, "out of memory: ", bytes, " bytes were asked for");
    return {data, data, give_back_, c10::Device(c10::kCPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return give_back_; }

  void copy_data(void *to, const void *from, size_t bytes) const override { default_copy_data(to, from, bytes); }

private:
  static constexpr size_t line = 64;
  static constexpr size_t page = 4096;
  static constexpr size_t large = 16 * page;

  // Large blocks of such allocators begin at the same place of a page. A convolution's input and output would then fall on
  // the same lines of the first cache: a lone request to ResNet-18 took a ninth longer.
  size_t next_offset() { return turn_.fetch_add(1, std::memory_order_relaxed) % (page / line) * line; }

  std::atomic<size_t> turn_{0};
  Take take_;
  GiveBack give_back_;
};

} // namespace

void tr_use_memory(void *(*take)(size_t, size_t, size_t), void (*give_back)(void *)) {
  // Never freed: tensors outlive whoever asked for this.
  c10::SetCPUAllocator(new BorrowedMemory(take, give_back));
}

int tr_module_load(const char *path, int device, tr_module **out, char **error) {
  return guarded(error, [&] {
    auto module = torch::jit::load(path, device_of(device));
    module.eval();
    *out = new tr_module{std::move(module), false};
  });
}

int tr_module_optimize(const tr_module *module, tr_module **out, char **error) {
  return guarded(error, [&] {
    auto copy = module->module.clone();
    copy.eval();
    *out = new tr_module{torch::jit::optimize_for_inference(copy), true};
  });
}

int tr_module_forward(const tr_module *module, const tr_value *const *arguments, size_t count, tr_value **out,
                      char **error) {
  return guarded(error, [&] {
    c10::InferenceMode inference(true);
    torch::jit::GraphOptimizerEnabledGuard executor(!module->optimized);
    std::vector<c10::IValue> stack;
    stack.reserve(count);
    for (size_t i = 0; i < count; i++) {
      stack.push_back(arguments[i]->value);
    }
    // `forward` is not const, but only reads; a Module is a shared pointer to what it runs.
    torch::jit::Module shared = module->module;
    *out = new tr_value{shared.forward(std::move(stack))};
  });
}

int tr_module_writes_arguments(const tr_module *module) {
  try {
    auto graph = module->module.get_method("forward").graph()->copy();
    torch::jit::Inline(*graph);
    torch::jit::AliasDb aliases(graph);
    const auto inputs = graph->inputs();
    for (size_t i = 1; i < inputs.size(); i++) {
      // What is inside a list is beyond this analysis.
      if (inputs[i]->type()->kind() != c10::TypeKind::TensorType || aliases.hasWriters(inputs[i])) {
        return 1;
      }
    }
    return 0;
  } catch (...) {
    return 1;
  }
}

char *tr_module_argument(const tr_module *module, size_t index) {
  try {
    const auto &arguments = module->module.get_method("forward").function().getSchema().arguments();
    return index + 1 < arguments.size() ? copy_of(arguments[index + 1].name()) : nullptr;
  } catch (...) {
    return nullptr;
  }
}

void tr_module_free(tr_module *module) { delete module; }

int tr_own_stream(int device, char **error) {
  return guarded(error, [&] {
    // Through the interface that every device registers: the CUDA side is not linked, but loaded when there is one.
    const auto *cuda = c10::impl::getDeviceGuardImpl(c10::kCUDA);
    const auto index = static_cast<c10::DeviceIndex>(device);
    cuda->synchronizeDevice(index);
    cuda->exchangeStream(cuda->getStreamFromGlobalPool(c10::Device(c10::kCUDA, index), false));
  });
}

void *tr_tensor_over(void *data, const int64_t *shape, size_t dimensions, int type, void (*release)(void *),
                     void *owner) {
  static const c10::ScalarType types[] = {c10::kBool, c10::kByte, c10::kChar,     c10::kShort, c10::kInt,
                                          c10::kLong, c10::kHalf, c10::kBFloat16, c10::kFloat, c10::kDouble};
  try {
    return new at::Tensor(at::from_blob(
        data, c10::IntArrayRef(shape, dimensions), [release, owner](void *) { release(owner); }, types[type]));
  } catch (...) {
    return nullptr;
  }
}

tr_value *tr_value_tensor(const void *tensor) { return new tr_value{*static_cast<const at::Tensor *>(tensor)}; }

tr_value *tr_value_tensor_list(const void *const *tensors, size_t count) {
  c10::List<at::Tensor> list;
  list.reserve(count);
  for (size_t i = 0; i < count; i++) {
    list.push_back(*static_cast<const at::Tensor *>(tensors[i]));
  }
  return new tr_value{std::move(list)};
}

int tr_value_kind(const tr_value *value) {
  const auto &v = value->value;
  if (v.isNone()) return TR_NONE;
  if (v.isTensor()) return TR_TENSOR;
  if (v.isTuple() || v.isList()) return TR_LIST;
  if (v.isGenericDict()) return TR_DICT;
  if (v.isInt()) return TR_INT;
  if (v.isDouble()) return TR_DOUBLE;
  if (v.isBool()) return TR_BOOL;
  if (v.isString()) return TR_STRING;
  return TR_OTHER;
}

size_t tr_value_len(const tr_value *value) {
  const auto &v = value->value;
  if (v.isTuple()) return v.toTupleRef().elements().size();
  if (v.isList()) return v.toListRef().size();
  if (v.isGenericDict()) return v.toGenericDict().size();
  return 0;
}

tr_value *tr_value_item(const tr_value *value, size_t index) {
  const auto &v = value->value;
  if (index >= tr_value_len(value)) return nullptr;
  if (v.isTuple()) return new tr_value{v.toTupleRef().elements()[index]};
  if (v.isList()) return new tr_value{v.toList().get(index)};
  auto dictionary = v.toGenericDict();
  return new tr_value{std::next(dictionary.begin(), index)->value()};
}

char *tr_value_key(const tr_value *value, size_t index) {
  const auto &v = value->value;
  if (!v.isGenericDict() || index >= tr_value_len(value)) return nullptr;
  auto dictionary = v.toGenericDict();
  const auto &key = std::next(dictionary.begin(), index)->key();
  if (key.isString()) return copy_of(key.toStringRef());
  if (key.isInt()) return copy_of(std::to_string(key.toInt()));
  return nullptr;
}

void *tr_value_to_tensor(const tr_value *value) {
  return value->value.isTensor() ? new at::Tensor(value->value.toTensor()) : nullptr;
}

int64_t tr_value_to_int(const tr_value *value) {
  const auto &v = value->value;
  return v.isInt() ? v.toInt() : v.isBool() ? v.toBool() : 0;
}

double tr_value_to_double(const tr_value *value) { return value->value.isDouble() ? value->value.toDouble() : 0.0; }

char *tr_value_to_string(const tr_value *value) {
  return value->value.isString() ? copy_of(value->value.toStringRef()) : nullptr;
}

void tr_value_free(tr_value *value) { delete value; }

void tr_string_free(char *text) { free(text); }
