//! Whether a condition can be true or false for values of given types.

use servable::{Fit, Type, Value};

use super::parse::{Comparison, Tree};

/// # Errors
///
/// Which part cannot work, in one line.
pub(super) fn check(tree: &Tree, references: &[Type]) -> Result<(), String> {
    let of = type_of(tree, references)?;
    wants(&of, &Type::Bool, "the condition")
}

/// `None` is null.
fn type_of(tree: &Tree, references: &[Type]) -> Result<Option<Type>, String> {
    let of = |tree: &Tree| type_of(tree, references);
    Ok(match tree {
        Tree::Literal(Value::Null) => None,
        Tree::Literal(value) => Some(Type::of(value)),
        Tree::Of(index) => Some(references.get(*index).cloned().unwrap_or_default()),
        Tree::Has(_) => Some(Type::Bool),
        Tree::Not(inner) => {
            wants(&of(inner)?, &Type::Bool, "`not`")?;
            Some(Type::Bool)
        }
        Tree::And(left, right) | Tree::Or(left, right) => {
            wants(&of(left)?, &Type::Bool, "what stands beside `and` and `or`")?;
            wants(
                &of(right)?,
                &Type::Bool,
                "what stands beside `and` and `or`",
            )?;
            Some(Type::Bool)
        }
        Tree::Compare(comparison, left, right) => {
            compare(*comparison, of(left)?, of(right)?)?;
            Some(Type::Bool)
        }
        Tree::Negative(inner) => {
            let inner = of(inner)?;
            wants(&inner, &Type::Float, "`-`")?;
            inner
        }
        Tree::Compute(_, left, right) => {
            let (left, right) = (of(left)?, of(right)?);
            wants(&left, &Type::Float, "arithmetic")?;
            wants(&right, &Type::Float, "arithmetic")?;
            Some(Type::Float)
        }
        Tree::Size(inner) => {
            let inner = of(inner)?;
            match &inner {
                Some(
                    Type::Any
                    | Type::Json
                    | Type::Text
                    | Type::Bytes
                    | Type::Boxes
                    | Type::Tensor(_)
                    | Type::List(_)
                    | Type::Record(_),
                ) => Some(Type::Int),
                Some(Type::Bool | Type::Int | Type::Float | Type::Image) | None => {
                    return Err(format!("`size` of {} means nothing", name(&inner)));
                }
            }
        }
    })
}

fn wants(found: &Option<Type>, wanted: &Type, who: &str) -> Result<(), String> {
    match found {
        Some(found) if found.fits(wanted) != Fit::No => Ok(()),
        Some(_) | None => {
            let wanted = if *wanted == Type::Bool {
                "true or false"
            } else {
                "a number"
            };
            Err(format!("{who} wants {wanted}, found {}", name(found)))
        }
    }
}

fn compare(comparison: Comparison, left: Option<Type>, right: Option<Type>) -> Result<(), String> {
    let equality = matches!(comparison, Comparison::Equal | Comparison::Unequal);
    let (Some(one), Some(other)) = (&left, &right) else {
        return if equality {
            Ok(())
        } else {
            Err("null is neither less nor greater than anything".to_owned())
        };
    };
    let both = |wanted: &Type| one.fits(wanted) != Fit::No && other.fits(wanted) != Fit::No;
    if both(&Type::Float) || both(&Type::Text) || (equality && both(&Type::Bool)) {
        return Ok(());
    }
    Err(format!(
        "{} cannot be compared with {}",
        name(&left),
        name(&right)
    ))
}

fn name(of: &Option<Type>) -> String {
    of.as_ref()
        .map_or_else(|| "null".to_owned(), Type::to_string)
}
