//! One step of `transforms`: how it is written, and what it does.

use dag::FunctionError;
use image_ops::{FloatImage, Kernel};
use serde_json::{Map, Value as Json};

use crate::given::check_size;
use crate::parameters::{MAX_SIDE, single};

/// As deploy.yaml names them.
const NAMES: [&str; 7] = [
    "Normalize",
    "Resize",
    "ResizeByLong",
    "ResizeByShort",
    "LimitLong",
    "Padding",
    "PaddingByAspectRatio",
];

pub(super) enum Step {
    Normalize {
        mean: [f32; 3],
        std: [f32; 3],
    },
    Resize {
        target: (u32, u32),
        keep_ratio: bool,
        divisor: Option<u32>,
        kernel: Kernel,
    },
    ResizeByLong {
        long: u32,
        kernel: Kernel,
    },
    ResizeByShort {
        short: u32,
        max: Option<u32>,
        kernel: Kernel,
    },
    LimitLong {
        max: Option<u32>,
        min: Option<u32>,
        kernel: Kernel,
    },
    Padding {
        target: (u32, u32),
        value: [f32; 3],
    },
    PaddingByAspectRatio {
        ratio: f64,
        value: [f32; 3],
    },
}

/// The place of a mistake inside a step, such as `.interp`, and what it is.
type Mistake = (String, String);

impl Step {
    pub(super) fn read(written: &Json) -> Result<Self, Mistake> {
        let members = written.as_object().ok_or_else(|| {
            (
                String::new(),
                format!("expected {{type: NAME, …}}, found {written}"),
            )
        })?;
        let name = members.get("type").and_then(Json::as_str).unwrap_or("");
        let mut keys = Keys {
            members,
            asked: vec!["type"],
        };
        let step = match name {
            "Normalize" => Step::Normalize {
                mean: keys
                    .get("mean", "a list of 3 numbers", three)?
                    .unwrap_or([0.5; 3]),
                std: keys
                    .get("std", "a list of 3 numbers that are not 0", |value| {
                        three(value).filter(|std| !std.contains(&0.0))
                    })?
                    .unwrap_or([0.5; 3]),
            },
            "Resize" => Step::Resize {
                target: keys.get("target_size", SIZE, size)?.unwrap_or((512, 512)),
                keep_ratio: keys
                    .get("keep_ratio", "true or false", Json::as_bool)?
                    .unwrap_or(false),
                divisor: keys.get("size_divisor", SIDE, side)?,
                kernel: keys.kernel()?,
            },
            "ResizeByLong" => Step::ResizeByLong {
                long: keys.needed("long_size", SIDE, side)?,
                kernel: keys.kernel()?,
            },
            "ResizeByShort" => Step::ResizeByShort {
                short: keys.needed("short_size", SIDE, side)?,
                max: keys.get("max_size", SIDE, side)?,
                kernel: keys.kernel()?,
            },
            "LimitLong" => Step::LimitLong {
                max: keys.get("max_long", SIDE, side)?,
                min: keys.get("min_long", SIDE, side)?,
                kernel: keys.kernel()?,
            },
            "Padding" => Step::Padding {
                target: keys.needed("target_size", SIZE, size)?,
                value: keys.padding()?,
            },
            "PaddingByAspectRatio" => Step::PaddingByAspectRatio {
                ratio: keys
                    .get("aspect_ratio", "a number from 0.001 to 1000", |value| {
                        value
                            .as_f64()
                            .filter(|ratio| (0.001..=1000.0).contains(ratio))
                    })?
                    .unwrap_or(1.0),
                value: keys.padding()?,
            },
            other => {
                let reason = format!(
                    "`{other}` is no step of inference, expected one of {}",
                    NAMES.join(", ")
                );
                return Err((".type".into(), reason));
            }
        };
        // Padding of label maps belongs to training, and is written beside that of pictures.
        keys.asked.push("label_padding_value");
        match members
            .keys()
            .find(|key| !keys.asked.contains(&key.as_str()))
        {
            Some(unknown) => Err((format!(".{unknown}"), format!("unknown key of `{name}`"))),
            None => Ok(step),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        NAMES[match self {
            Step::Normalize { .. } => 0,
            Step::Resize { .. } => 1,
            Step::ResizeByLong { .. } => 2,
            Step::ResizeByShort { .. } => 3,
            Step::LimitLong { .. } => 4,
            Step::Padding { .. } => 5,
            Step::PaddingByAspectRatio { .. } => 6,
        }]
    }

    pub(super) fn apply(&self, image: FloatImage) -> Result<FloatImage, FunctionError> {
        let (width, height) = (image.width(), image.height());
        let (w, h) = (f64::from(width), f64::from(height));
        let long = width.max(height);
        match *self {
            Step::Normalize { mean, std } => Ok(image.normalized(1.0 / 255.0, mean, std)),
            Step::Resize {
                target,
                keep_ratio,
                divisor,
                kernel,
            } => {
                let (mut to_w, mut to_h) = target;
                if keep_ratio {
                    let most = f64::from(to_w.max(to_h)) / w.max(h);
                    let least = f64::from(to_w.min(to_h)) / w.min(h);
                    (to_w, to_h) = scaled(w, h, most.min(least));
                }
                if let Some(divisor) = divisor {
                    (to_w, to_h) = (
                        to_w.div_ceil(divisor).saturating_mul(divisor),
                        to_h.div_ceil(divisor).saturating_mul(divisor),
                    );
                }
                resized(image, (to_w, to_h), kernel)
            }
            Step::ResizeByLong {
                long: wanted,
                kernel,
            } => resized(image, scaled(w, h, f64::from(wanted) / w.max(h)), kernel),
            Step::ResizeByShort { short, max, kernel } => {
                let mut scale = f64::from(short) / w.min(h);
                if let Some(max) = max.map(f64::from)
                    && (scale * w.max(h)).round_ties_even() > max
                {
                    scale = max / w.max(h);
                }
                resized(image, scaled(w, h, scale), kernel)
            }
            Step::LimitLong { max, min, kernel } => {
                let wanted = match (max, min) {
                    (Some(max), _) if long > max => max,
                    (_, Some(min)) if long < min => min,
                    _ => return Ok(image),
                };
                resized(image, scaled(w, h, f64::from(wanted) / w.max(h)), kernel)
            }
            Step::Padding { target, value } => padded(image, target, value),
            Step::PaddingByAspectRatio { ratio, value } => {
                // The casts cut fractions off, as the original does.
                let target = if w / h < ratio {
                    ((h * ratio) as u32, height)
                } else {
                    (width, (w / ratio) as u32)
                };
                padded(image, (target.0.max(width), target.1.max(height)), value)
            }
        }
    }
}

/// Refuses pictures whose floats would take more than an output may.
pub(super) fn check(width: u32, height: u32) -> Result<(), FunctionError> {
    check_size(&[height as usize, width as usize, 3], size_of::<f32>()).map(|_| ())
}

/// Both sides by one factor, halves rounded to even.
fn scaled(w: f64, h: f64, scale: f64) -> (u32, u32) {
    (
        (w * scale).round_ties_even() as u32,
        (h * scale).round_ties_even() as u32,
    )
}

fn resized(
    image: FloatImage,
    (width, height): (u32, u32),
    kernel: Kernel,
) -> Result<FloatImage, FunctionError> {
    if width == 0 || height == 0 {
        let reason = format!("resized to {width}x{height} it would have an empty side");
        return Err(FunctionError::BadInput(reason));
    }
    check(width, height)?;
    let resized = image.resized(width, height, kernel);
    resized.map_err(|error| FunctionError::BadInput(error.to_string()))
}

fn padded(
    image: FloatImage,
    (width, height): (u32, u32),
    value: [f32; 3],
) -> Result<FloatImage, FunctionError> {
    check(width, height)?;
    let padded = image.padded(width, height, value);
    padded.map_err(|error| FunctionError::BadInput(error.to_string()))
}

const SIDE: &str = "a side from 1 to 16384";
const SIZE: &str = "a side or [width, height], each from 1 to 16384";

fn side(value: &Json) -> Option<u32> {
    let side = u32::try_from(value.as_u64()?).ok()?;
    (1..=MAX_SIDE).contains(&side).then_some(side)
}

fn size(value: &Json) -> Option<(u32, u32)> {
    match value.as_array().map(Vec::as_slice) {
        None => side(value).map(|side| (side, side)),
        Some([width, height]) => Some((side(width)?, side(height)?)),
        Some(_) => None,
    }
}

fn three(value: &Json) -> Option<[f32; 3]> {
    let Some(items) = value.as_array() else {
        return Some([single(value)?; 3]);
    };
    let numbers: Vec<f32> = items.iter().map(single).collect::<Option<_>>()?;
    numbers.try_into().ok()
}

/// The members of a step, and which of them have been asked for.
struct Keys<'a> {
    members: &'a Map<String, Json>,
    asked: Vec<&'static str>,
}

