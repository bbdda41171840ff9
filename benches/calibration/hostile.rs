//! Hostile HTTP clients: connection floods, slow and malformed requests, all at once.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

/// How many connect and send nothing.
const SILENT: usize = 200;

/// A server that takes no more connections for now must not hold up its attackers.
const IMPATIENCE: Duration = Duration::from_millis(20);

const REQUEST: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: workload\r\n\r\n";

/// Runs all of them until told to end; gives how many connections the flood made.
pub(crate) fn attack(address: SocketAddr, ended: &AtomicBool) -> usize {
    scope(|scope| {
        scope.spawn(|| silent(address, ended));
        scope.spawn(|| again(address, ended, drip));
        scope.spawn(|| again(address, ended, never_reads));
        flood(address, ended)
    })
}

fn goes_on(ended: &AtomicBool) -> bool {
    !ended.load(Ordering::Relaxed)
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    TcpStream::connect_timeout(&address, IMPATIENCE)
}

/// Holds many connections on which nothing is sent; one that the server closes is made anew.
fn silent(address: SocketAddr, ended: &AtomicBool) {
    let mut held: Vec<TcpStream> = Vec::new();
    while goes_on(ended) {
        held.retain_mut(is_open);
        while held.len() < SILENT && goes_on(ended) {
            let Ok(stream) = connect(address) else { break };
            if stream.set_nonblocking(true).is_ok() {
                held.push(stream);
            }
        }
        sleep(Duration::from_millis(100));
    }
}

fn is_open(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 4096]) {
        Ok(count) => count > 0,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

/// Runs a client on a new connection whenever the server has closed the last one.
fn again(address: SocketAddr, ended: &AtomicBool, client: fn(TcpStream, &AtomicBool) -> std::io::Result<()>) {
    while goes_on(ended) {
        // Being thrown out is what it is here for.
        let _ = connect(address).and_then(|stream| client(stream, ended));
        sleep(Duration::from_millis(10));
    }
}

/// A request that never comes to its end, a byte each 10 ms.
fn drip(mut stream: TcpStream, ended: &AtomicBool) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let endless = b"GET /metrics HTTP/1.1\r\nX-Slow: ".iter().chain(std::iter::repeat(&b'x'));
    for byte in endless.take_while(|_| goes_on(ended)) {
        stream.write_all(&[*byte])?;
        sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Asks and asks, and never reads, so that the answers stay with the server.
fn never_reads(mut stream: TcpStream, ended: &AtomicBool) -> std::io::Result<()> {
    stream.set_write_timeout(Some(Duration::from_millis(100)))?;
    while goes_on(ended) {
        match stream.write(REQUEST) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
            Ok(_) => sleep(Duration::from_millis(1)),
        }
    }
    Ok(())
}

/// Connects and goes away, as fast as one thread can.
fn flood(address: SocketAddr, ended: &AtomicBool) -> usize {
    let mut made = 0;
    while goes_on(ended) {
        match connect(address) {
            Ok(_) => made += 1,
            // Out of ports for a moment: as fast as it can is this fast.
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => sleep(Duration::from_millis(1)),
            Err(_) => {}
        }
    }
    made
}
