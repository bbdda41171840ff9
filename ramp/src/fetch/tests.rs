use std::io::Write;

use super::*;

/// Copies as `ramp fetch` does, but for the network; gives the bytes of each file that were fetched, or stops after so many.
fn copy(from: &Path, to: &Path, most_bytes: usize) -> Vec<(String, usize)> {
    let index = ResultsIndex::read(from);
    let mut copy = ResultsCopy::open(to).unwrap();
    let mut fetched = Vec::new();
    let mut left = most_bytes;
    for transfer in copy.missing(&index).unwrap() {
        let mut file = copy.begin(&transfer).unwrap();
        let bytes = fs::read(from.join(&transfer.file.path)).unwrap();
        let rest = &bytes[usize::try_from(transfer.from).unwrap()..];
        let rest = &rest[..rest.len().min(left)];
        left -= rest.len();
        file.write_all(rest).unwrap();
        fetched.push((transfer.file.path.clone(), rest.len()));
        if left == 0 {
            return fetched;
        }
        copy.end(&transfer).unwrap();
    }
    copy.remove_others(&index).unwrap();
    fetched
}

fn same(from: &Path, to: &Path) {
    let (there, here) = (ResultsIndex::read(from), ResultsIndex::read(to));
    let paths = |index: &ResultsIndex| index.files.iter().map(|file| file.path.clone()).collect::<Vec<_>>();
    assert_eq!(paths(&there), paths(&here));
    for path in paths(&there) {
        assert_eq!(fs::read(from.join(&path)).unwrap(), fs::read(to.join(&path)).unwrap(), "{path}");
    }
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn only_what_was_appended_is_fetched_again_and_what_was_rewritten_as_a_whole() {
    let place = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| place.path().join(name));
    fs::create_dir_all(from.join("runs/1")).unwrap();
    let (table, record) = (from.join("runs/1/steps.csv"), from.join("study.json"));
    fs::write(&table, "a\n1\n2").unwrap();
    fs::write(&record, "{}").unwrap();
    assert_eq!(copy(&from, &to, 99), [("runs/1/steps.csv".into(), 5), ("study.json".into(), 2)]);
    same(&from, &to);
    assert_eq!(copy(&from, &to, 99), [], "nothing has changed");
    append(&table, "2\n3\n");
    assert_eq!(copy(&from, &to, 99), [("runs/1/steps.csv".into(), 5)], "from the last whole row on");
    same(&from, &to);
    // As study.json is written: a new file in place of the old one, of the same length.
    fs::write(from.join("study.json.new"), "[]").unwrap();
    fs::rename(from.join("study.json.new"), &record).unwrap();
    assert_eq!(copy(&from, &to, 99), [("study.json".into(), 2)]);
    same(&from, &to);
}

#[test]
fn a_run_that_was_set_aside_and_repeated_is_not_mixed_with_the_new_one() {
    let place = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| place.path().join(name));
    fs::create_dir_all(from.join("runs/1")).unwrap();
    fs::write(from.join("runs/1/steps.csv"), "a\nold\n").unwrap();
    copy(&from, &to, 99);
    fs::rename(from.join("runs/1"), from.join("runs/1.cut-1")).unwrap();
    fs::create_dir_all(from.join("runs/1")).unwrap();
    fs::write(from.join("runs/1/steps.csv"), "a\nnew and longer\n").unwrap();
    copy(&from, &to, 99);
    same(&from, &to);
    fs::remove_dir_all(from.join("runs/1.cut-1")).unwrap();
    copy(&from, &to, 99);
    same(&from, &to);
    assert!(!to.join("runs/1.cut-1").exists());
}

#[test]
fn a_copy_that_was_interrupted_goes_on_where_it_was() {
    let place = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| place.path().join(name));
    fs::create_dir_all(&from).unwrap();
    fs::write(from.join("nodes.csv"), "a\n1\n2\n3\n4\n").unwrap();
    fs::write(from.join("run.json"), "{\"x\": 1}").unwrap();
    assert_eq!(copy(&from, &to, 5), [("nodes.csv".into(), 5)]);
    assert_eq!(copy(&from, &to, 9), [("nodes.csv".into(), 6), ("run.json".into(), 3)], "from row 2 on");
    copy(&from, &to, 99);
    same(&from, &to);
}

#[test]
fn a_directory_of_something_else_and_a_path_that_leads_out_of_it_are_refused() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("mine"), "").unwrap();
    let told = ResultsCopy::open(place.path()).unwrap_err().to_string();
    assert!(
        told.contains("is not empty and no copy that was fetched; choose another directory with --out"),
        "{told}"
    );
    let mut copy = ResultsCopy::open(&place.path().join("new")).unwrap();
    for path in ["../mine", "/etc/passwd", STATE] {
        let file = RemoteFile { path: path.into(), bytes: 1, id: "1".into(), modified_ns: 1 };
        assert!(
            copy.missing(&ResultsIndex { ended: false, results: None, files: vec![file] }).is_err(),
            "{path}"
        );
    }
}

#[test]
fn a_copy_of_one_study_does_not_become_one_of_another() {
    let place = tempfile::tempdir().unwrap();
    let to = place.path().join("to");
    let of = |id: Option<&str>| ResultsIndex {
        ended: false,
        results: id.map(str::to_owned),
        files: vec![RemoteFile { path: "study.json".into(), bytes: 2, id: "1".into(), modified_ns: 1 }],
    };
    let mut copy = ResultsCopy::open(&to).unwrap();
    copy.missing(&of(None)).unwrap();
    for transfer in copy.missing(&of(Some("a"))).unwrap() {
        copy.begin(&transfer).unwrap().write_all(b"{}").unwrap();
        copy.end(&transfer).unwrap();
    }
    let mut again = ResultsCopy::open(&to).unwrap();
    let why = again.missing(&of(Some("b"))).unwrap_err().to_string();
    assert!(why.ends_with("is a copy of a, the server has b: choose another directory with --out"), "{why}");
    assert_eq!(again.missing(&of(Some("a"))).unwrap(), []);
}
