//! Keys as files: which are taken, and what is said of the others.

use std::fs;

use super::*;
use crate::config::Secret;

/// An RSA key in every wrapping, with the password `changeit` where there is one.
const GIVEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/tls");

/// The fixtures, and in a folder of its own: another key and its certificate, and files that are neither.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).expect("written");
        };
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
        write("ec-pkcs8.key", &made.signing_key.serialize_pem());
        write("ec.crt", &made.cert.pem());
        write("empty", "");
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        write("broken.crt", broken);
        write("broken.key", &broken.replace("CERTIFICATE", "PRIVATE KEY"));
        Files { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        let made = self.folder.path().join(name);
        if made.exists() {
            made
        } else {
            Path::new(GIVEN).join(name)
        }
    }

    /// `expected` is what is said, or nothing.
    fn check(&self, material: &KeyMaterial, expected: &str) {
        let said = match server_config(material, &["localhost"]) {
            Ok(_) => String::new(),
            Err(error) => format!("{:#}", anyhow::Error::from(error)),
        };
        let made = self.folder.path().display().to_string();
        let said = said
            .replace(&format!("{made}/"), "")
            .replace(&format!("{GIVEN}/"), "");
        assert_eq!(said, expected, "{material:?}");
    }

    fn check_pem(&self, private_key: &str, certificates: &str, expected: &str) {
        let material = KeyMaterial::Pem {
            private_key: self.path(private_key),
            certificates: self.path(certificates),
        };
        self.check(&material, expected);
    }

    fn check_key_store(&self, name: &str, password: &str, expected: &str) {
        let material = KeyMaterial::KeyStore {
            file: self.path(name),
            password: Secret::new(password),
        };
        self.check(&material, expected);
    }
}

#[test]
fn keys_in_pem_are_taken_with_their_certificate() {
    let files = Files::new();
    files.check_pem("rsa-pkcs1.key", "rsa.crt", "");
    files.check_pem("ec-pkcs8.key", "ec.crt", "");
}

#[test]
fn key_stores_of_keytool_and_openssl_are_taken() {
    let files = Files::new();
    for name in ["keytool.p12", "openssl.p12", "legacy.p12"] {
        files.check_key_store(name, "changeit", "");
    }
}

#[test]
fn a_certificate_is_made_where_none_is_given() {
    Files::new().check(&KeyMaterial::SelfSigned, "");
}

#[test]
fn what_is_wrong_with_a_pem_file_is_said_with_its_key() {
    let files = Files::new();
    files.check_pem(
        "absent.key",
        "rsa.crt",
        "private_key_file: absent.key cannot be read: No such file or directory (os error 2)",
    );
    files.check_pem(
        "rsa-pkcs1.key",
        "absent.crt",
        "certificate_file: absent.crt cannot be read: No such file or directory (os error 2)",
    );
    let no_key = "private_key_file: empty: there is no private key in PEM in it";
    files.check_pem("empty", "rsa.crt", no_key);
    let no_key = "private_key_file: rsa.crt: there is no private key in PEM in it";
    files.check_pem("rsa.crt", "rsa.crt", no_key);
    files.check_pem(
        "rsa-pkcs1.key",
        "rsa-pkcs1.key",
        "certificate_file: rsa-pkcs1.key: there is no certificate in PEM in it",
    );
    files.check_pem(
        "rsa-encrypted.key",
        "rsa.crt",
        "private_key_file: rsa-encrypted.key: the key is encrypted; `openssl pkey` writes one that is not",
    );
    files.check_pem(
        "ec-pkcs8.key",
        "rsa.crt",
        "private_key_file: ec-pkcs8.key: the key does not belong to the certificate",
    );
    files.check_pem(
        "broken.key",
        "rsa.crt",
        "private_key_file: broken.key: no RSA, ECDSA or Ed25519 key that can be used",
    );
    files.check_pem(
        "rsa-pkcs1.key",
        "broken.crt",
        "certificate_file: broken.crt: the certificate cannot be used: invalid peer certificate: BadEncoding",
    );
}

#[test]
fn what_is_wrong_with_a_key_store_is_said_with_its_key() {
    let files = Files::new();
    files.check_key_store(
        "absent.p12",
        "changeit",
        "keystore: absent.p12 cannot be read: No such file or directory (os error 2)",
    );
    files.check_key_store(
        "keytool.p12",
        "wrong",
        "keystore: keytool.p12: keystore_pass does not open it",
    );
    files.check_key_store(
        "rsa.crt",
        "changeit",
        "keystore: rsa.crt: not a PKCS#12 key store that can be read: unknown/unsupported ASN.1 DER tag: 0x2d at DER byte 1",
    );
}
