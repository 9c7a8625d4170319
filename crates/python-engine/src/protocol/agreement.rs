//! On which protocol both sides agree: what a worker adds to its answer to a load.

use servable::Value;
use worker_process::Broken;

use crate::message::Prediction;

/// The environment variable by which a worker is told the highest protocol that the daemon speaks.
pub(crate) const OFFER: (&str, &str) = ("TORCHRELAY_PROTOCOL", "2");

const RECORD: &str = "torchrelay";

/// The protocol from the next byte on. A worker that does not know of others says nothing.
pub(crate) fn read(predictions: &[Prediction]) -> Result<u8, Broken> {
    let Some(record) = predictions
        .iter()
        .find(|prediction| prediction.id == RECORD)
    else {
        return Ok(1);
    };
    let wrong = || Broken::Protocol("its agreement names no protocol that was offered".into());
    let Value::Bytes(body) = &record.value else {
        return Err(wrong());
    };
    let said: serde_json::Value = serde_json::from_slice(body).map_err(|_| wrong())?;
    match said["protocol"].as_u64() {
        Some(1) => Ok(1),
        Some(2) => Ok(2),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(id: &str, body: &'static str, expected: Option<u8>) {
        let record = Prediction {
            id: id.into(),
            content_type: "application/json".into(),
            status: 200,
            phrase: String::new(),
            headers: Vec::new(),
            value: Value::Bytes(body.into()),
        };
        assert_eq!(read(&[record]).ok(), expected, "{id} {body}");
    }

    #[test]
    fn a_worker_says_what_it_speaks_or_nothing() {
        check(
            "torchrelay",
            r#"{"protocol": 2, "python": "3.11.7"}"#,
            Some(2),
        );
        check("torchrelay", r#"{"protocol": 1}"#, Some(1));
        check("another", "whatever", Some(1));
        check("torchrelay", r#"{"protocol": 3}"#, None);
        check("torchrelay", r#"{"protocol": "2"}"#, None);
        check("torchrelay", "2", None);
        check("torchrelay", "", None);
    }
}
