//! What is not brought, and what is said about it.

use std::time::Duration;

use sources::AllowedUrls;

use crate::server::{Act, File, Server, redirect, status};
use crate::{Store, bytes};

/// The sentence for an url of which the cause is `cause`.
fn failed(url: &str, cause: &str) -> String {
    format!("Failed to download archive from: {url} ({cause})")
}

/// What a registration hears whose server acts like this.
async fn check(store: Store, acts: impl IntoIterator<Item = Act>, cause: &str) {
    let server = Server::start(acts).await;
    let url = server.url("/m.mar");
    let secret = format!("{}?sig=hush", url.replace("http://", "http://user:hush@"));
    assert_eq!(store.refusal(&secret).await, failed(&url, cause));
}

#[tokio::test]
async fn a_server_that_has_none() {
    let cause = "the server answered 404 Not Found";
    check(Store::new(), [status("404 Not Found", "")], cause).await;
    // Asked once: its mind is made up, or it would keep the caller waiting.
    let server = Server::start([status("503 Later", "")]).await;
    let cause = "the server answered 503 Service Unavailable";
    let url = server.url("/m.mar");
    assert_eq!(
        Store::new()
            .bring(&url)
            .await
            .expect_err("none")
            .to_string(),
        failed(&url, cause)
    );
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn no_server() {
    // Nobody listens on port 1 here.
    let url = "http://127.0.0.1:1/m.mar";
    let text = Store::new().bring(url).await.expect_err("none").to_string();
    let refused = "there was no connection: Connection refused (os error 111)";
    assert_eq!(text, failed(url, refused));
}

#[tokio::test]
async fn too_large_an_archive() {
    let cause = "it is larger than 1000 bytes, which is max_download_size";
    let small = || Store::new().with(|settings| settings.max_size = 1000);
    let file = File::new(bytes(1001));
    check(small(), [Act::Serve(file.clone())], cause).await;
    check(small(), [Act::Serve(file.of_unknown_length())], cause).await;
    let fits = Server::start([Act::Serve(File::new(bytes(1000)).of_unknown_length())]).await;
    small().bring(&fits.url("/m.mar")).await.expect("it fits");
}

#[tokio::test]
async fn a_server_that_always_breaks_in_the_same_place() {
    let file = File::new(bytes(100)).named("");
    let server = Server::start([Act::Cut { file, after: 10 }]).await;
    let store = Store::new().with(|settings| settings.retries = 2);
    let error = store.bring(&server.url("/m.mar")).await.expect_err("never");
    assert!(
        error.to_string().contains("(the connection broke: "),
        "{error}"
    );
    // Once, and twice more after it got that far.
    assert_eq!(server.asked().len(), 3);
    // What came stays for another day; nothing has the final name.
    assert!(!store.path().join("m.mar").exists());
}

#[tokio::test]
async fn a_server_that_says_nothing() {
    let silent = |file: &File, after| Act::Stall {
        file: file.clone(),
        after,
    };
    let file = File::new(bytes(100)).named("");
    let server = Server::start([silent(&file, 10)]).await;
    let impatient = || {
        Store::new().with(|settings| {
            settings.stall = Duration::from_millis(100);
            settings.retries = 1;
        })
    };
    let url = server.url("/m.mar");
    let error = impatient().bring(&url).await.expect_err("never");
    assert_eq!(error.to_string(), failed(&url, "nothing came for 0.1 s"));
    let slow = Store::new().with(|settings| settings.timeout = Duration::from_millis(100));
    let error = slow.bring(&url).await.expect_err("never");
    assert_eq!(error.to_string(), failed(&url, "it took longer than 0.1 s"));
}

#[tokio::test]
async fn private_addresses() {
    let public_only = || Store::new().with(|settings| settings.allow_private = false);
    let cause = |host: &str, address: &str| {
        format!(
            "{host} has the address {address}, which is not public; allow_private_urls=true would permit it"
        )
    };
    let literal = cause("127.0.0.1", "127.0.0.1");
    check(public_only(), [status("200 Here", "")], &literal).await;
    // By name: the resolver of the connection itself refuses.
    let server = Server::start([status("200 Here", "")]).await;
    let url = format!("http://localhost:{}/m.mar", server.address.port());
    let text = public_only().refusal(&url).await;
    let expected = ["127.0.0.1", "::1"].map(|address| failed(&url, &cause("localhost", address)));
    assert!(expected.contains(&text), "{text}");
    for url in [
        "http://[::ffff:169.254.169.254]/latest/m.mar",
        "http://2130706433/m.mar",
    ] {
        let text = public_only().refusal(url).await;
        assert!(text.contains(", which is not public; "), "{text}");
    }
    assert_eq!(server.asked(), [""; 0]);
}

#[tokio::test]
async fn redirects_to_where_it_must_not_go() {
    let here = |settings: &mut sources::Settings| {
        settings.allowed =
            AllowedUrls::parse("http://.*@?127.0.0.1:[0-9]+/.*").expect("an expression");
    };
    let forbidden =
        |target: &str| format!("it redirects to {target}, which does not match any allowed URL(s)");
    for (to, shown) in [
        (
            "http://example.org/m.mar?x=hush",
            "http://example.org/m.mar",
        ),
        ("file:///etc/passwd", "file:///etc/passwd"),
        ("https://127.0.0.1:1/m.mar", "https://127.0.0.1:1/m.mar"),
    ] {
        check(Store::new().with(here), [redirect(to)], &forbidden(shown)).await;
    }
    // Allowed by its text, but in a network of its own: only the first address was public.
    let everywhere = [redirect("/again")];
    check(Store::new(), everywhere, "it redirects more than 10 times").await;
    check(
        Store::new(),
        [status("302 Elsewhere", "")],
        "the server answered 302 Found",
    )
    .await;
}

#[tokio::test]
async fn urls_that_are_not_allowed() {
    let store = Store::new().with(|settings| settings.allowed = AllowedUrls::default());
    for url in ["s3://bucket/m.mar", "http://h/a\\m.mar"] {
        let expected = format!("Given URL {url} does not match any allowed URL(s)");
        assert_eq!(store.refusal(url).await, expected);
    }
    assert_eq!(
        store.refusal("ftp://user:hush@h/m.mar").await,
        "Model not found at: ftp://h/m.mar"
    );
    assert_eq!(
        store.refusal("http://h/../m.mar").await,
        "Relative path is not allowed in url: http://h/../m.mar"
    );
}
