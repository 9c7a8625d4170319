use super::*;

#[test]
fn shorter_side_as_torchvision() {
    let check = |(w, h), size, expected| assert_eq!(fit_shortest_side(w, h, size), expected);
    check((720, 720), 256, (256, 256));
    check((512, 343), 256, (382, 256));
    check((512, 929), 256, (256, 464));
    check((343, 512), 256, (256, 382));
    check((1, 10_000), 256, (256, 2_560_000));
}

#[test]
fn longer_side_truncates_after_a_floating_product() {
    let check = |(w, h), size, expected| assert_eq!(fit_longest_side(w, h, size), expected);
    check((1200, 600), 513, (513, 256));
    check((41, 41), 333, (332, 332));
    check((49, 49), 1024, (1023, 1023));
    check((10_000, 1), 513, (513, 0));
}

#[test]
fn the_longer_side_is_never_missed_at_513() {
    for side in 1..=20_000 {
        assert_eq!(fit_longest_side(side, 1, 513).0, 513, "{side}");
    }
}

#[test]
fn budget_leaves_what_fits() {
    let check = |(w, h), budget, expected| assert_eq!(pixel_budget(w, h, budget), expected);
    check((4000, 3000), 1_000_000, (1154, 866));
    check((1000, 1000), 1_000_000, (1000, 1000));
    check((4000, 3000), -1, (4000, 3000));
    check((4000, 3000), i64::MIN, (4000, 3000));
    check((4000, 3000), 0, (0, 0));
}

#[test]
fn letterbox_of_the_plates_picture() {
    let check = |stride, height, border| {
        let found = letterbox(1920, 1080, 1280, stride);
        assert_eq!((found.width, found.height), (1280, height));
        assert_eq!((found.scaled_width, found.scaled_height), (1280, 720));
        let borders = (found.left, found.right, found.top, found.bottom);
        assert_eq!(borders, (0, 0, border, border));
    };
    check(32, 736, 8);
    check(64, 768, 24);
}

#[test]
fn borders_always_fill_the_network() {
    for (w, h) in (1..400)
        .step_by(7)
        .flat_map(|w| (1..400).step_by(11).map(move |h| (w, h)))
    {
        let found = letterbox(w, h, 416, 32);
        assert_eq!(
            found.left + found.scaled_width + found.right,
            found.width,
            "{w}x{h}"
        );
        assert_eq!(
            found.top + found.scaled_height + found.bottom,
            found.height,
            "{w}x{h}"
        );
    }
}
