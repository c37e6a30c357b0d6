//! The functions that templates may call: Go's own, and those that Docker adds.

use std::cmp::Ordering;

use super::Value;
use super::printf;

/// A function, what it needs at least, and what it takes at most.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    name: &'static str,
    arguments: (usize, usize),
    call: fn(&[Value]) -> Made,
}

/// What a function makes, or what is wrong with its arguments.
pub type Made = Result<Value, String>;

const MANY: usize = usize::MAX;

const fn function(name: &'static str, least: usize, most: usize, call: fn(&[Value]) -> Made) -> Function {
    Function {
        name,
        arguments: (least, most),
        call,
    }
}

const FUNCTIONS: [Function; 23] = [
    function("and", 1, MANY, last),
    function("or", 1, MANY, last),
    function("not", 1, 1, |values| Ok((!values[0].is_true()).into())),
    function("eq", 2, MANY, equal),
    function("ne", 2, 2, |values| same(&values[0], &values[1]).map(|same| (!same).into())),
    function("lt", 2, 2, |values| compare(values, &[Ordering::Less])),
    function("le", 2, 2, |values| compare(values, &[Ordering::Less, Ordering::Equal])),
    function("gt", 2, 2, |values| compare(values, &[Ordering::Greater])),
    function("ge", 2, 2, |values| compare(values, &[Ordering::Greater, Ordering::Equal])),
    function("len", 1, 1, length),
    function("index", 1, MANY, index),
    function("slice", 1, 4, slice),
    function("print", 0, MANY, |values| Ok(printf::print(values).into())),
    function("println", 0, MANY, |values| Ok(printf::println(values).into())),
    function("printf", 1, MANY, |values| {
        Ok(printf::printf(text(&values[0])?, &values[1..]).into())
    }),
    function("json", 1, 1, |values| Ok(values[0].json().into())),
    function("join", 2, 2, join),
    function("split", 2, 2, split),
    function("lower", 1, 1, |values| Ok(text(&values[0])?.to_lowercase().into())),
    function("upper", 1, 1, |values| Ok(text(&values[0])?.to_uppercase().into())),
    function("title", 1, 1, |values| Ok(title(text(&values[0])?).into())),
    function("truncate", 2, 2, truncate),
    function("pad", 3, 3, pad),
];

/// The function with this name.
pub fn find(name: &str) -> Option<Function> {
    FUNCTIONS.into_iter().find(|function| function.name == name)
}

/// Calls a function.
pub fn call(function: &Function, values: &[Value]) -> Made {
    let (least, most) = function.arguments;
    if values.len() < least || values.len() > most {
        let want = if least == most {
            least.to_string()
        } else {
            format!("at least {least}")
        };
        let name = function.name;
        return Err(format!("wrong number of args for {name}: want {want} got {}", values.len()));
    }
    (function.call)(values).map_err(|wrong| format!("error calling {}: {wrong}", function.name))
}

impl Function {
    /// Whether a value of its arguments ends the call, and is its result.
    pub fn is_decided_by(&self, value: &Value) -> bool {
        self.name == "and" && !value.is_true() || self.name == "or" && value.is_true()
    }

    /// Whether a heading that it is given stays as it is.
    pub fn is_plain_in_headings(&self) -> bool {
        ["json", "split", "join", "title", "lower", "upper", "pad", "truncate"].contains(&self.name)
    }
}

fn last(values: &[Value]) -> Made {
    Ok(values.last().cloned().unwrap_or(Value::Nil))
}

fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) => Ok(text),
        Value::Absent => Ok(""),
        other => Err(format!("expected a text, found {}", other.kind())),
    }
}

fn whole(value: &Value) -> Result<i64, String> {
    match value {
        Value::Int(number) => Ok(*number),
        other => Err(format!("expected a whole number, found {}", other.kind())),
    }
}

/// A number that says how many letters, or which element; a length is what it must not exceed.
fn position(value: &Value, length: usize) -> Result<usize, String> {
    let number = whole(value)?;
    let found = usize::try_from(number).ok().filter(|number| *number <= length);
    found.ok_or_else(|| format!("index out of range: {number}"))
}

fn same(one: &Value, other: &Value) -> Result<bool, String> {
    match (one, other) {
        (Value::Nil | Value::Absent, Value::Nil | Value::Absent) => Ok(true),
        (Value::Absent, Value::Text(text)) | (Value::Text(text), Value::Absent) => Ok(text.is_empty()),
        (Value::Nil | Value::Absent, _) | (_, Value::Nil | Value::Absent) => Ok(false),
        (Value::Bool(one), Value::Bool(other)) => Ok(one == other),
        (Value::Int(one), Value::Int(other)) => Ok(one == other),
        (Value::Float(one), Value::Float(other)) => Ok(one == other),
        (Value::Text(one), Value::Text(other)) => Ok(one == other),
        (Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_), Value::Bool(_) | Value::Int(_))
        | (Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_), Value::Float(_) | Value::Text(_)) => {
            Err("incompatible types for comparison".into())
        }
        _ => Err("non-comparable type".into()),
    }
}

