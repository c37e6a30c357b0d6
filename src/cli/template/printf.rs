//! `print`, `println` and `printf` as Go's package fmt has them.

use std::iter::Peekable;
use std::str::Chars;

use super::{Value, float};

/// The most that a format may widen something to: what formats of Rust can, and more than anybody wants.
pub const WIDEST: usize = 0xffff;

/// Puts values one after the other, with a space between two that are no texts.
pub fn print(values: &[Value]) -> String {
    let mut out = String::new();
    let mut was_text = true;
    for value in values {
        let is_text = matches!(value, Value::Text(_));
        if !is_text && !was_text {
            out.push(' ');
        }
        value.spell(&mut out);
        was_text = is_text;
    }
    out
}

/// Puts values on a line, with a space between each two.
pub fn println(values: &[Value]) -> String {
    let mut out = String::new();
    for (n, value) in values.iter().enumerate() {
        out.push_str(if n > 0 { " " } else { "" });
        value.spell(&mut out);
    }
    out.push('\n');
    out
}

/// What stands between `%` and a verb.
#[derive(Default)]
struct Shape {
    minus: bool,
    plus: bool,
    zero: bool,
    space: bool,
    sharp: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Fills values into a format.
pub fn printf(format: &str, values: &[Value]) -> String {
    let mut out = String::new();
    let mut values = values.iter();
    let mut letters = format.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let shape = shape(&mut letters, &mut values);
        match letters.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => match values.next() {
                Some(value) => shape.widen(verbed(&shape, verb, value), verb, &mut out),
                None => out.push_str(&format!("%!{verb}(MISSING)")),
            },
        }
    }
    let extra: Vec<String> = values.map(typed).collect();
    if !extra.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

fn shape<'v>(letters: &mut Peekable<Chars>, values: &mut impl Iterator<Item = &'v Value>) -> Shape {
    let mut shape = Shape::default();
    while let Some(flag) = letters.next_if(|letter| "-+# 0".contains(*letter)) {
        match flag {
            '-' => shape.minus = true,
            '+' => shape.plus = true,
            '#' => shape.sharp = true,
            ' ' => shape.space = true,
            _ => shape.zero = true,
        }
    }
    shape.width = amount(letters, values);
    if letters.next_if_eq(&'.').is_some() {
        shape.precision = Some(amount(letters, values).unwrap_or(0));
    }
    shape
}

/// A number, or one of the values for `*`.
fn amount<'v>(letters: &mut Peekable<Chars>, values: &mut impl Iterator<Item = &'v Value>) -> Option<usize> {
    if letters.next_if_eq(&'*').is_some() {
        return match values.next() {
            Some(Value::Int(number)) => usize::try_from(*number).ok().map(|number| number.min(WIDEST)),
            _ => None,
        };
    }
    let mut number = None;
    while let Some(digit) = letters.peek().and_then(|letter| letter.to_digit(10)) {
        letters.next();
        number = Some((number.unwrap_or(0) * 10 + digit as usize).min(WIDEST));
    }
    number
}

