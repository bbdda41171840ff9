//! Requests and their responses: `GET /` (the page), `/state`, `/files` (the index), `/files/PATH` (with `Range: bytes=N-`), `/healthz`.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::stream;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, RANGE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, Take};
use tokio::task::spawn_blocking;

use super::files::open;
use super::page::{LivePage, PageOf, index_of};

/// Body of a response.
pub(super) type ResponseBody = UnsyncBoxBody<Bytes, std::io::Error>;

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// What is served.
#[derive(Debug)]
pub(super) struct Results {
    directory: PathBuf,
    page: LivePage,
}

impl Results {
    pub(super) fn of(directory: &Path, page_of: PageOf) -> Self {
        Self { directory: directory.to_owned(), page: LivePage::of(page_of) }
    }

    pub(super) async fn answer<B>(&self, request: &Request<B>) -> Response<ResponseBody> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        let is_head = *request.method() == Method::HEAD;
        let mut response = self.get(request.uri().path(), request.headers()).await;
        if is_head {
            *response.body_mut() = whole(String::new());
        }
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }

    async fn get(&self, path: &str, headers: &HeaderMap) -> Response<ResponseBody> {
        match path {
            "/" => match self.page.get(&self.directory).await {
                Ok(page) => of(StatusCode::OK, HTML, whole(page)),
                Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, &format!("no page yet: {why}\n")),
            },
            "/state" => json(&self.page.state(&self.directory).await),
            "/files" => json(&index_of(&self.directory).await),
            "/healthz" => text(StatusCode::OK, "ok\n"),
            other => match other.strip_prefix("/files/") {
                Some(path) => self.file(path, from(headers)).await,
                None => {
                    text(StatusCode::NOT_FOUND, "there are /, /state, /files, /files/PATH and /healthz\n")
                }
            },
        }
    }

    /// A file from a byte on, as long as it is now.
    async fn file(&self, path: &str, from: Option<u64>) -> Response<ResponseBody> {
        let Ok(path) = percent_decode_str(path).decode_utf8().map(|path| path.into_owned()) else {
            return text(StatusCode::NOT_FOUND, "no such file\n");
        };
        let (directory, first) = (self.directory.clone(), from.unwrap_or(0));
        let opened = spawn_blocking(move || open(&directory, &path, first)).await;
        let Ok(Ok((file, bytes))) = opened else { return text(StatusCode::NOT_FOUND, "no such file\n") };
        if from.is_some_and(|from| from > bytes) {
            return text(StatusCode::RANGE_NOT_SATISFIABLE, "the file is shorter\n");
        }
        let left = bytes - first;
        let status = if from.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        let mut response = of(status, "application/octet-stream", streamed(File::from_std(file).take(left)));
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, left.into());
        if let (Some(first), Some(last)) = (from, bytes.checked_sub(1))
            && let Ok(range) = HeaderValue::from_str(&format!("bytes {first}-{}/{bytes}", last.max(first)))
        {
            headers.insert(CONTENT_RANGE, range);
        }
        response
    }
}

/// The first byte that is asked for: of `bytes=N-`, the only range there is.
fn from(headers: &HeaderMap) -> Option<u64> {
    headers.get(RANGE)?.to_str().ok()?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

fn streamed(file: Take<File>) -> ResponseBody {
    let chunks = stream::try_unfold(file, async |mut file| {
        let mut chunk = vec![0; CHUNK];
        let read = file.read(&mut chunk).await?;
        chunk.truncate(read);
        Ok((read > 0).then(|| (Frame::data(Bytes::from(chunk)), file)))
    });
    StreamBody::new(chunks).boxed_unsync()
}

fn whole(text: String) -> ResponseBody {
    Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync()
}

fn of(status: StatusCode, kind: &'static str, body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn text(status: StatusCode, words: &str) -> Response<ResponseBody> {
    of(status, TEXT, whole(words.to_owned()))
}

fn json(value: &impl Serialize) -> Response<ResponseBody> {
    match serde_json::to_string(value) {
        Ok(json) => of(StatusCode::OK, JSON, whole(json)),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
    }
}
