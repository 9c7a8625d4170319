//! The handlers that need no file in the archive.

/// Names of TorchServe's own handlers, and of one of ours, `pipeline`. Which of them a server can run is the server's to say.
pub const DEFAULT_HANDLERS: [&str; 9] = [
    "base_handler",
    "text_classifier",
    "image_classifier",
    "object_detector",
    "image_segmenter",
    "dali_image_classifier",
    "vllm_handler",
    "trt_llm_handler",
    "pipeline",
];

/// Whether `handler` is one of [`DEFAULT_HANDLERS`], and so no file.
pub fn is_default_handler(handler: &str) -> bool {
    DEFAULT_HANDLERS.contains(&handler)
}
