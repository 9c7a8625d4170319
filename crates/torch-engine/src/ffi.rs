//! The border to the C++ shim: the one file here where unsafe code is allowed. Safe types go in and come out; each unsafe
//! block says what it relies on. Nobody calls it but `module.rs` and `values.rs`.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::Once;

use servable::{Device, Storage};
use tch::Tensor;

#[repr(C)]
struct RawModule {
    _opaque: [u8; 0],
}

#[repr(C)]
struct RawValue {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    fn tr_module_load(
        path: *const c_char,
        device: c_int,
        out: *mut *mut RawModule,
        error: *mut *mut c_char,
    ) -> c_int;
    fn tr_module_optimize(
        module: *const RawModule,
        out: *mut *mut RawModule,
        error: *mut *mut c_char,
    ) -> c_int;
    fn tr_module_forward(
        module: *const RawModule,
        arguments: *const *const RawValue,
        count: usize,
        out: *mut *mut RawValue,
        error: *mut *mut c_char,
    ) -> c_int;
    fn tr_module_writes_arguments(module: *const RawModule) -> c_int;
    fn tr_module_argument(module: *const RawModule, index: usize) -> *mut c_char;
    fn tr_module_free(module: *mut RawModule);
    fn tr_use_memory(
        take: unsafe extern "C" fn(usize, usize, usize) -> *mut c_void,
        give_back: unsafe extern "C" fn(*mut c_void),
    );
    fn tr_own_stream(device: c_int, error: *mut *mut c_char) -> c_int;
    fn tr_tensor_over(
        data: *mut c_void,
        shape: *const i64,
        dimensions: usize,
        dtype: c_int,
        release: extern "C" fn(*mut c_void),
        owner: *mut c_void,
    ) -> *mut c_void;
    fn tr_value_tensor(tensor: *const c_void) -> *mut RawValue;
    fn tr_value_tensor_list(tensors: *const *const c_void, count: usize) -> *mut RawValue;
    fn tr_value_kind(value: *const RawValue) -> c_int;
    fn tr_value_len(value: *const RawValue) -> usize;
    fn tr_value_item(value: *const RawValue, index: usize) -> *mut RawValue;
    fn tr_value_key(value: *const RawValue, index: usize) -> *mut c_char;
    fn tr_value_to_tensor(value: *const RawValue) -> *mut c_void;
    fn tr_value_to_int(value: *const RawValue) -> i64;
    fn tr_value_to_double(value: *const RawValue) -> f64;
    fn tr_value_to_string(value: *const RawValue) -> *mut c_char;
    fn tr_value_free(value: *mut RawValue);
    fn tr_string_free(text: *mut c_char);
}

/// What libtorch threw.
#[derive(Debug)]
pub(crate) struct Thrown {
    pub(crate) out_of_memory: bool,
    /// In full; see [`first_useful_line`](crate::first_useful_line).
    pub(crate) text: String,
}

/// A TorchScript module on one device. Immutable once made.
pub(crate) struct ScriptModule(NonNull<RawModule>);

// SAFETY: the module is only read after construction, and libtorch's graph executor synchronises its own caches; running
// one module from many threads is a documented use.
unsafe impl Send for ScriptModule {}
// SAFETY: as above.
unsafe impl Sync for ScriptModule {}

impl ScriptModule {
    pub(crate) fn load(path: &Path, device: Device) -> Result<Self, Thrown> {
        let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Thrown {
            out_of_memory: false,
            text: "the path holds a NUL byte".into(),
        })?;
        // SAFETY: the path is NUL-terminated and outlives the call; the out pointers are valid for writes.
        outcome(|out, error| unsafe { tr_module_load(path.as_ptr(), index_of(device), out, error) })
            .map(ScriptModule)
    }

    /// A frozen copy with a graph optimised for inference.
    pub(crate) fn optimized(&self) -> Result<Self, Thrown> {
        // SAFETY: the module is alive; the shim copies it before it changes anything.
        outcome(|out, error| unsafe { tr_module_optimize(self.0.as_ptr(), out, error) })
            .map(ScriptModule)
    }

    /// Runs `forward` in inference mode.
    pub(crate) fn forward(&self, arguments: &[ScriptValue]) -> Result<ScriptValue, Thrown> {
        let arguments: Vec<*const RawValue> = arguments
            .iter()
            .map(|value| value.0.as_ptr().cast_const())
            .collect();
        // SAFETY: the module and every argument are alive during the call; the shim copies the arguments' references.
        outcome(|out, error| unsafe {
            tr_module_forward(
                self.0.as_ptr(),
                arguments.as_ptr(),
                arguments.len(),
                out,
                error,
            )
        })
        .map(ScriptValue)
    }

    /// Whether a run may change the memory of its arguments.
    pub(crate) fn writes_arguments(&self) -> bool {
        // SAFETY: the module is alive; the shim looks at a copy of its graph.
        unsafe { tr_module_writes_arguments(self.0.as_ptr()) != 0 }
    }

    /// The names of the arguments of `forward`.
    pub(crate) fn arguments(&self) -> Vec<String> {
        // SAFETY: the module is alive; the shim checks the index and returns text of our own.
        let name = |index| take_text(unsafe { tr_module_argument(self.0.as_ptr(), index) });
        (0..).map_while(name).collect()
    }
}

