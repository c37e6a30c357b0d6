//! The regular expressions of filters: `--filter name=^web-[0-9]+$`.
//!
//! They are what users write about names: letters, `.`, `[a-z]`, `^`, `$`, `*`, `+`, `?`, `|` and parentheses. An expression becomes
//! a list of instructions, and all ways through them are followed at once, so that no expression takes long.

use crate::error::{Error, Result};

/// An expression that was read.
#[derive(Debug)]
pub struct Pattern {
    code: Vec<Instruction>,
}

#[derive(Clone, Debug)]
enum Instruction {
    /// Goes on if the next letter is one of these.
    Letter(Letters),
    /// Goes on at the beginning, or at the end, of the text.
    Start,
    End,
    /// Goes on at both places.
    Split(usize, usize),
    Jump(usize),
    Match,
}

/// A set of letters: ranges, or all but these.
#[derive(Clone, Debug)]
struct Letters {
    ranges: Vec<(char, char)>,
    all_but: bool,
}

impl Letters {
    fn has(&self, letter: char) -> bool {
        self.all_but != self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&letter))
    }
}

/// How deep parentheses may be in each other, and how long the instructions of an expression may be.
const DEEPEST: usize = 50;
const LONGEST: usize = 10_000;

impl Pattern {
    pub fn parse(text: &str) -> Result<Pattern> {
        let mut reader = Reader {
            letters: text.chars().collect(),
            at: 0,
            depth: 0,
        };
        let read = reader.choice().and_then(|code| match reader.letters.get(reader.at) {
            Some(_) => Err("unexpected `)`"),
            None => Ok(code),
        });
        let mut code = read.map_err(|wrong| Error::invalid(wrong).doing(format!("expression `{text}`")))?;
        code.push(Instruction::Match);
        Ok(Pattern { code })
    }

    /// Whether a part of the text is what the expression means.
    pub fn is_in(&self, text: &str) -> bool {
        let letters: Vec<char> = text.chars().collect();
        let mut now = vec![false; self.code.len()];
        for at in 0..=letters.len() {
            if self.follow(0, at, letters.len(), &mut now) {
                return true;
            }
            let Some(letter) = letters.get(at) else { break };
            let mut next = vec![false; self.code.len()];
            for (place, _) in now.iter().enumerate().filter(|(_, is_here)| **is_here) {
                if let Instruction::Letter(set) = &self.code[place]
                    && set.has(*letter)
                    && self.follow(place + 1, at + 1, letters.len(), &mut next)
                {
                    return true;
                }
            }
            now = next;
        }
        false
    }

    /// Marks the places that can be reached from here without another letter. Tells whether the end is one of them.
    fn follow(&self, from: usize, at: usize, length: usize, marks: &mut [bool]) -> bool {
        let mut left = vec![from];
        while let Some(place) = left.pop() {
            if std::mem::replace(&mut marks[place], true) {
                continue;
            }
            match &self.code[place] {
                Instruction::Match => return true,
                Instruction::Letter(_) => {}
                Instruction::Jump(to) => left.push(*to),
                Instruction::Split(one, other) => left.extend([*one, *other]),
                Instruction::Start if at == 0 => left.push(place + 1),
                Instruction::End if at == length => left.push(place + 1),
                Instruction::Start | Instruction::End => {}
            }
        }
        false
    }
}

struct Reader {
    letters: Vec<char>,
    at: usize,
    depth: usize,
}

type Code = std::result::Result<Vec<Instruction>, &'static str>;

impl Reader {
    fn take(&mut self) -> Option<char> {
        let letter = self.letters.get(self.at).copied();
        self.at += usize::from(letter.is_some());
        letter
    }

    /// Reads alternatives. Places in the instructions are relative until they are moved to where they belong.
    fn choice(&mut self) -> Code {
        let mut code = self.sequence()?;
        while self.letters.get(self.at) == Some(&'|') {
            self.at += 1;
            let other = self.sequence()?;
            let end = code.len() + 2 + other.len();
            let mut both = vec![Instruction::Split(1, code.len() + 2)];
            both.extend(moved(&code, 1));
            both.push(Instruction::Jump(end));
            both.extend(moved(&other, code.len() + 2));
            code = both;
        }
        Ok(code)
    }

    fn sequence(&mut self) -> Code {
        let mut code: Vec<Instruction> = Vec::new();
        while let Some(letter) = self.letters.get(self.at).copied().filter(|letter| !"|)".contains(*letter)) {
            self.at += 1;
            let mut one = self.one(letter)?;
            while let Some(times) = self.letters.get(self.at).copied().filter(|letter| "*+?".contains(*letter)) {
                self.at += 1;
                one = repeated(&one, times);
            }
            if code.len() + one.len() > LONGEST {
                return Err("it is too long");
            }
            let from = code.len();
            code.extend(moved(&one, from));
        }
        Ok(code)
    }

