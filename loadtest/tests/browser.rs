//! The HTML report of a run in a browser: every chart is drawn, nothing is complained about, nothing is fetched.

mod shell;

use std::process::{Command, Stdio};

use shell::{Issuer, run, scratch};

/// Chromium, where it is; `loadtest/setup.sh` installs it.
fn chromium() -> Option<Command> {
    let there = |name: &&str| {
        let tried = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    let found = ["chromium", "chromium-browser"].into_iter().find(|name| there(name));
    if found.is_none() {
        assert!(std::env::var("SIGNALBOX_TESTS").as_deref() != Ok("all"), "this test needs Chromium");
        eprintln!("not run, it needs Chromium: loadtest/setup.sh");
    }
    found.map(Command::new)
}

#[test]
fn the_report_draws_every_chart_and_asks_no_network() {
    let Some(mut browser) = chromium() else { return };
    let issuer = Issuer::start(&["--latency", "exponential 1ms", "--decline", "51=0.3"]);
    let page = scratch("browser.html");
    let output = run(&issuer, &["--quiet", "--html", page.to_str().unwrap(), "--threshold", "missing=0"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));

    let folder = scratch("browser");
    // A name that were asked for would be found nowhere, and be complained about.
    let fixed = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", "--enable-logging=stderr"];
    let seen = browser
        .args(fixed)
        .arg("--host-resolver-rules=MAP * ~NOTFOUND")
        .arg(format!("--user-data-dir={}", folder.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let _ = std::fs::remove_dir_all(&folder);
    let (said, drawn) = (String::from_utf8_lossy(&seen.stderr), String::from_utf8_lossy(&seen.stdout));
    assert!(!said.contains("CONSOLE"), "{said}");
    for chart in ["rate", "latency", "heat", "curve", "codes-over-time"] {
        let from = drawn.find(&format!("id=\"{chart}\"")).expect(chart);
        let svg =
            drawn[from..].split_once("<svg").and_then(|(_, rest)| rest.split_once("</svg>")).expect(chart);
        let marks = svg.0.matches("<path").count()
            + svg.0.matches("<rect").count()
            + svg.0.matches("<circle").count();
        assert!(marks > 0 && svg.0.contains("<text"), "{chart}: {}", svg.0);
    }
    assert!(drawn.contains("missing=0") && drawn.contains("insufficient funds"), "{drawn}");
    // Nothing in the file names a place that could be asked; what SVG is called is a name, not an address.
    let text = std::fs::read_to_string(&page).unwrap();
    let addresses = text.matches("://").count();
    assert_eq!(
        addresses,
        text.matches("http://www.w3.org/2000/svg").count(),
        "an address stands in the page"
    );
}
