//! The values of D-Bus and how they are laid out (D-Bus specification, "Type System" and "Marshaling").
//!
//! Every value begins at a multiple of its alignment, counted from the start of the message. A signature spells the types: `s`
//! is a text, `a(sv)` an array of structures of a text and of a value that brings its own signature.

/// A value. The numbers of the kinds that nobody here needs are read as the unsigned ones of the same size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Byte(u8),
    Bool(bool),
    U32(u32),
    U64(u64),
    Text(String),
    Path(String),
    Signature(String),
    /// The signature of an element, and the elements.
    Array(String, Vec<Value>),
    Struct(Vec<Value>),
    Variant(Box<Value>),
}

impl Value {
    pub fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into())
    }

    pub fn variant(value: Value) -> Value {
        Value::Variant(Box::new(value))
    }

    pub fn signature(&self) -> String {
        match self {
            Value::Byte(_) => "y".into(),
            Value::Bool(_) => "b".into(),
            Value::U32(_) => "u".into(),
            Value::U64(_) => "t".into(),
            Value::Text(_) => "s".into(),
            Value::Path(_) => "o".into(),
            Value::Signature(_) => "g".into(),
            Value::Array(element, _) => format!("a{element}"),
            Value::Struct(fields) => format!("({})", signature_of(fields)),
            Value::Variant(_) => "v".into(),
        }
    }

    /// The text of any of the kinds that are texts.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) | Value::Path(text) | Value::Signature(text) => Some(text),
            _ => None,
        }
    }

    /// Appends the value to a message.
    pub fn write(&self, into: &mut Vec<u8>) {
        pad(into, alignment(&self.signature()));
        match self {
            Value::Byte(byte) => into.push(*byte),
            Value::Bool(yes) => into.extend(u32::from(*yes).to_le_bytes()),
            Value::U32(number) => into.extend(number.to_le_bytes()),
            Value::U64(number) => into.extend(number.to_le_bytes()),
            Value::Text(text) | Value::Path(text) => {
                into.extend((text.len() as u32).to_le_bytes());
                into.extend(text.as_bytes());
                into.push(0);
            }
            Value::Signature(text) => write_signature(text, into),
            Value::Array(element, values) => write_array(element, values, into),
            Value::Struct(fields) => fields.iter().for_each(|field| field.write(into)),
            Value::Variant(value) => {
                write_signature(&value.signature(), into);
                value.write(into);
            }
        }
    }
}

pub fn signature_of(values: &[Value]) -> String {
    values.iter().map(Value::signature).collect()
}

fn write_signature(text: &str, into: &mut Vec<u8>) {
    into.push(text.len() as u8);
    into.extend(text.as_bytes());
    into.push(0);
}

/// The length is that of the elements, without what is between it and the first one.
fn write_array(element: &str, values: &[Value], into: &mut Vec<u8>) {
    let length = into.len();
    into.extend([0; 4]);
    pad(into, alignment(element));
    let start = into.len();
    values.iter().for_each(|value| value.write(into));
    let bytes = (into.len() - start) as u32;
    into[length..length + 4].copy_from_slice(&bytes.to_le_bytes());
}

pub fn pad(bytes: &mut Vec<u8>, alignment: usize) {
    bytes.resize(bytes.len().next_multiple_of(alignment), 0);
}

/// The alignment of the first type of a signature.
fn alignment(signature: &str) -> usize {
    match signature.as_bytes().first() {
        Some(b'y' | b'g' | b'v') => 1,
        Some(b'n' | b'q') => 2,
        Some(b'x' | b't' | b'd' | b'(' | b'{') => 8,
        _ => 4,
    }
}

