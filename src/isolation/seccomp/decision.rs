//! What becomes of a call, as it depends on its arguments: rules of conditions, tried in order.
//!
//! The machine compares 32 bits at a time and has one register. So a condition is one to three tests of words, and while they
//! are placed it is remembered which word is loaded and what is known of the last upper half, in order not to ask again.

use std::collections::HashMap;

use super::assemble::{Assembler, IF_ABOVE, IF_ANY, IF_AT_LEAST, IF_EQUAL, Label};

/// Where a word is in `struct seccomp_data`.
pub type Word = u32;

/// Rules, and the action if none of them fits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decision {
    pub rules: Vec<Rule>,
    pub otherwise: u32,
}

/// An action for calls that fulfil all of some conditions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    pub conditions: Vec<Condition>,
    pub action: u32,
}

/// A condition on an argument.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    pub argument: u32,
    /// Whether it is about all 64 bits of the argument, or the lower half.
    pub wide: bool,
    pub test: Test,
    pub value: u64,
    /// Whether the test has to fail.
    pub not: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Test {
    Equal,
    Above,
    AtLeast,
    /// Whether the bits of a mask are those of the value.
    Masked(u64),
}

impl Decision {
    /// The same action whatever the arguments are.
    pub fn always(action: u32) -> Decision {
        Decision {
            rules: Vec::new(),
            otherwise: action,
        }
    }

    /// Places the tests that decide. Returns where they begin.
    pub fn place(&self, assembler: &mut Assembler) -> Label {
        let rules = self.rules.iter().map(|rule| {
            let conditions = rule.conditions.iter().map(Condition::steps);
            (conditions.collect(), rule.action)
        });
        let mut placing = Placing {
            assembler,
            rules: rules.collect(),
            otherwise: self.otherwise,
            placed: HashMap::new(),
        };
        placing.place(At::default(), Known::default())
    }
}

/// A test of one word, and what follows.
#[derive(Clone, Copy)]
struct Step {
    word: Word,
    test: Test,
    value: u32,
    yes: Next,
    no: Next,
}

#[derive(Clone, Copy)]
enum Next {
    /// The condition's next step.
    Step,
    Holds,
    Fails,
}

impl Condition {
    /// The tests of words that this takes.
    fn steps(&self) -> Vec<Step> {
        let halves = |value: u64| ((value >> 32) as u32, value as u32);
        let (high, low) = halves(self.value);
        let word = 16 + 8 * self.argument;
        let (holds, fails) = if self.not {
            (Next::Fails, Next::Holds)
        } else {
            (Next::Holds, Next::Fails)
        };
        let step = |word, test, value, yes, no| Step {
            word,
            test,
            value,
            yes,
            no,
        };
        let mut steps = Vec::new();
        let mut last = self.test;
        match self.test {
            Test::Masked(mask) => {
                let (high_mask, low_mask) = halves(mask);
                if self.wide && high_mask != 0 {
                    steps.push(step(word + 4, masked(high_mask), high & high_mask, Next::Step, fails));
                }
                last = masked(low_mask);
            }
            Test::Equal if self.wide => steps.push(step(word + 4, Test::Equal, high, Next::Step, fails)),
            Test::Above | Test::AtLeast if self.wide && high == 0 => {
                steps.push(step(word + 4, Test::Equal, 0, Next::Step, holds));
            }
            Test::Above | Test::AtLeast if self.wide => {
                steps.push(step(word + 4, Test::Above, high, holds, Next::Step));
                steps.push(step(word + 4, Test::Equal, high, Next::Step, fails));
            }
            _ => {}
        }
        let value = match last {
            Test::Masked(mask) => low & mask as u32,
            _ => low,
        };
        steps.push(step(word, last, value, holds, fails));
        steps
    }
}

fn masked(mask: u32) -> Test {
    match mask {
        u32::MAX => Test::Equal,
        mask => Test::Masked(mask.into()),
    }
}

/// A step of a condition of a rule.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct At {
    rule: usize,
    condition: usize,
    step: usize,
}

/// What is known where a test is placed.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Known {
    loaded: Option<Word>,
    /// An upper half, and whether it is or is not this value.
    half: Option<(Word, u32, bool)>,
}

struct Placing<'a> {
    assembler: &'a mut Assembler,
    /// The steps of each rule's conditions, and its action.
    rules: Vec<(Vec<Vec<Step>>, u32)>,
    otherwise: u32,
    placed: HashMap<(At, Known), Label>,
}

impl Placing<'_> {
    fn place(&mut self, at: At, known: Known) -> Label {
        let Some((conditions, action)) = self.rules.get(at.rule) else {
            return self.assembler.returns(self.otherwise);
        };
        let Some(steps) = conditions.get(at.condition) else {
            return self.assembler.returns(*action);
        };
        if let Some(label) = self.placed.get(&(at, known)) {
            return *label;
        }
        let step = steps[at.step];
        let label = match step.answer(known) {
            Some(true) => self.place(at.then(step.yes), known),
            Some(false) => self.place(at.then(step.no), known),
            None => self.test(at, step, known),
        };
        self.placed.insert((at, known), label);
        label
    }

    fn test(&mut self, at: At, step: Step, known: Known) -> Label {
        let load = Some(step.word).filter(|_| known.loaded != Some(step.word));
        let (mask, test, reversed) = match step.test {
            Test::Equal => (None, (IF_EQUAL, step.value), false),
            Test::Above => (None, (IF_ABOVE, step.value), false),
            Test::AtLeast => (None, (IF_AT_LEAST, step.value), false),
            Test::Masked(mask) if step.value == 0 => (None, (IF_ANY, mask as u32), true),
            Test::Masked(mask) => (Some(mask as u32), (IF_EQUAL, step.value), false),
        };
        // Masking destroys what was loaded.
        let loaded = Some(step.word).filter(|_| mask.is_none());
        let learnt = |equal| match step.test {
            Test::Equal if step.word % 8 == 4 => Some((step.word, step.value, equal)),
            _ => known.half,
        };
        let no = self.place(
            at.then(step.no),
            Known {
                loaded,
                half: learnt(false),
            },
        );
        let yes = self.place(
            at.then(step.yes),
            Known {
                loaded,
                half: learnt(true),
            },
        );
        let (yes, no) = if reversed { (no, yes) } else { (yes, no) };
        self.assembler.test(load, mask, test, yes, no)
    }
}

impl At {
    fn then(self, next: Next) -> At {
        let At { rule, condition, step } = self;
        match next {
            Next::Step => At {
                rule,
                condition,
                step: step + 1,
            },
            Next::Holds => At {
                rule,
                condition: condition + 1,
                step: 0,
            },
            Next::Fails => At {
                rule: rule + 1,
                condition: 0,
                step: 0,
            },
        }
    }
}

impl Step {
    /// The test's result, if it follows from what is known.
    fn answer(&self, known: Known) -> Option<bool> {
        let (_, value, equal) = known.half.filter(|(word, ..)| *word == self.word)?;
        match self.test {
            Test::Equal if equal => Some(value == self.value),
            Test::Equal => (value == self.value).then_some(false),
            Test::Above if equal => Some(value > self.value),
            Test::AtLeast if equal => Some(value >= self.value),
            Test::Masked(mask) if equal => Some(value & mask as u32 == self.value),
            _ => None,
        }
    }
}
