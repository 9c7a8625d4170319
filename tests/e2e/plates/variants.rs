//! Pictures as they may come: of every kind of samples, turned, tiny, long, broken, and none at all.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image_ops::{DecodeLimits, Image, decode};
use png::{BitDepth, ColorType, Encoder};
use serde_json::json;

use super::{FORMS, ask, daemon, picture, plates};
use crate::client::Request;

/// A JPEG of 8 x 8 pixels in four inks, as printers take it: one colour all over.
const CMYK: &str = "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAIAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB\
    AQEBAQEBAQEBAQEB/8AAFAgACAAIBAERAAIRAAMRAAQRAP/EABwAAAAACQAAAAAAAAAAAAAAAAABAgMEBQYHCP/EABQQAQAAAAAA\
    AAAAAAAAAAAAAAD/2gAOBAEAAgADAAQAAD8AeQd2d2f+/9k=";

/// A PNG of these samples, as they stand in the file.
fn png(image: &Image, colour: ColorType, depth: BitDepth, samples: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, image.width(), image.height());
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if colour == ColorType::Indexed {
        // Three bits of red and green, two of blue.
        let entry = |index: u8| [index & 0xe0, index << 3 & 0xe0, index << 6];
        encoder.set_palette((0..=255).flat_map(entry).collect::<Vec<u8>>());
    }
    let mut writer = encoder.write_header().expect("in memory");
    writer.write_image_data(samples).expect("in memory");
    writer.finish().expect("in memory");
    bytes
}

/// A JPEG with an EXIF segment of one entry, the orientation: turned by a quarter.
fn turned(jpeg: &[u8]) -> Vec<u8> {
    let mut segment = b"Exif\0\0II*\0\x08\0\0\0\x01\0".to_vec();
    segment.extend([0x12, 0x01, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]);
    let length = u16::try_from(segment.len() + 2)
        .expect("short")
        .to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &segment, &jpeg[2..]].concat()
}

#[test]
fn pictures_of_every_kind_are_taken() {
    let Some(data) = plates() else { return };
    let daemon = daemon(&data);
    let jpeg = picture(&data, "car.jpg");
    let car = decode(&jpeg, &DecodeLimits::default())
        .expect("a picture")
        .into_rgb();
    let (eight, sixteen) = (BitDepth::Eight, BitDepth::Sixteen);
    let pixels = car.data().chunks_exact(3);
    let wide: Vec<u8> = car.data().iter().flat_map(|sample| [*sample; 2]).collect();
    let clear: Vec<u8> = pixels
        .clone()
        .flat_map(|p| [p[0], p[1], p[2], 40])
        .collect();
    let index = |p: &[u8]| p[0] & 0xe0 | p[1] >> 3 & 0x1c | p[2] >> 6;
    let indices: Vec<u8> = pixels.clone().map(index).collect();
    let grey: Vec<u8> = pixels.map(|p| p[1]).collect();
    let read = Some("B840CK197");
    let line = Image::filled(16_000, 1, 3, 90).expect("a line");
    let pixel = Image::filled(1, 1, 3, 200).expect("a pixel");
    let rgb = ColorType::Rgb;
    // What has the same samples has the same plate; of the others only that they are answered.
    let cases: [(&str, Vec<u8>, Option<&str>); 9] = [
        ("PNG", png(&car, rgb, eight, car.data()), read),
        ("16 bits", png(&car, rgb, sixteen, &wide), read),
        ("alpha", png(&car, ColorType::Rgba, eight, &clear), read),
        ("EXIF", turned(&jpeg), read),
        (
            "palette",
            png(&car, ColorType::Indexed, eight, &indices),
            None,
        ),
        ("grey", png(&car, ColorType::Grayscale, eight, &grey), None),
        ("CMYK", STANDARD.decode(CMYK).expect("base64"), None),
        ("a line", png(&line, rgb, eight, line.data()), None),
        ("a pixel", png(&pixel, rgb, eight, pixel.data()), None),
    ];
    for (case, file, text) in cases {
        let found = FORMS.map(|form| ask(&daemon, form, &file).prediction());
        assert_eq!(found[0], found[1], "{case}");
        let count = |name: &str| found[0][name].as_array().map(Vec::len);
        assert_eq!(count("texts"), count("coordinates"), "{case}");
        if let Some(text) = text {
            assert_eq!(found[0]["texts"], json!([text]), "{case}");
        }
    }
}

