//! How far fetching and unpacking are: one line that rewrites itself on a terminal, a few plain lines elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Below this many bytes, megabytes have a decimal and a log gets one line.
const SMALL: u64 = 10_000_000;

pub struct Progress {
    title: String,
    style: Style,
    files: usize,
    bytes: u64,
    files_done: usize,
    bytes_done: u64,
    begun: Instant,
    shown: Instant,
}

#[derive(PartialEq)]
enum Style {
    Line,
    Plain,
    #[cfg(test)]
    Silent,
}

impl Progress {
    pub fn new(title: String) -> Self {
        let style = if io::stdout().is_terminal() {
            Style::Line
        } else {
            Style::Plain
        };
        Self {
            title,
            style,
            files: 0,
            bytes: 0,
            files_done: 0,
            bytes_done: 0,
            begun: Instant::now(),
            shown: Instant::now(),
        }
    }

    #[cfg(test)]
    pub fn silent() -> Self {
        Self {
            style: Style::Silent,
            ..Self::new(String::new())
        }
    }

    pub fn expect(&mut self, files: usize, bytes: u64) {
        (self.files, self.bytes) = (files, bytes);
        // A start that is its own end need not be told twice.
        if self.style == Style::Line || bytes >= SMALL {
            self.show();
        }
    }

    /// For work that somebody else does: so many bytes are there by now.
    pub fn reached(&mut self, bytes: u64) {
        let news = bytes.saturating_sub(self.bytes_done);
        self.add(news);
    }

    /// A writer that passes everything on to `output` and counts it.
    pub fn counting<'a, W: Write>(&'a mut self, output: &'a mut W) -> impl Write + 'a {
        Counting {
            progress: self,
            output,
        }
    }

    pub fn file_done(&mut self) {
        self.files_done += 1;
    }

    pub fn finish(mut self) {
        self.show();
        if self.style == Style::Line {
            println!();
        }
    }

    fn add(&mut self, bytes: u64) {
        self.bytes_done += bytes;
        let pause = if self.style == Style::Line {
            Duration::from_millis(100)
        } else {
            Duration::from_secs(5)
        };
        if self.shown.elapsed() >= pause {
            self.show();
        }
    }

    fn show(&mut self) {
        self.shown = Instant::now();
        let text = self.text();
        // Progress that cannot be shown is no reason to stop.
        let _ = match self.style {
            Style::Line => write!(io::stdout(), "\r{text} ").and_then(|()| io::stdout().flush()),
            Style::Plain => writeln!(io::stdout(), "{text}"),
            #[cfg(test)]
            Style::Silent => Ok(()),
        };
    }

    fn text(&self) -> String {
        let (done, total) = (self.bytes_done, self.bytes);
        let megabytes = if total < SMALL {
            format!("{:.1}/{:.1} MB", done as f64 / 1e6, total as f64 / 1e6)
        } else {
            format!("{}/{} MB", done / 1_000_000, total / 1_000_000)
        };
        let files = match self.files {
            0 => String::new(), // it is one, and the title says which
            files => format!("{}/{files} files, ", self.files_done),
        };
        let seconds = self.begun.elapsed().as_secs();
        format!("{}: {files}{megabytes}, {seconds} s", self.title)
    }
}

struct Counting<'a, W> {
    progress: &'a mut Progress,
    output: &'a mut W,
}

impl<W: Write> Write for Counting<'_, W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.output.write(buffer)?;
        self.progress.add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_counts_files_and_megabytes() {
        let mut progress = Progress {
            title: "unpacking x".to_owned(),
            ..Progress::silent()
        };
        progress.expect(2, 7_000_000);
        progress
            .counting(&mut io::sink())
            .write_all(&vec![0; 3_000_000])
            .expect("a sink takes all");
        progress.file_done();
        assert_eq!(progress.text(), "unpacking x: 1/2 files, 3.0/7.0 MB, 0 s");
    }

    #[test]
    fn one_file_that_another_program_fetches_is_not_counted() {
        let mut progress = Progress {
            title: "fetching x".to_owned(),
            ..Progress::silent()
        };
        progress.expect(0, 530_712_279);
        progress.reached(40_000_000);
        progress.reached(30_000_000); // it moved something away
        assert_eq!(progress.text(), "fetching x: 40/530 MB, 0 s");
    }
}
