//! The HTML report in Chromium, used by a script as a reader would.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::studies::StudyFixture;
use crate::{report, study};

/// Collects what goes wrong from the first moment on.
const LISTENER: &str = r#"<script>
window.wrong = [];
addEventListener("error", event => wrong.push("error: " + event.message));
addEventListener("unhandledrejection", event => wrong.push("rejection: " + event.reason));
addEventListener("securitypolicyviolation", event => wrong.push("refused: " + event.blockedURI));
for (const kind of ["error", "warn"]) console[kind] = (...words) => wrong.push(kind + ": " + words.join(" "));
</script>"#;

/// What a user does, and what comes of it, as JSON in the page's title.
const USER: &str = r##"<script>
(async () => {
  const frame = () => new Promise(done => setTimeout(done, 100));
  const painted = figure => {
    const canvas = figure.querySelector("canvas");
    if (!canvas || !canvas.width) return 0;
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let count = 0;
    // Colours of the lines are strong; axes and text are grey.
    for (let i = 0; i < pixels.length; i += 4) {
      const [r, g, b, a] = pixels.slice(i, i + 4);
      if (a > 100 && Math.max(r, g, b) - Math.min(r, g, b) > 60) count++;
    }
    return count;
  };
  await frame();
  const all = [...document.querySelectorAll("figure.chart")];
  // Bars are drawings.
  const figures = all.filter(figure => figure.querySelector(".plot"));
  const drawings = all.filter(figure => figure.querySelector(".drawing"));
  const found = {
    bars: drawings.map(figure => figure.querySelectorAll("svg rect").length),
    charts: figures.map(figure => ({ id: figure.id, painted: painted(figure) })),
  };
  // Hide the first line of the first chart.
  const memory = document.getElementById("chart-memory");
  const button = memory.querySelector(".legend button");
  button.click();
  await frame();
  found.hidden = { pressed: button.getAttribute("aria-pressed"), painted: painted(memory) };
  button.click();
  await frame();
  found.shown = painted(memory);
  // Drag across the first chart.
  const over = memory.querySelector(".u-over"), box = over.getBoundingClientRect();
  const mouse = (type, share, target) => target.dispatchEvent(new MouseEvent(type, {
    bubbles: true, button: 0, buttons: 1, movementX: 5, clientX: box.left + share * box.width, clientY: box.top + box.height / 2,
  }));
  const reset = document.getElementById("reset");
  found.whole = reset.disabled;
  const before = figures.map(figure => figure.querySelector("canvas").toDataURL());
  mouse("mousemove", 0.3, over); mouse("mousedown", 0.3, over);
  mouse("mousemove", 0.4, over); mouse("mousemove", 0.6, over); mouse("mouseup", 0.6, document);
  await frame(); await frame();
  found.zoomed = !reset.disabled;
  found.changed = figures.filter((figure, i) => figure.querySelector("canvas").toDataURL() !== before[i]).map(figure => figure.id);
  // What is under the pointer.
  mouse("mousemove", 0.5, over);
  await frame();
  found.hover = [...memory.querySelectorAll(".legend output")].map(output => output.textContent).join("|");
  reset.click();
  await frame();
  found.restored = figures.filter((figure, i) => figure.querySelector("canvas").toDataURL() === before[i]).length;
  document.querySelector("[data-mode=seconds]").click();
  await frame();
  found.byTime = figures.every(figure => figure.dataset.drawn === "seconds" && painted(figure) > 0);
  // Wider than the window is only what scrolls by itself.
  found.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  found.fetched = performance.getEntriesByType("resource").map(entry => entry.name);
  found.wrong = window.wrong;
  document.body.innerHTML = "";
  const result = document.createElement("pre");
  result.id = "result";
  result.textContent = JSON.stringify(found);
  document.body.append(result);
})();
</script>"##;

