//! A picture that travels between models: its file, its pixels, or both, each made at most once.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::{DType, Tensor};

/// A picture in whichever forms somebody has made of it. Clones share them, so whoever decodes it does so for everybody.
///
/// It decodes nothing itself: whoever wants a form brings the function that makes it.
#[derive(Clone)]
pub struct Image(Arc<Forms>);

struct Forms {
    encoded: Mutex<Option<Bytes>>,
    pixels: Mutex<Option<Tensor>>,
    upright: AtomicBool,
}

impl Image {
    /// A picture as a file: JPEG, PNG or whatever its reader knows. Nobody has looked inside yet.
    pub fn from_file(bytes: impl Into<Bytes>) -> Self {
        Image(Arc::new(Forms {
            encoded: Mutex::new(Some(bytes.into())),
            pixels: Mutex::new(None),
            upright: AtomicBool::new(false),
        }))
    }

    /// A picture as samples: `uint8`, `[height, width, 3]`, red first unless the graph says otherwise. `None` for any
    /// other tensor.
    pub fn from_pixels(pixels: Tensor) -> Option<Self> {
        let fits = pixels.dtype() == DType::U8
            && matches!(*pixels.shape(), [height, width, 3] if height > 0 && width > 0);
        fits.then(|| {
            Image(Arc::new(Forms {
                encoded: Mutex::new(None),
                pixels: Mutex::new(Some(pixels)),
                upright: AtomicBool::new(false),
            }))
        })
    }

    /// The file, if it came as one or somebody has encoded it.
    pub fn file(&self) -> Option<Bytes> {
        lock(&self.0.encoded).clone()
    }

    /// The samples, if somebody has decoded it.
    pub fn decoded(&self) -> Option<Tensor> {
        lock(&self.0.pixels).clone()
    }

    /// The samples, `[height, width, 3]`. The first who asks decodes the file; who asks meanwhile waits for that.
    ///
    /// # Errors
    ///
    /// Those of `decode`, which is asked again the next time.
    pub fn pixels<E>(&self, decode: impl FnOnce(&Bytes) -> Result<Tensor, E>) -> Result<Tensor, E> {
        let mut pixels = lock(&self.0.pixels);
        if let Some(pixels) = &*pixels {
            return Ok(pixels.clone());
        }
        let file = self.file().expect("a picture has at least one form");
        Ok(pixels.insert(decode(&file)?).clone())
    }

    /// The file. The first who asks for that of a picture that came as samples encodes them.
    ///
    /// # Errors
    ///
    /// Those of `encode`.
    pub fn encoded<E>(&self, encode: impl FnOnce(&Tensor) -> Result<Bytes, E>) -> Result<Bytes, E> {
        // Before the other lock: whoever decodes holds that of the pixels and asks for the file.
        let pixels = self.decoded();
        let mut encoded = lock(&self.0.encoded);
        if let Some(encoded) = &*encoded {
            return Ok(encoded.clone());
        }
        let pixels = pixels.expect("a picture has at least one form");
        Ok(encoded.insert(encode(&pixels)?).clone())
    }

    /// To be called by whoever has gone on with a copy of it that is turned and mirrored as its file's EXIF data say. Its own
    /// samples stay as they lie in the file.
    pub fn note_upright(&self) {
        self.0.upright.store(true, Ordering::Relaxed);
    }

    /// Whether somebody has done so with it or a clone: what came of it then lies in the upright picture.
    pub fn was_upright(&self) -> bool {
        self.0.upright.load(Ordering::Relaxed)
    }

    /// About how many bytes it holds.
    pub fn bytes(&self) -> usize {
        let file = self.file().map_or(0, |file| file.len());
        file + self.decoded().map_or(0, |pixels| pixels.byte_len())
    }
}

fn lock<T>(form: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Forms are only ever put in whole.
    form.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Image");
        if let Some(file) = self.file() {
            text.field("file", &file.len());
        }
        if let Some(pixels) = self.decoded() {
            text.field("pixels", &pixels.shape());
        }
        text.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(shape: &[usize]) -> Tensor {
        let samples = vec![7u8; shape.iter().product()];
        Tensor::new(shape.to_vec(), samples).expect("as many samples as the shape has")
    }

    #[test]
    fn a_file_is_decoded_once_for_all_clones() {
        let image = Image::from_file("file");
        let mut decoded = 0;
        for clone in [image.clone(), image.clone(), image] {
            let found = clone.pixels(|file| {
                assert_eq!(file, "file");
                decoded += 1;
                Ok::<_, ()>(pixels(&[2, 3, 3]))
            });
            assert_eq!(found.expect("decoded").shape(), [2, 3, 3]);
        }
        assert_eq!(decoded, 1);
    }

    #[test]
    fn a_file_that_cannot_be_decoded_stays_a_file() {
        let image = Image::from_file("broken");
        assert_eq!(
            image.pixels(|_| Err("no picture")).err(),
            Some("no picture")
        );
        assert_eq!(image.file().as_deref(), Some(&b"broken"[..]));
        assert!(image.decoded().is_none());
    }

    #[test]
    fn samples_are_encoded_once() {
        let image = Image::from_pixels(pixels(&[1, 1, 3])).expect("a picture");
        let first = image.encoded(|_| Ok::<_, ()>(Bytes::from_static(b"png")));
        let second = image.encoded(|_| Err::<Bytes, _>(()));
        assert_eq!(first, second);
        assert_eq!(image.bytes(), 3 + 3);
    }

    #[test]
    fn who_has_the_picture_hears_that_it_was_turned() {
        let image = Image::from_file("file");
        let clone = image.clone();
        assert!(!image.was_upright());
        clone.note_upright();
        assert!(image.was_upright());
        assert!(!Image::from_file("file").was_upright());
    }

    #[test]
    fn other_tensors_are_no_pictures() {
        for shape in [&[2, 2][..], &[2, 2, 1], &[0, 2, 3], &[1, 2, 2, 3]] {
            assert!(Image::from_pixels(pixels(shape)).is_none(), "{shape:?}");
        }
    }
}
