//! A closed loop of requests from one thread: every connection asks again as soon as it is answered. The request is
//! prepared once, so that what this costs is little beside what is measured; it shares the cores with the daemon.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::time::{ClockId, clock_gettime};

use crate::http;

/// The longest that one answer may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Connections that ask the same thing over and over.
pub struct Load {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    request: Vec<u8>,
    /// Where bytes arrive; all connections in turn.
    arrived: Vec<u8>,
    events: Vec<epoll::Event>,
}

/// What was counted in one slice of time.
#[derive(Debug)]
pub struct Slice {
    pub seconds: f64,
    pub answers: usize,
    /// Of each answer, in microseconds.
    pub latencies: Vec<u32>,
    /// CPU seconds of the thread that asked.
    pub own_cpu: f64,
    /// How much the meter went up.
    pub metered: f64,
    /// Answers in all, those included that came before and after the time that counts.
    pub all: usize,
}

impl Slice {
    pub fn per_second(&self) -> f64 {
        self.answers as f64 / self.seconds
    }
}

struct Connection {
    stream: TcpStream,
    /// How much of the request is sent.
    sent: usize,
    asked: Instant,
    /// Whether an answer is due.
    waiting: bool,
    /// The part of an answer that has arrived, where it came in pieces.
    partial: Vec<u8>,
}

/// What is done with an answer's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Ask,
    Rest,
}

impl Load {
    pub fn open(address: SocketAddr, connections: usize, path: &str, body: &[u8]) -> Result<Self> {
        let request = http::request("POST", address, path, body);
        Load::repeating(address, connections, request)
    }

    /// The same with a request that is written already.
    pub(crate) fn repeating(
        address: SocketAddr,
        connections: usize,
        request: Vec<u8>,
    ) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut opened = Vec::with_capacity(connections);
        for index in 0..connections {
            let stream = TcpStream::connect_timeout(&address, PATIENCE)
                .with_context(|| format!("no connection to {address}"))?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            // Told once of every change, both ways: no call per request.
            let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&epoll, &stream, data, flags)?;
            opened.push(Connection {
                stream,
                sent: 0,
                asked: Instant::now(),
                waiting: false,
                partial: Vec::new(),
            });
        }
        Ok(Load {
            epoll,
            connections: opened,
            request,
            arrived: vec![0; 64 * 1024],
            events: Vec::with_capacity(connections),
        })
    }

    /// Asks on all connections, counts for `time` or a little longer once each has been answered, and returns when nothing
    /// is under way any more. `meter` is read at both ends of that time. Any answer but a 200 is an error.
    pub fn run(&mut self, time: Duration, mut meter: impl FnMut() -> Result<f64>) -> Result<Slice> {
        let mut latencies = Vec::new();
        let mut answered = 0;
        for connection in &mut self.connections {
            connection.ask(&self.request)?;
        }
        while answered < self.connections.len() {
            answered += self.turn(Next::Ask, PATIENCE, &mut latencies)?;
        }
        latencies.clear();
        let (metered, own) = (meter()?, own_cpu());
        let start = Instant::now();
        // From answers to answers: where they come in batches, the end must not fall between two of them.
        while self.turn(Next::Ask, PATIENCE, &mut latencies)? == 0 || start.elapsed() < time {}
        let seconds = start.elapsed().as_secs_f64();
        let mut slice = Slice {
            seconds,
            answers: latencies.len(),
            all: answered + latencies.len(),
            latencies,
            own_cpu: own_cpu() - own,
            metered: meter()? - metered,
        };
        let mut uncounted = Vec::new();
        while self.connections.iter().any(|connection| connection.waiting) {
            self.turn(Next::Rest, PATIENCE, &mut uncounted)?;
        }
        slice.all += uncounted.len();
        Ok(slice)
    }

    /// Waits for news and deals with it; how many answers it brought.
    fn turn(&mut self, next: Next, wait: Duration, latencies: &mut Vec<u32>) -> Result<usize> {
        let timeout = Timespec::try_from(wait).context("a wait too long for a clock")?;
        self.events.clear();
        match epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            Some(&timeout),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("waiting for answers"),
        }
        if self.events.is_empty() && wait == PATIENCE {
            bail!("no answer within {} s", PATIENCE.as_secs());
        }
        let before = latencies.len();
        for event in &self.events {
            let connection = &mut self.connections[event.data.u64() as usize];
            connection.go_on(&self.request)?;
            while let Some(latency) = connection.answer(&mut self.arrived)? {
                latencies.push(latency);
                if next == Next::Ask {
                    connection.ask(&self.request)?;
                }
            }
        }
        Ok(latencies.len() - before)
    }
}

