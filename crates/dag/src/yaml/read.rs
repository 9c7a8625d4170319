//! Events to a tree, under caps.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::scalar;
use super::{Content, DEEPEST, Key, LONGEST, MOST_VALUES, Tree};
use crate::graph::Place;
use crate::problem::{About, Report};

/// The only document of a text. Keys that stand twice go to the report, and so does whatever ends the reading.
pub(crate) fn read(text: &str, report: &mut Report) -> Option<Tree> {
    let start = Place { line: 1, column: 1 };
    if text.len() > LONGEST {
        let size = text.len();
        report.error(
            About::at(start),
            format!("it has {size} bytes, and a spec may have {LONGEST}"),
        );
        return None;
    }
    if text.trim_start_matches('\u{feff}').trim().is_empty() {
        report.error(About::at(start), "it is empty");
        return None;
    }
    let mut reader = Reader {
        events: Parser::new_from_str(text.trim_start_matches('\u{feff}')),
        anchors: HashMap::new(),
        values: 0,
        report,
    };
    match reader.document() {
        Ok(tree) => tree,
        Err(stop) => {
            report.error(About::at(stop.place), stop.message);
            None
        }
    }
}

struct Reader<'t, 'r> {
    events: Parser<'t, StrInput<'t>>,
    /// What anchors stand for, and how many values are in it.
    anchors: HashMap<usize, (Tree, usize)>,
    values: usize,
    report: &'r mut Report,
}

/// Why nothing more can be read.
struct Stop {
    place: Place,
    message: String,
}

type Read<T> = Result<T, Stop>;

impl<'t> Reader<'t, '_> {
    fn document(&mut self) -> Read<Option<Tree>> {
        let mut tree = None;
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(tree),
                Event::DocumentStart(_) if tree.is_some() => {
                    return Err(stop(place, "a second document begins; a spec is one"));
                }
                Event::Nothing
                | Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd => {}
                event @ (Event::Alias(_)
                | Event::Scalar(..)
                | Event::SequenceStart(..)
                | Event::SequenceEnd
                | Event::MappingStart(..)
                | Event::MappingEnd) => tree = Some(self.value(event, place, 0)?),
            }
        }
    }

    fn next(&mut self) -> Read<(Event<'t>, Place)> {
        match self.events.next() {
            Some(Ok((event, Span { start, .. }))) => Ok((event, place_of(&start))),
            Some(Err(error)) => Err(from_scanner(&error)),
            None => Err(stop(Place::default(), "it ends in the middle")),
        }
    }

    fn value(&mut self, event: Event<'t>, place: Place, depth: usize) -> Read<Tree> {
        if depth > DEEPEST {
            return Err(stop(place, format!("it is nested deeper than {DEEPEST}")));
        }
        let before = self.values;
        self.count(1, place)?;
        let (content, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                // Long texts weigh more, or aliases could make much of one.
                self.count(text.len() / 16, place)?;
                let content = scalar_of(&text, style, tag.as_deref(), place)?;
                (content, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                collection_tag(tag.as_deref(), place)?;
                (self.list(depth)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                collection_tag(tag.as_deref(), place)?;
                (self.map(depth)?, anchor)
            }
            Event::Alias(anchor) => return self.alias(anchor, place),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return Err(stop(place, "expected a value")),
        };
        let tree = Tree { place, content };
        if anchor > 0 {
            let values = self.values - before;
            self.anchors.insert(anchor, (tree.clone(), values));
        }
        Ok(tree)
    }

    fn list(&mut self, depth: usize) -> Read<Content> {
        let mut items = Vec::new();
        loop {
            let (event, place) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Content::List(items.into()));
            }
            items.push(self.value(event, place, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Read<Content> {
        let mut members: Vec<(Key, Tree)> = Vec::new();
        let mut lines: HashMap<String, usize> = HashMap::new();
        loop {
            let (event, place) = self.next()?;
            let name = match event {
                Event::MappingEnd => return Ok(Content::Map(members.into())),
                Event::Scalar(name, ..) => name.into_owned(),
                Event::Nothing
                | Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::Alias(_)
                | Event::SequenceStart(..)
                | Event::SequenceEnd
                | Event::MappingStart(..) => return Err(stop(place, "a key must be a text")),
            };
            self.count(1, place)?;
            let (event, value_place) = self.next()?;
            let value = self.value(event, value_place, depth + 1)?;
            match lines.get(&name) {
                Some(line) => self.report.error(
                    About::at(place).field(&name),
                    format!("the key stands twice; the first is in line {line}"),
                ),
                None => {
                    lines.insert(name.clone(), place.line);
                    members.push((Key { place, name }, value));
                }
            }
        }
    }

    /// What the anchor stands for, at the alias' place.
    fn alias(&mut self, anchor: usize, place: Place) -> Read<Tree> {
        let Some((tree, values)) = self.anchors.get(&anchor) else {
            return Err(stop(place, "an alias inside its own anchor"));
        };
        let (content, values) = (tree.content.clone(), *values);
        self.count(values, place)?;
        Ok(Tree { place, content })
    }

    fn count(&mut self, more: usize, place: Place) -> Read<()> {
        self.values += more;
        if self.values > MOST_VALUES {
            return Err(stop(
                place,
                format!("it has more than {MOST_VALUES} values, aliases expanded"),
            ));
        }
        Ok(())
    }
}

fn scalar_of(text: &str, style: ScalarStyle, tag: Option<&Tag>, place: Place) -> Read<Content> {
    match tag {
        None if style == ScalarStyle::Plain => Ok(scalar::plain(text)),
        None => Ok(Content::Text(text.to_owned())),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => {
            Ok(Content::Text(text.to_owned()))
        }
        Some(tag) => {
            let content = scalar::plain(text);
            let agrees = tag.is_yaml_core_schema()
                && matches!(
                    (tag.suffix.as_str(), &content),
                    ("int", Content::Int(_))
                        | ("float", Content::Int(_) | Content::Float(_))
                        | ("bool", Content::Bool(_))
                        | ("null", Content::Null)
                );
            if agrees {
                return Ok(content);
            }
            Err(unknown_tag(tag, place))
        }
    }
}

fn collection_tag(tag: Option<&Tag>, place: Place) -> Read<()> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && matches!(&*tag.suffix, "map" | "seq")) => {
            Err(unknown_tag(tag, place))
        }
        Some(_) | None => Ok(()),
    }
}

