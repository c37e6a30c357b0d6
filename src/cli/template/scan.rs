//! A template's text, taken apart: what is printed as it stands, and the words of the actions between `{{` and `}}`.

use super::{Value, literal};
use crate::error::{Error, Result};

/// A part of a template.
#[derive(Debug, PartialEq)]
pub enum Piece {
    Text(String),
    Action(Vec<Word>, usize),
}

/// A token, where it begins and ends in the template, and whether there is space before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    pub token: Token,
    pub start: usize,
    pub end: usize,
    pub is_apart: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// `.`
    Dot,
    /// `.Name`
    Field(String),
    /// `$name`, or `$` alone, which has an empty name.
    Variable(String),
    /// A keyword or a function's name.
    Name(String),
    Literal(Value),
    Open,
    Close,
    Pipe,
    Comma,
    /// `:=`
    Declare,
    /// `=`
    Assign,
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Takes a template apart.
pub fn scan(source: &str) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let (mut at, mut trim) = (0, false);
    while let Some(found) = source[at..].find("{{") {
        let open = at + found;
        let mut text = &source[at..open];
        if trim {
            text = text.trim_start_matches(SPACE);
        }
        let mut start = open + 2;
        if source[start..].starts_with('-') && source[start + 1..].starts_with(SPACE) {
            text = text.trim_end_matches(SPACE);
            start += 2;
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.into()));
        }
        let mut scanner = Scanner { source, at: start };
        (at, trim) = match scanner.comment(open)? {
            Some(end) => end,
            None => {
                let (words, end) = scanner.action(open)?;
                pieces.push(Piece::Action(words, open));
                end
            }
        };
    }
    let rest = if trim {
        source[at..].trim_start_matches(SPACE)
    } else {
        &source[at..]
    };
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.into()));
    }
    Ok(pieces)
}

struct Scanner<'s> {
    source: &'s str,
    at: usize,
}

/// Where an action ends, and whether the text after it loses its leading space.
type End = (usize, bool);

impl<'s> Scanner<'s> {
    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    /// The end of the action, if it is here.
    fn end(&self) -> Option<End> {
        let rest = self.rest();
        let is_trimmed = rest.trim_start_matches(SPACE).starts_with("-}}") && rest.starts_with(SPACE);
        if is_trimmed {
            return rest.find("-}}").map(|dash| (self.at + dash + 3, true));
        }
        rest.starts_with("}}").then_some((self.at + 2, false))
    }

    /// Passes over a comment, which is an action of its own.
    fn comment(&mut self, open: usize) -> Result<Option<End>> {
        let rest = self.rest().trim_start_matches(SPACE);
        if !rest.starts_with("/*") {
            return Ok(None);
        }
        let start = self.source.len() - rest.len();
        let close = rest.find("*/").ok_or_else(|| wrong(self.source, open, "unclosed comment"))?;
        self.at = start + close + 2;
        let end = self.end();
        end.map(Some)
            .ok_or_else(|| wrong(self.source, open, "a comment ends an action: `*/}}`"))
    }

    fn action(&mut self, open: usize) -> Result<(Vec<Word>, End)> {
        let mut words = Vec::new();
        loop {
            if let Some(end) = self.end() {
                return Ok((words, end));
            }
            let spaces = self.rest().len() - self.rest().trim_start_matches(SPACE).len();
            self.at += spaces;
            if let (Some(end), true) = (self.end(), spaces > 0) {
                return Ok((words, end));
            }
            let start = self.at;
            let Some(first) = self.rest().chars().next() else {
                return Err(wrong(self.source, open, "unclosed action"));
            };
            let token = self.token(first)?;
            words.push(Word {
                token,
                start,
                end: self.at,
                is_apart: spaces > 0,
            });
        }
    }

    fn token(&mut self, first: char) -> Result<Token> {
        let start = self.at;
        let simple = match first {
            '(' => Some(Token::Open),
            ')' => Some(Token::Close),
            '|' => Some(Token::Pipe),
            ',' => Some(Token::Comma),
            '=' => Some(Token::Assign),
            _ => None,
        };
        if let Some(token) = simple {
            self.at += 1;
            return Ok(token);
        }
        if self.rest().starts_with(":=") {
            self.at += 2;
            return Ok(Token::Declare);
        }
        let second = self.rest().chars().nth(1).unwrap_or(' ');
        match first {
            '.' if !second.is_ascii_digit() => Ok(match self.name_after(1) {
                name if name.is_empty() => Token::Dot,
                name => Token::Field(name),
            }),
            '$' => Ok(Token::Variable(self.name_after(1))),
            '"' | '`' | '\'' => self.literal(literal::quoted(self.rest()), start),
            '0'..='9' | '.' => self.literal(literal::number(self.rest()), start),
            '+' | '-' if second.is_ascii_digit() || second == '.' => self.literal(literal::number(self.rest()), start),
            _ if is_of_name(first) => Ok(Token::Name(self.name_after(0))),
            _ => Err(wrong(self.source, start, format!("unexpected `{}`", first.escape_debug()))),
        }
    }

    /// Takes the letters of a name after so many bytes.
    fn name_after(&mut self, skipped: usize) -> String {
        let rest = &self.rest()[skipped..];
        let length = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
        self.at += skipped + length;
        rest[..length].into()
    }

    fn literal(&mut self, read: std::result::Result<(Value, usize), String>, start: usize) -> Result<Token> {
        let (value, length) = read.map_err(|text| wrong(self.source, start, text))?;
        self.at += length;
        Ok(Token::Literal(value))
    }
}

fn is_of_name(letter: char) -> bool {
    letter == '_' || letter.is_alphanumeric()
}

/// An error, and where in the template it is: line and column as Go counts them.
pub fn wrong(source: &str, at: usize, wrong: impl std::fmt::Display) -> Error {
    let before = &source[..at];
    let line = before.matches('\n').count() + 1;
    let column = at - before.rfind('\n').map_or(0, |newline| newline + 1);
    Error::invalid(wrong).doing(format!("template: {line}:{column}"))
}
