//! JSON of requests, piece by piece: no tree of values is built, and pieces are found again by their place in the text.

use std::collections::BTreeSet;
use std::ops::Range;

use jiter::{Jiter, JiterError, JiterResult, Peek};

/// Walks over a document once. Errors are one line each; `place` is how the caller's words call where it is.
pub(crate) struct Reader<'j>(Jiter<'j>);

impl<'j> Reader<'j> {
    /// NaN and the infinities are numbers here, as in answers.
    pub(crate) fn new(text: &'j [u8]) -> Self {
        Reader(Jiter::new(text).with_allow_inf_nan())
    }

    /// Whether nothing but white space follows.
    pub(crate) fn finish(&mut self) -> Result<(), String> {
        let finished = self.0.finish();
        self.read(finished)
    }

    /// The members of an object. `each` is given their names and takes their values.
    pub(crate) fn object(
        &mut self,
        place: &str,
        mut each: impl FnMut(&mut Self, &str) -> Result<(), String>,
    ) -> Result<(), String> {
        self.expect(Peek::Object, place, "an object")?;
        let mut seen = BTreeSet::new();
        let mut key = self.0.known_object().map(|key| key.map(str::to_owned));
        loop {
            let Some(name) = self.read(key)? else {
                return Ok(());
            };
            each(self, &name)?;
            if !seen.insert(name.clone()) {
                return Err(format!(
                    "{place}: the member `{}` is there twice",
                    short(&name)
                ));
            }
            key = self.0.next_key().map(|key| key.map(str::to_owned));
        }
    }

    /// The items of a list, which `each` takes.
    pub(crate) fn array(
        &mut self,
        place: &str,
        mut each: impl FnMut(&mut Self, usize) -> Result<(), String>,
    ) -> Result<(), String> {
        self.expect(Peek::Array, place, "a list")?;
        let first = self.0.known_array();
        let mut next = self.read(first)?;
        let mut index = 0;
        while next.is_some() {
            each(self, index)?;
            index += 1;
            let step = self.0.array_step();
            next = self.read(step)?;
        }
        Ok(())
    }

    pub(crate) fn text(&mut self, place: &str) -> Result<String, String> {
        self.expect(Peek::String, place, "text")?;
        let text = self.0.known_str().map(str::to_owned);
        self.read(text)
    }

    pub(crate) fn flag(&mut self, place: &str) -> Result<bool, String> {
        let peek = self.peek()?;
        if !matches!(peek, Peek::True | Peek::False) {
            return Err(self.refuse(place, "true or false"));
        }
        let flag = self.0.known_bool(peek);
        self.read(flag)
    }

    /// A whole number of 64 bits.
    pub(crate) fn integer(&mut self, place: &str) -> Result<i64, String> {
        let number = self.number(place, "a whole number")?;
        number.parse().map_err(|_| {
            format!(
                "{place}: expected a whole number of 64 bits, found {}",
                short(&number)
            )
        })
    }

    /// A number as it is written.
    pub(crate) fn number(&mut self, place: &str, expected: &str) -> Result<String, String> {
        let peek = self.peek()?;
        if !peek.is_num() {
            return Err(self.refuse(place, expected));
        }
        let number = self.0.known_number_bytes(peek);
        let number = number.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        self.read(number)
    }

    /// Goes past a value, whatever it is, and says where in the text it stands.
    pub(crate) fn skip(&mut self) -> Result<Range<usize>, String> {
        let peek = self.peek()?;
        let start = self.0.current_index();
        let skipped = self.0.known_skip(peek);
        self.read(skipped)?;
        Ok(start..self.0.current_index())
    }

    /// Goes past a value that means nothing.
    pub(crate) fn pass(&mut self) -> Result<(), String> {
        self.skip().map(|_| ())
    }

    pub(crate) fn peek(&mut self) -> Result<Peek, String> {
        let peek = self.0.peek();
        self.read(peek)
    }

    /// What comes next, in the words of a message.
    pub(crate) fn found(&mut self) -> &'static str {
        self.0.peek().map_or("nothing", kind)
    }

    fn expect(&mut self, wanted: Peek, place: &str, expected: &str) -> Result<(), String> {
        if self.peek()? == wanted {
            return Ok(());
        }
        Err(self.refuse(place, expected))
    }

    fn refuse(&mut self, place: &str, expected: &str) -> String {
        let found = self.found();
        format!("{place}: expected {expected}, found {found}")
    }

    fn read<T>(&self, result: JiterResult<T>) -> Result<T, String> {
        result.map_err(|error| broken(&self.0, &error))
    }
}

/// Text that is no JSON, and where.
pub(crate) fn broken(jiter: &Jiter<'_>, error: &JiterError) -> String {
    format!("the body is not JSON: {}", error.description(jiter))
}

pub(crate) fn kind(peek: Peek) -> &'static str {
    match peek {
        Peek::Null => "null",
        Peek::True | Peek::False => "true or false",
        Peek::String => "text",
        Peek::Array => "a list",
        Peek::Object => "an object",
        number if number.is_num() => "a number",
        _ => "what is no JSON",
    }
}

/// So much of a client's word as a message has room for.
pub(crate) fn short(text: &str) -> String {
    text.chars().take(80).collect()
}
