//! `schema`: the JSON Schema of specs. The file `workflows/schema.json` is what it prints.

use functions::Functions;

use crate::error::Error;
use crate::output::Output;

pub(crate) fn run(output: &mut Output) -> Result<(), Error> {
    output.text(&text())
}

fn text() -> String {
    format!("{:#}\n", dag::schema(&Functions::default()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// `UPDATE_DOCS=1 cargo test -p workbench` writes it anew.
    #[test]
    fn the_schema_that_editors_read_is_current() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workflows/schema.json");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, text()).expect("written");
        }
        let found = fs::read_to_string(&path).expect("readable");
        assert!(
            found == text(),
            "workflows/schema.json is not current: run `cargo xtask docs`"
        );
    }
}
