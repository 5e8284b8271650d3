//! A static server for this machine alone: what any host does with the site, to try it out.

use std::io::{Cursor, ErrorKind};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::{Context, Result, bail};
use tiny_http::{Header, Method, Request, Response, Server};

use crate::answer::{Answer, Folder, words};
use crate::site::INDEX;

/// Requests answered at the same time: a browser opens six connections, and one may read slowly.
const NUM_WORKERS: usize = 6;

/// Serves `folder` on the loopback address until the program is stopped. Port 0 takes a free one.
///
/// # Errors
/// There is no site in `folder`; the port is taken.
pub fn serve(folder: &Path, port: u16) -> Result<()> {
    if !folder.join(INDEX).is_file() {
        bail!("there is no page in {}: run `make web` first", folder.display());
    }
    let site =
        Folder::open(folder).with_context(|| format!("cannot read the folder {}", folder.display()))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            anyhow::anyhow!("port {port} is taken by another program: name another with --port")
        }
        _ => anyhow::anyhow!("cannot listen on port {port} ({error}): name another with --port"),
    })?;
    let port = listener.local_addr().context("the port has no number")?.port();
    // Chromium gives WebGPU to `localhost` as to a page that came by https.
    say!("http://localhost:{port}/ serves {}; Ctrl-C ends it", folder.display());
    let server =
        Server::from_listener(listener, None).map_err(|error| anyhow::anyhow!("cannot serve: {error}"))?;
    std::thread::scope(|scope| {
        for _ in 0..NUM_WORKERS {
            scope.spawn(|| {
                while let Ok(request) = server.recv() {
                    respond(&site, request);
                }
            });
        }
    });
    Ok(())
}

fn respond(site: &Folder, request: Request) {
    let accepted = request.headers().iter().find(|header| header.field.equiv("Accept-Encoding"));
    let answer = match request.method() {
        Method::Get | Method::Head => {
            site.answer(request.url(), accepted.map_or("", |header| header.value.as_str()))
        }
        method => {
            let mut refusal =
                words(405, format!("This page can be read (GET, HEAD); {method} is for other servers.\n"));
            refusal.headers.push(("Allow", "GET, HEAD"));
            refusal
        }
    };
    if let Err(error) = request.respond(response(answer)) {
        eprintln!("a browser did not get its answer: {error}");
    }
}

/// Always with a length, by which the page tells how far it has come; tiny_http leaves it out of larger answers otherwise.
fn response(answer: Answer) -> Response<Cursor<Vec<u8>>> {
    let mut response = Response::from_data(answer.body).with_status_code(answer.status);
    for (name, value) in answer.headers {
        response.add_header(Header::from_bytes(name, value).expect("our own headers are ASCII"));
    }
    response.with_chunked_threshold(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    #[test]
    fn what_cannot_be_served_is_one_sentence() {
        let folder = TempDir::new("serve-refuses");
        let missing = serve(&folder.path().join("dist"), 0).expect_err("no site").to_string();
        assert!(missing.ends_with("dist: run `make web` first"), "{missing}");
        std::fs::write(folder.path().join(INDEX), "").expect("a file");
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = taken.local_addr().expect("its number").port();
        let refusal = serve(folder.path(), port).expect_err("the port is taken").to_string();
        assert_eq!(refusal, format!("port {port} is taken by another program: name another with --port"));
    }

    #[test]
    fn large_answers_have_a_length() {
        let answer = Answer {
            status: 200,
            headers: vec![("Content-Type", "application/wasm")],
            body: vec![7; 100_000],
        };
        let mut sent = Vec::new();
        response(answer)
            .raw_print(&mut sent, tiny_http::HTTPVersion(1, 1), &[], false, None)
            .expect("in memory");
        let head = String::from_utf8_lossy(&sent[..sent.len() - 100_000]).into_owned();
        assert!(
            head.contains("Content-Length: 100000\r\n")
                && head.contains("Content-Type: application/wasm\r\n"),
            "{head}"
        );
    }
}