#[test]
fn what_is_no_picture_is_refused_by_name() {
    let Some(data) = plates() else { return };
    let daemon = daemon(&data);
    let car = picture(&data, "car.jpg");
    let post = |path: &str, body: &[u8]| Request::post(path, body).content_type("image/jpeg");
    let mut boast = vec![0; 54];
    boast[..2].copy_from_slice(b"BM");
    for (offset, word) in [
        (10, 54u32),
        (14, 40),
        (18, 2_000_000),
        (22, 2000),
        (26, 0x0018_0001),
    ] {
        boast[offset..offset + 4].copy_from_slice(&word.to_le_bytes());
    }
    let bodies: [(&[u8], &str); 4] = [
        (b"hello", "not a picture"),
        (b"", "empty"),
        (&car[..car.len() / 2], "cut short"),
        (&boast, "2000000"),
    ];
    for (body, words) in bodies {
        let alone = daemon.send(&post("/predictions/yolo", body));
        let message = alone.message();
        assert_eq!(alone.status, 400, "{message}");
        assert!(
            message.contains("`image`") && message.contains(words),
            "{message}"
        );
        for form in FORMS {
            let answer = daemon.send(&post(&format!("/wfpredict/{form}"), body));
            let (status, message) = (answer.status, answer.message());
            assert_eq!(status, 400, "{form}: {message}");
            assert!(message.contains(words), "{form}: {message}");
        }
    }
    let field = |path: &str, fields: &[(&str, Option<&str>, &[u8])]| {
        daemon.send(&Request::post(path, "").multipart(fields))
    };
    let wrong = field("/predictions/yolo", &[("photo", Some("car.jpg"), &car)]);
    let expected = "expected a request part `image`, `data` or `body`, found `photo`";
    assert_eq!((wrong.status, wrong.message()), (400, expected.to_owned()));
    let expected = "input `image`: request part `data`: the picture is empty: no bytes were sent";
    for (path, expected) in [
        ("/predictions/yolo", expected.to_owned()),
        (
            "/wfpredict/plate_recognition",
            format!("Error executing yolo: {expected}"),
        ),
    ] {
        let empty = field(path, &[("data", Some("car.jpg"), b"")]);
        assert_eq!((empty.status, empty.message()), (400, expected));
        // What is sent with curl's `--data-binary` and is no form.
        let text = "not a picture, ".repeat(30);
        let form = Request::post(path, text).content_type("application/x-www-form-urlencoded");
        let message = daemon.send(&form).message();
        let expected = "found none (a form of 450 bytes without fields was sent: with curl, send a file with -T FILE";
        assert!(message.contains(expected), "{message}");
    }
    let none = field("/predictions/yolo", &[("order", None, b"bgr")]);
    assert_eq!(none.status, 400, "{}", none.text());
    let order = [("data", Some("car.jpg"), &car[..]), ("order", None, b"rbg")];
    let order = field("/predictions/yolo", &order);
    let expected = "input `order`: expected one of rgb, bgr, found `rbg`";
    assert_eq!((order.status, order.message()), (400, expected.to_owned()));
    let again = daemon.post("/predictions/yolo", &car).prediction();
    assert_eq!(again["coordinates"].as_array().map(Vec::len), Some(1));
}

#[test]
fn what_a_declared_model_does_not_take_is_told() {
    let Some(data) = plates() else {
        return;
    };
    let daemon = daemon(&data);
    let car = picture(&data, "car.jpg");
    for path in ["/predictions/yolo", "/wfpredict/plate_recognition"] {
        let ask = |query: &str, fields: &[(&str, Option<&str>, &[u8])]| {
            let request = Request::post(&format!("{path}{query}"), "").multipart(fields);
            daemon.send(&request)
        };
        let photo = ("data", Some("car.jpg"), &car[..]);
        let check = |query: &str, fields: &[_], expected: Option<&str>| {
            let answer = ask(query, fields);
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.header("x-ignored"), expected, "{path}{query}");
        };
        check("", &[photo, ("order", None, b"bgr")], None);
        check("", &[photo, ("ordr", None, b"bgr")], Some("ordr"));
        check("?order=bgr", &[photo], Some("order"));
        check("?x=1", &[photo, ("ordr", None, b"bgr")], Some("ordr,x"));
        let wrong = ask("", &[photo, ("order", None, b"xyz")]);
        assert_eq!(wrong.status, 400, "{}", wrong.text());
        let expected = "input `order`: expected one of rgb, bgr, found `xyz`";
        assert!(wrong.message().ends_with(expected), "{}", wrong.message());
    }
}

#[test]
fn run_refuses_a_parameter_that_nothing_takes() {
    let Some(data) = plates() else {
        return;
    };
    let bench = super::steps(&data)
        .iter()
        .fold(crate::harness::Bench::new(), |bench, model| {
            bench.with(model)
        });
    bench.write(
        "store/plates.yaml",
        super::guide("plate_recognition.yaml").as_bytes(),
    );
    bench.write("car.jpg", &picture(&data, "car.jpg"));
    let run = |param: &str| {
        bench.run(&[
            "run",
            "store/plates.yaml",
            "--image",
            "car.jpg",
            "--out",
            "out",
            "--param",
            param,
            "--overlay",
        ])
    };
    let refused = run("ordr=bgr");
    assert_eq!(
        (refused.code, refused.stderr.join("\n")),
        (
            Some(1),
            "--param ordr: there is no input `ordr`; nearest is `order`".to_owned()
        )
    );
    // The photo is smaller than what the detector is shown, so its boxes lie elsewhere.
    let ran = run("order=bgr");
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
