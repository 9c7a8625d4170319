//! How far unpacking is: one line that rewrites itself on a terminal, a few plain lines elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

pub struct Progress {
    title: String,
    style: Style,
    files: usize,
    bytes: u64,
    files_done: usize,
    bytes_done: u64,
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
        self.show();
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
        let megabytes = |bytes: u64| bytes / 1_000_000;
        format!(
            "{}: {}/{} files, {}/{} MB",
            self.title,
            self.files_done,
            self.files,
            megabytes(self.bytes_done),
            megabytes(self.bytes)
        )
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
        assert_eq!(progress.text(), "unpacking x: 1/2 files, 3/7 MB");
    }
}
