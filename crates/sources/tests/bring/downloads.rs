//! Downloads that end well, some of them after trouble.

use std::time::{Duration, SystemTime};

use sources::Options;

use crate::server::{Act, File, Server, redirect};
use crate::{Store, bytes};

const SIZE: usize = 3 << 20;

/// A file that arrives in the end, and which ranges were asked for on the way.
async fn check(acts: impl IntoIterator<Item = Act>, ranges: &[&str]) {
    let server = Server::start(acts).await;
    let store = Store::new();
    let brought = store.bring(&server.url("/a/m.mar")).await;
    let brought = brought.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(brought.name(), "m.mar");
    assert!(store.content("m.mar") == bytes(SIZE), "it is another file");
    assert_eq!(server.asked_for("Range"), ranges);
    brought.remove().expect("removed");
    assert_eq!(store.names(), [""; 0]);
}

fn file() -> File {
    File::new(bytes(SIZE))
}

fn cut(file: File, after: usize) -> Act {
    Act::Cut { file, after }
}

#[tokio::test]
async fn a_file_arrives_whole() {
    check([Act::Serve(file())], &[""]).await;
    check([Act::Serve(file().of_unknown_length())], &[""]).await;
    check([Act::Serve(file().named(""))], &[""]).await;
}

#[tokio::test]
async fn a_cut_download_goes_on_where_it_broke() {
    let cuts = [cut(file(), 1 << 20), cut(file(), 1000), Act::Serve(file())];
    check(cuts, &["", "bytes=1048576-", "bytes=1049576-"]).await;
    let dated = || file().named("Last-Modified: Sun, 22 Nov 2026 03:00:00 GMT\r\n");
    check([cut(dated(), 10), Act::Serve(dated())], &["", "bytes=10-"]).await;
}

#[tokio::test]
async fn a_server_that_is_out_of_order_for_a_moment_is_asked_again() {
    let broken = crate::server::status("503 Later", "");
    check(
        [cut(file(), 10), broken, Act::Serve(file())],
        &["", "bytes=10-", "bytes=10-"],
    )
    .await;
    check(
        [cut(file(), 10), cut(file(), 0), Act::Serve(file())],
        &["", "bytes=10-", "bytes=10-"],
    )
    .await;
}

#[tokio::test]
async fn what_cannot_be_continued_begins_anew() {
    // The server has another file by now.
    let other = File::new(bytes(SIZE - 1)).named("ETag: \"two\"\r\n");
    check(
        [cut(other, 1 << 20), Act::Serve(file())],
        &["", "bytes=1048576-"],
    )
    .await;
    // It names none, or only one that stands for similar files.
    for name in ["", "ETag: W/\"one\"\r\n"] {
        check(
            [cut(file().named(name), 10), Act::Serve(file().named(name))],
            &["", ""],
        )
        .await;
    }
    // It sends some other part.
    let lie =
        "HTTP/1.1 206 Part\r\nContent-Range: bytes 0-9/20\r\nContent-Length: 10\r\n\r\n0123456789";
    let acts = [
        cut(file(), 10),
        Act::Say(lie.to_owned()),
        Act::Serve(file()),
    ];
    check(acts, &["", "bytes=10-", ""]).await;
    // Its file is shorter than what came.
    let longer = File::new(bytes(SIZE * 2));
    let acts = [
        cut(longer, SIZE + 1),
        Act::Serve(file()),
        Act::Serve(file()),
    ];
    check(acts, &["", "bytes=3145729-", ""]).await;
}

#[tokio::test]
async fn a_stalled_download_is_taken_up_again() {
    let stalled = Act::Stall {
        file: file(),
        after: 10,
    };
    let server = Server::start([stalled, Act::Serve(file())]).await;
    let store = Store::new().with(|settings| settings.stall = Duration::from_millis(200));
    store.bring(&server.url("/m.mar")).await.expect("brought");
    assert!(store.content("m.mar") == bytes(SIZE));
    assert_eq!(server.asked_for("Range"), ["", "bytes=10-"]);
}

