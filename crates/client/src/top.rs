//! `top`: every version of every model and how it is doing, once a second.
//!
//! `sample.rs` asks the server, `counters.rs` reads its metrics, `rows.rs` makes numbers of two samples, `view.rs` lines of
//! the numbers, and `screen.rs` has the terminal. This file is the loop. A server that goes away is said to be away, and
//! asked again until it is back.

mod counters;
mod rows;
mod sample;
mod screen;
mod view;

use std::collections::VecDeque;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use crate::error::Error;
use crate::session::Session;
use rows::{Row, rows};
use sample::{Sample, Sampler};
use screen::{Key, Screen};
use view::View;

/// From one look to the next.
const INTERVAL: Duration = Duration::from_secs(1);
/// How many samples rates and latencies are taken over, the newest included.
const WINDOW: usize = 11;

pub(crate) async fn run(mut session: Session<'_>, once: bool) -> Result<(), Error> {
    let mut sampler = Sampler::new(&session)?;
    // A mistake in the command line, and a server that is not there, are told at once.
    let first = sampler.sample().await?;
    if once || session.options.json || !session.output.is_terminal {
        sleep(INTERVAL).await;
        let second = sampler.sample().await?;
        return print(&mut session, &first, &second);
    }
    watch(&session, sampler, first).await
}

fn print(session: &mut Session<'_>, before: &Sample, now: &Sample) -> Result<(), Error> {
    let rows = rows(before, now);
    if session.options.json {
        let rows: Vec<_> = rows.iter().map(Row::document).collect();
        return session.output.json(&serde_json::Value::Array(rows));
    }
    let mut lines = view::summary(before, now, &rows);
    lines.extend(view::table(&rows).lines(None));
    session.output.lines(&lines)
}

/// What is known, newest last, and why it is not newer.
struct History {
    samples: VecDeque<Sample>,
    /// Since when, and why.
    lost: Option<(Instant, String)>,
}

impl History {
    fn take(&mut self, outcome: Result<Sample, Error>) {
        match outcome {
            Ok(sample) => {
                // Rates over the time in which the server was away would mean nothing.
                if self.lost.take().is_some() {
                    self.samples.clear();
                }
                if self.samples.len() == WINDOW {
                    self.samples.pop_front();
                }
                self.samples.push_back(sample);
            }
            Err(error) => {
                let since = self
                    .lost
                    .take()
                    .map_or_else(Instant::now, |(since, _)| since);
                self.lost = Some((since, error.to_string()));
            }
        }
    }
}

async fn watch(session: &Session<'_>, sampler: Sampler, first: Sample) -> Result<(), Error> {
    let mut history = History {
        samples: VecDeque::from([first]),
        lost: None,
    };
    let mut view = View::default();
    let stop = |kind| {
        signal(kind).map_err(|source| Error::System {
            what: "signals",
            source,
        })
    };
    let mut terminate = stop(SignalKind::terminate())?;
    let mut hang_up = stop(SignalKind::hangup())?;
    let mut interrupt = stop(SignalKind::interrupt())?;
    let mut screen = Screen::enter(session.output.colour)?;
    let mut keys = screen::keys();
    let mut samples = follow(sampler);
    loop {
        let (width, height) = screen.size();
        screen.show(view.frame(&history, width, height))?;
        let key = tokio::select! {
            Some(outcome) = samples.recv() => {
                history.take(outcome);
                continue;
            }
            Some(key) = keys.recv() => key,
            _ = terminate.recv() => Key::Quit,
            _ = hang_up.recv() => Key::Quit,
            _ = interrupt.recv() => Key::Quit,
        };
        match key {
            Key::Quit => return Ok(()),
            Key::Up => view.scroll(-1),
            Key::Down => view.scroll(1),
            Key::Resize => {}
        }
    }
}

/// A sample each interval, however long one takes. The task ends with the receiver, or with the runtime.
fn follow(mut sampler: Sampler) -> mpsc::Receiver<Result<Sample, Error>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let next = Instant::now() + INTERVAL;
            sleep_until(next).await;
            if sender.send(sampler.sample().await).await.is_err() {
                return;
            }
        }
    });
    receiver
}