    fn one(&mut self, letter: char) -> Code {
        let only = |ranges: Vec<(char, char)>, all_but| Ok(vec![Instruction::Letter(Letters { ranges, all_but })]);
        match letter {
            '^' => Ok(vec![Instruction::Start]),
            '$' => Ok(vec![Instruction::End]),
            '.' => only(vec![('\n', '\n')], true),
            '[' => self.class(),
            '(' => {
                self.depth += 1;
                if self.depth > DEEPEST {
                    return Err("too many parentheses in each other");
                }
                let inner = self.choice()?;
                self.depth -= 1;
                self.take().map(|_| inner).ok_or("missing `)`")
            }
            '*' | '+' | '?' => Err("nothing to repeat"),
            '{' | '}' => Err("`{` and `}` are not supported"),
            '\\' => match self.take() {
                Some('d') => only(vec![('0', '9')], false),
                Some('w') => only(vec![('0', '9'), ('A', 'Z'), ('a', 'z'), ('_', '_')], false),
                Some(letter) if !letter.is_alphanumeric() => only(vec![(letter, letter)], false),
                _ => Err("an escape that is not supported"),
            },
            letter => only(vec![(letter, letter)], false),
        }
    }

    fn class(&mut self) -> Code {
        let all_but = self.letters.get(self.at) == Some(&'^');
        self.at += usize::from(all_but);
        let mut ranges = Vec::new();
        loop {
            let mut first = self.take().ok_or("missing `]`")?;
            if first == ']' && !ranges.is_empty() {
                break;
            }
            if first == '\\' {
                first = self.take().ok_or("missing `]`")?;
            }
            let is_range =
                self.letters.get(self.at) == Some(&'-') && self.letters.get(self.at + 1).is_some_and(|last| *last != ']');
            let last = if is_range {
                self.at += 1;
                self.take().ok_or("missing `]`")?
            } else {
                first
            };
            if first > last {
                return Err("a range that ends before it begins");
            }
            ranges.push((first, last));
        }
        Ok(vec![Instruction::Letter(Letters { ranges, all_but })])
    }
}

fn repeated(one: &[Instruction], times: char) -> Vec<Instruction> {
    let length = one.len();
    let mut code = Vec::with_capacity(length + 2);
    if times != '+' {
        code.push(Instruction::Split(1, length + 1 + usize::from(times == '*')));
    }
    let from = code.len();
    code.extend(moved(one, from));
    match times {
        '*' => code.push(Instruction::Jump(0)),
        '+' => code.push(Instruction::Split(0, length + 1)),
        _ => {}
    }
    code
}

/// The same instructions at another place.
fn moved(code: &[Instruction], by: usize) -> impl Iterator<Item = Instruction> {
    code.iter().map(move |instruction| match instruction {
        Instruction::Split(one, other) => Instruction::Split(one + by, other + by),
        Instruction::Jump(to) => Instruction::Jump(to + by),
        other => other.clone(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn expressions_find_parts_of_names() {
        for (pattern, text, expected) in [
            ("web", "my-web-1", true),
            ("^web$", "web", true),
            ("^web$", "web1", false),
            ("^/?web", "web", true),
            ("^/?web", "/web", true),
            ("w.b", "wab", true),
            ("^[a-c]+$", "abcab", true),
            ("^[^a-c]+$", "abcab", false),
            ("^(web|db)-[0-9]+$", "db-12", true),
            ("^(web|db)-[0-9]+$", "cache-12", false),
            ("a|b|c", "xxc", true),
            ("^(ab)*$", "ababab", true),
            ("^(ab)*$", "aba", false),
            ("^a?b$", "b", true),
            ("(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false),
            ("", "", true),
            ("\\.", "a.b", true),
            ("\\d\\w", "7x", true),
            ("[]a]", "]", true),
            ("^$", "", true),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().is_in(text), expected, "{pattern} {text}");
        }
        for (pattern, wrong) in [
            ("(a", "missing `)`"),
            ("a)", "unexpected `)`"),
            ("[a", "missing `]`"),
            ("*a", "nothing to repeat"),
            ("a{2}", "`{` and `}` are not supported"),
            ("[b-a]", "a range that ends before it begins"),
        ] {
            let error = Pattern::parse(pattern).unwrap_err().to_string();
            assert_eq!(error, format!("expression `{pattern}`: {wrong}"));
        }
    }

    proptest! {
        #[test]
        fn no_expression_is_a_panic(pattern in "[]a-c()|*+?.^$\\[\\\\é-]{0,12}", text in "[a-cé]{0,8}") {
            if let Ok(pattern) = Pattern::parse(&pattern) {
                pattern.is_in(&text);
            }
        }

        #[test]
        fn plain_letters_are_found_where_they_are(part in "[a-z]{0,3}", text in "[a-z]{0,6}") {
            prop_assert_eq!(Pattern::parse(&part).unwrap().is_in(&text), text.contains(&part));
        }
    }
}
