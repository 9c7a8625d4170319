//! What a vision handler does to a picture before the network sees it: resize, crop, pad, normalise.
//!
//! The steps and their default values are torchvision's; the settings replace them one by one. Where they allow it, a
//! request says itself how large its picture is to become.

mod asked;

use image_ops::{
    ChannelOrder, DecodeLimits, Image, ImageError, Kernel, Normalize, Window, center_crop, resize,
    size,
};
use servable::{DType, Input, JobError, LoadError, Tensor};

use crate::batch::Layout;
use crate::parameters::Parameters;
use crate::picture::{self, Picture};
use crate::{Bucketing, ModelContext};
use asked::AskedSide;

/// The steps, as the settings have them.
#[derive(Debug)]
pub(crate) struct Preparation {
    limits: DecodeLimits,
    grey: bool,
    kernel: Kernel,
    resize: Resize,
    /// How a request may say the side that `resize` speaks of.
    asked: Option<AskedSide>,
    crop: Option<(u32, u32)>,
    /// The least width and height; smaller pictures are padded on the right and below.
    pad_to: Option<(u32, u32)>,
    /// What padding looks like to the network, per channel.
    padding: [f32; 3],
    normalize: Normalize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resize {
    None,
    LongestSide(u32),
    ShortestSide(u32),
    Exact(u32, u32),
}

/// What a handler does without settings.
pub(crate) struct Defaults {
    pub(crate) resize: Resize,
    pub(crate) crop: Option<(u32, u32)>,
    pub(crate) mean: [f32; 3],
    pub(crate) std: [f32; 3],
}

/// The steps that torchvision's classifiers were trained behind.
pub(crate) const IMAGENET: Defaults = Defaults {
    resize: Resize::ShortestSide(256),
    crop: Some((224, 224)),
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
};

/// Samples divided by 255, nothing else.
pub(crate) const TO_TENSOR: Defaults = Defaults {
    resize: Resize::None,
    crop: None,
    mean: [0.0; 3],
    std: [1.0; 3],
};

impl Preparation {
    pub(crate) fn load(
        context: &ModelContext<'_>,
        parameters: &Parameters<'_>,
        defaults: &Defaults,
    ) -> Result<Self, LoadError> {
        let grey = match parameters.number("channels")? {
            None => false,
            Some(3.0) => false,
            Some(1.0) => true,
            Some(other) => {
                return Err(
                    parameters.refuse("channels", format!("expected 1 or 3, found {other}"))
                );
            }
        };
        let pad_to = parameters.size("pad_to")?;
        let (resize, asked) = read_resize(parameters)?;
        let crop = read_crop(parameters)?.unwrap_or_else(|| {
            // A default crop belongs to the default way of resizing.
            let as_default =
                pad_to.is_none() && matches!(resize, None | Some(Resize::ShortestSide(_)));
            defaults.crop.filter(|_| as_default)
        });
        let (mean, std) = if grey {
            (TO_TENSOR.mean, TO_TENSOR.std)
        } else {
            (defaults.mean, defaults.std)
        };
        let mean = per_channel(parameters, "mean", mean)?;
        let std = per_channel(parameters, "std", std)?;
        if std.contains(&0.0) {
            return Err(parameters.refuse("std", "a deviation of 0 divides by nothing"));
        }
        let order = parameters
            .choice(
                "colour_order",
                &[("rgb", ChannelOrder::Rgb), ("bgr", ChannelOrder::Bgr)],
            )?
            .unwrap_or_default();
        let scale = parameters.number("scale")?.unwrap_or(1.0 / 255.0);
        let pad_value = parameters.number("pad_value")?.unwrap_or(0.0);
        Ok(Preparation {
            limits: context.decode_limits(),
            grey,
            kernel: read_kernel(parameters)?,
            resize: resize.unwrap_or(defaults.resize),
            asked,
            crop,
            pad_to,
            padding: std::array::from_fn(|channel| {
                ((pad_value * scale) as f32 - mean[channel]) / std[channel]
            }),
            normalize: Normalize::new(mean, std, order, scale),
        })
    }

    /// Decodes, resizes and finds what is to be cut out; the numbers come with [`Prepared::write`].
    pub(crate) fn prepare(&self, input: &Input) -> Result<Prepared, JobError> {
        match picture::read(input, &self.limits)? {
            Picture::Tensor(tensor) => Ok(Prepared::Tensor(tensor)),
            Picture::Image(image) => {
                let resize = self.resize_for(input)?;
                self.frame(image, resize).map_err(|error| {
                    JobError::bad_input(format!("the picture cannot be used: {error}"))
                })
            }
        }
    }

