use std::path::Path;

use image_ops::DecodeLimits;

/// What a handler may read while it is made: the unpacked archive and the model's settings.
#[derive(Debug, Clone, Copy)]
pub struct ModelContext<'a> {
    /// The folder of the unpacked archive, which holds label files and vocabularies.
    pub dir: &'a Path,
    /// The `handler` section of the model's configuration file.
    pub settings: Option<&'a serde_yaml::Value>,
    /// The configuration file itself, for handlers that tell lines and columns of it; `None` where there is none.
    pub config_file: Option<&'a Path>,
    /// Whether a picture beyond the usual bound of pixels is refused (the server's `limit_max_image_pixels`).
    pub limit_max_image_pixels: bool,
}

impl<'a> ModelContext<'a> {
    /// A model without settings, under the usual bounds.
    pub fn new(dir: &'a Path) -> Self {
        ModelContext {
            dir,
            settings: None,
            config_file: None,
            limit_max_image_pixels: true,
        }
    }

    /// How large a picture may be.
    pub(crate) fn decode_limits(&self) -> DecodeLimits {
        if self.limit_max_image_pixels {
            DecodeLimits::default()
        } else {
            DecodeLimits::unlimited_pixels()
        }
    }
}
