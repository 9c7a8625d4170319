//! A browser without a window: a page from another origin posts a picture to the front and draws the mask.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Front, own_bench};
use crate::fixtures::{own, pictures};

/// The browser of the distribution, if there is one.
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn browser() -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = names.into_iter().find(|name| {
        let mut asked = Command::new(name);
        asked
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        asked.status().is_ok_and(|status| status.success())
    });
    if found.is_none() {
        eprintln!("skipped: there is no browser ({})", names.join(", "));
    }
    found
}

/// Serves this page to whoever asks, until the process ends.
fn elsewhere(page: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked);
            let length = page.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(format!("{head}{page}").as_bytes());
        }
    });
    address
}

/// A page that does as the web application does, and writes down what came of it.
fn page(front: SocketAddr, picture: &[u8]) -> String {
    let picture = STANDARD.encode(picture);
    format!(
        r##"<!doctype html><title>elsewhere</title><canvas id="mask"></canvas><pre id="out">waiting</pre><script>
const out = text => document.getElementById("out").textContent = text;
(async () => {{
  const bytes = Uint8Array.from(atob("{picture}"), letter => letter.charCodeAt(0));
  const form = new FormData();
  form.append("image", new Blob([bytes], {{ type: "image/png" }}), "picture.png");
  form.append("type", "undefined");
  // A header of its own makes the browser ask first.
  const headers = {{ "X-Requested-With": "XMLHttpRequest" }};
  const response = await fetch("http://{front}/model/predict", {{ method: "POST", body: form, headers }});
  const {{ image_size: [width, height], seg_map }} = await response.json();
  const flat = seg_map.flat();
  const canvas = document.getElementById("mask");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d"), pixels = context.createImageData(width, height);
  flat.forEach((number, index) => pixels.data.set([80 * number, 0, 0, 255], 4 * index));
  context.putImageData(pixels, 0, 0);
  const drawn = context.getImageData(0, 0, width, height).data;
  const wrong = flat.filter((number, index) => drawn[4 * index] !== 80 * number).length;
  out(`drew ${{width}} x ${{height}}, ${{flat.length}} pixels, ${{new Set(flat).size}} classes, ${{wrong}} wrong`);
}})().catch(error => out("failed: " + error.message));
</script>"##
    )
}

/// What the page has become when its scripts are done.
fn visit(browser: &str, address: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(browser)
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ])
        .arg(format!("--user-data-dir={}", folder.path().display()))
        // Time in the page stands still while it waits for an answer.
        .args([
            "--virtual-time-budget=60000",
            "--timeout=60000",
            "--dump-dom",
            address,
        ])
        .stderr(Stdio::null())
        .output()
        .expect("the browser starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_page_from_elsewhere_posts_a_picture_and_draws_the_mask() {
    let Some(browser) = browser() else { return };
    let (_, picture) = pictures(&own("quadrats")).swap_remove(0);
    let check = |cors: &str, expected: &str| {
        let front = Front::of(own_bench().env("CORS_ENABLE", cors.to_owned()));
        let address = elsewhere(page(front.address, &picture));
        let seen = visit(browser, &format!("http://{address}/"));
        assert!(seen.contains(expected), "CORS_ENABLE={cors}: {seen}");
    };
    check("true", "drew 513 x 384, 196992 pixels, 3 classes, 0 wrong");
    check("false", "failed: Failed to fetch");
}
