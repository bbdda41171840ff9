use std::io::{PipeReader, Read};
use std::sync::mpsc::channel;
use std::time::Instant;

use nix::fcntl::{FcntlArg, fcntl};

use super::*;

/// Long enough for a thread to run on a busy machine; the tests do not take it where all is well.
const LONG: Duration = Duration::from_secs(20);
/// The smallest pipe of most machines.
const PIPE_BYTES: i32 = 4096;

/// Reports into a pipe that is full after one of [`longer_than_the_pipe`] has been begun.
fn into_a_small_pipe() -> (StdoutWriter, PipeReader) {
    let (reader, writer) = io::pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES)).unwrap();
    (StdoutWriter::to(writer).unwrap(), reader)
}

fn longer_than_the_pipe(reader: &PipeReader) -> Vec<u8> {
    let bytes = fcntl(reader, FcntlArg::F_GETPIPE_SZ).unwrap() as usize;
    let mut line = vec![b'a'; bytes];
    line.push(b'\n');
    line
}

/// Has begun to be written, and cannot be finished before somebody reads.
fn leave_pending(reports: &mut StdoutWriter, reader: &PipeReader) -> Vec<u8> {
    let line = longer_than_the_pipe(reader);
    assert!(!reports.write(&line, Duration::ZERO), "it waits for its reader");
    line
}

/// Waits until the thread has come to a loss.
fn wait_until_lost(reports: &StdoutWriter, count: u64) {
    let begin = Instant::now();
    while reports.lost() < count {
        assert!(begin.elapsed() < LONG, "{} of {count} lost", reports.lost());
        std::thread::yield_now();
    }
}

#[test]
fn the_last_record_waits_for_the_one_before_it_that_waits_for_its_reader() {
    let (mut reports, mut reader) = into_a_small_pipe();
    let mut both = leave_pending(&mut reports, &reader);
    both.extend_from_slice(b"last\n");
    let (begin, begun) = channel();
    let mut text = vec![0; both.len()];
    let read = std::thread::spawn(move || {
        begun.recv().unwrap();
        reader.read_exact(&mut text).unwrap();
        text
    });
    begin.send(()).unwrap();
    assert!(reports.write_last(b"last\n", LONG));
    assert_eq!(reports.lost(), 0);
    assert_eq!(read.join().unwrap(), both);
}

#[test]
fn the_last_record_is_given_up_where_nobody_reads() {
    let (mut reports, reader) = into_a_small_pipe();
    leave_pending(&mut reports, &reader);
    assert!(!reports.write_last(b"last\n", Duration::from_millis(1)));
    assert_eq!(reports.lost(), 1);
}

#[test]
fn a_record_whose_reader_goes_away_while_it_waits_is_lost() {
    let (mut reports, reader) = into_a_small_pipe();
    leave_pending(&mut reports, &reader);
    assert_eq!(reports.lost(), 0, "it may still be read");
    drop(reader);
    wait_until_lost(&reports, 1);
    assert!(reports.write(b"next\n", LONG), "nobody is there to wait for");
    assert_eq!(reports.lost(), 2);
}

#[test]
fn who_waits_for_a_record_waits_where_a_reader_is_behind_and_not_where_there_is_none() {
    let (mut reports, mut reader) = into_a_small_pipe();
    assert!(reports.write(b"read\n", LONG), "it is out");
    reader.read_exact(&mut [0; 5]).unwrap();
    leave_pending(&mut reports, &reader);
    assert!(!reports.write(b"refused\n", LONG), "the one before may still be read");
    assert_eq!(reports.lost(), 1);
    drop(reader);
    wait_until_lost(&reports, 2);
    assert!(reports.write(b"failed\n", LONG), "nobody is there to wait for");
}

#[test]
fn the_clock_of_the_thread_that_writes_is_known_from_the_start() {
    for _ in 0..20 {
        let (reader, writer) = io::pipe().unwrap();
        let mut reports = StdoutWriter::to(writer).unwrap();
        let clock = reports.clock();
        let before_ns = clock.read_ns();
        assert!(before_ns > 0, "the kernel knows it");
        assert!(reports.write(b"a line\n", LONG));
        assert!(clock.read_ns() > before_ns, "it is charged for writing");
        drop(reader);
    }
}
