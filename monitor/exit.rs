//! How the container ended, as a record: `{"code":137,"signal":9,"oom_killed":true,"finished":"…"}`.

use crate::clock;
use crate::line::Writer;
use crate::protocol::{EXIT_RECORD, Given};
use crate::sys;

/// Writes the exit record, and reaps init if that could be written. Returns the exit code as shells count it: 128+n for a death by signal n.
///
/// Init stays a zombie until the record is there. So whoever finds no record, after having opened the process that the
/// container's record of its start names, has opened the right one.
pub fn record(given: &Given) -> i32 {
    let (exited, status) = sys::ending(given.init);
    let (code, signal) = if exited { (status, 0) } else { (128 + (status & 0x7f), status & 0x7f) };
    let (seconds, nanoseconds) = sys::time();
    let mut buffer = [0u8; EXIT_RECORD];
    let mut writer = Writer::new(&mut buffer);
    writer.put(b"{\"code\":");
    put_number(&mut writer, code);
    writer.put(b",\"signal\":");
    put_number(&mut writer, signal);
    writer.put(b",\"oom_killed\":");
    writer.put(if was_killed_for_memory(given.oom) { b"true" } else { b"false" });
    writer.put(b",\"finished\":\"");
    writer.put(&clock::spell(seconds, nanoseconds));
    writer.put(b"\"}");
    let length = writer.len();
    let written = sys::write(given.exit, buffer.get(..length).unwrap_or_default());
    // A record that is cut off says less than none: what is executed next sees that one is missing.
    if matches!(written, sys::Moved::Bytes(bytes) if bytes == length) {
        sys::rename(given.directory, c".exit.new", c"exit");
        sys::reap(given.init);
    }
    code
}

fn put_number(writer: &mut Writer, number: i32) {
    if number >= 10 {
        put_number(writer, number / 10);
    }
    writer.put(&[b'0' + (number % 10) as u8]);
}

/// Whether the file has a line `oom_kill N` where N is not 0.
fn was_killed_for_memory(file: i32) -> bool {
    let mut buffer = [0u8; 512];
    let length = sys::read_start(file, &mut buffer);
    let text = buffer.get(..length).unwrap_or_default();
    let counts = text.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"oom_kill "));
    counts.flatten().any(|digit| (b'1'..=b'9').contains(digit))
}
