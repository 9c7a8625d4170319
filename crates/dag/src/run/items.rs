//! What a `foreach` goes over: the items of a list, or a tensor's rows.

use servable::Value;

/// The items of a value, in their order.
///
/// # Errors
///
/// What the value is, where it has no items.
pub(super) fn items(value: Value) -> Result<Vec<Value>, &'static str> {
    match value {
        Value::List(items) => Ok(items.to_vec()),
        Value::Tensor(tensor) => {
            let Some(&rows) = tensor.shape().first() else {
                return Err("a tensor without dimensions");
            };
            let rows = (0..rows).filter_map(|row| tensor.row(row));
            Ok(rows.map(Value::Tensor).collect())
        }
        other @ (Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Image(_)
        | Value::Map(_)) => Err(other.kind()),
    }
}
