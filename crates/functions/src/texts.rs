//! Functions on what recognisers of text say.

mod ctc_greedy;

use crate::native::Native;

pub(crate) static ALL: &[&Native] = &[&ctc_greedy::FUNCTION];
