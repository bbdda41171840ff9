//! Errors of missing and malformed run directories, and of engines that cannot be reached.

use super::session::{Place, hold};

#[test]
fn what_is_no_run_cannot_be_gone_on_with() {
    let place = Place::new();
    place.put("words.txt", "no run\n");
    place.put("empty/words.txt", "no run\n");
    place.put("broken/run.json", "{\"format_version\": 1,\n");
    place.put("newer/run.json", "{\"format_version\": 7}\n");
    let resumed = ["not-there", "words.txt", "empty", "broken", "newer"]
        .map(|path| place.session(&["run", "--resume", path]));
    hold("resume_no_run", &resumed.join("\n"));
    let reported =
        ["not-there", "words.txt", "empty", "broken", "newer"].map(|path| place.session(&["report", path]));
    hold("report_no_run", &reported.join("\n"));
    let cleaned = ["empty", "broken", "newer"].map(|path| place.session(&["clean", path]));
    hold("clean_no_run", &cleaned.join("\n"));
}

#[test]
fn where_to_clean_has_to_be_there() {
    // Never without a run's id where it is this machine: what others have left there is theirs.
    hold(
        "clean",
        &Place::new().sessions(&[
            &["clean"],
            &["clean", "--engine", "podman", "--socket", "nowhere.sock"],
            &["clean", "--engine", "local", "20260101-000000-none"],
        ]),
    );
}
