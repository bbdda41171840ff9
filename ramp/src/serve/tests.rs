use std::fs;

use http::Request;
use http_body_util::BodyExt;

use super::files::open;
use super::*;

fn results() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("runs/block-1")).unwrap();
    fs::create_dir_all(directory.path().join("report")).unwrap();
    for (file, text) in [
        ("study.json", "{}"),
        ("study.json.new", "half"),
        ("study.lock", ""),
        ("runs/block-1/run.json.reserved", "\n\n"),
        (".hidden", "x"),
        ("report/report.html", "x"),
        ("runs/block-1/steps.csv", "a,b\n1,2\n"),
        ("runs/block-1/a name.csv", "c\n"),
    ] {
        fs::write(directory.path().join(file), text).unwrap();
    }
    std::os::unix::fs::symlink("/etc/passwd", directory.path().join("passwd.csv")).unwrap();
    std::os::unix::fs::symlink("/etc", directory.path().join("etc")).unwrap();
    directory
}

async fn get(directory: &Path, path: &str, range: Option<&str>) -> (u16, String) {
    let page_of: PageOf =
        |_| Ok("<head><meta content=\"default-src 'none'; style-src x\"></head><body></body>".into());
    let results = Results::of(directory, page_of);
    let mut request = Request::get(path);
    if let Some(range) = range {
        request = request.header("range", range);
    }
    let response = results.answer(&request.body(()).unwrap()).await;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[test]
fn the_index_has_what_is_recorded_and_nothing_that_is_elsewhere() {
    let directory = results();
    let index = ResultsIndex::read(directory.path());
    let paths: Vec<&str> = index.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["runs/block-1/a name.csv", "runs/block-1/steps.csv", "study.json"]);
    assert!(!index.ended);
    let version = index.version();
    fs::write(directory.path().join("runs/block-1/steps.csv"), "a,b\n1,2\n3,4\n").unwrap();
    assert_ne!(ResultsIndex::read(directory.path()).version(), version);
    assert_eq!(ResultsIndex::read(Path::new("/none")).files, []);
}

#[test]
fn a_path_that_leads_out_of_the_directory_is_not_found() {
    let directory = results();
    let bad = [
        "../x",
        "/etc/passwd",
        "passwd.csv",
        "etc/passwd",
        "runs/../study.json",
        "",
        "runs",
        ".hidden",
        "study.lock",
    ];
    for path in bad {
        assert!(open(directory.path(), path, 0).is_err(), "{path}");
    }
    assert!(open(directory.path(), "study.json", 0).is_ok());
}

#[tokio::test]
async fn files_are_served_from_any_byte_on() {
    let directory = results();
    let path = directory.path();
    let table = "/files/runs/block-1/steps.csv";
    assert_eq!(get(path, table, None).await, (200, "a,b\n1,2\n".into()));
    assert_eq!(get(path, table, Some("bytes=4-")).await, (206, "1,2\n".into()));
    assert_eq!(get(path, table, Some("bytes=8-")).await, (206, String::new()));
    assert_eq!(get(path, table, Some("bytes=9-")).await.0, 416);
    assert_eq!(get(path, "/files/runs/block-1/a%20name.csv", None).await, (200, "c\n".into()));
    for missing in ["/files/none", "/files/..%2f..%2fetc/passwd", "/files/%ff", "/other"] {
        assert_eq!(get(path, missing, None).await.0, 404, "{missing}");
    }
    assert_eq!(get(path, "/healthz", None).await, (200, "ok\n".into()));
}

#[tokio::test]
async fn the_page_asks_its_own_server_for_the_next_one_and_nobody_else() {
    let directory = results();
    let (status, page) = get(directory.path(), "/", None).await;
    assert_eq!(status, 200);
    assert!(page.contains("default-src 'none'; connect-src 'self';"), "{page}");
    let (_, state) = get(directory.path(), "/state", None).await;
    let version = ResultsIndex::read(directory.path()).version();
    assert_eq!(state, format!("{{\"version\":{version},\"ended\":false}}"));
    assert!(page.contains(&format!("state.version !== {version}")), "{page}");
}

#[tokio::test]
async fn a_port_in_use_is_told_before_anything_begins() {
    let first = BoundServer::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let told = BoundServer::bind(first.address).await.unwrap_err();
    assert!(told.starts_with(&format!("cannot listen on {}: ", first.address)), "{told}");
    let server = first.serve(Path::new("/none"), |_| Err("nothing there".into()));
    assert!(server.url.starts_with("http://127.0.0.1:"), "{}", server.url);
    assert_eq!(url("0.0.0.0:80".parse().unwrap()), "http://127.0.0.1:80/");
}
