use dag::{About, FunctionError, Inputs};
use image_ops::{ChannelOrder, Image, Kernel, Normalize, crop, resize};
use servable::{DType, Dim, TensorType, Type, Value};
use tensor_ops::numbers;

use crate::given::{Given, check_size, failed, made, wrong};
use crate::native::{Native, Ready, needed, required, setting};
use crate::parameters::Parameters;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "crop_by_boxes",
        summary: "Cuts boxes out of a picture, all to one size",
        details: "For a box with `h = bottom - top`: columns `trunc(left) … trunc(right)`, rows \
`trunc(top - growth·h) … trunc(bottom + growth·h)`, upper limits not included, cut to the picture; then the resize kernel, and \
`(v · scale - mean) / std` for each sample, planes of red, green and blue. The answer is `[n, 3, height, width]` in the order of \
the boxes, so `foreach` runs over it, and a model that takes batches takes it whole.\n\n\
A box of which nothing is left is answered with zeros, so that places stay in step with the boxes. With the default numbers no \
true crop is all zeros; `ctc_greedy` knows such an item when it is given the crops, and answers it with an empty text.",
        inputs: &[
            required("image", "image", "the picture that the boxes lie in"),
            required(
                "boxes",
                "boxes",
                "left, top, right, bottom, and whatever follows",
            ),
        ],
        open: false,
        parameters: &[
            needed("size", "`[width, height]`", "the size of every crop"),
            setting(
                "growth",
                "a number from 0 to 10",
                "0",
                "what is added above and below, in heights of the box",
            ),
            setting(
                "kernel",
                "one of the kernels of `resize`",
                "cv_cubic",
                "how crops are resized",
            ),
            setting(
                "mean",
                "a number or a list of 3 numbers",
                "127.5",
                "what is subtracted",
            ),
            setting(
                "std",
                "a number or a list of 3 numbers",
                "128",
                "what is divided by",
            ),
            setting(
                "scale",
                "a number",
                "1",
                "what samples are multiplied with first",
            ),
            setting(
                "order",
                "`rgb` or `bgr`",
                "rgb",
                "which of red and blue comes first in the output; the picture is taken as RGB",
            ),
        ],
        output: "tensor<float32>[?, 3, ?, ?]",
        example: "crops: {function: crop_by_boxes, in: {image: scaled, boxes: boxes}, with: {size: [94, 24], growth: 0.2}}",
    },
    bind,
};

struct CropByBoxes {
    size: (u32, u32),
    growth: f32,
    kernel: Kernel,
    normalize: Normalize,
}

fn bind(parameters: &mut Parameters<'_>) -> Box<dyn Ready> {
    let kernels = Kernel::ALL.map(|kernel| (kernel.name(), kernel));
    let orders = [("rgb", ChannelOrder::Rgb), ("bgr", ChannelOrder::Bgr)];
    let mean = parameters.per_channel("mean").unwrap_or([127.5; 3]);
    let std = parameters.per_channel("std").unwrap_or([128.0; 3]);
    if std.contains(&0.0) {
        parameters.refuse("std", "a deviation of 0 divides by nothing");
    }
    let scale = parameters.number("scale", -1e6, 1e6).unwrap_or(1.0);
    let order = parameters.choice("order", &orders).unwrap_or_default();
    Box::new(CropByBoxes {
        size: parameters.size("size").unwrap_or((1, 1)),
        growth: parameters.number("growth", 0.0, 10.0).unwrap_or(0.0) as f32,
        kernel: parameters
            .choice("kernel", &kernels)
            .unwrap_or(Kernel::CvCubic),
        normalize: Normalize::new(mean, std, order, scale),
    })
}

impl CropByBoxes {
    /// Columns and rows of a box in the picture; `None` when nothing is left of it.
    fn window(&self, corners: [f32; 4], image: &Image) -> Option<(u32, u32, u32, u32)> {
        let [left, top, right, bottom] = corners;
        if !corners.iter().all(|corner| corner.is_finite()) {
            return None;
        }
        let grown = self.growth * (bottom - top);
        // The casts cut fractions off, and what lies outside the picture.
        let cut = |position: f32, side: u32| (position.trunc().max(0.0) as u32).min(side);
        let (x1, x2) = (cut(left, image.width()), cut(right, image.width()));
        let (y1, y2) = (
            cut(top - grown, image.height()),
            cut(bottom + grown, image.height()),
        );
        (x1 < x2 && y1 < y2).then(|| (x1, y1, x2 - x1, y2 - y1))
    }
}

