//! A template that was read.

use super::Value;
use super::functions::Function;

#[derive(Debug)]
pub enum Node {
    Text(String),
    Print(Pipeline),
    /// `if`, and `with`, which also moves the dot.
    If {
        moves_dot: bool,
        branch: Branch,
    },
    Range(Branch),
    Break,
    Continue,
}

/// What is done or not, as a pipeline says.
#[derive(Debug)]
pub struct Branch {
    pub pipeline: Pipeline,
    pub then: Vec<Node>,
    pub otherwise: Vec<Node>,
}

/// Commands, each of which has the result of the one before it as its last argument.
#[derive(Debug)]
pub struct Pipeline {
    pub commands: Vec<Operation>,
    /// The variables that its result goes to: one, or in a range also the index.
    pub variables: Vec<String>,
    /// Whether the variables are new.
    pub declares: bool,
    pub at: usize,
}

/// An operand, or a function or field and its arguments.
#[derive(Debug)]
pub struct Operation {
    pub operands: Vec<Operand>,
}

/// Something that has a value, and the fields that are asked of it: `.State.Status`, `$x.Name`, `(index .List 0).Name`.
#[derive(Debug)]
pub struct Operand {
    pub base: Base,
    pub fields: Vec<String>,
    pub start: usize,
    pub end: usize,
    /// Where Go says that it is: at its second field, if it has several.
    pub at: usize,
}

#[derive(Debug)]
pub enum Base {
    Dot,
    Variable(String),
    Pipeline(Box<Pipeline>),
    Function(Function),
    Literal(Value),
    Nil,
}

impl Node {
    /// Shows each operand to `look`, also those of actions inside.
    pub fn visit(&self, look: &mut impl FnMut(&Operand)) {
        match self {
            Node::Print(pipeline) => pipeline.visit(look),
            Node::If { branch, .. } | Node::Range(branch) => {
                branch.pipeline.visit(look);
                branch.then.iter().chain(&branch.otherwise).for_each(|node| node.visit(look));
            }
            Node::Text(_) | Node::Break | Node::Continue => {}
        }
    }
}

impl Pipeline {
    fn visit(&self, look: &mut impl FnMut(&Operand)) {
        for operand in self.commands.iter().flat_map(|command| &command.operands) {
            look(operand);
            if let Base::Pipeline(pipeline) = &operand.base {
                pipeline.visit(look);
            }
        }
    }
}
