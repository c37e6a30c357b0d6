//! Explaining: what will be done for a container, in the order in which it is done, by whom and why.

use std::fmt::Write;

use serde::Serialize;

use super::{Argument, Concept, Program, Step, Success};

/// Who takes a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// tinydock, outside the container.
    Host,
    /// init, inside it.
    Init,
}

/// One step, explained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explained {
    pub by: By,
    pub concept: Concept,
    /// The step's number in init's program, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// The system call, or what is done on the host.
    pub call: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Vec<String>>,
    pub why: String,
    /// How long it took, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nanoseconds: Option<u32>,
}

impl Explained {
    /// A step that is taken on the host.
    pub fn on_host(concept: Concept, call: impl Into<String>, why: impl Into<String>) -> Explained {
        Explained {
            by: By::Host,
            concept,
            step: None,
            call: call.into(),
            arguments: None,
            why: why.into(),
            nanoseconds: None,
        }
    }

    fn show(&self) -> String {
        match &self.arguments {
            Some(arguments) => format!("{}({})", self.call, arguments.join(", ")),
            None => self.call.clone(),
        }
    }
}

impl Step {
    /// The call with its arguments, as strace(1) shows calls.
    pub fn show(&self, program: &Program) -> String {
        let arguments: Vec<String> = self.arguments.iter().map(|argument| argument.show(program)).collect();
        format!("{}({})", self.call.name, arguments.join(", "))
    }

    /// Whether the step executes the user's command.
    pub fn is_execution(&self) -> bool {
        matches!(self.success, Success::Trying(_))
    }

    /// The name of the user's command, if this step executes it.
    pub fn command(&self) -> Option<Vec<u8>> {
        match &self.arguments[..] {
            [_, Argument::List(arguments), _] if self.is_execution() => arguments.first().cloned(),
            _ => None,
        }
    }
}

impl Program {
    /// Each step explained.
    pub fn explain(&self) -> Vec<Explained> {
        let explain = |(index, step): (usize, &Step)| Explained {
            by: By::Init,
            concept: step.concept,
            step: Some(index + 1),
            call: step.call.name.to_string(),
            arguments: Some(step.arguments.iter().map(|argument| argument.show(self)).collect()),
            why: step.why.to_string(),
            nanoseconds: None,
        };
        self.steps().iter().enumerate().map(explain).collect()
    }
}

/// Steps as a text to read: under a heading for each change of concept or place, two lines each, the call and its reason.
pub fn text(steps: &[Explained]) -> String {
    let mut text = String::new();
    let mut heading = None;
    for step in steps {
        if heading != Some((step.concept, step.by)) {
            let place = if step.by == By::Host {
                "on the host"
            } else {
                "in the container, by init"
            };
            let _ = writeln!(
                text,
                "{}{}, {place}",
                if heading.is_some() { "\n" } else { "" },
                step.concept.name()
            );
            heading = Some((step.concept, step.by));
        }
        let number = step.step.map(|step| step.to_string()).unwrap_or_default();
        let time = step
            .nanoseconds
            .map(|time| format!("{:>9.1} µs", f64::from(time) / 1000.0))
            .unwrap_or_default();
        let _ = writeln!(
            text,
            "{number:>5}{time}  {}\n{}       {}",
            step.show(),
            " ".repeat(time.chars().count()),
            step.why
        );
    }
    text
}
