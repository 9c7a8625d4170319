//! Archives that no honest tool writes, and a look at what is on the disk. For the tests of this crate.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};

/// Everything below a folder: names (a folder's end in a slash) and contents.
pub(crate) fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) {
        for child in fs::read_dir(folder).expect("a folder") {
            let child = child.expect("an entry");
            let name = format!("{prefix}{}", child.file_name().to_string_lossy());
            let kind = child.file_type().expect("a type");
            assert!(!kind.is_symlink(), "{name} is a link");
            if kind.is_dir() {
                walk(&child.path(), &format!("{name}/"), found);
                found.insert(format!("{name}/"), Vec::new());
            } else {
                found.insert(name, fs::read(child.path()).expect("readable"));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(root, "", &mut found);
    found
}

/// Bytes that do not compress, always the same (xorshift).
pub(crate) fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 56) as u8
        })
        .collect()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// A zip, field by field.
#[derive(Default)]
pub(crate) struct RawZip {
    entries: Vec<RawEntry>,
}

/// One entry as its headers will claim it to be.
pub(crate) struct RawEntry {
    name: Vec<u8>,
    data: Vec<u8>,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc: u32,
    pub(crate) size: u32,
    pub(crate) attributes: u32,
    /// Its directory entry points at the first entry's bytes.
    pub(crate) shared_with_first: bool,
}

impl RawZip {
    pub(crate) fn file(self, name: impl AsRef<[u8]>, data: &[u8]) -> Self {
        self.entry(name.as_ref(), data, data.to_vec(), 0)
    }

    pub(crate) fn deflated(self, name: &str, data: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(data).expect("memory");
        let packed = encoder.finish().expect("memory");
        self.entry(name.as_bytes(), data, packed, 8)
    }

    fn entry(mut self, name: &[u8], data: &[u8], packed: Vec<u8>, method: u16) -> Self {
        let mut crc = flate2::Crc::new();
        crc.update(data);
        self.entries.push(RawEntry {
            name: name.to_vec(),
            data: packed,
            // Names are UTF-8.
            flags: 1 << 11,
            method,
            crc: crc.sum(),
            size: data.len() as u32,
            attributes: 0o100_644 << 16,
            shared_with_first: false,
        });
        self
    }

    pub(crate) fn last(&mut self) -> &mut RawEntry {
        self.entries.last_mut().expect("an entry was added")
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        let (mut bytes, mut directory) = (Vec::new(), Vec::new());
        for entry in &self.entries {
            let offset = if entry.shared_with_first {
                0
            } else {
                bytes.len()
            };
            bytes.extend_from_slice(b"PK\x03\x04\x14\x00");
            entry.common(&mut bytes);
            bytes.extend_from_slice(&entry.name);
            bytes.extend_from_slice(&entry.data);

            // Made by version 2.0 on Unix.
            directory.extend_from_slice(b"PK\x01\x02\x14\x03\x14\x00");
            entry.common(&mut directory);
            // No comment, disk 0, no internal attributes.
            directory.extend_from_slice(&[0; 6]);
            directory.extend_from_slice(&entry.attributes.to_le_bytes());
            directory.extend_from_slice(&(offset as u32).to_le_bytes());
            directory.extend_from_slice(&entry.name);
        }
        let (start, size) = (bytes.len() as u32, directory.len() as u32);
        let count = (self.entries.len() as u16).to_le_bytes();
        bytes.append(&mut directory);
        bytes.extend_from_slice(b"PK\x05\x06\x00\x00\x00\x00");
        bytes.extend_from_slice(&count);
        bytes.extend_from_slice(&count);
        bytes.extend_from_slice(&size.to_le_bytes());
        bytes.extend_from_slice(&start.to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes
    }
}

impl RawEntry {
    /// The fields that both headers have, in the order both have them.
    fn common(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.flags.to_le_bytes());
        to.extend_from_slice(&self.method.to_le_bytes());
        // 1980-01-01, midnight.
        to.extend_from_slice(&[0, 0, 0x21, 0]);
        to.extend_from_slice(&self.crc.to_le_bytes());
        to.extend_from_slice(&(self.data.len() as u32).to_le_bytes());
        to.extend_from_slice(&self.size.to_le_bytes());
        to.extend_from_slice(&(self.name.len() as u16).to_le_bytes());
        to.extend_from_slice(&[0; 2]);
    }
}

/// A tar whose names are not looked at.
#[derive(Default)]
pub(crate) struct RawTar {
    bytes: Vec<u8>,
}

impl RawTar {
    pub(crate) fn file(self, name: impl AsRef<[u8]>, data: &[u8]) -> Self {
        self.special_with(name, b'0', "", data)
    }

    pub(crate) fn special(self, name: impl AsRef<[u8]>, kind: u8, link: &str) -> Self {
        self.special_with(name, kind, link, b"")
    }

    pub(crate) fn special_with(
        mut self,
        name: impl AsRef<[u8]>,
        kind: u8,
        link: &str,
        data: &[u8],
    ) -> Self {
        let mut header = tar::Header::new_gnu();
        let name = name.as_ref();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 1024, 0);
        self.bytes
    }
}
