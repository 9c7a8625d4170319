//! Colours of classes: R, G and B of 256 classes, one after the other, as a palette PNG holds them.

/// Class 0 is black; what the PASCAL VOC data set and most segmenters use.
pub fn voc_classic() -> [u8; 768] {
    std::array::from_fn(|at| colour(at / 3)[at % 3])
}

/// The same colours from 1 on, so that class 0 is (128, 0, 0); what PaddleSeg draws with.
pub fn paddleseg_default() -> [u8; 768] {
    std::array::from_fn(|at| colour(at / 3 + 1)[at % 3])
}

/// The bits of a class number spread over the channels, three at a time, highest bit first.
fn colour(class: usize) -> [u8; 3] {
    let mut rgb = [0; 3];
    for (shift, bit) in (0..8).rev().enumerate() {
        for (channel, value) in rgb.iter_mut().enumerate() {
            *value |= ((class >> (3 * shift + channel) & 1) as u8) << bit;
        }
    }
    rgb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_colours_are_the_published_ones() {
        assert_eq!(
            voc_classic()[..12],
            [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]
        );
        assert_eq!(
            paddleseg_default()[..9],
            [128, 0, 0, 0, 128, 0, 128, 128, 0]
        );
        assert_eq!(voc_classic()[3 * 10..][..3], [64, 128, 0]);
        assert_eq!(paddleseg_default()[3 * 10..][..3], [192, 128, 0]);
    }
}
