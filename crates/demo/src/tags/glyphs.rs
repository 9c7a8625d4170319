//! The digits of tags: five by seven dots, in the middle of a tag's nine by nine cells.

/// Row by row from the top, the leftmost dot in the highest of five bits.
const DIGITS: [[u8; 7]; 10] = [
    [
        0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110,
    ],
    [
        0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110,
    ],
    [
        0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111,
    ],
    [
        0b11110, 0b00001, 0b00001, 0b01110, 0b00001, 0b00001, 0b11110,
    ],
    [
        0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010,
    ],
    [
        0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110,
    ],
    [
        0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110,
    ],
    [
        0b11111, 0b00001, 0b00010, 0b00100, 0b00100, 0b01000, 0b01000,
    ],
    [
        0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110,
    ],
    [
        0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100,
    ],
];

/// Whether the digit is drawn in a cell of its tag. Cells outside the digit, and digits above 9, are empty.
pub(super) fn is_ink(digit: u8, column: usize, row: usize) -> bool {
    let Some(rows) = DIGITS.get(usize::from(digit)) else {
        return false;
    };
    let (Some(column), Some(row)) = (column.checked_sub(2), row.checked_sub(1)) else {
        return false;
    };
    column < 5 && row < 7 && rows[row] >> (4 - column) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digit_stands_in_the_middle_of_its_tag() {
        let rows: Vec<String> = (0..9)
            .map(|row| {
                let dot = |column| if is_ink(4, column, row) { '#' } else { '.' };
                (0..9).map(dot).collect()
            })
            .collect();
        assert_eq!(
            rows,
            [
                ".........",
                ".....#...",
                "....##...",
                "...#.#...",
                "..#..#...",
                "..#####..",
                ".....#...",
                ".....#...",
                "........."
            ]
        );
    }

    #[test]
    fn digits_differ_in_at_least_three_dots() {
        for one in 0..10u8 {
            for two in 0..one {
                let dots = (0..81).filter(|at| {
                    let ink = |digit| is_ink(digit, at % 9, at / 9);
                    ink(one) != ink(two)
                });
                assert!(dots.count() >= 3, "{one} and {two}");
            }
        }
    }
}
