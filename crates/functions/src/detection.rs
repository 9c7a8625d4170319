//! Functions on what detectors say: rows to boxes, boxes to crops.

mod crop_by_boxes;
mod describe_boxes;
mod nms;
mod yolo_decode;

use crate::native::Native;

pub(crate) static ALL: &[&Native] = &[
    &yolo_decode::FUNCTION,
    &nms::FUNCTION,
    &crop_by_boxes::FUNCTION,
    &describe_boxes::FUNCTION,
];