    /// Pictures of different sizes stay so, unless they are brought to one.
    pub(crate) fn bucketing(&self) -> Bucketing {
        match self.resize {
            _ if self.crop.is_some() => Bucketing::Together,
            Resize::Exact(..) => Bucketing::Together,
            Resize::None | Resize::LongestSide(_) | Resize::ShortestSide(_) => Bucketing::ByPicture,
        }
    }

    /// Whether part of the picture is cut away before the network sees it.
    pub(crate) fn crops(&self) -> bool {
        self.crop.is_some()
    }

    /// How the picture of this request is resized.
    fn resize_for(&self, input: &Input) -> Result<Resize, JobError> {
        let asked = match &self.asked {
            Some(asked) => asked.of(input)?,
            None => None,
        };
        Ok(match (self.resize, asked) {
            (Resize::LongestSide(_), Some(side)) => Resize::LongestSide(side),
            (Resize::ShortestSide(_), Some(side)) => Resize::ShortestSide(side),
            (resize, _) => resize,
        })
    }

    fn frame(&self, image: Image, resize: Resize) -> Result<Prepared, ImageError> {
        let original = (image.width(), image.height());
        let image = if self.grey {
            image.to_grey()
        } else {
            image.into_rgb()
        };
        let image = self.resized(image, resize)?;
        let (image, window) = match self.crop {
            None => {
                let whole = Window::whole(&image);
                (image, whole)
            }
            Some((width, height)) => match Window::centred(&image, width, height) {
                Some(window) => (image, window),
                None => {
                    let padded = center_crop(&image, width, height)?;
                    let whole = Window::whole(&padded);
                    (padded, whole)
                }
            },
        };
        let (least_width, least_height) = self.pad_to.unwrap_or((1, 1));
        Ok(Prepared::Picture {
            canvas: (
                window.width.max(least_width),
                window.height.max(least_height),
            ),
            image,
            window,
            original,
        })
    }

    fn resized(&self, image: Image, resize_to: Resize) -> Result<Image, ImageError> {
        let (width, height) = (image.width(), image.height());
        let wanted = match resize_to {
            Resize::None => return Ok(image),
            Resize::LongestSide(side) => size::fit_longest_side(width, height, side),
            Resize::ShortestSide(side) => size::fit_shortest_side(width, height, side),
            Resize::Exact(width, height) => (width, height),
        };
        if wanted == (width, height) {
            return Ok(image);
        }
        resize(&image, wanted.0, wanted.1, self.kernel)
    }

    /// Writes `[channels, height, width]` of single precision. `into` has the length of the layout.
    pub(crate) fn write(&self, prepared: &Prepared, into: &mut [u8]) {
        let (image, window, canvas) = match prepared {
            Prepared::Tensor(tensor) => return tensor.copy_to(into),
            Prepared::Picture {
                image,
                window,
                canvas,
                ..
            } => (image, window, canvas),
        };
        let into: &mut [f32] = bytemuck::cast_slice_mut(into);
        if (window.width, window.height) != *canvas {
            let plane = canvas.0 as usize * canvas.1 as usize;
            for (plane, value) in into.chunks_exact_mut(plane).zip(self.padding) {
                plane.fill(value);
            }
        }
        self.normalize
            .write_into(image, *window, into, *canvas, (0, 0))
            .expect(
                "the window lies in the picture, the canvas holds it, and the layout is the canvas",
            );
    }

    /// The prepared picture as a tensor of its own.
    pub(crate) fn tensor(&self, prepared: &Prepared) -> Result<Tensor, JobError> {
        let layout = prepared.layout();
        let mut numbers = vec![0f32; layout.item.iter().product()];
        self.write(prepared, bytemuck::cast_slice_mut(&mut numbers));
        Tensor::new(layout.item, numbers).map_err(|error| JobError::failed(error.to_string()))
    }
}

/// One picture between preprocessing and the batch.
#[derive(Debug)]
pub(crate) enum Prepared {
    Tensor(Tensor),
    Picture {
        image: Image,
        /// The part of it that the network is to see.
        window: Window,
        /// The network's input, which holds that part in its upper left corner.
        canvas: (u32, u32),
        /// Width and height of the picture as it came.
        original: (u32, u32),
    },
}

impl Prepared {
    pub(crate) fn layout(&self) -> Layout {
        let item = match self {
            Prepared::Tensor(tensor) => tensor.shape().to_vec(),
            Prepared::Picture { image, canvas, .. } => vec![
                image.channels().into(),
                canvas.1 as usize,
                canvas.0 as usize,
            ],
        };
        Layout {
            dtype: DType::F32,
            item,
            items: None,
        }
    }