impl<'a> Keys<'a> {
    fn get<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl FnOnce(&'a Json) -> Option<T>,
    ) -> Result<Option<T>, Mistake> {
        self.asked.push(key);
        let Some(value) = self.members.get(key).filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        let found = read(value);
        found.map(Some).ok_or_else(|| {
            (
                format!(".{key}"),
                format!("expected {expected}, found {value}"),
            )
        })
    }

    fn needed<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl FnOnce(&'a Json) -> Option<T>,
    ) -> Result<T, Mistake> {
        self.get(key, expected, read)?
            .ok_or_else(|| (format!(".{key}"), "must be given".into()))
    }

    fn kernel(&mut self) -> Result<Kernel, Mistake> {
        let kernel = self.get("interp", "one of LINEAR, AREA, CUBIC", |value| match value
            .as_str()?
        {
            "LINEAR" => Some(Kernel::CvLinear),
            "AREA" => Some(Kernel::CvArea),
            "CUBIC" => Some(Kernel::CvCubic),
            _ => None,
        })?;
        Ok(kernel.unwrap_or(Kernel::CvLinear))
    }

    fn padding(&mut self) -> Result<[f32; 3], Mistake> {
        let value = self.get("im_padding_value", "a number or a list of 3 numbers", three)?;
        Ok(value.unwrap_or([127.5; 3]))
    }
}