/// Reads values from a message.
pub struct Reader<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl Reader<'_> {
    /// The values of a signature, if that is what is there.
    pub fn values(&mut self, signature: &str) -> Option<Vec<Value>> {
        let mut values = Vec::new();
        let mut rest = signature;
        while !rest.is_empty() {
            let (first, others) = rest.split_at(first_type(rest)?);
            values.push(self.value(first)?);
            rest = others;
        }
        Some(values)
    }

    fn value(&mut self, signature: &str) -> Option<Value> {
        self.at = self.at.next_multiple_of(alignment(signature));
        Some(match signature.as_bytes()[0] {
            b'y' => Value::Byte(self.take(1)?[0]),
            b'n' | b'q' => Value::U32(u16::from_le_bytes(self.take(2)?.try_into().ok()?).into()),
            b'b' => Value::Bool(self.word()? != 0),
            b'i' | b'u' | b'h' => Value::U32(self.word()?),
            b'x' | b't' | b'd' => Value::U64(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            b's' => Value::Text(self.long_text()?),
            b'o' => Value::Path(self.long_text()?),
            b'g' => Value::Signature(self.short_text()?),
            b'v' => {
                let signature = self.short_text()?;
                (first_type(&signature)? == signature.len()).then_some(())?;
                Value::variant(self.value(&signature)?)
            }
            b'a' => self.array(&signature[1..])?,
            b'(' | b'{' => Value::Struct(self.values(&signature[1..signature.len() - 1])?),
            _ => return None,
        })
    }

    fn array(&mut self, element: &str) -> Option<Value> {
        let bytes = self.word()? as usize;
        self.at = self.at.next_multiple_of(alignment(element));
        let end = self.at.checked_add(bytes).filter(|end| *end <= self.bytes.len())?;
        let mut values = Vec::new();
        while self.at < end {
            values.push(self.value(element)?);
        }
        Some(Value::Array(element.into(), values))
    }

    pub fn word(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn long_text(&mut self) -> Option<String> {
        let length = self.word()? as usize;
        self.text(length)
    }

    fn short_text(&mut self) -> Option<String> {
        let length = self.take(1)?[0].into();
        self.text(length)
    }

    fn text(&mut self, length: usize) -> Option<String> {
        let text = self.take(length.checked_add(1)?)?;
        String::from_utf8(text[..length].to_vec()).ok()
    }

    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }
}

/// How long the first complete type of a signature is.
fn first_type(signature: &str) -> Option<usize> {
    let bytes = signature.as_bytes();
    match bytes.first()? {
        b'a' => Some(1 + first_type(&signature[1..])?),
        b'(' | b'{' => {
            let mut depth = 0usize;
            for (at, byte) in bytes.iter().enumerate() {
                match byte {
                    b'(' | b'{' => depth += 1,
                    b')' | b'}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    // Nothing in between is no type.
                    return (at > 1).then_some(at + 1);
                }
            }
            None
        }
        byte if byte.is_ascii_lowercase() => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(values: &[Value]) -> Vec<u8> {
        let mut bytes = Vec::new();
        values.iter().for_each(|value| value.write(&mut bytes));
        bytes
    }

    #[test]
    fn values_are_aligned() {
        for (value, bytes) in [
            (Value::Byte(7), &b"\x07"[..]),
            (Value::Bool(true), b"\x01\0\0\0"),
            (Value::U64(1), b"\x01\0\0\0\0\0\0\0"),
            (Value::text("foo"), b"\x03\0\0\0foo\0"),
            (Value::Signature("su".into()), b"\x02su\0"),
            (Value::variant(Value::U32(5)), b"\x01u\0\0\x05\0\0\0"),
            (Value::Array("u".into(), vec![Value::U32(9)]), b"\x04\0\0\0\x09\0\0\0"),
            (
                Value::Array("t".into(), vec![Value::U64(9)]),
                b"\x08\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0",
            ),
            (Value::Array("(sv)".into(), vec![]), b"\0\0\0\0\0\0\0\0"),
        ] {
            assert_eq!(written(std::slice::from_ref(&value)), bytes, "{value:?}");
        }
        assert_eq!(
            written(&[Value::Byte(1), Value::U64(2)]),
            b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0"
        );
    }

    #[test]
    fn what_is_written_can_be_read() {
        let property = |name: &str, value| Value::Struct(vec![Value::text(name), Value::variant(value)]);
        let values = [
            Value::text("a.scope"),
            Value::Array(
                "(sv)".into(),
                vec![
                    property("Delegate", Value::Bool(true)),
                    property("PIDs", Value::Array("u".into(), vec![Value::U32(1), Value::U32(2)])),
                    property("MemoryMax", Value::U64(u64::MAX)),
                    property("AllowedCPUs", Value::Array("y".into(), vec![Value::Byte(3)])),
                ],
            ),
            Value::Array("(sa(sv))".into(), Vec::new()),
            Value::Path("/a".into()),
        ];
        let (signature, bytes) = (signature_of(&values), written(&values));
        assert_eq!(signature, "sa(sv)a(sa(sv))o");
        let read = |bytes: &[u8]| Reader { bytes, at: 0 }.values(&signature);
        assert_eq!(read(&bytes).as_deref(), Some(&values[..]));
        for length in 0..bytes.len() {
            assert_eq!(read(&bytes[..length]), None, "{length}");
        }
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        for signature in ["(", ")", "a", "()", "(s", "a(s", "1", "\u{e4}"] {
            assert_eq!(Reader { bytes: &[0; 64], at: 0 }.values(signature), None, "{signature}");
        }
    }
}