impl Ready for CropByBoxes {
    fn output(&self, _: &Inputs<Type>) -> Result<Type, String> {
        let sides = [3, self.size.1 as usize, self.size.0 as usize].map(Dim::Fixed);
        Ok(Type::Tensor(TensorType {
            dtype: Some(DType::F32),
            shape: Some([Dim::Any].into_iter().chain(sides).collect()),
        }))
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        let image = inputs.picture("image")?.image.into_rgb();
        let boxes = inputs.tensor("boxes")?;
        let (count, columns) = match *boxes.shape() {
            [0] => (0, 6),
            [count, columns] if columns >= 4 => (count, columns),
            _ => {
                let reason = format!("is not boxes of shape [n, 6]: found {boxes:?}");
                return Err(wrong("boxes", reason));
            }
        };
        let (width, height) = self.size;
        let shape = vec![count, 3, height as usize, width as usize];
        let mut out = vec![0f32; check_size(&shape, size_of::<f32>())?];
        let numbers = numbers(&boxes);
        let items = out.chunks_exact_mut(3 * height as usize * width as usize);
        for (item, row) in items.zip(numbers.chunks_exact(columns)) {
            let Some((x, y, w, h)) = self.window([row[0], row[1], row[2], row[3]], &image) else {
                continue;
            };
            let cut = crop(&image, x, y, w, h).map_err(failed)?;
            let cut = resize(&cut, width, height, self.kernel).map_err(failed)?;
            self.normalize.write(&cut, item).map_err(failed)?;
        }
        made(shape, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, output, tensor, text};

    /// A picture of 4x3 whose red is 10·row + column.
    fn image() -> Value {
        let samples: Vec<u8> = (0..12u8)
            .flat_map(|at| [at / 4 * 10 + at % 4, 0, 0])
            .collect();
        tensor(&[3, 4, 3], &samples)
    }

    /// The red planes of crops of one pixel, or of as many as the box has.
    fn check(with: &str, boxes: &[f32], expected: &str) {
        let boxes = tensor(&[boxes.len() / 4, 4], boxes);
        let found = call(
            "crop_by_boxes",
            with,
            &[("image", image()), ("boxes", boxes)],
        );
        let Ok(Value::Tensor(found)) = found else {
            panic!("{found:?}");
        };
        let red: Vec<_> = (0..found.shape()[0])
            .map(|item| {
                text(
                    &found
                        .row(item)
                        .and_then(|item| item.row(0))
                        .expect("a plane")
                        .into(),
                )
            })
            .collect();
        assert_eq!(red.join(" "), expected, "{with}");
    }

    #[test]
    fn corners_are_cut_off_not_rounded() {
        let with = "{size: [2, 1], mean: 0, std: 1}";
        check(with, &[1.9, 1.2, 3.9, 2.9], "[[11.0,12.0]]");
        check(with, &[-5.0, 0.0, 2.9, 1.0], "[[0.0,1.0]]");
        check(with, &[2.0, 2.0, 99.0, 99.0], "[[22.0,23.0]]");
    }

    #[test]
    fn growth_stays_in_the_picture() {
        let with = "{size: [1, 3], mean: 0, std: 1, growth: 1}";
        check(with, &[0.0, 1.0, 1.0, 2.0], "[[0.0],[10.0],[20.0]]");
        let with = "{size: [1, 2], mean: 0, std: 1, growth: 1}";
        check(with, &[0.0, 0.0, 1.0, 1.0], "[[0.0],[10.0]]");
    }

    #[test]
    fn nothing_left_is_zeros_in_its_place() {
        let with = "{size: [1, 1]}";
        let boxes = [
            1.2,
            0.0,
            1.9,
            3.0,
            0.0,
            0.0,
            1.0,
            1.0,
            9.0,
            0.0,
            12.0,
            3.0,
            f32::NAN,
            0.0,
            1.0,
            1.0,
        ];
        check(with, &boxes, "[[0.0]] [[-0.99609375]] [[0.0]] [[0.0]]");
        check(with, &[], "");
    }

    #[test]
    fn too_much_is_refused() {
        let boxes = tensor(&[20, 4], &[0f32; 80]);
        let found = call(
            "crop_by_boxes",
            "{size: [4096, 4096]}",
            &[("image", image()), ("boxes", boxes)],
        );
        assert_eq!(
            found.err().as_deref(),
            Some(
                "an output of shape [20, 3, 4096, 4096] would exceed the limit of 536870912 bytes"
            )
        );
        assert_eq!(
            output("crop_by_boxes", "{size: [94, 24]}", &[]),
            "tensor<float32>[?, 3, 24, 94]"
        );
    }
}
