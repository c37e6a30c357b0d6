//! What a template is executed on: a value as Go's templates tell values apart.
//!
//! JSON knows one kind of thing with names in it, Go knows two, and templates treat them differently. An *object* has the
//! fields that its type has, in their order, and to ask for another is an error. A *map* has whatever somebody put in, sorted,
//! and to ask for what is not there gives nothing.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Serialize, Serializer};
use serde_json::ser::PrettyFormatter;

use super::float;

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing: JSON's null.
    Nil,
    /// A field that its object leaves out of JSON because it is empty.
    Absent,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
    Object(Vec<(&'static str, Value)>),
    /// A field that is asked with a name and answers with what the map has of it, or an empty text: `.Label "owner"`.
    Lookup(BTreeMap<String, String>),
    /// The same in a row of headings, which answers with the name's last part.
    LookupHeading,
}

impl Value {
    /// What templates take for false is nothing, zero, and whatever is empty.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Nil | Value::Absent => false,
            Value::Bool(value) => *value,
            Value::Int(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Text(value) => !value.is_empty(),
            Value::List(values) => !values.is_empty(),
            Value::Map(values) => !values.is_empty(),
            Value::Object(_) | Value::Lookup(_) | Value::LookupHeading => true,
        }
    }

    /// What sort of value this is, for those who expected another.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Nil | Value::Absent => "nothing",
            Value::Bool(_) => "a truth value",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Object(_) => "an object",
            Value::Lookup(_) | Value::LookupHeading => "a field that takes a name",
        }
    }

    /// Spells the value as Go's `%v` does.
    pub fn spell(&self, into: &mut String) {
        match self {
            Value::Nil => into.push_str("<nil>"),
            Value::Absent => {}
            Value::Bool(value) => _ = write!(into, "{value}"),
            Value::Int(value) => _ = write!(into, "{value}"),
            Value::Float(value) => into.push_str(&float::shortest(*value)),
            Value::Text(value) => into.push_str(value),
            Value::List(values) => spell_all(into, "[", values.iter().map(|value| ("", value)), "]"),
            Value::Map(values) => spell_all(into, "map[", values.iter().map(|(name, value)| (name.as_str(), value)), "]"),
            Value::Object(fields) => spell_all(into, "{", fields.iter().map(|(_, value)| ("", value)), "}"),
            Value::Lookup(_) | Value::LookupHeading => {}
        }
    }

    /// Spells the value as a whole; nothing at all is `<no value>`.
    pub fn show(&self, into: &mut String) {
        match self {
            Value::Nil => into.push_str("<no value>"),
            value => value.spell(into),
        }
    }

    /// The same as a text of its own.
    pub fn shown(&self) -> String {
        let mut text = String::new();
        self.show(&mut text);
        text
    }

    /// The value as JSON on one line.
    pub fn json(&self) -> String {
        escaped(&serde_json::to_string(self).unwrap_or_default())
    }

    /// The value as JSON, as Docker lays it out.
    pub fn pretty(&self) -> String {
        let mut json = Vec::new();
        let mut writer = serde_json::Serializer::with_formatter(&mut json, PrettyFormatter::with_indent(b"    "));
        // What cannot be written is no value.
        let _ = self.serialize(&mut writer);
        escaped(&String::from_utf8_lossy(&json))
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Nil | Value::Absent | Value::Lookup(_) | Value::LookupHeading => to.serialize_unit(),
            Value::Bool(value) => to.serialize_bool(*value),
            Value::Int(value) => to.serialize_i64(*value),
            // Go leaves out a fraction that is nothing.
            Value::Float(value) if value.fract() == 0.0 && value.abs() < 1e15 => to.serialize_i64(*value as i64),
            Value::Float(value) => to.serialize_f64(*value),
            Value::Text(value) => to.serialize_str(value),
            Value::List(values) => to.collect_seq(values),
            Value::Map(values) => to.collect_map(values),
            Value::Object(fields) => {
                let is_shown = |value: &Value| !matches!(value, Value::Absent | Value::Lookup(_) | Value::LookupHeading);
                to.collect_map(
                    fields
                        .iter()
                        .filter(|(_, value)| is_shown(value))
                        .map(|(name, value)| (name, value)),
                )
            }
        }
    }
}

/// JSON as Go writes it: two line ends that JavaScript does not know are escaped.
fn escaped(json: &str) -> String {
    json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

fn spell_all<'v>(into: &mut String, open: &str, values: impl Iterator<Item = (&'v str, &'v Value)>, close: &str) {
    into.push_str(open);
    for (n, (name, value)) in values.enumerate() {
        into.push_str(if n > 0 { " " } else { "" });
        if open == "map[" {
            into.push_str(name);
            into.push(':');
        }
        value.spell(into);
    }
    into.push_str(close);
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Int(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Value {
        Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Value {
        Value::Text(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Value {
        Value::Text(value)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Value {
        Value::List(values.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> From<BTreeMap<String, T>> for Value {
    fn from(values: BTreeMap<String, T>) -> Value {
        Value::Map(values.into_iter().map(|(name, value)| (name, value.into())).collect())
    }
}