#[tokio::test]
async fn redirects_are_followed() {
    let elsewhere = Server::start([Act::Serve(file())]).await;
    let moved = [redirect("/b/other.mar"), redirect(&elsewhere.url("/c"))];
    let server = Server::start(moved).await;
    let store = Store::new();
    let url = server.url("/m.mar").replace("http://", "http://user:word@");
    let brought = store.bring(&url).await.expect("brought");
    // Under the name that was asked for; and the password went to its own server alone.
    assert_eq!(brought.name(), "m.mar");
    assert_eq!(server.asked_for("Authorization"), ["Basic dXNlcjp3b3Jk"; 2]);
    assert_eq!(elsewhere.asked_for("Authorization"), [""]);
    assert_eq!(elsewhere.asked_for("Accept-Encoding"), ["identity"]);
}

/// Waits until a part has that length.
async fn wait_for_part(store: &Store, length: u64) {
    let deadline = SystemTime::now() + Duration::from_secs(30);
    loop {
        let part = store
            .names()
            .into_iter()
            .find(|name| name.ends_with(".part"));
        let found = part.and_then(|name| store.path().join(name).metadata().ok());
        if found.is_some_and(|metadata| metadata.len() >= length) {
            return;
        }
        assert!(SystemTime::now() < deadline, "no part of {length} bytes");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_dropped_download_leaves_a_part_from_which_the_next_goes_on() {
    let stalled = Act::Stall {
        file: file(),
        after: 2 << 20,
    };
    let server = Server::start([stalled, Act::Serve(file())]).await;
    let store = Store::new();
    let url = server.url("/m.mar");
    tokio::select! {
        _ = store.bring(&url) => panic!("it cannot have come"),
        () = wait_for_part(&store, 1 << 20) => {}
    }
    let note = std::fs::read_to_string(store.hidden(".note")).expect("a note");
    assert_eq!(note, "part \"one\"\n");
    store.bring(&url).await.expect("brought");
    assert!(store.content("m.mar") == bytes(SIZE));
    let [first, second] = &server.asked_for("Range")[..] else {
        panic!("two requests")
    };
    assert_eq!(first, "");
    let from = second
        .strip_prefix("bytes=")
        .and_then(|range| range.strip_suffix('-'));
    let from: usize = from.and_then(|from| from.parse().ok()).expect("a range");
    assert!(((1 << 20)..=(2 << 20)).contains(&from), "{second}");
}

#[tokio::test]
async fn of_two_at_once_one_brings_the_file() {
    let server = Server::start([Act::Serve(file())]).await;
    let store = Store::new();
    let (one, other) = (store.sources(), store.sources());
    let url = server.url("/m.mar");
    // By one server, and by two that share a store.
    let outcomes = tokio::join!(
        one.bring(&url, Options::default()),
        one.bring(&url, Options::default()),
        other.bring(&url, Options::default()),
    );
    let outcomes = [outcomes.0, outcomes.1, outcomes.2];
    let mut brought = 0;
    for outcome in &outcomes {
        match outcome {
            Ok(_) => brought += 1,
            Err(error) => {
                let text = error.to_string();
                assert!(
                    text.starts_with("Model file already exists m.mar"),
                    "{text}"
                );
            }
        }
    }
    assert_eq!(brought, 1, "{outcomes:?}");
    assert!(store.content("m.mar") == bytes(SIZE));
}

#[tokio::test]
async fn a_copy_of_an_earlier_run_serves_again_at_start_alone() {
    let server = Server::start([Act::Serve(file())]).await;
    let store = Store::new();
    let url = server.url("/m.mar");
    store.bring(&url).await.expect("brought");

    let error = store.bring(&url).await.expect_err("there already");
    assert_eq!(error.to_string(), "Model file already exists m.mar");
    let at_start = Options {
        reuse: true,
        ..Options::default()
    };
    let other = store
        .sources()
        .bring(&server.url("/other/m.mar"), at_start)
        .await;
    assert!(other.is_err(), "it came from another url");
    let again = store.sources().bring(&url, at_start).await.expect("reused");
    assert_eq!((again.name(), server.asked().len()), ("m.mar", 1));

    // Somebody puts a file of their own there: it is neither used nor removed.
    std::fs::write(store.path().join("m.mar"), "mine").expect("written");
    assert!(store.sources().bring(&url, at_start).await.is_err());
    again.remove().expect("nothing of ours is there");
    assert_eq!(store.content("m.mar"), b"mine");
}