fn unknown_tag(tag: &Tag, place: Place) -> Stop {
    let Tag { handle, suffix } = tag;
    stop(
        place,
        format!("the tag {handle}{suffix} means nothing here; leave it out"),
    )
}

fn from_scanner(error: &ScanError) -> Stop {
    stop(
        place_of(error.marker()),
        format!("no YAML: {}", error.info()),
    )
}

fn stop(place: Place, message: impl Into<String>) -> Stop {
    Stop {
        place,
        message: message.into(),
    }
}

fn place_of(marker: &Marker) -> Place {
    Place {
        line: marker.line(),
        column: marker.col() + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let mut report = Report::default();
        let tree = read(text, &mut report);
        let mut found: Vec<String> = report
            .into_problems()
            .iter()
            .map(ToString::to_string)
            .collect();
        found.extend(tree.map(|tree| tree.to_json().to_string()));
        assert_eq!(found.join(" | "), expected, "{text}");
    }

    #[test]
    fn scalars_are_those_of_torchserves_files() {
        check("a: 1", r#"{"a":1}"#);
        check("a: 1_000", r#"{"a":1000}"#);
        check("a: 0x10", r#"{"a":16}"#);
        check("a: 010", r#"{"a":8}"#);
        check("a: 0o10", r#"{"a":8}"#);
        check("a: -0b11", r#"{"a":-3}"#);
        check("a: '1'", r#"{"a":"1"}"#);
        check("a: 1.5", r#"{"a":1.5}"#);
        check("a: .5", r#"{"a":0.5}"#);
        check("a: 1.2.3", r#"{"a":"1.2.3"}"#);
        check("a: ~", r#"{"a":null}"#);
        check("a:", r#"{"a":null}"#);
        check("a: True", r#"{"a":true}"#);
        check("a: no", r#"{"a":"no"}"#);
        check("1: a.b", r#"{"1":"a.b"}"#);
        check("a: !!str 5", r#"{"a":"5"}"#);
        check("a: 99999999999999999999", r#"{"a":1e+20}"#);
        check("\u{feff}a: 1", r#"{"a":1}"#);
    }

    #[test]
    fn aliases_are_expanded() {
        check("a: &x [1, 2]\nb: *x", r#"{"a":[1,2],"b":[1,2]}"#);
    }

    #[test]
    fn what_is_no_spec_says_where() {
        check("", "1:1: error: it is empty");
        check(
            "a: 1\nb: 2\na: 3",
            "3:1: error: field `a`: the key stands twice; the first is in line 1 | {\"a\":1,\"b\":2}",
        );
        check(
            "a: 1\n---\nb: 2",
            "2:1: error: a second document begins; a spec is one",
        );
        check(
            "a: !java.net.URL [x]",
            "1:4: error: the tag !java.net.URL means nothing here; leave it out",
        );
        check("? [a]\n: 1", "1:3: error: a key must be a text");
        let deep = "[".repeat(40) + &"]".repeat(40);
        check(&deep, "1:34: error: it is nested deeper than 32");
    }

    #[test]
    fn bombs_do_not_burst() {
        let mut bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
        for level in 1..30 {
            let below = format!("*a{}", level - 1);
            bomb += &format!(
                "a{level}: &a{level} [{}]\n",
                [below.as_str(); 10].join(", ")
            );
        }
        check(
            &bomb,
            "5:45: error: it has more than 100000 values, aliases expanded",
        );
        check(
            &"a".repeat(LONGEST + 1),
            "1:1: error: it has 1048577 bytes, and a spec may have 1048576",
        );
    }
}
