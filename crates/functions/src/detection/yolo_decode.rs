use dag::{About, FunctionError, Inputs};
use image_ops::detection::{FIXED_COLUMNS, Level, LevelLayout};
use serde_json::Value as Json;
use servable::{Tensor, Type, Value};
use tensor_ops::numbers;

use crate::given::{Given, check_size, made, tensor, wrong};
use crate::native::{Native, Ready, needed, required};
use crate::parameters::{Parameters, single};

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "yolo_decode",
        summary: "Raw levels of a YOLOv5 head to rows for `nms`",
        details: "For a network that was saved without its decoding head. For a level with stride s, cell (i column, j row), \
anchor (a, b) in network pixels and `p = sigmoid(raw)`: `x = (2p - 0.5 + i)·s`, `y = (2p - 0.5 + j)·s`, `w = (2p)²·a`, \
`h = (2p)²·b`; objectness and classes are p. Rows are ordered by level, anchor, row and column, `[n, rows, 5 + classes]`.\n\n\
A level is `[n, anchors, height, width, 5 + classes]`, as YOLOv5 gives it while training, or \
`[n, anchors·(5 + classes), height, width]`, as its last convolutions do.",
        inputs: &[required(
            "levels",
            "list<tensor>",
            "one tensor for each level",
        )],
        open: false,
        parameters: &[
            needed(
                "anchors",
                "a list for each level of `[width, height]` pairs",
                "anchors in network pixels",
            ),
            needed(
                "strides",
                "a list of numbers",
                "network pixels from cell to cell, for each level",
            ),
        ],
        output: "tensor<float32>[?, ?, ?]",
        example: "rows:\n  function: yolo_decode\n  in: detector\n  with:\n    strides: [8, 16, 32]\n    anchors:\n    \
- [[10, 13], [16, 30], [33, 23]]\n    - [[30, 61], [62, 45], [59, 119]]\n    - [[116, 90], [156, 198], [373, 326]]",
    },
    bind,
};

/// Anchors of a level.
type Anchors = Vec<(f32, f32)>;

struct YoloDecode {
    /// Stride and anchors of each level.
    levels: Vec<(f32, Anchors)>,
}

fn bind(parameters: &mut Parameters<'_>) -> Box<dyn Ready> {
    let strides = parameters.typed("strides", "a list of numbers above 0", |value| {
        value
            .as_array()?
            .iter()
            .map(positive)
            .collect::<Option<Vec<_>>>()
    });
    let anchors = parameters.typed(
        "anchors",
        "a list for each level of [width, height] pairs",
        |value| {
            value
                .as_array()?
                .iter()
                .map(anchors)
                .collect::<Option<Vec<_>>>()
        },
    );
    let (Some(strides), Some(anchors)) = (strides, anchors) else {
        return Box::new(YoloDecode { levels: Vec::new() });
    };
    if strides.len() != anchors.len() || strides.is_empty() {
        parameters.refuse(
            "anchors",
            format!(
                "are for {} levels, `strides` for {}",
                anchors.len(),
                strides.len()
            ),
        );
    }
    Box::new(YoloDecode {
        levels: strides.into_iter().zip(anchors).collect(),
    })
}

fn positive(value: &Json) -> Option<f32> {
    single(value).filter(|number| *number > 0.0)
}

fn anchors(level: &Json) -> Option<Anchors> {
    let pair = |pair: &Json| match pair.as_array()?.as_slice() {
        [width, height] => Some((positive(width)?, positive(height)?)),
        _ => None,
    };
    let pairs: Anchors = level.as_array()?.iter().map(pair).collect::<Option<_>>()?;
    (!pairs.is_empty()).then_some(pairs)
}

/// A level whose shape has been understood.
struct Known<'a> {
    tensor: &'a Tensor,
    layout: LevelLayout,
    batch: usize,
    rows: usize,
    columns: usize,
    width: usize,
}

impl Known<'_> {
    fn of<'a>(tensor: &'a Tensor, anchors: usize) -> Option<Known<'a>> {
        let (layout, batch, rows, columns, width) = match *tensor.shape() {
            [batch, found, rows, columns, width] if found == anchors => {
                (LevelLayout::AnchorsFirst, batch, rows, columns, width)
            }
            [batch, planes, rows, columns] if planes % anchors == 0 => {
                (LevelLayout::Planes, batch, rows, columns, planes / anchors)
            }
            _ => return None,
        };
        (width > FIXED_COLUMNS).then_some(Known {
            tensor,
            layout,
            batch,
            rows,
            columns,
            width,
        })
    }
}

