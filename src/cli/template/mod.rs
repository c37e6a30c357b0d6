//! Go's templates, which is how Docker's users say what they want to see: `{{.State.Status}}`.
//!
//! A template is text with actions between `{{` and `}}`. It is taken apart (`scan`), read (`parse`), and executed on a value
//! (`evaluate`). Left out is what a single template cannot use: definitions of others.

mod evaluate;
mod float;
mod functions;
mod literal;
mod node;
mod parse;
mod printf;
mod scan;
mod serialize;
#[cfg(test)]
mod tests;
mod value;

use crate::error::Result;
use node::{Base, Node};

pub use value::Value;

/// A template that was read.
#[derive(Debug)]
pub struct Template {
    source: String,
    nodes: Vec<Node>,
}

impl Template {
    /// Reads a template. What is wrong with it is told with its line and column.
    pub fn parse(source: &str) -> Result<Template> {
        Ok(Template {
            nodes: parse::parse(source)?,
            source: source.into(),
        })
    }

    /// Executes the template on a value.
    pub fn execute(&self, value: &Value) -> Result<String> {
        evaluate::execute(self, value, false)
    }

    /// Executes the template on headings, which functions that change the look of a value leave as they are.
    pub fn headings(&self, value: &Value) -> Result<String> {
        evaluate::execute(self, value, true)
    }

    /// Whether the template may ask its value for a field: by name, or because it uses the value as a whole.
    pub fn mentions(&self, field: &str) -> bool {
        let mut found = false;
        for node in &self.nodes {
            node.visit(&mut |operand| {
                found |= match (&operand.base, operand.fields.first()) {
                    (Base::Dot | Base::Variable(_), Some(name)) => name == field,
                    (Base::Dot | Base::Variable(_), None) => true,
                    _ => false,
                }
            });
        }
        found
    }
}
