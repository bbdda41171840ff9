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
  const plots = all.filter(figure => figure.querySelector(".plot"));
  const drawings = all.filter(figure => figure.querySelector(".broad"));
  const found = {
    bars: drawings.map(figure => figure.querySelectorAll(".broad svg rect").length),
    answers: document.querySelectorAll("#answer .glance .count b").length,
    charts: plots.map(figure => ({ id: figure.id, painted: painted(figure) })),
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
  const before = plots.map(figure => figure.querySelector("canvas").toDataURL());
  mouse("mousemove", 0.3, over); mouse("mousedown", 0.3, over);
  mouse("mousemove", 0.4, over); mouse("mousemove", 0.6, over); mouse("mouseup", 0.6, document);
  await frame(); await frame();
  found.zoomed = !reset.disabled;
  found.changed = plots.filter((figure, i) => figure.querySelector("canvas").toDataURL() !== before[i]).map(figure => figure.id);
  // What is under the pointer.
  mouse("mousemove", 0.5, over);
  await frame();
  found.hover = [...memory.querySelectorAll(".legend output")].map(output => output.textContent).join("|");
  reset.click();
  await frame();
  found.restored = plots.filter((figure, i) => figure.querySelector("canvas").toDataURL() === before[i]).length;
  // A link leads to a step, and a key to the next one.
  location.hash = "#step=3";
  await frame();
  const selected = document.getElementById("selected");
  found.step = [selected.hidden, selected.querySelector("b")?.textContent, selected.querySelectorAll("tr").length];
  memory.querySelector(".plot").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
  await frame();
  found.next = [selected.querySelector("b")?.textContent, location.hash];
  memory.querySelector(".plot").dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
  await frame();
  found.left = selected.hidden;
  const slowest = document.querySelector("[data-pod]");
  if (slowest) {
    location.hash = slowest.querySelector("a").getAttribute("href");
    await frame();
    found.pod = slowest.classList.contains("linked");
  }
  // The table and the picture of each chart.
  found.tables = [];
  for (const figure of plots) {
    figure.querySelector(".tools details").open = true;
    await frame();
    const rows = figure.querySelectorAll(".tools tbody tr").length;
    figure.querySelector(".tools details").open = false;
    found.tables.push([rows, (await figures.png(figure)).size]);
  }
  for (const figure of drawings) found.tables.push([figure.querySelectorAll("svg").length, (await figures.png(figure)).size]);
  document.querySelector("[data-mode=seconds]").click();
  await frame();
  found.byTime = plots.every(figure => figure.dataset.drawn === "seconds" && painted(figure) > 0);
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
            !["chart-cost", "chart-startup", "chart-startup-share", "chart-phases"]
                .contains(&chart["id"].as_str().unwrap())
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
    assert!(found["answers"].as_u64() >= Some(1), "the answer is in large figures: {found}");
    assert_eq!((&found["step"][0], &found["step"][1]), (&false.into(), &"Step 3".into()), "{found}");
    assert!(found["step"][2].as_u64() >= Some(2), "figures of the step: {found}");
    assert_eq!(found["next"], serde_json::json!(["Step 4", "#step=4"]));
    assert_eq!(found["left"], true);
    assert!(found.get("pod").is_none_or(|pod| pod == true), "{found}");
    for table in found["tables"].as_array().unwrap() {
        assert!(table[0].as_u64() > Some(1) && table[1].as_u64() > Some(2000), "{found}");
    }
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

/// What a reader sees of a page in a frame of some width: a window is at least 500 pixels wide.
fn read_at(page: &Path, width: u32, reader: &str, arguments: &[&str]) -> Value {
    const FRAME: &str = r##"<pre id="result"></pre><script>
addEventListener("message", event => {
  document.getElementById("result").textContent = event.data;
  document.querySelector("iframe").remove();
});
</script>"##;
    let text = fs::read_to_string(page).unwrap().replacen("<head>", &format!("<head>{LISTENER}"), 1);
    let (before, after) = text.rsplit_once("</body>").unwrap();
    let script = format!(
        "<script>addEventListener('load', () => setTimeout(async () => {{\n{reader}\n\
         parent.postMessage(JSON.stringify(found), '*');\n}}, 200));</script>"
    );
    fs::write(page.with_file_name("visited.html"), format!("{before}{script}</body>{after}")).unwrap();
    let frame = page.with_file_name("frame.html");
    let iframe = format!("<iframe style='width:{width}px;height:900px;border:0' src=visited.html></iframe>");
    fs::write(&frame, format!("<body style='margin:0'>{FRAME}{iframe}</body>")).unwrap();
    let window = format!("--window-size={},900", width.max(500));
    let all = [&[window.as_str(), "--dump-dom", "--allow-file-access-from-files"], arguments].concat();
    let (document, said) = chromium(&frame, &all);
    let result = document.split_once("<pre id=\"result\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    let (result, _) = result.unwrap_or_else(|| panic!("the visit did not end: {said}\n{document:.2000}"));
    let result = result.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&result).unwrap_or_else(|error| panic!("{error}: {result:.2000}\n{said}"))
}

/// Whether a page of a study can be read in a width.
fn is_read(page: &Path, width: u32) {
    const READER: &str = r##"
const charts = [...document.querySelectorAll("figure.chart:not(.answer-picture)")];
const shown = figure => [...figure.querySelectorAll("svg")].find(svg => svg.getBoundingClientRect().width > 0);
const letters = svg => {
  const { width } = svg.getBoundingClientRect(), scale = width / (svg.viewBox.baseVal?.width || width);
  return [...svg.querySelectorAll("text")].map(text => scale * parseFloat(getComputedStyle(text).fontSize));
};
const found = {
  overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  // What a chart shows, how wide it is beside its place, and how small its text is.
  charts: charts.map(figure => ({ id: figure.id, marks: shown(figure).querySelectorAll("polyline, circle, line").length,
    beyond: figure.querySelector(".drawing").getBoundingClientRect().width - figure.getBoundingClientRect().width,
    letters: Math.min(...letters(shown(figure))) })),
  answer: [...document.querySelectorAll("#answer .glance")].map(glance => glance.querySelectorAll("b").length),
  picture: Math.min(...letters(document.querySelector(".answer-picture svg"))),
  links: [...document.querySelectorAll("#runs a")].map(link => link.getAttribute("href")),
  rows: charts.map(figure => {
    figure.querySelector(".tools details").open = true;
    return figure.id;
  }).length,
};
await new Promise(done => setTimeout(done, 200));
found.rows = charts.map(figure => figure.querySelectorAll(".tools tbody tr").length);
found.pictures = [];
for (const figure of document.querySelectorAll("figure.chart")) found.pictures.push((await figures.png(figure)).size);
const pod = document.querySelector("[data-pod]");
location.hash = "#pod=" + pod.dataset.pod;
await new Promise(done => setTimeout(done, 200));
found.pod = pod.classList.contains("linked");
found.pods = document.querySelectorAll("[data-pod]").length;
// One that is in the table of all alone, and one that is in none.
const listed = new Set([...document.querySelectorAll("[data-pod]")].map(row => row.dataset.pod));
const other = figures.data.starts.rows.map(([name]) => name).findLast(name => !listed.has(name));
location.hash = "#pod=" + other;
await new Promise(done => setTimeout(done, 200));
found.others = [...document.querySelectorAll("#starts tr.linked")].map(row => row.dataset.pod === other);
found.isOpen = document.getElementById("starts").open;
location.hash = "#pod=nobody";
await new Promise(done => setTimeout(done, 200));
found.nobody = document.getElementById("no-pod").textContent;
found.fetched = performance.getEntriesByType("resource").map(entry => entry.name);
found.wrong = window.wrong;
"##;
    let found = read_at(page, width, READER, &[]);
    assert_eq!(found["overflow"].as_i64(), Some(0), "at {width}: {found}");
    assert_eq!(found["fetched"], Value::Array(Vec::new()), "nothing is fetched");
    assert_eq!(found["wrong"], Value::Array(Vec::new()), "nothing goes wrong in the console");
    let charts = found["charts"].as_array().unwrap();
    assert_eq!(charts.len(), 14, "seven of each size: {found}");
    for chart in charts {
        assert!(chart["marks"].as_u64() > Some(10), "{chart} has not drawn");
        assert!(chart["beyond"].as_f64() <= Some(0.5), "{chart} is wider than its place");
        assert!(chart["letters"].as_f64() >= Some(11.0), "{chart} has small letters at {width}");
    }
    assert_eq!(
        found["answer"].as_array().unwrap().len(),
        4,
        "a list of large figures for each cell: {found}"
    );
    assert!(found["picture"].as_f64() >= Some(12.0), "{found}");
    for rows in found["rows"].as_array().unwrap() {
        assert!(rows.as_u64() > Some(1), "each chart has a table: {found}");
    }
    for picture in found["pictures"].as_array().unwrap() {
        assert!(picture.as_u64() > Some(4000), "each chart is a PNG: {found}");
    }
    assert_eq!((&found["pod"], &found["pods"]), (&true.into(), &10.into()));
    let others = found["others"].as_array().unwrap();
    assert!(!others.is_empty() && others.iter().all(|is| *is == true) && found["isOpen"] == true, "{found}");
    assert!(found["nobody"].as_str().unwrap().starts_with("This page has no start of nobody;"), "{found}");
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
    for width in [1280, 768, 390] {
        is_read(&page, width);
    }
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

/// The rules of axe-core, with what breaks them.
fn is_accessible(page: &Path, what: &str) {
    let axe = std::env::var_os("AXE_CORE").expect("AXE_CORE names axe.min.js of axe-core");
    let axe = fs::read_to_string(&axe).unwrap_or_else(|error| panic!("{}: {error}", axe.display()));
    const READER: &str = r##"
const folds = "details:not(.tools details), #chart-startup-1 details, #chart-startup details";
for (const one of document.querySelectorAll(folds)) one.open = true;
await new Promise(done => setTimeout(done, 300));
const { violations, passes } = await axe.run(document);
const found = {
  dark: matchMedia("(prefers-color-scheme: dark)").matches,
  passes: passes.length,
  violations: violations.map(({ id, nodes }) =>
    ({ id, nodes: nodes.slice(0, 3).map(node => `${node.html.slice(0, 200)}: ${node.failureSummary}`) })),
  wrong: window.wrong,
};
"##;
    // The rules stand in the page: its own policy lets it fetch nothing.
    let text = fs::read_to_string(page).unwrap();
    let (before, after) = text.rsplit_once("</body>").unwrap();
    let ruled = page.with_file_name("ruled.html");
    fs::write(&ruled, format!("{before}<script>{axe}</script></body>{after}")).unwrap();
    for (is_dark, width) in [(false, 1280), (true, 390)] {
        let scheme = format!("--blink-settings=preferredColorScheme={}", i32::from(!is_dark));
        let found = read_at(&ruled, width, READER, &[&scheme]);
        assert_eq!(found["dark"], is_dark, "{what}");
        assert!(found["passes"].as_u64() > Some(15), "{what}: the rules were applied: {found}");
        assert_eq!(found["violations"], Value::Array(Vec::new()), "{what}, {width}, dark: {is_dark}");
        assert_eq!(found["wrong"], Value::Array(Vec::new()), "{what}: nothing goes wrong in the console");
    }
}

#[test]
#[ignore = "needs chromium, and AXE_CORE: the file axe.min.js of axe-core"]
fn pages_break_no_rule_of_accessibility_in_light_and_in_dark() {
    let directory = tempfile::tempdir().unwrap();
    StudyFixture::of_sizes().record(&directory.path().join("study"));
    let page = directory.path().join("ramp-report/report.html");
    assert!(report(directory.path(), &["study"]).status.success());
    is_accessible(&page, "a study");
    let runs = ["runc", "kata"].map(|runtime| format!("study/runs/1-workload-{runtime}-64M"));
    assert!(report(directory.path(), &[&runs[0], &runs[1]]).status.success());
    is_accessible(&page, "two runs");
    study(directory.path(), "runc.csv", 300, 100);
    study(directory.path(), "kata.csv", 300, 200);
    assert!(report(directory.path(), &["runc.csv", "kata.csv"]).status.success());
    is_accessible(&page, "files of the study of 2021");
}
