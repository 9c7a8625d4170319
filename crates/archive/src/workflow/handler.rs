//! The handler file of a workflow: which functions it defines, as far as its text says. No Python is run for it.

use std::path::{Path, PathBuf};

use crate::unpack::read_text;

/// A Python file with functions that nodes of the workflow call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerFile {
    pub path: PathBuf,
    /// Its place in the archive.
    pub name: String,
    /// What its text defines or imports by name outside of functions and classes, in that order; each once.
    pub functions: Vec<String>,
}

impl HandlerFile {
    /// The file at `path` in an archive whose folder is `dir`. One that cannot be read defines nothing, and who calls its
    /// functions is told so.
    pub fn read(path: PathBuf, dir: &Path) -> Self {
        let text = read_text(&path).unwrap_or_default();
        let name = path.strip_prefix(dir).unwrap_or(&path);
        HandlerFile {
            name: name.display().to_string(),
            functions: functions(&String::from_utf8_lossy(&text)),
            path,
        }
    }
}

/// `def NAME`, `NAME = …`, and names that are imported from elsewhere, where they are the module's own.
fn functions(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    // How far the functions and classes are indented that are open at a line.
    let mut open: Vec<usize> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let code = line.trim_start();
        if code.is_empty() || code.starts_with('#') {
            continue;
        }
        let indent = line.len() - code.len();
        open.retain(|outer| *outer < indent);
        let is_own = open.is_empty();
        let mut names = Vec::new();
        if let Some(rest) = code.strip_prefix("def ") {
            open.push(indent);
            names.extend(rest.split('(').next().map(str::to_owned));
        } else if code.starts_with("class ") || code.starts_with("async def ") {
            open.push(indent);
        } else if let Some(rest) = code.strip_prefix("from ") {
            names = imported(rest, &mut lines);
        } else if let Some((name, _)) = code.split_once('=').filter(|(_, to)| !to.starts_with('='))
        {
            let name = name.split(':').next().unwrap_or_default();
            names.push(name.to_owned());
        }
        let names = names.iter().map(|name| name.trim());
        for name in names.filter(|name| is_own && is_identifier(name)) {
            if !found.iter().any(|known| known == name) {
                found.push(name.to_owned());
            }
        }
    }
    found
}

/// The names that `from MODULE import …` makes known; in brackets they may go on in further lines.
fn imported<'t>(rest: &str, lines: &mut impl Iterator<Item = &'t str>) -> Vec<String> {
    let Some((_, list)) = rest.split_once(" import ") else {
        return Vec::new();
    };
    let code = |line: &str| line.split('#').next().unwrap_or_default().to_owned();
    let mut list = code(list);
    while list.contains('(') && !list.contains(')') {
        let Some(line) = lines.next() else { break };
        list.push_str(&code(line));
    }
    let name = |item: &str| {
        let name = item.rsplit(" as ").next().unwrap_or(item);
        name.trim_matches(['(', ')', ' ', '\\']).to_owned()
    };
    list.split(',').map(name).collect()
}

fn is_identifier(name: &str) -> bool {
    let mut letters = name.chars();
    let first = letters.next();
    first.is_some_and(|letter| letter.is_alphabetic() || letter == '_')
        && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_what_a_module_names() {
        let check = |text: &str, expected: &[&str]| assert_eq!(functions(text), expected, "{text}");
        check(
            "import os\n\ndef a(data, context):\n    def inner(): pass\n    x = 1\n\n@wrapped\ndef b (data, context): return data\n",
            &["a", "b"],
        );
        check(
            "class A:\n    def handle(self): pass\ndef b(data, context): pass\n",
            &["b"],
        );
        check("async def a(data, context): pass\n", &[]);
        check(
            "try:\n    def a(d, c): pass\nexcept Exception:\n    def a(d, c): pass\n",
            &["a"],
        );
        check(
            "a = lambda data, context: data\nb: object = a\nif a == b: pass\nx.y = 1\n",
            &["a", "b"],
        );
        check(
            "from lib import a, b as c  # not d\nfrom other import (\n    e,  # and so on\n    f as g,\n)\nfrom all import *\n",
            &["a", "c", "e", "g"],
        );
        check("\tdef a(data, context): pass\n# def b(): pass\n", &["a"]);
        check("def a(d, c): pass\ndef a(d, c): pass\n", &["a"]);
    }
}
