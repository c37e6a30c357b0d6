//! A connection to systemd: calls, and the signals that come in between.
//!
//! systemd listens by itself, for root, and on the system's bus. A message is (D-Bus specification, "Message Format")
//!
//! ```text
//! 'l'  kind  flags  1 | length of the body | serial | fields: a(yv) | up to a multiple of 8 | body
//! ```

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::wire::{Reader, Value, pad, signature_of};
use crate::error::{Doing, Error, Kind, Result};

/// Where systemd listens, and whether others do there, too.
const SOCKETS: [(&str, bool); 2] = [("/run/systemd/private", false), ("/run/dbus/system_bus_socket", true)];
/// How long systemd may take to answer, and to start or stop a unit.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longer messages are refused by the specification.
const LONGEST: usize = 128 << 20;

/// Kinds of message.
const CALL: u8 = 1;
const ERROR: u8 = 3;
const SIGNAL: u8 = 4;
/// Fields of a header.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// Whom a call is for.
#[derive(Clone, Copy)]
pub struct Target {
    pub destination: &'static str,
    pub path: &'static str,
    pub interface: &'static str,
}

const BUS: Target = Target {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
};

pub struct Connection {
    stream: UnixStream,
    serial: u32,
    signals: VecDeque<Message>,
}

#[derive(Debug, Default, PartialEq)]
pub struct Message {
    pub kind: u8,
    pub member: String,
    error: String,
    reply_to: u32,
    pub body: Vec<Value>,
}

impl Connection {
    /// Connects to whichever socket there is, and asks for signals that match.
    pub fn open(signals: &str) -> Result<Connection> {
        let mut last = None;
        for (path, is_shared) in SOCKETS {
            match UnixStream::connect(path) {
                Ok(stream) => return Connection::greet(stream, is_shared, signals).doing(|| format!("connect to `{path}`")),
                Err(error) => last = Some(Error::from(error).doing(format!("connect to `{path}`"))),
            }
        }
        Err(last.expect("there are sockets"))
    }

    fn greet(mut stream: UnixStream, is_shared: bool, signals: &str) -> Result<Connection> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let user = rustix::process::geteuid().as_raw().to_string();
        let hex: String = user.bytes().map(|byte| format!("{byte:02x}")).collect();
        // `BEGIN` goes along, as systemd's own client does it: systemd does not look at a call that comes in the same packet as
        // the end of the greeting before there is something else to read. Once it answers, the greeting is over.
        stream.write_all(format!("\0AUTH EXTERNAL {hex}\r\nBEGIN\r\n").as_bytes())?;
        let answer = read_line(&mut stream)?;
        if !answer.starts_with("OK ") {
            return Err(Error::system(format!("it does not let us in: {answer}")));
        }
        let mut connection = Connection {
            stream,
            serial: 0,
            signals: VecDeque::new(),
        };
        if is_shared {
            connection.call(BUS, "Hello", &[])?;
            connection.call(BUS, "AddMatch", &[Value::text(signals)])?;
        }
        Ok(connection)
    }

    /// Calls a method. Returns what it answers.
    pub fn call(&mut self, target: Target, member: &str, arguments: &[Value]) -> Result<Vec<Value>> {
        self.serial += 1;
        let call = encode(self.serial, target, member, arguments);
        self.stream.write_all(&call).doing(|| format!("call `{member}`"))?;
        loop {
            let message = self.receive().doing(|| format!("call `{member}`"))?;
            match message.kind {
                SIGNAL => self.signals.push_back(message),
                _ if message.reply_to != self.serial => {}
                ERROR => return Err(message.into_error().doing(format!("call `{member}`"))),
                _ => return Ok(message.body),
            }
        }
    }

    /// The next signal.
    pub fn signal(&mut self) -> Result<Message> {
        if let Some(signal) = self.signals.pop_front() {
            return Ok(signal);
        }
        loop {
            let message = self.receive()?;
            if message.kind == SIGNAL {
                return Ok(message);
            }
        }
    }

    fn receive(&mut self) -> Result<Message> {
        let mut bytes = vec![0; 16];
        self.read(&mut bytes)?;
        let wrong = || Error::system("it answers what is no message");
        let length = length_of(&bytes).filter(|length| *length <= LONGEST).ok_or_else(wrong)?;
        bytes.resize(length, 0);
        self.read(&mut bytes[16..])?;
        decode(&bytes).ok_or_else(wrong)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<()> {
        self.stream.read_exact(into).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::system("it does not answer"),
            io::ErrorKind::UnexpectedEof => Error::system("it hangs up"),
            _ => error.into(),
        })
    }
}