/// A value as a verb wants it, without its width.
fn verbed(shape: &Shape, verb: char, value: &Value) -> String {
    let cut = |text: String| match shape.precision {
        Some(most) => text.chars().take(most).collect(),
        None => text,
    };
    match (verb, value) {
        ('v', Value::Text(text)) if shape.sharp => format!("{text:?}"),
        ('v', Value::Int(_)) => verbed(shape, 'd', value),
        ('v' | 's', Value::Text(text)) => cut(text.clone()),
        ('v', _) => spelled(value),
        ('s', Value::List(_) | Value::Map(_) | Value::Object(_)) => spelled(value),
        ('q', Value::Text(text)) => format!("{:?}", cut(text.clone())),
        ('q', Value::List(values)) => {
            let quoted: Vec<String> = values.iter().map(|value| verbed(shape, 'q', value)).collect();
            format!("[{}]", quoted.join(" "))
        }
        ('q', Value::Int(number)) => format!("{:?}", letter(*number)),
        ('t', Value::Bool(is_so)) => is_so.to_string(),
        ('d', Value::Int(number)) => signed(shape, *number, number.unsigned_abs().to_string()),
        ('x', Value::Int(number)) => signed(shape, *number, prefixed(shape, "0x", format!("{:x}", number.unsigned_abs()))),
        ('X', Value::Int(number)) => signed(shape, *number, prefixed(shape, "0X", format!("{:X}", number.unsigned_abs()))),
        ('o', Value::Int(number)) => signed(shape, *number, prefixed(shape, "0", format!("{:o}", number.unsigned_abs()))),
        ('b', Value::Int(number)) => signed(shape, *number, prefixed(shape, "0b", format!("{:b}", number.unsigned_abs()))),
        ('c', Value::Int(number)) => letter(*number).into(),
        ('U', Value::Int(number)) => format!("U+{number:04X}"),
        ('x', Value::Text(text)) => cut_bytes(shape, text).map(|byte| format!("{byte:02x}")).collect(),
        ('X', Value::Text(text)) => cut_bytes(shape, text).map(|byte| format!("{byte:02X}")).collect(),
        ('f' | 'F', Value::Float(number)) => float::fixed(*number, shape.precision.unwrap_or(6)),
        ('e' | 'E', Value::Float(number)) => float::scientific(*number, shape.precision.unwrap_or(6)),
        ('g' | 'G', Value::Float(number)) => float::shortest(*number),
        ('T', value) => type_of(value).into(),
        (verb, value) => format!("%!{verb}({})", typed(value)),
    }
}

fn cut_bytes<'t>(shape: &Shape, text: &'t str) -> impl Iterator<Item = u8> + use<'t> {
    text.bytes().take(shape.precision.unwrap_or(usize::MAX))
}

fn spelled(value: &Value) -> String {
    let mut text = String::new();
    value.spell(&mut text);
    text
}

fn letter(number: i64) -> char {
    u32::try_from(number)
        .ok()
        .and_then(char::from_u32)
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn prefixed(shape: &Shape, prefix: &str, digits: String) -> String {
    if shape.sharp { format!("{prefix}{digits}") } else { digits }
}

fn signed(shape: &Shape, number: i64, digits: String) -> String {
    let digits = match shape.precision {
        Some(least) => format!("{digits:0>least$}"),
        None => digits,
    };
    let sign = match number {
        ..0 => "-",
        _ if shape.plus => "+",
        _ if shape.space => " ",
        _ => "",
    };
    let missing = shape.width.unwrap_or(0).saturating_sub(sign.len() + digits.len());
    if shape.zero && !shape.minus && shape.precision.is_none() {
        return format!("{sign}{}{digits}", "0".repeat(missing));
    }
    format!("{sign}{digits}")
}

impl Shape {
    /// Adds spaces, or zeros to what is no number, up to the width.
    fn widen(&self, text: String, verb: char, into: &mut String) {
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        let fill = if self.zero && !self.minus && "sqvxXfFeEgG".contains(verb) {
            "0"
        } else {
            " "
        };
        let space = fill.repeat(missing);
        if self.minus {
            into.push_str(&text);
            into.push_str(&space);
        } else {
            into.push_str(&space);
            into.push_str(&text);
        }
    }
}

/// A value and its type, where a verb does not know what to do with it.
fn typed(value: &Value) -> String {
    match value {
        Value::Nil | Value::Absent => "<nil>".into(),
        value => format!("{}={}", type_of(value), spelled(value)),
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Nil | Value::Absent => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float64",
        Value::Text(_) => "string",
        Value::List(_) => "[]interface {}",
        Value::Map(_) => "map[string]interface {}",
        Value::Object(_) | Value::Lookup(_) | Value::LookupHeading => "struct",
    }
}
