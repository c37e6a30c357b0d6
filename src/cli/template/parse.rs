//! Reading a template: from its words to nodes.

use std::iter::Peekable;
use std::vec::IntoIter;

use super::functions;
use super::node::{Base, Branch, Node, Operand, Operation, Pipeline};
use super::scan::{Piece, Token, Word, scan, wrong};
use crate::error::{Error, Result};

/// How deep actions and parentheses may be in each other: more than anybody writes, less than a stack takes.
const DEEPEST: usize = 100;

/// Reads a template.
pub fn parse(source: &str) -> Result<Vec<Node>> {
    let pieces = scan(source)?.into_iter();
    let mut parser = Parser {
        source,
        pieces,
        depth: 0,
        loops: 0,
        variables: vec![String::new()],
    };
    let (nodes, ending) = parser.list()?;
    match ending {
        None => Ok(nodes),
        Some(ending) => Err(wrong(source, ending.at, format!("unexpected {{{{{}}}}}", ending.name()))),
    }
}

struct Parser<'s> {
    source: &'s str,
    pieces: IntoIter<Piece>,
    depth: usize,
    /// How many ranges this is in.
    loops: usize,
    /// The variables that are known here; `$` has an empty name.
    variables: Vec<String>,
}

/// The words of an action that are left.
struct Words {
    words: Peekable<IntoIter<Word>>,
    at: usize,
}

/// The action that ends a list of nodes: `end`, or `else` and the words after it.
struct Ending {
    otherwise: Option<Words>,
    at: usize,
}

impl Ending {
    fn name(&self) -> &'static str {
        if self.otherwise.is_some() { "else" } else { "end" }
    }
}

impl Words {
    fn peek(&mut self) -> Option<&Token> {
        self.words.peek().map(|word| &word.token)
    }

    /// Takes the next word, if it is this name.
    fn take(&mut self, name: &str) -> bool {
        self.words
            .next_if(|word| matches!(&word.token, Token::Name(found) if found == name))
            .is_some()
    }
}

