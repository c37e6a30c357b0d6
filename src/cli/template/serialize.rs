//! Any type that can be written down becomes a value: its structures become objects, its maps become maps.
//!
//! A field that its structure skips because it is empty becomes [`Value::Absent`]: it is not in JSON, and templates may ask
//! for it nevertheless.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use serde::ser::{self, Serialize};

use super::Value;
use crate::error::{Error, Result};

impl Value {
    /// The value of something that can be written down.
    pub fn of(something: &impl Serialize) -> Result<Value> {
        something
            .serialize(Serializer)
            .map_err(|Wrong(wrong)| Error::system(wrong).doing("show a value"))
    }
}

struct Serializer;

/// Why something cannot be a value.
#[derive(Debug)]
struct Wrong(String);

impl Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

impl ser::Error for Wrong {
    fn custom<T: Display>(wrong: T) -> Wrong {
        Wrong(wrong.to_string())
    }
}

/// A list that is being made, with the name of the variant that it is the content of.
struct List(Vec<Value>, Option<&'static str>);

struct Map(BTreeMap<String, Value>, String);

struct Object(Vec<(&'static str, Value)>, Option<&'static str>);

type Made<T> = std::result::Result<T, Wrong>;

/// An integer type that values have as one.
macro_rules! integers {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, value: $type) -> Made<Value> {
            Ok(Value::Int(i64::try_from(value).unwrap_or(i64::MAX)))
        })*
    };
}

impl ser::Serializer for Serializer {
    type Ok = Value;
    type Error = Wrong;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = List;
    type SerializeMap = Map;
    type SerializeStruct = Object;
    type SerializeStructVariant = Object;

    integers!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64);
    integers!(serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64);

    fn serialize_bool(self, value: bool) -> Made<Value> {
        Ok(Value::Bool(value))
    }

    fn serialize_f32(self, value: f32) -> Made<Value> {
        Ok(Value::Float(value.into()))
    }

    fn serialize_f64(self, value: f64) -> Made<Value> {
        Ok(Value::Float(value))
    }

    fn serialize_char(self, value: char) -> Made<Value> {
        Ok(Value::Text(value.into()))
    }

    fn serialize_str(self, value: &str) -> Made<Value> {
        Ok(value.into())
    }

    fn serialize_bytes(self, value: &[u8]) -> Made<Value> {
        Ok(String::from_utf8_lossy(value).into_owned().into())
    }

    fn serialize_none(self) -> Made<Value> {
        Ok(Value::Nil)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Made<Value> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Made<Value> {
        Ok(Value::Nil)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Made<Value> {
        Ok(Value::Nil)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Made<Value> {
        Ok(variant.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Made<Value> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Made<Value> {
        Ok(Value::Object(vec![(variant, value.serialize(self)?)]))
    }

    fn serialize_seq(self, length: Option<usize>) -> Made<List> {
        Ok(List(Vec::with_capacity(length.unwrap_or(0)), None))
    }

    fn serialize_tuple(self, length: usize) -> Made<List> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Made<List> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, variant: &'static str, length: usize) -> Made<List> {
        Ok(List(Vec::with_capacity(length), Some(variant)))
    }

    fn serialize_map(self, _: Option<usize>) -> Made<Map> {
        Ok(Map(BTreeMap::new(), String::new()))
    }

    fn serialize_struct(self, _: &'static str, length: usize) -> Made<Object> {
        Ok(Object(Vec::with_capacity(length), None))
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, variant: &'static str, length: usize) -> Made<Object> {
        Ok(Object(Vec::with_capacity(length), Some(variant)))
    }
}

impl List {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Made<()> {
        self.0.push(value.serialize(Serializer)?);
        Ok(())
    }

    fn made(self) -> Value {
        within(self.1, Value::List(self.0))
    }
}

fn within(variant: Option<&'static str>, value: Value) -> Value {
    match variant {
        Some(variant) => Value::Object(vec![(variant, value)]),
        None => value,
    }
}

/// What is a list in one way or another.
macro_rules! lists {
    ($($trait:ident: $method:ident),*) => {
        $(impl ser::$trait for List {
            type Ok = Value;
            type Error = Wrong;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Made<()> {
                self.push(value)
            }

            fn end(self) -> Made<Value> {
                Ok(self.made())
            }
        })*
    };
}

lists!(SerializeSeq: serialize_element, SerializeTuple: serialize_element);
lists!(SerializeTupleStruct: serialize_field, SerializeTupleVariant: serialize_field);

impl ser::SerializeMap for Map {
    type Ok = Value;
    type Error = Wrong;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Made<()> {
        self.1 = key.serialize(Serializer)?.shown();
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Made<()> {
        self.0.insert(std::mem::take(&mut self.1), value.serialize(Serializer)?);
        Ok(())
    }

    fn end(self) -> Made<Value> {
        Ok(Value::Map(self.0))
    }
}

/// What has fields in one way or another.
macro_rules! objects {
    ($($trait:ident),*) => {
        $(impl ser::$trait for Object {
            type Ok = Value;
            type Error = Wrong;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Made<()> {
                self.0.push((name, value.serialize(Serializer)?));
                Ok(())
            }

            fn skip_field(&mut self, name: &'static str) -> Made<()> {
                self.0.push((name, Value::Absent));
                Ok(())
            }

            fn end(self) -> Made<Value> {
                Ok(within(self.1, Value::Object(self.0)))
            }
        })*
    };
}

objects!(SerializeStruct, SerializeStructVariant);
