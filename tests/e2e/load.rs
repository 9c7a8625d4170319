//! Many clients at once: each gets the answer to its own question.

use std::thread;

use crate::client::Request;
use crate::fixtures::{Model, best, class, own, pictures};
use crate::harness::Bench;

/// How far an answer out of a batch may stray from the one given alone: what another order of additions does.
const TOLERANCE: f64 = 1e-4;

#[test]
fn parallel_requests_get_their_own_answers() {
    const CONNECTIONS: usize = 8;
    const EACH: usize = 4;
    let daemon = Bench::new().with(&Model::substrate()).start();
    let pictures = pictures(&own("substrates"));
    let path = "/predictions/substrate";
    let alone: Vec<(String, f64)> = pictures
        .iter()
        .map(|(_, picture)| best(&daemon.post(path, picture).prediction()))
        .collect();
    thread::scope(|scope| {
        for start in 0..CONNECTIONS {
            let (daemon, pictures, alone) = (&daemon, &pictures, &alone);
            scope.spawn(move || {
                let mut connection = daemon.connect();
                for step in 0..EACH {
                    let index = (start + step) % pictures.len();
                    let (name, picture) = &pictures[index];
                    let request = Request::post(path, picture.as_slice());
                    let (label, probability) = best(&connection.request(&request).prediction());
                    assert_eq!(label, class(name));
                    let expected = &alone[index];
                    assert_eq!(label, expected.0, "{name}");
                    assert!((probability - expected.1).abs() < TOLERANCE, "{name}");
                }
            });
        }
    });
}

#[test]
fn one_bad_request_in_a_batch_fails_alone() {
    let model = Model::mlp().configured("minWorkers: 1\nbatchSize: 8\nmaxBatchDelay: 50\n");
    let daemon = Bench::new().with(&model).start();
    let path = "/predictions/mlp";
    let good = "[1.0, 2.0, 3.0, 4.0]";
    let expected = daemon.post(path, good.as_bytes()).prediction();
    thread::scope(|scope| {
        for client in 0..8 {
            let (daemon, expected) = (&daemon, &expected);
            scope.spawn(move || {
                for _ in 0..10 {
                    if client == 0 {
                        let answer = daemon.post(path, b"[1.0, 2.0]");
                        assert!(answer.status >= 400, "{answer:?}");
                        continue;
                    }
                    let answer = daemon.post(path, good.as_bytes()).prediction();
                    let pairs = numbers(&answer).zip(numbers(expected));
                    for (found, expected) in pairs {
                        assert!((found - expected).abs() < TOLERANCE, "{answer}");
                    }
                }
            });
        }
    });
}

fn numbers(list: &serde_json::Value) -> impl Iterator<Item = f64> {
    let items = list.as_array().expect("a list").iter();
    items.map(|item| item.as_f64().expect("a number"))
}

#[test]
fn a_full_queue_refuses_and_recovers() {
    let model = Model::quadrat().configured(
        "minWorkers: 1\nmaxWorkers: 1\njobQueueSize: 1\nhandler:\n  resize: none\n  crop: none\n  output: map\n",
    );
    let daemon = Bench::new().with(&model).start();
    let (_, picture) = pictures(&own("quadrats")).swap_remove(0);
    let request = Request::post("/predictions/quadrat", picture);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let clients: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| daemon.send(&request)))
            .collect();
        clients
            .into_iter()
            .map(|client| {
                let answer = client.join().expect("an answer");
                if answer.status == 503 {
                    let message = answer.message();
                    assert!(message.contains("its queue holds 1 requests"), "{message}");
                    assert_eq!(answer.json()["type"], "ServiceUnavailableException");
                }
                answer.status
            })
            .collect()
    });
    assert!(
        statuses.iter().all(|status| matches!(status, 200 | 503)),
        "{statuses:?}"
    );
    assert!(statuses.contains(&200), "{statuses:?}");
    assert!(statuses.contains(&503), "{statuses:?}");
    assert_eq!(daemon.send(&request).status, 200);
}