impl Drop for ScriptModule {
    fn drop(&mut self) {
        // SAFETY: the pointer came from the shim and is freed once.
        unsafe { tr_module_free(self.0.as_ptr()) }
    }
}

/// Has libtorch keep the memory of its activations from run to run, on the CPU and for the whole process. To be called before the
/// first model is loaded, by a program that serves: without it every batch asks the system for all its pages again, which
/// was half a millisecond of each image of ResNet-18.
pub fn keep_activations() {
    static ONCE: Once = Once::new();
    // SAFETY: the two functions are made for one another, may be called from any thread, and are never unloaded.
    ONCE.call_once(|| unsafe {
        tr_use_memory(
            libmimalloc_sys::mi_malloc_aligned_at,
            libmimalloc_sys::mi_free,
        );
    });
}

/// Has this thread work on a CUDA stream of its own from here on. Nothing on the CPU.
pub(crate) fn use_own_stream(device: Device) -> Result<(), Thrown> {
    if device == Device::Cpu {
        return Ok(());
    }
    let mut error = ptr::null_mut();
    // SAFETY: the out pointer is valid for writes; the shim checks the device.
    let status = unsafe { tr_own_stream(index_of(device), &raw mut error) };
    let text = take_text(error).unwrap_or_default();
    if status == 0 {
        return Ok(());
    }
    Err(Thrown {
        out_of_memory: status == 2,
        text,
    })
}

/// A TorchScript value of any type.
pub(crate) struct ScriptValue(NonNull<RawValue>);

/// What a [`ScriptValue`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScriptKind {
    None,
    Tensor,
    List,
    Dict,
    Int,
    Double,
    Bool,
    String,
    Other,
}

impl ScriptValue {
    pub(crate) fn tensor(tensor: &Tensor) -> Self {
        // SAFETY: the pointer is a live at::Tensor, of which the shim takes another reference.
        let raw = unsafe { tr_value_tensor(tensor.as_ptr().cast()) };
        ScriptValue(NonNull::new(raw).expect("the shim returns a value or aborts"))
    }

    pub(crate) fn tensor_list(tensors: &[Tensor]) -> Self {
        let pointers: Vec<*const c_void> = tensors
            .iter()
            .map(|tensor| tensor.as_ptr().cast())
            .collect();
        // SAFETY: as for one tensor, for each of them.
        let raw = unsafe { tr_value_tensor_list(pointers.as_ptr(), pointers.len()) };
        ScriptValue(NonNull::new(raw).expect("the shim returns a value or aborts"))
    }

    pub(crate) fn kind(&self) -> ScriptKind {
        // SAFETY: the value is alive.
        match unsafe { tr_value_kind(self.0.as_ptr()) } {
            0 => ScriptKind::None,
            1 => ScriptKind::Tensor,
            2 => ScriptKind::List,
            3 => ScriptKind::Dict,
            4 => ScriptKind::Int,
            5 => ScriptKind::Double,
            6 => ScriptKind::Bool,
            7 => ScriptKind::String,
            _ => ScriptKind::Other,
        }
    }

    /// Members of a list, a tuple or a dictionary.
    pub(crate) fn len(&self) -> usize {
        // SAFETY: the value is alive.
        unsafe { tr_value_len(self.0.as_ptr()) }
    }

    pub(crate) fn item(&self, index: usize) -> Option<ScriptValue> {
        // SAFETY: the value is alive; the shim checks the index and returns a value of our own.
        NonNull::new(unsafe { tr_value_item(self.0.as_ptr(), index) }).map(ScriptValue)
    }

    /// A dictionary's key as text.
    pub(crate) fn key(&self, index: usize) -> Option<String> {
        // SAFETY: the value is alive; the shim checks the index and returns text of our own.
        take_text(unsafe { tr_value_key(self.0.as_ptr(), index) })
    }

    pub(crate) fn to_tensor(&self) -> Option<Tensor> {
        // SAFETY: the shim returns a new at::Tensor that nobody else owns, and `from_ptr` takes it over.
        let tensor = unsafe { tr_value_to_tensor(self.0.as_ptr()) };
        (!tensor.is_null()).then(|| unsafe { Tensor::from_ptr(tensor.cast()) })
    }

