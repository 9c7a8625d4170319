// What Torchrelay needs of libtorch beyond tch: frozen modules, values of any shape, inference mode. Plain C, no
// exceptions across the border. Called by src/ffi.rs alone.
//
// Every function that can fail returns a status and, when that is not TR_OK, a message in *error that the caller frees
// with tr_string_free. Tensors are at::Tensor*, the same pointers that torch-sys passes around.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tr_module tr_module;
typedef struct tr_value tr_value;

enum tr_status { TR_OK = 0, TR_FAILED = 1, TR_OUT_OF_MEMORY = 2 };

enum tr_kind {
  TR_NONE = 0,
  TR_TENSOR = 1,
  TR_LIST = 2, // tuples too
  TR_DICT = 3,
  TR_INT = 4,
  TR_DOUBLE = 5,
  TR_BOOL = 6,
  TR_STRING = 7,
  TR_OTHER = 8
};

// Loads a TorchScript file onto a device (-1 for the CPU, else a CUDA index), in evaluation mode.
int tr_module_load(const char *path, int device, tr_module **out, char **error);
// Freezes a module and optimises its graph for inference. The given module stays as it is.
int tr_module_optimize(const tr_module *module, tr_module **out, char **error);
// Runs `forward` in inference mode. May be called from many threads at once.
int tr_module_forward(const tr_module *module, const tr_value *const *arguments, size_t count, tr_value **out,
                      char **error);
// Whether `forward` may change the memory of its arguments; 1 where that cannot be told.
int tr_module_writes_arguments(const tr_module *module);
// The name of the index-th argument of `forward`, without `self`; NULL past the end. The caller frees it.
char *tr_module_argument(const tr_module *module, size_t index);
void tr_module_free(tr_module *module);
// From here on libtorch takes its memory on the CPU from these functions, for the whole process. `take` is given a size, an
// alignment and an offset, may return null, and returns an address that is aligned once the offset is added.
void tr_use_memory(void *(*take)(size_t, size_t, size_t), void (*give_back)(void *));
// Has the calling thread work on a stream of its own on that CUDA device from here on, once what others have put on the
// device so far is done.
int tr_own_stream(int device, char **error);

// A tensor over `data`, without a copy; `release(owner)` is called when libtorch lets go of it. `type` counts as
// servable::DType does. NULL if libtorch refuses. The caller owns the tensor.
void *tr_tensor_over(void *data, const int64_t *shape, size_t dimensions, int type, void (*release)(void *),
                     void *owner);

tr_value *tr_value_tensor(const void *tensor);
tr_value *tr_value_tensor_list(const void *const *tensors, size_t count);
int tr_value_kind(const tr_value *value);
// Members of a list, tuple or dictionary; 0 for anything else.
size_t tr_value_len(const tr_value *value);
// The index-th member (a dictionary's value); NULL past the end. The caller frees it.
tr_value *tr_value_item(const tr_value *value, size_t index);
// The index-th key of a dictionary as text; NULL if there is none. The caller frees it.
char *tr_value_key(const tr_value *value, size_t index);
// The tensor as a new at::Tensor*, which the caller owns; NULL if it is none.
void *tr_value_to_tensor(const tr_value *value);
int64_t tr_value_to_int(const tr_value *value);
double tr_value_to_double(const tr_value *value);
char *tr_value_to_string(const tr_value *value);
void tr_value_free(tr_value *value);

void tr_string_free(char *text);

#ifdef __cplusplus
}
#endif