impl Ready for YoloDecode {
    fn output(&self, _: &Inputs<Type>) -> Result<Type, String> {
        "tensor<float32>[?, ?, ?]"
            .parse()
            .map_err(|error: servable::TypeError| error.to_string())
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        let limits = inputs.limits();
        let tensors: Vec<Tensor> = match inputs.value("levels")? {
            Value::List(items) => {
                let items = items.iter().cloned().map(|level| tensor(level, &limits));
                items
                    .collect::<Result<_, _>>()
                    .map_err(|reason| wrong("levels", reason))?
            }
            Value::Tensor(only) => vec![only],
            other => {
                return Err(wrong(
                    "levels",
                    format!("is not a list of tensors (found {})", other.kind()),
                ));
            }
        };
        if tensors.len() != self.levels.len() {
            let (expected, found) = (self.levels.len(), tensors.len());
            return Err(wrong(
                "levels",
                format!("has {found} levels, expected {expected}"),
            ));
        }
        let known =
            tensors
                .iter()
                .zip(&self.levels)
                .enumerate()
                .map(|(level, (tensor, (_, anchors)))| {
                    Known::of(tensor, anchors.len()).ok_or_else(|| {
                        let count = anchors.len();
                        wrong(
                            "levels",
                            format!(
                                "is no level of {count} anchors at place {level}: found {tensor:?}"
                            ),
                        )
                    })
                });
        let known: Vec<Known<'_>> = known.collect::<Result<_, _>>()?;
        let Some(first) = known.first() else {
            return Err(wrong("levels", "is empty"));
        };
        let (batch, width) = (first.batch, first.width);
        if known
            .iter()
            .any(|level| level.batch != batch || level.width != width)
        {
            return Err(wrong(
                "levels",
                "holds levels of different batches or classes",
            ));
        }
        // Sides of a tensor without elements can be of any length.
        let cells = known
            .iter()
            .zip(&self.levels)
            .fold(0usize, |sum, (level, (_, anchors))| {
                let cells = level.rows.saturating_mul(level.columns);
                sum.saturating_add(cells.saturating_mul(anchors.len()))
            });
        let shape = vec![batch, cells, width];
        let count = check_size(&shape, size_of::<f32>())?;
        if count == 0 {
            return made::<f32>(shape, Vec::new());
        }
        let mut out = Vec::with_capacity(count);
        let values: Vec<_> = known.iter().map(|level| numbers(level.tensor)).collect();
        for item in 0..batch {
            for ((known, values), (stride, anchors)) in known.iter().zip(&values).zip(&self.levels)
            {
                let len = values.len() / batch;
                let level = Level {
                    numbers: &values[item * len..(item + 1) * len],
                    layout: known.layout,
                    rows: known.rows,
                    columns: known.columns,
                    width,
                    stride: *stride,
                    anchors,
                };
                level.decode_into(&mut out);
            }
        }
        made(shape, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, tensor as value, text, try_bound};

    const TWO: &str = "{strides: [8, 16], anchors: [[[4, 2]], [[8, 8]]]}";

    #[test]
    fn levels_follow_one_another() {
        let fine = value(&[1, 1, 1, 2, 6], &[0f32; 12]);
        let coarse = value(&[1, 6, 1, 1], &[0f32; 6]);
        let found = call(
            "yolo_decode",
            TWO,
            &[("levels", Value::list([fine.clone(), coarse]))],
        );
        assert_eq!(
            text(&found.expect("rows")),
            "[[[4.0,4.0,4.0,2.0,0.5,0.5],[12.0,4.0,4.0,2.0,0.5,0.5],[8.0,8.0,8.0,8.0,0.5,0.5]]]"
        );
        let refused = |levels| {
            call("yolo_decode", TWO, &[("levels", levels)])
                .err()
                .unwrap_or_default()
        };
        assert_eq!(
            refused(Value::list([])),
            "input `levels` has 0 levels, expected 2"
        );
        assert_eq!(
            refused(Value::list([fine, value(&[3], &[0f32; 3])])),
            "input `levels` is no level of 1 anchors at place 1: found float32[3]"
        );
    }

    #[test]
    fn items_without_cells_cost_nothing() {
        let with = "{strides: [8], anchors: [[[4, 2]]]}";
        let level = value::<f32>(&[1 << 40, 1, 0, 2, 6], &[]);
        let found = call("yolo_decode", with, &[("levels", level)]).expect("no rows");
        assert!(matches!(found, Value::Tensor(rows) if rows.shape() == [1 << 40, 0, 6]));
    }

    #[test]
    fn anchors_and_strides_go_together() {
        let refused = |with| try_bound("yolo_decode", with).err().unwrap_or_default();
        assert_eq!(
            refused("{strides: [8], anchors: []}"),
            "anchors: are for 0 levels, `strides` for 1"
        );
        assert_eq!(
            refused("{strides: [0], anchors: [[[1, 2]]]}"),
            "strides: expected a list of numbers above 0, found [0]"
        );
    }
}