impl Parser<'_> {
    fn wrong(&self, at: usize, text: impl std::fmt::Display) -> Error {
        wrong(self.source, at, text)
    }

    fn deeper(&mut self, at: usize) -> Result<()> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.wrong(at, format!("more than {DEEPEST} actions in each other")));
        }
        Ok(())
    }

    /// Reads up to the end of the template, or of the action that this list is in.
    fn list(&mut self) -> Result<(Vec<Node>, Option<Ending>)> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let (words, at) = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(words, at) => (words, at),
            };
            let mut words = Words {
                words: words.into_iter().peekable(),
                at,
            };
            if words.take("end") {
                self.finished(&mut words)?;
                return Ok((nodes, Some(Ending { otherwise: None, at })));
            }
            if words.take("else") {
                let otherwise = Some(words);
                return Ok((nodes, Some(Ending { otherwise, at })));
            }
            nodes.push(self.action(words)?);
        }
        Ok((nodes, None))
    }

    fn action(&mut self, mut words: Words) -> Result<Node> {
        let at = words.at;
        for kind in ["if", "with", "range"] {
            if words.take(kind) {
                return self.control(kind, words);
            }
        }
        for (kind, node) in [("break", Node::Break), ("continue", Node::Continue)] {
            if words.take(kind) {
                self.finished(&mut words)?;
                return if self.loops > 0 {
                    Ok(node)
                } else {
                    Err(self.wrong(at, format!("{{{{{kind}}}}} outside {{{{range}}}}")))
                };
            }
        }
        if let Some(Token::Name(name)) = words.peek()
            && ["define", "template", "block"].contains(&name.as_str())
        {
            let text = format!("{{{{{name}}}}} is not supported: a format is one template");
            return Err(self.wrong(at, text));
        }
        let pipeline = self.pipeline(&mut words, 1)?;
        self.finished(&mut words)?;
        Ok(Node::Print(pipeline))
    }

    /// Reads what follows `if`, `with` or `range`, to its end. Variables that are declared within are gone after it.
    fn control(&mut self, kind: &'static str, mut words: Words) -> Result<Node> {
        let at = words.at;
        self.deeper(at)?;
        let known = self.variables.len();
        let is_range = kind == "range";
        let pipeline = self.pipeline(&mut words, if is_range { 2 } else { 1 })?;
        self.finished(&mut words)?;
        self.loops += usize::from(is_range);
        let (then, ending) = self.list()?;
        self.loops -= usize::from(is_range);
        let otherwise = match ending {
            None => return Err(self.wrong(at, format!("{{{{{kind}}}}} without {{{{end}}}}"))),
            Some(Ending { otherwise: None, .. }) => Vec::new(),
            Some(Ending {
                otherwise: Some(words), ..
            }) => self.otherwise(kind, words, at)?,
        };
        self.variables.truncate(known);
        self.depth -= 1;
        let branch = Branch {
            pipeline,
            then,
            otherwise,
        };
        Ok(match kind {
            "range" => Node::Range(branch),
            kind => Node::If {
                moves_dot: kind == "with",
                branch,
            },
        })
    }

    /// Reads what follows `else`: another `if` or `with` that has the same end, or nodes.
    fn otherwise(&mut self, kind: &'static str, mut words: Words, at: usize) -> Result<Vec<Node>> {
        if kind != "range" && words.take(kind) {
            return Ok(vec![self.control(kind, words)?]);
        }
        self.finished(&mut words)?;
        let (nodes, ending) = self.list()?;
        match ending {
            Some(Ending { otherwise: None, .. }) => Ok(nodes),
            Some(ending) => Err(self.wrong(ending.at, "expected {{end}}, found {{else}}")),
            None => Err(self.wrong(at, format!("{{{{{kind}}}}} without {{{{end}}}}"))),
        }
    }

    /// Checks that an action has no more words.
    fn finished(&mut self, words: &mut Words) -> Result<()> {
        match words.words.next() {
            None => Ok(()),
            Some(word) => Err(self.unexpected(&word)),
        }
    }

    fn unexpected(&self, word: &Word) -> Error {
        self.wrong(word.start, format!("unexpected `{}`", &self.source[word.start..word.end]))
    }

    /// Reads a pipeline, up to the end of the action or to a parenthesis. It may set so many variables.
    fn pipeline(&mut self, words: &mut Words, most: usize) -> Result<Pipeline> {
        let at = words.words.peek().map_or(words.at, |word| word.start);
        let (variables, declares) = self.variables(words, most)?;
        let mut commands = vec![self.operation(words, at)?];
        while words.words.next_if(|word| word.token == Token::Pipe).is_some() {
            let command = self.operation(words, at)?;
            if let Base::Literal(_) | Base::Nil | Base::Dot = command.operands[0].base
                && command.operands[0].fields.is_empty()
            {
                let operand = &command.operands[0];
                let text = format!(
                    "`{}` cannot take what is piped to it",
                    &self.source[operand.start..operand.end]
                );
                return Err(self.wrong(operand.start, text));
            }
            commands.push(command);
        }
        if declares {
            self.variables.extend(variables.iter().cloned());
        }
        Ok(Pipeline {
            commands,
            variables,
            declares,
            at,
        })
    }

    /// Reads `$name :=`, `$name =` or `$index, $name :=`, if that is what follows.
    fn variables(&mut self, words: &mut Words, most: usize) -> Result<(Vec<String>, bool)> {
        let mut ahead = words.words.clone();
        let mut names = Vec::new();
        while let Some(Word {
            token: Token::Variable(name),
            ..
        }) = ahead.next()
        {
            names.push(name);
            match ahead.next().map(|word| word.token) {
                Some(Token::Comma) if names.len() < most => {}
                Some(Token::Declare) => {
                    words.words = ahead;
                    return Ok((names, true));
                }
                Some(Token::Assign) => {
                    names.iter().try_for_each(|name| self.check_variable(name, words.at))?;
                    words.words = ahead;
                    return Ok((names, false));
                }
                _ => break,
            }
        }
        Ok((Vec::new(), false))
    }

    fn check_variable(&self, name: &str, at: usize) -> Result<()> {
        if self.variables.iter().any(|known| known == name) {
            return Ok(());
        }
        Err(self.wrong(at, format!("undefined variable `${name}`")))
    }

    fn operation(&mut self, words: &mut Words, at: usize) -> Result<Operation> {
        let mut operands: Vec<Operand> = Vec::new();
        while let Some(word) = words.words.next_if(|word| !matches!(word.token, Token::Pipe | Token::Close)) {
            if !operands.is_empty() && !word.is_apart {
                return Err(self.unexpected(&word));
            }
            operands.push(self.operand(word, words)?);
        }
        if operands.is_empty() {
            return Err(self.wrong(at, "missing value for command"));
        }
        let takes_arguments = match &operands[0] {
            Operand {
                base: Base::Function(_), ..
            } => true,
            operand => !operand.fields.is_empty(),
        };
        if operands.len() > 1 && !takes_arguments {
            let first = &self.source[operands[0].start..operands[0].end];
            return Err(self.wrong(operands[0].start, format!("can't give argument to non-function `{first}`")));
        }
        Ok(Operation { operands })
    }

    /// Reads a value and the fields that are asked of it.
    fn operand(&mut self, word: Word, words: &mut Words) -> Result<Operand> {
        let (start, mut end, mut at) = (word.start, word.end, word.start);
        let mut fields = Vec::new();
        let base = match word.token {
            Token::Dot => Base::Dot,
            Token::Field(name) => {
                fields.push(name);
                Base::Dot
            }
            Token::Variable(ref name) => {
                self.check_variable(name, start)?;
                Base::Variable(name.clone())
            }
            Token::Literal(value) => Base::Literal(value),
            Token::Name(ref name) => self.named(name, start)?,
            Token::Open => {
                self.deeper(start)?;
                let pipeline = self.pipeline(words, 1)?;
                self.depth -= 1;
                match words.words.next() {
                    Some(word) if word.token == Token::Close => end = word.end,
                    Some(word) => return Err(self.unexpected(&word)),
                    None => return Err(self.wrong(start, "unclosed left paren")),
                }
                Base::Pipeline(Box::new(pipeline))
            }
            Token::Close | Token::Pipe | Token::Comma | Token::Declare | Token::Assign => return Err(self.unexpected(&word)),
        };
        let has_fields = matches!(base, Base::Dot | Base::Variable(_) | Base::Pipeline(_));
        let is_next = |word: &Word| has_fields && !word.is_apart && matches!(word.token, Token::Field(_));
        while let Some(Word {
            token: Token::Field(name),
            end: last,
            ..
        }) = words.words.next_if(is_next)
        {
            if at == start {
                at = end;
            }
            fields.push(name);
            end = last;
        }
        Ok(Operand {
            base,
            fields,
            start,
            end,
            at,
        })
    }

    fn named(&self, name: &str, at: usize) -> Result<Base> {
        Ok(match name {
            "true" => Base::Literal(true.into()),
            "false" => Base::Literal(false.into()),
            "nil" => Base::Nil,
            name => {
                let function = functions::find(name);
                Base::Function(function.ok_or_else(|| self.wrong(at, format!("function `{name}` not defined")))?)
            }
        })
    }
}
