//! Names of entries: relative, forward slashes, UTF-8, nothing that leads elsewhere on any system.

use std::collections::HashMap;

use crate::Refusal;

/// Bytes of one segment, as most file systems bound it.
const SEGMENT: usize = 255;
/// Bytes of a whole name.
const WHOLE: usize = 1024;

/// Checks an entry's name and puts it in its one normal form: segments joined by `/`, no `.` among them, no slash at
/// the end. `None` is the archive's root (`./`).
pub(crate) fn normal(raw: &[u8]) -> Result<Option<String>, Refusal> {
    let name = std::str::from_utf8(raw).map_err(|_| Refusal::NotUtf8)?;
    if name.is_empty() {
        return Err(Refusal::EmptyName);
    }
    if name.len() > WHOLE {
        return Err(Refusal::TooLong);
    }
    if name.contains(char::is_control) {
        return Err(Refusal::Control);
    }
    if name.contains('\\') {
        return Err(Refusal::Backslash);
    }
    if name.starts_with('/') {
        return Err(Refusal::Absolute);
    }
    let bytes = name.as_bytes();
    if bytes.len() >= 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' {
        return Err(Refusal::DriveLetter);
    }
    let mut normal = String::with_capacity(name.len());
    for segment in name.split('/') {
        match segment {
            "" | "." => continue,
            ".." => return Err(Refusal::Parent),
            _ if segment.len() > SEGMENT => return Err(Refusal::TooLong),
            _ => {}
        }
        if !normal.is_empty() {
            normal.push('/');
        }
        normal.push_str(segment);
    }
    Ok((!normal.is_empty()).then_some(normal))
}

/// The names an archive has used so far. Case is ignored, so that no archive means one thing on one file system and
/// another on the next.
#[derive(Default)]
pub(crate) struct Names {
    used: HashMap<String, Used>,
}

struct Used {
    spelled: String,
    folder: bool,
}

impl Names {
    /// Takes a normal name and the folders it implies. Returns how many of them are new.
    pub(crate) fn take(&mut self, name: &str, folder: bool) -> Result<u64, Refusal> {
        let mut new = 0;
        let parents = name.match_indices('/').map(|(end, _)| &name[..end]);
        for parent in parents {
            new += self.take_one(parent, true, true)?;
        }
        Ok(new + self.take_one(name, folder, folder)?)
    }

    /// `again`: whether the same name may have been taken before.
    fn take_one(&mut self, name: &str, folder: bool, again: bool) -> Result<u64, Refusal> {
        let key = name.to_lowercase();
        let Some(used) = self.used.get(&key) else {
            let spelled = name.to_owned();
            self.used.insert(key, Used { spelled, folder });
            return Ok(1);
        };
        if used.folder != folder {
            return Err(Refusal::FileAndFolder);
        }
        if !again || used.spelled != name {
            return Err(Refusal::Duplicate);
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &[u8], expected: Result<Option<&str>, Refusal>) {
        let found = normal(raw);
        let found = found.as_ref().map(Option::as_deref).map_err(|why| *why);
        assert_eq!(found, expected, "{}", raw.escape_ascii());
    }

    #[test]
    fn names_are_put_in_normal_form() {
        check(b"model.pt", Ok(Some("model.pt")));
        check(b"./a//b/./c/", Ok(Some("a/b/c")));
        check(b"./", Ok(None));
        check("größe.txt".as_bytes(), Ok(Some("größe.txt")));
        check(b"..a/b..", Ok(Some("..a/b..")));
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        check(b"", Err(Refusal::EmptyName));
        check(b"/etc/passwd", Err(Refusal::Absolute));
        check(b"../x", Err(Refusal::Parent));
        check(b"a/../../x", Err(Refusal::Parent));
        check(b"a/..", Err(Refusal::Parent));
        check(b"a\\..\\x", Err(Refusal::Backslash));
        check(b"C:/x", Err(Refusal::DriveLetter));
        check(b"c:x", Err(Refusal::DriveLetter));
        check(b"a\0b", Err(Refusal::Control));
        check(b"a\nb", Err(Refusal::Control));
        check(b"\xff\xfe", Err(Refusal::NotUtf8));
        check(&[b'x'; 256], Err(Refusal::TooLong));
        check("x/".repeat(600).as_bytes(), Err(Refusal::TooLong));
    }

    fn check_taking(names: &[&str], expected: Result<u64, Refusal>) {
        let mut used = Names::default();
        let found = names.iter().try_fold(0, |sum, name| {
            let folder = name.ends_with('/');
            used.take(name.trim_end_matches('/'), folder)
                .map(|new| sum + new)
        });
        assert_eq!(found, expected, "{names:?}");
    }

    #[test]
    fn a_name_is_taken_once() {
        check_taking(&["a/b", "a/c", "a/", "a/"], Ok(3));
        check_taking(&["a", "a"], Err(Refusal::Duplicate));
        check_taking(&["a", "A"], Err(Refusal::Duplicate));
        check_taking(&["d/a", "D/b"], Err(Refusal::Duplicate));
        check_taking(&["Ä", "ä"], Err(Refusal::Duplicate));
        check_taking(&["a", "a/b"], Err(Refusal::FileAndFolder));
        check_taking(&["a/b", "a"], Err(Refusal::FileAndFolder));
    }
}
