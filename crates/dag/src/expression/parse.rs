//! Words to a tree. Loosest first: `or`, `and`, `not`, one comparison, `+ -`, `* / %`, a sign.

use servable::Value;

use super::lex::{Word, words};

/// A condition as a tree.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    Literal(Value),
    /// Index of a reference.
    Of(usize),
    Not(Box<Tree>),
    Negative(Box<Tree>),
    And(Box<Tree>, Box<Tree>),
    Or(Box<Tree>, Box<Tree>),
    Compare(Comparison, Box<Tree>, Box<Tree>),
    Compute(Arithmetic, Box<Tree>, Box<Tree>),
    Size(Box<Tree>),
    /// Index of a reference.
    Has(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Plus,
    Minus,
    Times,
    Over,
    Rest,
}

/// The longest condition, in bytes.
const LONGEST: usize = 1024;
/// How deep brackets and signs may be nested, and how many operators may follow one another.
const DEEPEST: usize = 64;

/// The tree, and the references in it, each once.
pub(super) fn parse(text: &str) -> Result<(Tree, Vec<String>), String> {
    if text.len() > LONGEST {
        return Err(format!(
            "the condition has {} bytes, and may have {LONGEST}",
            text.len()
        ));
    }
    let mut parser = Parser {
        words: words(text)?,
        next: 0,
        references: Vec::new(),
    };
    let tree = parser.or(0)?;
    if parser.next < parser.words.len() {
        return Err(parser.expected("its end, `and` or `or`"));
    }
    Ok((tree, parser.references))
}

struct Parser {
    words: Vec<(usize, Word)>,
    next: usize,
    references: Vec<String>,
}

type Parsing = Result<Tree, String>;

impl Parser {
    fn or(&mut self, depth: usize) -> Parsing {
        let mut left = self.and(depth)?;
        let mut depth = depth;
        while self.take("or") {
            depth = self.deeper(depth)?;
            left = Tree::Or(Box::new(left), Box::new(self.and(depth)?));
        }
        Ok(left)
    }

    fn and(&mut self, depth: usize) -> Parsing {
        let mut left = self.not(depth)?;
        let mut depth = depth;
        while self.take("and") {
            depth = self.deeper(depth)?;
            left = Tree::And(Box::new(left), Box::new(self.not(depth)?));
        }
        Ok(left)
    }

    fn not(&mut self, depth: usize) -> Parsing {
        if self.take("not") {
            let depth = self.deeper(depth)?;
            return Ok(Tree::Not(Box::new(self.not(depth)?)));
        }
        self.comparison(depth)
    }

    fn comparison(&mut self, depth: usize) -> Parsing {
        let left = self.sum(depth)?;
        let Some(comparison) = self.comparing() else {
            return Ok(left);
        };
        let right = self.sum(depth)?;
        let at = self.next;
        if self.comparing().is_some() {
            self.next = at;
            return Err(self.expected("`and` between two comparisons"));
        }
        Ok(Tree::Compare(comparison, Box::new(left), Box::new(right)))
    }

