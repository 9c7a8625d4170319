//! What is on the street: areas from back to front, each of one colour at its top and one at its bottom.

use super::Rgb;

/// An area between corners, in pixels.
pub(super) struct Area {
    corners: &'static [(f32, f32)],
    colours: (Rgb, Rgb),
}

impl Area {
    /// Its colour at a place, `None` outside.
    pub(super) fn colour(&self, x: f32, y: f32) -> Option<Rgb> {
        let next = self.corners.iter().cycle().skip(1);
        let mut inside = false;
        let (mut top, mut bottom) = (f32::INFINITY, f32::NEG_INFINITY);
        for (a, b) in self.corners.iter().zip(next) {
            // A ray to the right: the point is inside if it crosses the outline an odd number of times.
            if (a.1 > y) != (b.1 > y) && x < (b.0 - a.0) * (y - a.1) / (b.1 - a.1) + a.0 {
                inside = !inside;
            }
            (top, bottom) = (top.min(a.1), bottom.max(a.1));
        }
        inside.then(|| blend(self.colours, (y - top) / (bottom - top)))
    }
}

pub(super) fn blend((from, to): (Rgb, Rgb), share: f32) -> Rgb {
    [0, 1, 2].map(|i| from[i] + (to[i] - from[i]) * share)
}

/// Sky, houses and the road.
pub(super) fn backdrop(x: f32, y: f32) -> Rgb {
    const SKY: (Rgb, Rgb) = ([176.0, 198.0, 220.0], [222.0, 226.0, 226.0]);
    const KERB: Rgb = [150.0, 148.0, 144.0];
    const ROAD: (Rgb, Rgb) = ([118.0, 118.0, 120.0], [84.0, 84.0, 88.0]);
    const WINDOW: Rgb = [84.0, 96.0, 110.0];
    /// Left, right, top, colour.
    const HOUSES: [(f32, f32, f32, Rgb); 4] = [
        (0.0, 150.0, 60.0, [168.0, 140.0, 120.0]),
        (150.0, 260.0, 110.0, [150.0, 150.0, 148.0]),
        (700.0, 820.0, 90.0, [178.0, 160.0, 130.0]),
        (820.0, 960.0, 40.0, [140.0, 120.0, 112.0]),
    ];
    const GROUND: f32 = 290.0;
    if y > GROUND {
        // The shadow under the car.
        let (across, down) = ((x - 440.0) / 330.0, (y - 500.0) / 30.0);
        return match across * across + down * down {
            shadow if shadow < 1.0 => [52.0, 52.0, 56.0],
            _ if y < GROUND + 15.0 => KERB,
            _ => blend(ROAD, (y - GROUND) / 250.0),
        };
    }
    let house = HOUSES
        .iter()
        .find(|house| (house.0..house.1).contains(&x) && y > house.2);
    let Some((left, _, top, colour)) = house else {
        return blend(SKY, y / GROUND);
    };
    let (column, row) = ((x - left) % 38.0, (y - top) % 46.0);
    if (12.0..28.0).contains(&column) && (14.0..36.0).contains(&row) && y < GROUND - 20.0 {
        return WINDOW;
    }
    blend(
        (*colour, colour.map(|c| c * 0.8)),
        (y - top) / (GROUND - top),
    )
}

const DARK: (Rgb, Rgb) = ([26.0, 26.0, 28.0], [22.0, 24.0, 28.0]);
const GRILLE: (Rgb, Rgb) = ([30.0, 34.0, 40.0], [30.0, 34.0, 40.0]);
const BAR: (Rgb, Rgb) = ([74.0, 82.0, 92.0], [74.0, 82.0, 92.0]);
const LAMP: (Rgb, Rgb) = ([228.0, 232.0, 236.0], [170.0, 178.0, 188.0]);

/// The car from in front, its rearmost part first.
pub(super) const CAR: [Area; 14] = [
    // Wheels.
    area(
        &[
            (181.0, 414.0),
            (249.0, 414.0),
            (249.0, 510.0),
            (181.0, 510.0),
        ],
        DARK,
    ),
    area(
        &[
            (631.0, 414.0),
            (699.0, 414.0),
            (699.0, 510.0),
            (631.0, 510.0),
        ],
        DARK,
    ),
    // Roof and windscreen.
    area(
        &[
            (260.0, 165.0),
            (620.0, 165.0),
            (690.0, 285.0),
            (190.0, 285.0),
        ],
        ([58.0, 78.0, 96.0], [64.0, 84.0, 102.0]),
    ),
    area(
        &[
            (278.0, 178.0),
            (602.0, 178.0),
            (660.0, 280.0),
            (220.0, 280.0),
        ],
        ([150.0, 176.0, 196.0], [70.0, 88.0, 104.0]),
    ),
    // The front and, lighter, the bonnet.
    area(
        &[
            (190.0, 282.0),
            (690.0, 282.0),
            (722.0, 330.0),
            (730.0, 470.0),
            (150.0, 470.0),
            (158.0, 330.0),
        ],
        ([96.0, 122.0, 146.0], [58.0, 78.0, 98.0]),
    ),
    area(
        &[
            (200.0, 284.0),
            (680.0, 284.0),
            (708.0, 332.0),
            (172.0, 332.0),
        ],
        ([112.0, 138.0, 162.0], [84.0, 108.0, 132.0]),
    ),
    area(
        &[
            (170.0, 340.0),
            (268.0, 346.0),
            (262.0, 386.0),
            (164.0, 378.0),
        ],
        LAMP,
    ),
    area(
        &[
            (710.0, 340.0),
            (612.0, 346.0),
            (618.0, 386.0),
            (716.0, 378.0),
        ],
        LAMP,
    ),
    area(
        &[
            (290.0, 344.0),
            (590.0, 344.0),
            (580.0, 384.0),
            (300.0, 384.0),
        ],
        GRILLE,
    ),
    area(
        &[
            (290.0, 344.0),
            (590.0, 344.0),
            (589.0, 348.0),
            (291.0, 348.0),
        ],
        BAR,
    ),
    area(
        &[
            (293.0, 357.0),
            (587.0, 357.0),
            (586.0, 361.0),
            (294.0, 361.0),
        ],
        BAR,
    ),
    area(
        &[
            (297.0, 370.0),
            (583.0, 370.0),
            (582.0, 374.0),
            (298.0, 374.0),
        ],
        BAR,
    ),
    // Bumper and air intake.
    area(
        &[
            (152.0, 392.0),
            (728.0, 392.0),
            (730.0, 474.0),
            (150.0, 474.0),
        ],
        ([62.0, 70.0, 80.0], [44.0, 50.0, 58.0]),
    ),
    area(
        &[
            (300.0, 452.0),
            (580.0, 452.0),
            (570.0, 472.0),
            (310.0, 472.0),
        ],
        DARK,
    ),
];

const fn area(corners: &'static [(f32, f32)], colours: (Rgb, Rgb)) -> Area {
    Area { corners, colours }
}