    pub(crate) fn to_int(&self) -> i64 {
        // SAFETY: the value is alive.
        unsafe { tr_value_to_int(self.0.as_ptr()) }
    }

    pub(crate) fn to_double(&self) -> f64 {
        // SAFETY: the value is alive.
        unsafe { tr_value_to_double(self.0.as_ptr()) }
    }

    pub(crate) fn to_text(&self) -> Option<String> {
        // SAFETY: the value is alive; the shim returns text of our own.
        take_text(unsafe { tr_value_to_string(self.0.as_ptr()) })
    }
}

impl Drop for ScriptValue {
    fn drop(&mut self) {
        // SAFETY: the pointer came from the shim and is freed once.
        unsafe { tr_value_free(self.0.as_ptr()) }
    }
}

/// A contiguous CPU tensor of libtorch's as memory that our own tensors share.
pub(crate) struct TorchStorage {
    /// Keeps the memory alive. Never handed out, so nobody writes to it.
    _tensor: Tensor,
    data: *const u8,
    length: usize,
}

// SAFETY: the memory is only read, and releasing a tensor's last reference is safe on any thread.
unsafe impl Send for TorchStorage {}
// SAFETY: as above.
unsafe impl Sync for TorchStorage {}

impl TorchStorage {
    /// Takes a tensor that must be contiguous, on the CPU, and not aliased by anybody who writes.
    pub(crate) fn new(tensor: Tensor, element_size: usize) -> Self {
        let length = tensor.numel() * element_size;
        let data = if length == 0 {
            NonNull::dangling().as_ptr()
        } else {
            tensor.data_ptr().cast::<u8>().cast_const()
        };
        TorchStorage {
            _tensor: tensor,
            data,
            length,
        }
    }
}

impl Storage for TorchStorage {
    fn bytes(&self) -> &[u8] {
        // SAFETY: `new` took a contiguous tensor of that many bytes, which lives as long as this does.
        unsafe { std::slice::from_raw_parts(self.data, self.length) }
    }
}

/// A libtorch tensor over the memory of one of ours, which it keeps alive, without copying. A network that changes its
/// arguments in place changes that memory; handlers hand such ones buffers of their own.
pub(crate) fn share_with_torch(tensor: &servable::Tensor) -> Option<Tensor> {
    extern "C" fn release(owner: *mut c_void) {
        // SAFETY: `owner` came from `Box::into_raw` below, and libtorch calls this once.
        drop(unsafe { Box::from_raw(owner.cast::<servable::Tensor>()) });
    }
    let shape: Vec<i64> = tensor
        .shape()
        .iter()
        .map(|&side| i64::try_from(side))
        .collect::<Result<_, _>>()
        .ok()?;
    let data = tensor.bytes().as_ptr().cast_mut().cast();
    let owner = Box::into_raw(Box::new(tensor.clone())).cast();
    let dtype = tensor.dtype() as c_int;
    // SAFETY: `data` holds a row-major tensor of that shape and type for as long as `owner` lives, and `owner` lives until
    // libtorch releases it.
    let raw = unsafe { tr_tensor_over(data, shape.as_ptr(), shape.len(), dtype, release, owner) };
    // SAFETY: the shim returns a new at::Tensor that nobody else owns. (A refusal leaks the small box; it cannot be known
    // whether libtorch has released it.)
    (!raw.is_null()).then(|| unsafe { Tensor::from_ptr(raw.cast()) })
}

fn index_of(device: Device) -> c_int {
    match device {
        Device::Cpu => -1,
        Device::Cuda(index) => c_int::try_from(index).unwrap_or(c_int::MAX),
    }
}

/// Calls a fallible function of the shim and turns its status into a result.
fn outcome<T>(
    call: impl FnOnce(*mut *mut T, *mut *mut c_char) -> c_int,
) -> Result<NonNull<T>, Thrown> {
    let mut out = ptr::null_mut();
    let mut error = ptr::null_mut();
    let status = call(&raw mut out, &raw mut error);
    let text = take_text(error).unwrap_or_default();
    if status != 0 {
        let out_of_memory =
            status == 2 || text.contains("DefaultCPUAllocator") || text.contains("out of memory");
        return Err(Thrown {
            out_of_memory,
            text,
        });
    }
    NonNull::new(out).ok_or(Thrown {
        out_of_memory: false,
        text: "the shim returned nothing".into(),
    })
}

/// Copies a C string that the shim allocated, and frees it.
fn take_text(text: *mut c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the shim returns NUL-terminated text of our own, freed here once.
    unsafe {
        let copy = CStr::from_ptr(text).to_string_lossy().into_owned();
        tr_string_free(text);
        Some(copy)
    }
}
