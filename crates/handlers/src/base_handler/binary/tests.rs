use half::{bf16, f16};
use proptest::prelude::*;

use super::*;
use crate::testing::tensor;

/// A file as NumPy writes it, from its header's text.
fn file(version: u8, header: &str, elements: &[u8]) -> Vec<u8> {
    let mut out = NPY_MAGIC.to_vec();
    out.extend([version, 0]);
    match version {
        1 => out.extend((header.len() as u16).to_le_bytes()),
        _ => out.extend((header.len() as u32).to_le_bytes()),
    }
    out.extend(header.as_bytes());
    out.extend(elements);
    out
}

fn check(version: u8, header: &str, elements: &[u8], expected: &str) {
    let found = match read_npy(&file(version, header, elements).into()) {
        Ok(tensor) => format!("{tensor:?} {:?}", tensor.bytes()),
        Err(error) => error,
    };
    assert_eq!(found, expected);
}

#[test]
fn files_of_all_versions() {
    let header = "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 1), }      \n";
    for version in 1..=3 {
        check(version, header, &[1, 0, 2, 0], "int16[2, 1] [1, 0, 2, 0]");
    }
    check(
        1,
        "{'descr': '|b1', 'fortran_order': True, 'shape': (2,), }",
        &[0, 1],
        "bool[2] [0, 1]",
    );
    check(
        1,
        "{'shape': (), 'descr': '<f4', 'fortran_order': False}",
        &[0, 0, 128, 63],
        "float32[] [0, 0, 128, 63]",
    );
}

#[test]
fn what_is_not_such_a_file_is_refused() {
    check(4, "", &[], ".npy: unknown version 4");
    check(
        1,
        "{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}",
        &[0; 4],
        ".npy: unsupported type `>f4`",
    );
    check(
        1,
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
        &[0; 4],
        ".npy: structured types are not supported",
    );
    check(
        1,
        "{'descr': '<f4', 'fortran_order': False}",
        &[],
        ".npy: the header has no `shape`",
    );
    check(
        1,
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, -1)}",
        &[],
        ".npy: the header's `shape` is not a tuple of sizes",
    );
    check(
        1,
        "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2)}",
        &[0; 16],
        ".npy: arrays in Fortran order are not supported, save np.ascontiguousarray(a)",
    );
    check(
        1,
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
        &[0; 4],
        ".npy: shape [2] of float32 needs 8 bytes, found 4",
    );
    check(
        1,
        "{'descr': '|b1', 'fortran_order': False, 'shape': (1,)}",
        &[2],
        ".npy: expected bool, found a byte other than 0 and 1",
    );
    assert_eq!(
        read_npy(&Bytes::from_static(b"\x93NUMPY\x01")).expect_err("short"),
        ".npy: the header is cut short"
    );
    assert_eq!(
        read_npy(&Bytes::from_static(b"\x93NUMPY\x01\0\x10\0{")).expect_err("short"),
        ".npy: the header is cut short"
    );
}

#[test]
fn a_file_begins_its_elements_where_numpy_does() {
    let written = write_npy(&tensor(&[3], &[1u8, 2, 3]));
    assert_eq!(written.len(), 64 + 64 + 3);
    assert_eq!(&written[..10], b"\x93NUMPY\x01\x00\x76\x00");
    assert_eq!(&written[127..], b"\n\x01\x02\x03");
    let text = String::from_utf8_lossy(&written[10..127]);
    assert_eq!(
        text.trim_end(),
        "{'descr': '|u1', 'fortran_order': False, 'shape': (3, ), }"
    );
}

#[test]
fn what_is_written_is_read_back() {
    let check = |tensor: Tensor| {
        let back = read_npy(&write_npy(&tensor)).expect("what was written");
        assert_eq!(format!("{back:?}"), format!("{tensor:?}"));
        assert_eq!(back.bytes(), tensor.bytes());
    };
    check(tensor(&[], &[1.5f64]));
    check(tensor(&[2, 2], &[1u8, 2, 3, 4]));
    check(tensor(&[1, 2], &[-1i8, 2]));
    check(tensor(&[2], &[-300i16, 2]));
    check(tensor(&[2], &[-70000i32, 2]));
    check(tensor(&[2], &[i64::MIN, 2]));
    check(tensor(&[1], &[f16::from_f32(0.5)]));
    check(tensor(&[0, 3], &[0f32; 0]));
    let halves = tensor(&[2], &[1.5, -2.].map(bf16::from_f32));
    let back = read_npy(&write_npy(&halves)).expect("what was written");
    assert_eq!(back.elements::<f32>(), Some(&[1.5, -2.][..]));
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..64), version in 0u8..5) {
        let mut hostile = NPY_MAGIC.to_vec();
        hostile.extend([version, 0]);
        hostile.extend(bytes);
        if let Err(error) = read_npy(&hostile.into()) {
            prop_assert_eq!(error.lines().count(), 1);
        }
    }
}