impl Message {
    /// The kind of an error is told by its name.
    fn into_error(self) -> Error {
        let text = self.body.first().and_then(Value::as_text).unwrap_or(&self.error);
        let kind = match self.error.rsplit('.').next() {
            Some("UnitExists") => Kind::Conflict,
            Some("NoSuchUnit") => Kind::NotFound,
            _ => Kind::System,
        };
        Error::new(kind, text.trim_end_matches('.'))
    }
}

fn read_line(stream: &mut UnixStream) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    // What follows the line is another message, which must not be read with it.
    while !line.ends_with(b"\r\n") && line.len() < 512 {
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).trim_end().into())
}

fn encode(serial: u32, target: Target, member: &str, arguments: &[Value]) -> Vec<u8> {
    let mut body = Vec::new();
    arguments.iter().for_each(|argument| argument.write(&mut body));
    let field = |code, value| Value::Struct(vec![Value::Byte(code), Value::variant(value)]);
    let mut fields = vec![
        field(PATH, Value::Path(target.path.into())),
        field(DESTINATION, Value::text(target.destination)),
        field(INTERFACE, Value::text(target.interface)),
        field(MEMBER, Value::text(member)),
    ];
    if !arguments.is_empty() {
        fields.push(field(SIGNATURE, Value::Signature(signature_of(arguments))));
    }
    let mut bytes = vec![b'l', CALL, 0, 1];
    bytes.extend((body.len() as u32).to_le_bytes());
    bytes.extend(serial.to_le_bytes());
    Value::Array("(yv)".into(), fields).write(&mut bytes);
    pad(&mut bytes, 8);
    bytes.extend(body);
    bytes
}

/// The length of the message that begins with these 16 bytes.
fn length_of(head: &[u8]) -> Option<usize> {
    let word = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?) as usize);
    (head[0] == b'l').then_some(())?;
    Some((16 + word(12)?).next_multiple_of(8) + word(4)?)
}

fn decode(bytes: &[u8]) -> Option<Message> {
    let mut reader = Reader { bytes, at: 12 };
    let fields = reader.values("a(yv)")?;
    let mut message = Message {
        kind: *bytes.get(1)?,
        ..Message::default()
    };
    let mut signature = String::new();
    let Some(Value::Array(_, fields)) = fields.first() else {
        return None;
    };
    for field in fields {
        let Value::Struct(field) = field else { return None };
        let [Value::Byte(code), Value::Variant(value)] = &field[..] else {
            return None;
        };
        match (*code, &**value) {
            (MEMBER, Value::Text(text)) => message.member.clone_from(text),
            (ERROR_NAME, Value::Text(text)) => message.error.clone_from(text),
            (REPLY_SERIAL, Value::U32(serial)) => message.reply_to = *serial,
            (SIGNATURE, Value::Signature(text)) => signature.clone_from(text),
            _ => {}
        }
    }
    reader.at = reader.at.next_multiple_of(8);
    message.body = reader.values(&signature)?;
    Some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_a_message() {
        let bytes = encode(7, BUS, "AddMatch", &[Value::text("type='signal'"), Value::U64(3)]);
        assert_eq!(bytes[..4], [b'l', CALL, 0, 1]);
        assert_eq!(length_of(&bytes[..16]), Some(bytes.len()));
        let message = decode(&bytes).unwrap();
        assert_eq!((message.kind, message.member.as_str()), (CALL, "AddMatch"));
        assert_eq!(message.body, [Value::text("type='signal'"), Value::U64(3)]);
        assert_eq!(decode(&bytes[..bytes.len() - 1]), None);
    }

    #[test]
    fn an_error_has_a_kind() {
        let message = |name: &str, body| Message {
            error: name.into(),
            body,
            ..Message::default()
        };
        let said = vec![Value::text("Unit a.scope already exists.")];
        let error = message("org.freedesktop.systemd1.UnitExists", said).into_error();
        assert_eq!(error, Error::conflict("Unit a.scope already exists"));
        let error = message("org.freedesktop.DBus.Error.AccessDenied", Vec::new()).into_error();
        assert_eq!(error, Error::system("org.freedesktop.DBus.Error.AccessDenied"));
    }
}