/// Chromium, without a window.
fn chromium(page: &Path, arguments: &[&str]) -> (String, String) {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr"])
        // Time goes on only while nothing is to be done.
        .args(["--virtual-time-budget=20000", "--force-device-scale-factor=1"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(arguments)
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("Debian's chromium");
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// What comes of a user's visit.
fn visit(page: &Path, window: &str) -> Value {
    let text = fs::read_to_string(page).unwrap();
    let text = text.replacen("<head>", &format!("<head>{LISTENER}"), 1);
    let text = text.replacen("</body>", &format!("{USER}</body>"), 1);
    let visited = page.with_file_name("visited.html");
    fs::write(&visited, text).unwrap();
    let (document, said) = chromium(&visited, &[&format!("--window-size={window}"), "--dump-dom"]);
    let result = document.split_once("<pre id=\"result\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    let (result, _) = result.unwrap_or_else(|| panic!("the visit did not end: {said}\n{document:.2000}"));
    serde_json::from_str(&result.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")).unwrap()
}

/// Where pictures are left for people to look at.
fn pictures() -> PathBuf {
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    fs::create_dir_all(&pictures).unwrap();
    pictures
}

/// Returns how many rectangles each drawing has.
fn works(page: &Path, window: &str) -> Vec<u64> {
    let found = visit(page, window);
    assert_eq!(found["wrong"], Value::Array(Vec::new()), "nothing goes wrong in the console: {found}");
    assert_eq!(found["fetched"], Value::Array(Vec::new()), "nothing is fetched");
    let charts = found["charts"].as_array().unwrap();
    assert!(charts.len() >= 5, "{found}");
    for chart in charts {
        assert!(chart["painted"].as_u64() > Some(10), "{chart} has not drawn");
    }
    let painted = charts.iter().find(|chart| chart["id"] == "chart-memory").unwrap()["painted"].as_u64();
    assert_eq!(found["hidden"]["pressed"], "false");
    assert!(found["hidden"]["painted"].as_u64() < painted, "a line is gone: {found}");
    assert_eq!(found["shown"].as_u64(), painted, "and back");
    assert!(found["whole"] == true && found["zoomed"] == true, "{found}");
    let along = charts
        .iter()
        .filter(|chart| {
            !["chart-cost", "chart-startup", "chart-phases"].contains(&chart["id"].as_str().unwrap())
        })
        .count();
    assert_eq!(
        found["changed"].as_array().unwrap().len(),
        along,
        "all charts along the run zoom together: {found}"
    );
    assert!(found["hover"].as_str().unwrap().contains(|letter: char| letter.is_ascii_digit()), "{found}");
    assert_eq!(found["restored"].as_u64(), Some(charts.len() as u64), "the whole again: {found}");
    assert_eq!(found["byTime"], true);
    assert_eq!(found["overflow"].as_i64(), Some(0), "at {window}");
    found["bars"].as_array().unwrap().iter().filter_map(Value::as_u64).collect()
}

fn photograph(page: &Path, name: &str, arguments: &[&str]) {
    let picture = pictures().join(format!("{name}.png"));
    let (_, said) = chromium(page, &[&[&*format!("--screenshot={}", picture.display())], arguments].concat());
    assert!(!said.contains(":CONSOLE"), "{said}");
    assert!(fs::metadata(&picture).unwrap().len() > 20_000, "{} shows something", picture.display());
}

fn all(page: &Path, name: &str) {
    for window in ["1400,900", "800,900", "500,900"] {
        works(page, window);
    }
    photograph(page, &format!("{name}-light"), &["--window-size=1280,3600"]);
    photograph(
        page,
        &format!("{name}-dark"),
        &["--window-size=1280,3600", "--blink-settings=preferredColorScheme=0"],
    );
    photograph(page, &format!("{name}-phone"), &["--window-size=500,5000"]);
}

#[test]
#[ignore = "needs chromium"]
fn the_page_of_made_up_files_works_in_a_browser() {
    let directory = tempfile::tempdir().unwrap();
    study(directory.path(), "runc.csv", 300, 100);
    study(directory.path(), "kata.csv", 300, 200);
    assert!(report(directory.path(), &["runc.csv", "kata.csv"]).status.success());
    all(&directory.path().join("ramp-report/report.html"), "made-up");
}

#[test]
#[ignore = "needs chromium, and STUDY_DATA: the study's CSV files"]
fn the_page_of_the_study_s_files_works_in_a_browser() {
    let study = PathBuf::from(
        std::env::var_os("STUDY_DATA").expect("STUDY_DATA names the directory of the study's CSV files"),
    );
    let directory = tempfile::tempdir().unwrap();
    let files = ["runc.csv", "kata.csv"].map(|name| study.join(name).display().to_string());
    assert!(report(directory.path(), &[&files[0], &files[1]]).status.success());
    all(&directory.path().join("ramp-report/report.html"), "study");
}

/// A run of processes on this machine: seconds, and no set-up.
#[test]
#[ignore = "needs chromium and half a minute of this machine"]
fn the_page_of_a_run_works_in_a_browser() {
    let directory = tempfile::tempdir().unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_ramp"))
        .args(["run", "--force", "--to", "8", "--memory", "20M", "--hold", "2s", "--out", "run"])
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(report(directory.path(), &["run"]).status.success());
    all(&directory.path().join("ramp-report/report.html"), "run");
}

#[test]
#[ignore = "needs chromium"]
fn the_page_of_a_run_with_a_component_probe_has_bars_of_its_components_in_a_browser() {
    const WORLD: &str = "load: {memory: 100M, growth_rate: instant, report_every: 5s}\n\
                         runtime: {name: kata, memory: 130Mi, parts: {vmm: 64Mi, virtiofsd: 48Mi, shim: 14Mi}}\n\
                         machine: {components_every: 5s}\n";
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("world.yaml"), WORLD).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_ramp"))
        .args([
            "run",
            "--engine",
            "simulated",
            "--world",
            "world.yaml",
            "--to",
            "8",
            "--hold",
            "20s",
            "--out",
            "run",
        ])
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(report(directory.path(), &["run"]).status.success());
    let page = directory.path().join("ramp-report/report.html");
    let bars = works(&page, "1400,900");
    assert!(
        matches!(bars[..], [parts] if parts >= 5),
        "load, vmm, virtiofsd, shim and the rest at least: {bars:?}"
    );
    all(&page, "components");
}

/// What is wrong with a page without scripts, and whether it is wider than its window.
fn is_read(page: &Path, window: &str) {
    const READER: &str = r##"<script>
const found = {
  overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  // What a chart shows, and how wide it is beside its place.
  charts: [...document.querySelectorAll("figure.chart")].map(figure => {
    const svg = figure.querySelector("svg");
    return { id: figure.id, marks: svg.querySelectorAll("polyline, circle, line").length,
      beyond: figure.querySelector(".drawing").getBoundingClientRect().width - figure.getBoundingClientRect().width };
  }),
  links: [...document.querySelectorAll(".list a")].map(link => link.getAttribute("href")),
  fetched: performance.getEntriesByType("resource").map(entry => entry.name),
};
const result = document.createElement("pre");
result.id = "result";
result.textContent = JSON.stringify(found);
document.body.replaceChildren(result);
</script>"##;
    let text = fs::read_to_string(page).unwrap();
    // The page has no scripts of its own, and allows none.
    assert!(!text.contains("<script"));
    let text = text.replace("default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'");
    let visited = page.with_file_name("visited.html");
    fs::write(&visited, text.replacen("</body>", &format!("{READER}</body>"), 1)).unwrap();
    let (document, said) = chromium(&visited, &[&format!("--window-size={window},900"), "--dump-dom"]);
    let result = document.split_once("<pre id=\"result\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    let (result, _) = result.unwrap_or_else(|| panic!("the visit did not end: {said}\n{document:.2000}"));
    let found: Value = serde_json::from_str(&result.replace("&amp;", "&").replace("&lt;", "<")).unwrap();
    assert_eq!(found["overflow"].as_i64(), Some(0), "at {window}: {found}");
    assert_eq!(found["fetched"], Value::Array(Vec::new()), "nothing is fetched");
    let charts = found["charts"].as_array().unwrap();
    assert_eq!(charts.len(), 14, "seven of each size: {found}");
    for chart in charts {
        assert!(chart["marks"].as_u64() > Some(10), "{chart} has not drawn");
        assert!(chart["beyond"].as_f64() <= Some(0.5), "{chart} is wider than its place");
    }
    let links = found["links"].as_array().unwrap();
    assert_eq!(links.len(), 16);
    for link in links {
        assert!(page.parent().unwrap().join(link.as_str().unwrap()).join("run.json").is_file(), "{link}");
    }
}

#[test]
#[ignore = "needs chromium"]
fn the_page_of_a_study_of_runtimes_can_be_read_in_a_browser() {
    let directory = tempfile::tempdir().unwrap();
    StudyFixture::of_sizes().record(&directory.path().join("study"));
    assert!(report(directory.path(), &["study"]).status.success());
    let page = directory.path().join("ramp-report/report.html");
    is_read(&page, "1280");
    is_read(&page, "500");
    photograph(&page, "runtimes-light", &["--window-size=1280,3600"]);
    photograph(
        &page,
        "runtimes-dark",
        &["--window-size=1280,3600", "--blink-settings=preferredColorScheme=0"],
    );
    // A window is at least 500 pixels wide: a frame may be narrower.
    let phone = page.with_file_name("phone.html");
    fs::write(&phone, "<iframe style='width:400px;height:6000px;border:0' src=report.html></iframe>")
        .unwrap();
    photograph(&phone, "runtimes-phone", &["--window-size=500,6100", "--allow-file-access-from-files"]);
}