    /// Pixels of the picture as it came for each pixel of the network's input, across and down.
    pub(crate) fn reduction(&self) -> (f64, f64) {
        match self {
            Prepared::Tensor(_) => (1.0, 1.0),
            Prepared::Picture {
                image, original, ..
            } => (
                f64::from(original.0) / f64::from(image.width()),
                f64::from(original.1) / f64::from(image.height()),
            ),
        }
    }

    /// Width and height of what is picture and not padding.
    pub(crate) fn size(&self) -> (usize, usize) {
        match self {
            Prepared::Tensor(tensor) => match *tensor.shape() {
                [.., height, width] => (width, height),
                _ => (0, 0),
            },
            Prepared::Picture { window, .. } => (window.width as usize, window.height as usize),
        }
    }
}

fn read_kernel(parameters: &Parameters<'_>) -> Result<Kernel, LoadError> {
    match parameters.text("kernel")? {
        None => Ok(Kernel::PilBilinear),
        Some(name) => name
            .parse()
            .map_err(|error| parameters.refuse("kernel", error)),
    }
}

/// `resize: n | [w, h] | {longest_side: n} | {shortest_side: n} | {exact: [w, h]} | none`, or `input_size: [w, h]`; and, beside
/// a side in such braces, how requests may ask for another.
fn read_resize(
    parameters: &Parameters<'_>,
) -> Result<(Option<Resize>, Option<AskedSide>), LoadError> {
    let input_size = parameters.size("input_size")?;
    if parameters.is_none("resize") {
        let resize =
            input_size.map_or(Resize::None, |(width, height)| Resize::Exact(width, height));
        return Ok((Some(resize), None));
    }
    let mut asked = None;
    let resize = match parameters.section("resize")? {
        Some(section) => {
            let longest = section.side("longest_side")?.map(Resize::LongestSide);
            let shortest = section.side("shortest_side")?.map(Resize::ShortestSide);
            let exact = section
                .size("exact")?
                .map(|(width, height)| Resize::Exact(width, height));
            asked = AskedSide::read(&section)?;
            if asked.is_some() && exact.is_some() {
                return Err(section.refuse("asked_by", "goes with longest_side or shortest_side"));
            }
            section.finish()?;
            let mut rules = [longest, shortest, exact].into_iter().flatten();
            match (rules.next(), rules.next()) {
                (Some(rule), None) => Some(rule),
                _ => {
                    return Err(parameters.refuse(
                        "resize",
                        "expected one of longest_side, shortest_side and exact",
                    ));
                }
            }
        }
        None => parameters
            .side_or_size("resize")?
            .map(|written| match written {
                (side, None) => Resize::ShortestSide(side),
                (width, Some(height)) => Resize::Exact(width, height),
            }),
    };
    match (resize, input_size) {
        (Some(_), Some(_)) => {
            Err(parameters.refuse("input_size", "says the same as `resize`: give only one"))
        }
        (resize, None) => Ok((resize, asked)),
        (None, Some((width, height))) => Ok((Some(Resize::Exact(width, height)), None)),
    }
}

/// `crop: n | [w, h] | none`; the outer `None` when it is not given.
fn read_crop(parameters: &Parameters<'_>) -> Result<Option<Option<(u32, u32)>>, LoadError> {
    if parameters.is_none("crop") {
        return Ok(Some(None));
    }
    Ok(parameters
        .side_or_size("crop")?
        .map(|(width, height)| Some((width, height.unwrap_or(width)))))
}

fn per_channel(
    parameters: &Parameters<'_>,
    key: &'static str,
    default: [f32; 3],
) -> Result<[f32; 3], LoadError> {
    Ok(match parameters.per_channel(key)?.as_deref() {
        Some(&[every]) => [every; 3],
        Some(&[first, second, third]) => [first, second, third],
        Some(_) | None => default,
    })
}

#[cfg(test)]
mod tests;