impl Connection {
    fn ask(&mut self, request: &[u8]) -> Result<()> {
        (self.sent, self.waiting, self.asked) = (0, true, Instant::now());
        self.go_on(request)
    }

    /// Sends what the socket takes.
    fn go_on(&mut self, request: &[u8]) -> Result<()> {
        while self.waiting && self.sent < request.len() {
            match self.stream.write(&request[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("sending a request"),
            }
        }
        Ok(())
    }

    /// The microseconds that the answer took, if it is there.
    fn answer(&mut self, arrived: &mut [u8]) -> Result<Option<u32>> {
        while self.waiting {
            let count = match self.stream.read(arrived) {
                Ok(0) => bail!("the daemon closed a connection in place of an answer"),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error).context("reading an answer"),
            };
            let bytes = if self.partial.is_empty() {
                &arrived[..count]
            } else {
                self.partial.extend_from_slice(&arrived[..count]);
                &self.partial
            };
            let head = http::head(bytes)
                .ok()
                .context("an answer that is no HTTP")?;
            match head {
                Some(head) if head.end == bytes.len() => {
                    if head.status != 200 {
                        let body = String::from_utf8_lossy(&bytes[head.body..]);
                        bail!("the daemon answered {}: {}", head.status, body.trim());
                    }
                    self.waiting = false;
                    self.partial.clear();
                    let micros = self.asked.elapsed().as_micros();
                    return Ok(Some(u32::try_from(micros).unwrap_or(u32::MAX)));
                }
                Some(head) if head.end < bytes.len() => bail!("an answer longer than it says"),
                Some(_) | None if self.partial.is_empty() => {
                    self.partial.extend_from_slice(&arrived[..count]);
                }
                Some(_) | None => {}
            }
        }
        Ok(None)
    }
}

/// CPU seconds of this thread so far.
pub(crate) fn own_cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A server of two connections that answers each request with these pieces.
    fn serve(pieces: &'static [&'static str]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it listens");
        for _ in 0..2 {
            let listener = listener.try_clone().expect("a second handle");
            thread::spawn(move || {
                let (mut stream, _) = listener.accept().expect("a client");
                stream.set_nodelay(true).expect("TCP");
                let (mut seen, mut buffer) = (Vec::new(), [0; 1024]);
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    seen.extend_from_slice(&buffer[..count]);
                    if seen.ends_with(b"\r\n\r\nbody") {
                        seen.clear();
                        for piece in pieces {
                            if stream.write_all(piece.as_bytes()).is_err() {
                                return;
                            }
                        }
                    }
                }
            });
        }
        address
    }

    fn run(pieces: &'static [&'static str]) -> Result<Slice> {
        let mut load = Load::open(serve(pieces), 2, "/predictions/x", b"body")?;
        let mut readings = [1.0, 3.5].into_iter();
        load.run(Duration::from_millis(50), || {
            Ok(readings.next().expect("read twice"))
        })
    }

    #[test]
    fn every_answer_is_counted_once_however_it_comes() {
        let whole = run(&["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"]).expect("answers");
        assert!(whole.answers > 0);
        assert_eq!(whole.latencies.len(), whole.answers);
        assert_eq!(whole.metered, 2.5);
        // Each connection is warmed with an answer at least, and gets the one that it still waits for.
        assert!(whole.all >= whole.answers + 4, "{whole:?}");
        assert!(whole.own_cpu >= 0.0);
        let pieces = run(&["HTTP/1.1 200 OK\r\ncontent-", "length: 2\r\n\r\nh", "i"]);
        assert!(pieces.expect("answers").answers > 0);
    }

    fn check_refused(pieces: &'static [&'static str], expected: &str) {
        let error = run(pieces).expect_err(expected);
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn what_is_not_a_right_answer_ends_the_run() {
        check_refused(
            &["HTTP/1.1 503 \r\ncontent-length: 4\r\n\r\nfull"],
            "the daemon answered 503: full",
        );
        check_refused(&["SSH-2.0\r\n\r\n"], "an answer that is no HTTP");
        check_refused(
            &["HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nhi"],
            "an answer longer than it says",
        );
    }
}
