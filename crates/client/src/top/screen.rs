//! The terminal while `top` has it: a screen of its own, keys as they are pressed, and all as before when it is dropped.

use std::io::{self, Write as _};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal::{
    self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{execute, queue};
use tokio::sync::mpsc;

use crate::error::Error;
use crate::text::Line;

/// What whoever looks wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Up,
    Down,
    /// The terminal has another size.
    Resize,
}

/// Dropping it gives the terminal back.
pub(super) struct Screen {
    colour: bool,
}

impl Screen {
    pub(super) fn enter(colour: bool) -> Result<Self, Error> {
        let failed = |source| Error::System {
            what: "the terminal (--once prints one table)",
            source,
        };
        enable_raw_mode().map_err(failed)?;
        // From here on the drop undoes what was done.
        let screen = Screen { colour };
        execute!(io::stdout(), EnterAlternateScreen, Hide).map_err(failed)?;
        Ok(screen)
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (usize, usize) {
        match terminal::size() {
            Ok((width, height)) if width > 0 && height > 0 => (width.into(), height.into()),
            // What has no size is no window.
            _ => (80, 24),
        }
    }

    /// Draws over what is there, in one write, so that nothing flickers.
    pub(super) fn show(&mut self, lines: Vec<Line>) -> Result<(), Error> {
        let mut frame = Vec::new();
        for (at, line) in (0_u16..).zip(&lines) {
            queue!(frame, MoveTo(0, at))?;
            frame.extend(line.paint(self.colour).bytes());
            queue!(frame, Clear(ClearType::UntilNewLine))?;
        }
        match u16::try_from(lines.len()) {
            Ok(0) | Err(_) => {}
            Ok(count) if usize::from(count) < self.size().1 => {
                queue!(frame, MoveTo(0, count), Clear(ClearType::FromCursorDown))?;
            }
            Ok(_) => {}
        }
        let mut out = io::stdout();
        out.write_all(&frame)?;
        out.flush()?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = execute!(io::stdout(), Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}

/// The keys that mean something. The thread that reads them ends with the process, or when nothing can be read.
pub(super) fn keys() -> mpsc::Receiver<Key> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if let Some(key) = key(&event)
                && sender.blocking_send(key).is_err()
            {
                return;
            }
        }
    });
    receiver
}

fn key(event: &Event) -> Option<Key> {
    let key = match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => key,
        Event::Resize(..) => return Some(Key::Resize),
        Event::Key(_) | Event::FocusGained | Event::FocusLost | Event::Mouse(_) => return None,
    };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let is_any = |codes: &[KeyCode]| codes.contains(&key.code);
    let letter = KeyCode::Char;
    if is_any(&[letter('q'), KeyCode::Esc]) || control && is_any(&[letter('c'), letter('d')]) {
        Some(Key::Quit)
    } else if is_any(&[KeyCode::Up, letter('k')]) {
        Some(Key::Up)
    } else if is_any(&[KeyCode::Down, letter('j')]) {
        Some(Key::Down)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyEvent;

    use super::*;

    #[test]
    fn keys_mean_something_or_nothing() {
        let check = |code: KeyCode, modifiers: KeyModifiers, expected: Option<Key>| {
            let event = Event::Key(KeyEvent::new(code, modifiers));
            assert_eq!(key(&event), expected, "{code:?}");
        };
        let none = KeyModifiers::NONE;
        check(KeyCode::Char('q'), none, Some(Key::Quit));
        check(KeyCode::Char('c'), none, None);
        check(KeyCode::Char('c'), KeyModifiers::CONTROL, Some(Key::Quit));
        check(KeyCode::Down, none, Some(Key::Down));
        assert_eq!(key(&Event::Resize(1, 1)), Some(Key::Resize));
    }
}
