//! A side that a request asks for: a part of the request beside its picture, within bounds that the model's settings set.

use servable::{Input, JobError, LoadError, Value};

use crate::parameters::Parameters;

/// Which part of a request says a side, and which sides are allowed.
#[derive(Debug)]
pub(super) struct AskedSide {
    part: String,
    least: u32,
    most: u32,
}

impl AskedSide {
    /// `asked_by: part, least: n, most: n` of the section `resize`. `most` is mandatory: a request must not choose how much
    /// memory it takes.
    pub(super) fn read(section: &Parameters<'_>) -> Result<Option<Self>, LoadError> {
        let part = section.text("asked_by")?;
        let (least, most) = (section.side("least")?, section.side("most")?);
        let Some(part) = part else {
            return match (least, most) {
                (None, None) => Ok(None),
                _ => Err(section.refuse("least and most", "go with `asked_by`")),
            };
        };
        let Some(most) = most else {
            return Err(section.refuse("asked_by", "needs `most`, the largest side to grant"));
        };
        let least = least.unwrap_or(1);
        if least > most {
            return Err(section.refuse(
                "least",
                format!("{least} is more than most, which is {most}"),
            ));
        }
        Ok(Some(AskedSide {
            part: part.to_owned(),
            least,
            most,
        }))
    }

    /// What this request asks for, if it does.
    pub(super) fn of(&self, input: &Input) -> Result<Option<u32>, JobError> {
        let Some(part) = input.part(&self.part) else {
            return Ok(None);
        };
        let number = |text: &str| text.trim().parse::<u32>().ok();
        let (found, side) = match &part.value {
            Value::Text(text) => (format!("{text:?}"), number(text)),
            Value::Bytes(bytes) => {
                let text = String::from_utf8_lossy(bytes);
                (format!("{text:?}"), number(&text))
            }
            Value::Int(side) => (side.to_string(), u32::try_from(*side).ok()),
            other @ (Value::Null
            | Value::Bool(_)
            | Value::Float(_)
            | Value::Image(_)
            | Value::Tensor(_)
            | Value::List(_)
            | Value::Map(_)) => (other.kind().to_owned(), None),
        };
        match side.filter(|side| (self.least..=self.most).contains(side)) {
            Some(side) => Ok(Some(side)),
            None => Err(JobError::bad_input(format!(
                "request part `{}`: expected a whole number from {} to {}, found {}",
                self.part,
                self.least,
                self.most,
                found.chars().take(40).collect::<String>()
            ))),
        }
    }
}