    fn comparing(&mut self) -> Option<Comparison> {
        let all = [
            ("==", Comparison::Equal),
            ("!=", Comparison::Unequal),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        all.into_iter()
            .find(|(sign, _)| self.take(sign))
            .map(|(_, comparison)| comparison)
    }

    fn sum(&mut self, depth: usize) -> Parsing {
        self.chain(
            depth,
            &[("+", Arithmetic::Plus), ("-", Arithmetic::Minus)],
            Self::product,
        )
    }

    fn product(&mut self, depth: usize) -> Parsing {
        let signs = [
            ("*", Arithmetic::Times),
            ("/", Arithmetic::Over),
            ("%", Arithmetic::Rest),
        ];
        self.chain(depth, &signs, Self::signed)
    }

    fn chain(
        &mut self,
        mut depth: usize,
        signs: &[(&str, Arithmetic)],
        part: fn(&mut Self, usize) -> Parsing,
    ) -> Parsing {
        let mut left = part(self, depth)?;
        while let Some(&(_, operation)) = signs.iter().find(|(sign, _)| self.take(sign)) {
            depth = self.deeper(depth)?;
            left = Tree::Compute(operation, Box::new(left), Box::new(part(self, depth)?));
        }
        Ok(left)
    }

    fn signed(&mut self, depth: usize) -> Parsing {
        if self.take("-") {
            let depth = self.deeper(depth)?;
            return Ok(Tree::Negative(Box::new(self.signed(depth)?)));
        }
        self.primary(depth)
    }

    fn primary(&mut self, depth: usize) -> Parsing {
        if self.take("(") {
            let depth = self.deeper(depth)?;
            let inner = self.or(depth)?;
            self.close()?;
            return Ok(inner);
        }
        let tree = match self.words.get(self.next).map(|(_, word)| word) {
            Some(Word::Int(value)) => Tree::Literal(Value::Int(*value)),
            Some(Word::Float(value)) => Tree::Literal(Value::Float(*value)),
            Some(Word::Text(text)) => Tree::Literal(Value::Text(text.clone())),
            Some(Word::Name(name)) => {
                let name = name.clone();
                self.next += 1;
                return self.named(name, depth);
            }
            Some(Word::Sign(_)) | None => return Err(self.expected("a value")),
        };
        self.next += 1;
        Ok(tree)
    }

    fn named(&mut self, name: String, depth: usize) -> Parsing {
        match name.as_str() {
            "true" => return Ok(Tree::Literal(Value::Bool(true))),
            "false" => return Ok(Tree::Literal(Value::Bool(false))),
            "null" => return Ok(Tree::Literal(Value::Null)),
            _ => {}
        }
        if !self.take("(") {
            return Ok(Tree::Of(self.reference(name)));
        }
        let depth = self.deeper(depth)?;
        match name.as_str() {
            "size" => {
                let inner = self.sum(depth)?;
                self.close()?;
                Ok(Tree::Size(Box::new(inner)))
            }
            "has" => match self.words.get(self.next) {
                Some((_, Word::Name(name))) => {
                    let name = name.clone();
                    self.next += 1;
                    self.close()?;
                    Ok(Tree::Has(self.reference(name)))
                }
                Some(_) | None => Err(self.expected("a reference")),
            },
            _ => Err(format!(
                "there is no function `{name}` in conditions; there are `size` and `has`"
            )),
        }
    }

    fn reference(&mut self, name: String) -> usize {
        let known = self.references.iter().position(|known| *known == name);
        known.unwrap_or_else(|| {
            self.references.push(name);
            self.references.len() - 1
        })
    }

    fn close(&mut self) -> Result<(), String> {
        if self.take(")") {
            Ok(())
        } else {
            Err(self.expected("`)`"))
        }
    }

    fn take(&mut self, wanted: &str) -> bool {
        let there =
            matches!(self.words.get(self.next), Some((_, Word::Sign(sign))) if *sign == wanted);
        self.next += usize::from(there);
        there
    }

    fn deeper(&self, depth: usize) -> Result<usize, String> {
        if depth < DEEPEST {
            Ok(depth + 1)
        } else {
            Err(format!("the condition is nested deeper than {DEEPEST}"))
        }
    }

    fn expected(&self, what: &str) -> String {
        match self.words.get(self.next) {
            None => format!("expected {what}, and there the condition ends"),
            Some((at, word)) => {
                let found = match word {
                    Word::Int(value) => value.to_string(),
                    Word::Float(value) => value.to_string(),
                    Word::Text(text) => format!("the text {text:?}"),
                    Word::Name(name) => format!("`{name}`"),
                    Word::Sign(sign) => format!("`{sign}`"),
                };
                format!("character {at}: expected {what}, found {found}")
            }
        }
    }
}
