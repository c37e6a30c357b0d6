//! Executing a template on a value.

use std::borrow::Cow;

use super::functions::{self, Function};
use super::node::{Base, Branch, Node, Operand, Operation, Pipeline};
use super::scan::wrong;
use super::{Template, Value};
use crate::error::{Error, Result};

/// A template at work.
pub struct Execution<'t> {
    template: &'t Template,
    out: String,
    /// The variables and their values, the innermost last; the first is the value that all is about.
    variables: Vec<(&'t str, Cow<'t, Value>)>,
    /// Whether a row of headings is made, which functions leave as they are.
    is_heading: bool,
}

/// The highest number that is counted up to: a slip in a format must not fill the memory.
const MOST: i64 = 1_000_000;

/// How the execution goes on after some nodes.
#[derive(PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

/// Executes a template on a value.
pub fn execute<'t>(template: &'t Template, value: &'t Value, is_heading: bool) -> Result<String> {
    let mut execution = Execution {
        template,
        out: String::new(),
        variables: vec![("", Cow::Borrowed(value))],
        is_heading,
    };
    execution.nodes(&template.nodes, value)?;
    Ok(execution.out)
}

impl<'t> Execution<'t> {
    fn nodes(&mut self, nodes: &'t [Node], dot: &Value) -> Result<Flow> {
        for node in nodes {
            let flow = match node {
                Node::Text(text) => {
                    self.out.push_str(text);
                    Flow::On
                }
                Node::Print(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.variables.is_empty() {
                        value.show(&mut self.out);
                    } else {
                        self.set(pipeline, vec![value]);
                    }
                    Flow::On
                }
                Node::If { moves_dot, branch } => self.choose(branch, *moves_dot, dot)?,
                Node::Range(branch) => self.range(branch, dot)?,
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn choose(&mut self, branch: &'t Branch, moves_dot: bool, dot: &Value) -> Result<Flow> {
        let known = self.variables.len();
        let value = self.pipeline(&branch.pipeline, dot)?;
        if !branch.pipeline.variables.is_empty() {
            self.set(&branch.pipeline, vec![value.clone()]);
        }
        let flow = match (value.is_true(), moves_dot) {
            (true, true) => self.nodes(&branch.then, &value),
            (true, false) => self.nodes(&branch.then, dot),
            (false, _) => self.nodes(&branch.otherwise, dot),
        };
        self.variables.truncate(known);
        flow
    }

    fn range(&mut self, branch: &'t Branch, dot: &Value) -> Result<Flow> {
        let known = self.variables.len();
        let elements: Vec<(Value, Value)> = match self.pipeline(&branch.pipeline, dot)? {
            Value::List(values) => (0i64..).map(Value::Int).zip(values).collect(),
            Value::Map(values) => values.into_iter().map(|(name, value)| (name.into(), value)).collect(),
            Value::Int(number) if number <= MOST => (0..number).map(|n| (Value::Int(n), Value::Int(n))).collect(),
            Value::Nil | Value::Absent => Vec::new(),
            other => {
                let text = format!("range can't iterate over {}", other.kind());
                return Err(self.wrong(branch.pipeline.at, text));
            }
        };
        if elements.is_empty() {
            let flow = self.nodes(&branch.otherwise, dot);
            self.variables.truncate(known);
            return flow;
        }
        for (index, element) in elements {
            match branch.pipeline.variables.len() {
                0 => {}
                1 => self.set(&branch.pipeline, vec![element.clone()]),
                _ => self.set(&branch.pipeline, vec![index, element.clone()]),
            }
            let flow = self.nodes(&branch.then, &element)?;
            self.variables.truncate(known);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    /// Gives a pipeline's variables their values.
    fn set(&mut self, pipeline: &'t Pipeline, values: Vec<Value>) {
        for (name, value) in pipeline.variables.iter().zip(values) {
            let known = self.variables.iter_mut().rev().find(|(known, _)| known == name);
            match known.filter(|_| !pipeline.declares) {
                Some((_, place)) => *place = Cow::Owned(value),
                None => self.variables.push((name, Cow::Owned(value))),
            }
        }
    }

    fn pipeline(&mut self, pipeline: &'t Pipeline, dot: &Value) -> Result<Value> {
        let mut value = None;
        for command in &pipeline.commands {
            value = Some(self.operation(command, dot, value)?);
        }
        Ok(value.unwrap_or(Value::Nil))
    }

    fn operation(&mut self, operation: &'t Operation, dot: &Value, piped: Option<Value>) -> Result<Value> {
        let Some((first, arguments)) = operation.operands.split_first() else {
            return Ok(Value::Nil);
        };
        if let Base::Function(function) = &first.base {
            return self.call(function, first, arguments, dot, piped);
        }
        let value = self.value(first, dot)?;
        let mut arguments = arguments
            .iter()
            .map(|argument| self.value(argument, dot))
            .collect::<Result<Vec<_>>>()?;
        arguments.extend(piped);
        match (value, arguments.as_slice()) {
            (Value::Lookup(known), [Value::Text(name)]) => Ok(known.get(name).cloned().unwrap_or_default().into()),
            (Value::LookupHeading, [Value::Text(name)]) => Ok(heading(name).into()),
            (Value::Lookup(_) | Value::LookupHeading, _) => Err(self.wrong_at(first, "it takes one name")),
            (value, []) => Ok(value),
            (_, [_, ..]) => Err(self.wrong_at(first, "it has arguments but takes none")),
        }
    }

    fn call(
        &mut self,
        function: &Function,
        operand: &Operand,
        arguments: &'t [Operand],
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value> {
        let mut values: Vec<Value> = Vec::new();
        for argument in arguments {
            let value = self.value(argument, dot)?;
            // What follows has no say any more, and may be what cannot be asked for.
            if function.is_decided_by(&value) {
                return Ok(value);
            }
            values.push(value);
        }
        values.extend(piped);
        let called = if self.is_heading && function.is_plain_in_headings() && !values.is_empty() {
            Ok(values.swap_remove(0))
        } else {
            functions::call(function, &values)
        };
        called.map_err(|wrong| self.wrong_at(operand, wrong))
    }

    fn value(&mut self, operand: &'t Operand, dot: &Value) -> Result<Value> {
        let base = match &operand.base {
            Base::Dot => return self.fields(operand, dot),
            Base::Variable(name) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                return self.fields(operand, known.map_or(&Value::Nil, |(_, value)| value));
            }
            Base::Pipeline(pipeline) => self.pipeline(pipeline, dot)?,
            Base::Function(function) => self.call(function, operand, &[], dot, None)?,
            Base::Literal(value) => value.clone(),
            Base::Nil => Value::Nil,
        };
        self.fields(operand, &base)
    }

    /// What the fields of an operand lead to.
    fn fields(&self, operand: &Operand, base: &Value) -> Result<Value> {
        let mut value = base;
        for name in &operand.fields {
            value = match value {
                Value::Object(fields) => fields
                    .iter()
                    .find_map(|(field, value)| (field == name).then_some(value))
                    .ok_or_else(|| self.no_field(operand, name, fields))?,
                Value::Map(values) => values.get(name).unwrap_or(&Value::Nil),
                Value::Nil => &Value::Nil,
                Value::Absent => return Err(self.wrong_at(operand, format!("nil pointer evaluating field {name}"))),
                other => {
                    let text = format!("can't evaluate field {name} in {}", other.kind());
                    return Err(self.wrong_at(operand, text));
                }
            };
        }
        Ok(value.clone())
    }

    fn no_field(&self, operand: &Operand, name: &str, fields: &[(&'static str, Value)]) -> Error {
        let known: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        self.wrong_at(operand, format!("can't evaluate field {name}"))
            .hint(format!("the fields are {}", known.join(", ")))
    }

    fn wrong(&self, at: usize, text: impl std::fmt::Display) -> Error {
        wrong(&self.template.source, at, text)
    }

    fn wrong_at(&self, operand: &Operand, text: impl std::fmt::Display) -> Error {
        let source = &self.template.source[operand.start..operand.end];
        self.wrong(operand.at, format!("executing \"\" at <{source}>: {text}"))
    }
}

/// The heading of a column of labels: the last part of the label's name.
fn heading(name: &str) -> String {
    name.rsplit('.').next().unwrap_or_default().replace(['-', '_'], " ")
}
