//! The names of element types in the protocol.

use std::fmt;

use servable::DType;

/// What the elements of a tensor are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datatype {
    /// Numbers of that type, side by side.
    Of(DType),
    /// Byte strings, each of a length of its own: texts, pictures, whole documents.
    Bytes,
}

impl Datatype {
    const ALL: [Datatype; 11] = [
        Datatype::Of(DType::Bool),
        Datatype::Of(DType::U8),
        Datatype::Of(DType::I8),
        Datatype::Of(DType::I16),
        Datatype::Of(DType::I32),
        Datatype::Of(DType::I64),
        Datatype::Of(DType::F16),
        Datatype::Of(DType::BF16),
        Datatype::Of(DType::F32),
        Datatype::Of(DType::F64),
        Datatype::Bytes,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Datatype::Of(DType::Bool) => "BOOL",
            Datatype::Of(DType::U8) => "UINT8",
            Datatype::Of(DType::I8) => "INT8",
            Datatype::Of(DType::I16) => "INT16",
            Datatype::Of(DType::I32) => "INT32",
            Datatype::Of(DType::I64) => "INT64",
            Datatype::Of(DType::F16) => "FP16",
            Datatype::Of(DType::BF16) => "BF16",
            Datatype::Of(DType::F32) => "FP32",
            Datatype::Of(DType::F64) => "FP64",
            Datatype::Bytes => "BYTES",
        }
    }

    /// The type of that name.
    ///
    /// # Errors
    ///
    /// Names it and those there are: the engine has no wider unsigned integers than 8 bits.
    pub fn parse(name: &str) -> Result<Self, String> {
        let found = Datatype::ALL
            .into_iter()
            .find(|datatype| datatype.name() == name);
        found.ok_or_else(|| {
            let known = Datatype::ALL.map(Datatype::name).join(", ");
            let shown: String = name.chars().take(40).collect();
            format!("datatype {shown:?} is not one of {known}")
        })
    }
}

impl fmt::Display for Datatype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_types_and_back() {
        for datatype in Datatype::ALL {
            assert_eq!(Datatype::parse(datatype.name()), Ok(datatype));
        }
        for unknown in ["UINT16", "UINT32", "UINT64", "fp32", "STRING", ""] {
            let expected = format!(
                "datatype {unknown:?} is not one of BOOL, UINT8, INT8, INT16, INT32, INT64, FP16, BF16, FP32, FP64, BYTES"
            );
            assert_eq!(Datatype::parse(unknown), Err(expected));
        }
    }
}
