//! S3, played by the server of these tests.

use sources::{Brought, Error, Options};

use crate::server::{Act, File, Server, redirect, status};
use crate::{Store, bytes};

fn store(server: &Server) -> Store {
    let endpoint = format!("http://{}", server.address);
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "some-key"),
        ("AWS_SECRET_ACCESS_KEY", "hush\n"),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_SESSION_TOKEN", "a-token"),
    ];
    let owned = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Store::new().with(|settings| {
        settings.aws = owned.to_vec();
        // The endpoint is the operator's own choice.
        settings.allow_private = false;
    })
}

async fn bring(store: &Store, url: &str, s3_sse_kms: bool) -> Result<Brought, Error> {
    let options = Options {
        s3_sse_kms,
        ..Options::default()
    };
    store.sources().bring(url, options).await
}

/// The headers that a signature covers, and whether one is there.
#[track_caller]
fn check_signed(server: &Server, headers: &str) {
    for signature in server.asked_for("Authorization") {
        assert!(
            signature.starts_with("AWS4-HMAC-SHA256 Credential=some-key/"),
            "{signature}"
        );
        assert!(
            signature.contains("/eu-west-1/s3/aws4_request, "),
            "{signature}"
        );
        assert!(
            signature.contains(&format!("SignedHeaders={headers}, ")),
            "{signature}"
        );
        let (_, hex) = signature.split_once("Signature=").expect("a signature");
        assert!(
            hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{hex}"
        );
    }
}

const SIGNED: &str = "host;x-amz-content-sha256;x-amz-date;x-amz-security-token";
const SIGNED_KMS: &str =
    "host;x-amz-content-sha256;x-amz-date;x-amz-security-token;x-amz-server-side-encryption";

#[tokio::test]
async fn an_object_is_asked_for_with_a_signature_and_continued() {
    let file = File::new(bytes(1 << 20));
    let cut = Act::Cut {
        file: file.clone(),
        after: 1000,
    };
    let server = Server::start([cut, Act::Serve(file)]).await;
    let store = store(&server);
    let brought = bring(&store, "s3://bucket/models/my%20m+.mar", false).await;
    let brought = brought.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(brought.name(), "my%20m+.mar");
    assert!(store.content("my%20m+.mar") == bytes(1 << 20));
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    for head in &asked {
        let line = "GET /bucket/models/my%20m%2B.mar HTTP/1.1\r\n";
        assert!(head.starts_with(line), "{head}");
    }
    check_signed(&server, SIGNED);
    assert_eq!(server.asked_for("x-amz-server-side-encryption"), ["", ""]);
    assert_eq!(server.asked_for("Range"), ["", "bytes=1000-"]);
}

#[tokio::test]
async fn encryption_by_kms_is_asked_for() {
    let server = Server::start([Act::Serve(File::new(bytes(10)))]).await;
    let kms = bring(&store(&server), "s3://bucket/m.mar", true).await;
    kms.unwrap_or_else(|error| panic!("{error}"));
    check_signed(&server, SIGNED_KMS);
    assert_eq!(
        server.asked_for("x-amz-server-side-encryption"),
        ["aws:kms"]
    );
    assert_eq!(server.asked_for("x-amz-security-token"), ["a-token"]);
}

#[tokio::test]
async fn an_address_over_http_is_signed_too_but_not_where_it_redirects_to() {
    let elsewhere = Server::start([Act::Serve(File::new(bytes(10)))]).await;
    let server = Server::start([redirect(&elsewhere.url("/m.mar"))]).await;
    let store = store(&server).with(|settings| settings.allow_private = true);
    let brought = bring(&store, &server.url("/m.mar"), true).await;
    brought.unwrap_or_else(|error| panic!("{error}"));
    check_signed(&server, SIGNED_KMS);
    assert_eq!(elsewhere.asked_for("Authorization"), [""]);
    assert_eq!(elsewhere.asked_for("x-amz-security-token"), [""]);
}

#[tokio::test]
async fn what_s3_refuses_is_told() {
    let server = Server::start([status("403 Forbidden", "")]).await;
    let text = store(&server).refusal("s3://bucket/m.mar").await;
    let expected =
        "Failed to download archive from: s3://bucket/m.mar (the server answered 403 Forbidden)";
    assert_eq!(text, expected);
    let moved = Server::start([redirect("http://example.org/m.mar")]).await;
    let text = store(&moved).refusal("s3://bucket/m.mar").await;
    assert!(text.ends_with("(the server answered 302 Found)"), "{text}");
}

#[tokio::test]
async fn half_a_pair_of_keys_is_told() {
    let server = Server::start([status("200 Here", "")]).await;
    let store = store(&server).with(|settings| {
        settings
            .aws
            .retain(|(name, _)| name != "AWS_SECRET_ACCESS_KEY");
    });
    let text = store.refusal("s3://bucket/m.mar").await;
    let expected = "Failed to download archive from: s3://bucket/m.mar (no credentials of AWS: Generic S3 error: \
                    Missing SecretAccessKey)";
    assert_eq!(text, expected);
    assert_eq!(server.asked(), [""; 0]);
}
