//! Functions on what classifiers say.

mod softmax;
mod top_k;

use crate::native::Native;

pub(crate) static ALL: &[&Native] = &[&softmax::FUNCTION, &top_k::FUNCTION];