/// Whether the first is equal to any of the others.
fn equal(values: &[Value]) -> Made {
    for other in &values[1..] {
        if same(&values[0], other)? {
            return Ok(true.into());
        }
    }
    Ok(false.into())
}

fn compare(values: &[Value], wanted: &[Ordering]) -> Made {
    let order = match (&values[0], &values[1]) {
        (Value::Int(one), Value::Int(other)) => Some(one.cmp(other)),
        (Value::Float(one), Value::Float(other)) => one.partial_cmp(other),
        (Value::Text(one), Value::Text(other)) => Some(one.cmp(other)),
        (one, other) => {
            return Err(format!(
                "incompatible types for comparison: {} and {}",
                one.kind(),
                other.kind()
            ));
        }
    };
    Ok(order.is_some_and(|order| wanted.contains(&order)).into())
}

fn length(values: &[Value]) -> Made {
    let length = match &values[0] {
        Value::Text(text) => text.len(),
        Value::List(values) => values.len(),
        Value::Map(values) => values.len(),
        Value::Absent => 0,
        other => return Err(format!("len of {}", other.kind())),
    };
    Ok((length as u64).into())
}

fn index(values: &[Value]) -> Made {
    let mut value = &values[0];
    for key in &values[1..] {
        value = match value {
            Value::List(elements) => elements
                .get(position(key, elements.len())?)
                .ok_or_else(|| format!("index out of range: {}", key.shown()))?,
            Value::Map(members) => members.get(text(key)?).unwrap_or(&Value::Absent),
            Value::Text(letters) => {
                let byte = letters.as_bytes().get(position(key, letters.len())?);
                let byte = *byte.ok_or_else(|| format!("index out of range: {}", key.shown()))?;
                return Ok(Value::Int(byte.into()));
            }
            Value::Absent if matches!(key, Value::Text(_)) => &Value::Absent,
            Value::Absent => return Err(format!("index out of range: {}", key.shown())),
            Value::Nil => return Err("index of untyped nil".into()),
            other => return Err(format!("can't index {}", other.kind())),
        };
    }
    Ok(value.clone())
}

fn slice(values: &[Value]) -> Made {
    let length = match &values[0] {
        Value::Text(text) => text.len(),
        Value::List(values) => values.len(),
        other => return Err(format!("slice of {}", other.kind())),
    };
    let from = values.get(1).map_or(Ok(0), |value| position(value, length))?;
    let to = values.get(2).map_or(Ok(length), |value| position(value, length))?;
    let most = values.get(3).map_or(Ok(length), |value| position(value, length))?;
    if from > to || to > most {
        return Err(format!("invalid slice index: {from} > {to}"));
    }
    Ok(match &values[0] {
        Value::Text(_) if values.len() > 3 => return Err("cannot 3-index slice a string".into()),
        Value::Text(text) => String::from_utf8_lossy(&text.as_bytes()[from..to]).into_owned().into(),
        Value::List(values) => Value::List(values[from..to].to_vec()),
        other => other.clone(),
    })
}

fn join(values: &[Value]) -> Made {
    let Value::List(elements) = &values[0] else {
        return match &values[0] {
            Value::Absent | Value::Nil => Ok("".into()),
            other => Err(format!("expected a list, found {}", other.kind())),
        };
    };
    let elements: Vec<String> = elements.iter().map(Value::shown).collect();
    Ok(elements.join(text(&values[1])?).into())
}

fn split(values: &[Value]) -> Made {
    let (whole, separator) = (text(&values[0])?, text(&values[1])?);
    if separator.is_empty() {
        return Ok(whole.chars().map(String::from).collect::<Vec<_>>().into());
    }
    Ok(whole.split(separator).map(String::from).collect::<Vec<_>>().into())
}

/// Makes the first letter of each word a capital.
fn title(text: &str) -> String {
    let mut is_start = true;
    let mut titled = String::new();
    for letter in text.chars() {
        if is_start {
            titled.extend(letter.to_uppercase());
        } else {
            titled.push(letter);
        }
        is_start = !letter.is_alphanumeric() && letter != '_' && (letter.is_ascii() || letter.is_whitespace());
    }
    titled
}

/// Shortens a text to so many bytes.
fn truncate(values: &[Value]) -> Made {
    let (text, length) = (text(&values[0])?, whole(&values[1])?);
    let length = usize::try_from(length).map_err(|_| format!("a length of {length}"))?;
    let length = length.min(text.len());
    Ok(String::from_utf8_lossy(&text.as_bytes()[..length]).into_owned().into())
}

/// Adds spaces before and after a text that is not empty.
fn pad(values: &[Value]) -> Made {
    let text = text(&values[0])?;
    let [before, after] = [whole(&values[1])?, whole(&values[2])?];
    if text.is_empty() {
        return Ok("".into());
    }
    let [before, after] = [before, after].map(|count| usize::try_from(count).ok().filter(|count| *count <= printf::WIDEST));
    match (before, after) {
        (Some(before), Some(after)) => Ok(format!("{}{text}{}", " ".repeat(before), " ".repeat(after)).into()),
        _ => Err(format!("a count of spaces is 0 to {}", printf::WIDEST)),
    }
}
