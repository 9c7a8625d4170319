//! What https listeners prove who they are with: where the key and the certificates are. Nothing is read here.

use std::fmt;
use std::path::PathBuf;

use super::reader::Reader;
use super::report::quote;

/// The source of the private key and the certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyMaterial {
    /// `private_key_file` and `certificate_file`.
    Pem {
        private_key: PathBuf,
        certificates: PathBuf,
    },
    /// `keystore`, in the format PKCS#12.
    KeyStore { file: PathBuf, password: Secret },
    /// A certificate made at each start.
    SelfSigned,
}

/// A text that is not to be seen in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl KeyMaterial {
    /// A key store goes before PEM files, as in TorchServe. What does not fit together is a mistake only if some listener
    /// is https (`used`).
    pub(super) fn read(reader: &mut Reader<'_>, used: bool) -> KeyMaterial {
        let private_key = reader.path("private_key_file");
        let certificates = reader.path("certificate_file");
        let password = reader.text("keystore_pass").unwrap_or_default();
        let format = reader.setting("keystore_type");
        if let Some((file, _)) = reader.path("keystore") {
            if let Some(format) = format
                && !format.value.eq_ignore_ascii_case("PKCS12")
                && used
            {
                let message = format!(
                    "expected PKCS12, found {}; `keytool -importkeystore` converts a key store",
                    quote(&format.value)
                );
                let report = &mut reader.report;
                report.error(&format.origin, Some("keystore_type"), message);
            }
            let password = Secret(password);
            return KeyMaterial::KeyStore { file, password };
        }
        let (half, name, other) = match (private_key, certificates) {
            (Some((private_key, _)), Some((certificates, _))) => {
                return KeyMaterial::Pem {
                    private_key,
                    certificates,
                };
            }
            (None, None) => return KeyMaterial::SelfSigned,
            (Some((_, half)), None) => (half, "private_key_file", "certificate_file"),
            (None, Some((_, half))) => (half, "certificate_file", "private_key_file"),
        };
        if used {
            let message = format!("{other} is missing, without which it has no effect");
            reader.report.error(&half.origin, Some(name), message);
        }
        KeyMaterial::SelfSigned
    }
}
