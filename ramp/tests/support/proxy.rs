//! A proxy that connects everybody to one server, whatever the name: HTTP with CONNECT, HTTP that forwards, and SOCKS 5.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// It ends with the process.
pub(crate) struct TestProxy {
    pub(crate) address: SocketAddr,
    /// What was asked of it, in order: `CONNECT host:port`, `SOCKS host:port`, `GET http://host/path`, with credentials.
    asked: Arc<Mutex<Vec<String>>>,
}

impl TestProxy {
    pub(crate) fn start(address: &str, server: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let proxy = Self { address: listener.local_addr().unwrap(), asked: Arc::default() };
        let asked = proxy.asked.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let asked = asked.clone();
                thread::spawn(move || serve(client, server, &asked));
            }
        });
        proxy
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(mut client: TcpStream, server: SocketAddr, asked: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut first = [0];
    client.read_exact(&mut first)?;
    let (request, greeting) = match first[0] {
        5 => (socks(&mut client)?, Vec::new()),
        _ => {
            let head = head(&mut client, first[0])?;
            let request = request_of(&String::from_utf8_lossy(&head));
            if request.starts_with("CONNECT refused") {
                client.write_all(b"HTTP/1.1 403 Forbidden by policy\r\n\r\n")?;
                return Ok(());
            }
            let is_tunnel = request.starts_with("CONNECT");
            if is_tunnel {
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
            }
            (request, if is_tunnel { Vec::new() } else { head })
        }
    };
    asked.lock().unwrap().push(request);
    let mut server = TcpStream::connect(server)?;
    server.write_all(&greeting)?;
    let (mut upwards, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut upwards, &mut to_server);
        to_server.shutdown(Shutdown::Write)
    });
    let _ = io::copy(&mut server, &mut client);
    client.shutdown(Shutdown::Both)
}

fn head(client: &mut TcpStream, first: u8) -> io::Result<Vec<u8>> {
    let (mut head, mut byte) = (vec![first], [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(head)
}

fn request_of(head: &str) -> String {
    let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    let credentials = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("proxy-authorization").then(|| format!(" {value}"))
    });
    line + &credentials.unwrap_or_default()
}

/// RFC 1928 and 1929.
fn socks(client: &mut TcpStream) -> io::Result<String> {
    let methods = prefixed(client)?;
    let credentials = if methods.contains(&2) {
        client.write_all(&[5, 2])?;
        client.read_exact(&mut [0])?;
        let (name, password) = (prefixed(client)?, prefixed(client)?);
        client.write_all(&[1, 0])?;
        format!(" {}:{}", String::from_utf8_lossy(&name), String::from_utf8_lossy(&password))
    } else {
        client.write_all(&[5, 0])?;
        String::new()
    };
    let mut command = [0; 4];
    client.read_exact(&mut command)?;
    let host = match command[3] {
        3 => String::from_utf8_lossy(&prefixed(client)?).into_owned(),
        kind => {
            let mut address = vec![0; if kind == 1 { 4 } else { 16 }];
            client.read_exact(&mut address)?;
            format!("{address:?}")
        }
    };
    let mut port = [0; 2];
    client.read_exact(&mut port)?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    Ok(format!("SOCKS {host}:{}{credentials}", u16::from_be_bytes(port)))
}

fn prefixed(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0];
    client.read_exact(&mut length)?;
    let mut bytes = vec![0; length[0].into()];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}
