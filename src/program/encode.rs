//! Turns a program into the bytes that init executes. `init/instruction.rs` draws the layout.

use super::flags::mount_attr;
use super::instruction::{FORGIVEN, Header, Instruction, RECEIVED, kind};
use super::{Argument, Data, Fd, Input, Program, Register, Step, Success};
use crate::kernel::memory::bytes_of;

/// Which descriptors a particular init is started with, by what they are for.
#[derive(Clone, Debug, Default)]
pub struct Descriptors {
    inputs: Vec<(Input, Place)>,
    /// Where the duration of every step is written, if anywhere.
    pub trace: Option<i32>,
}

/// Where init has a descriptor.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// It inherits it under this number.
    Inherited(i32),
    /// It is the one of this index of those that come with the program.
    Received(usize),
}

impl Descriptors {
    pub fn give(&mut self, input: Input, number: i32) {
        self.inputs.push((input, Place::Inherited(number)));
    }

    /// Says that an input comes with the program, as the one of this index.
    pub fn send(&mut self, input: Input, index: usize) {
        self.inputs.push((input, Place::Received(index)));
    }

    /// Where an input is. A program that uses an input it is not given is a mistake of ours.
    fn place(&self, input: Input) -> Place {
        let given = self.inputs.iter().find(|(given, _)| *given == input);
        given
            .unwrap_or_else(|| panic!("the program uses {input:?}, which init is not given"))
            .1
    }

    /// The number of an input that is inherited.
    fn number(&self, input: Input) -> i32 {
        match self.place(input) {
            Place::Inherited(number) => number,
            Place::Received(_) => panic!("init must inherit {input:?}"),
        }
    }
}

impl Program {
    /// Encodes the program for an init that is started with `descriptors`.
    pub fn encode(&self, descriptors: &Descriptors) -> Vec<u8> {
        let reserved = size_of::<Header>() + self.steps().len() * size_of::<Instruction>();
        let mut encoder = Encoder {
            descriptors,
            data: Data::new(reserved),
            registers: vec![0; self.steps().len()],
        };
        encoder.put_registers(self);
        for (index, step) in self.steps().iter().enumerate() {
            let instruction = encoder.instruction(index, step);
            encoder
                .data
                .fill(size_of::<Header>() + index * size_of::<Instruction>(), bytes_of(&instruction));
        }
        let header = Header {
            count: self.steps().len() as u32,
            report: descriptors.number(Input::Report),
            trace: descriptors.trace.unwrap_or(-1),
            wire: -1,
        };
        encoder.data.fill(0, bytes_of(&header));
        encoder.data.into_bytes()
    }
}

/// What an init is executed with whose program comes on `wire`.
pub fn no_program_yet(wire: i32) -> Vec<u8> {
    let header = Header {
        count: 0,
        report: -1,
        trace: -1,
        wire,
    };
    bytes_of(&header).to_vec()
}

struct Encoder<'a> {
    descriptors: &'a Descriptors,
    data: Data,
    /// The address of each step's register, or 0.
    registers: Vec<u64>,
}

impl Encoder<'_> {
    /// Finds a place for each register. One that is sent in a message lies inside that message.
    fn put_registers(&mut self, program: &Program) {
        for (index, step) in program.steps().iter().enumerate() {
            if step.keeps.is_some() {
                self.registers[index] = self.data.put(&[0; 4], 4);
            }
        }
        for argument in program.steps().iter().flat_map(|step| &step.arguments) {
            if let Argument::Message(Register(index)) = argument {
                self.registers[*index] = self.put_control_message();
            }
        }
    }

    fn instruction(&mut self, index: usize, step: &Step) -> Instruction {
        let (kind, errors): (u8, &[u8]) = match step.success {
            Success::Required => (kind::CALL, &[]),
            Success::Forgiving(errors) => (kind::CALL, errors),
            Success::Awaiting => (kind::WAIT, &[]),
            Success::Forking => (kind::FORK, &[]),
            Success::Staying => (kind::STAY, &[]),
            Success::Trying(errors) => (kind::TRY, errors),
        };
        let mut forgiven = [0; FORGIVEN];
        forgiven[..errors.len()].copy_from_slice(errors);
        let mut arguments = [0; 6];
        let mut loads = 0;
        for (n, argument) in step.arguments.iter().enumerate() {
            let (value, load) = self.argument(argument);
            arguments[n] = value;
            loads |= u8::from(load) << n;
        }
        Instruction {
            number: step.call.number,
            kind,
            loads,
            forgiven,
            keep: self.registers[index] as u32,
            arguments,
        }
    }

    /// An argument's value, and whether that is the address of the register which holds it.
    fn argument(&mut self, argument: &Argument) -> (u64, bool) {
        if let Some(number) = argument.number() {
            return (number, false);
        }
        let value = match argument {
            Argument::Fd(Fd::Kept(Register(index))) => return (self.registers[*index], true),
            Argument::Fd(Fd::Given(input)) => match self.descriptors.place(*input) {
                Place::Inherited(number) => number as u64,
                Place::Received(index) => return (RECEIVED + 4 * index as u64, true),
            },
            Argument::Text(text) => self.data.put_text(text),
            Argument::List(list) => self.data.put_list(list),
            Argument::Struct(of) => self.data.put(&of.0, 8),
            Argument::Filter(bytes) => {
                let instructions = self.data.put(bytes, 8);
                self.data.put_words(&[bytes.len() as u64 / 8, instructions])
            }
            Argument::Mount(change) => {
                let users = change.users.map_or(0, |users| self.descriptors.number(users) as u64);
                let set = change.set | change.users.map_or(0, |_| mount_attr::IDMAP);
                self.data.put_words(&[set, change.clear, change.propagation, users])
            }
            Argument::Buffer(size) => self.data.put(&vec![0; *size], 8),
            Argument::Message(Register(index)) => self.put_message(self.registers[*index]),
            other => unreachable!("{other:?} is a number"),
        };
        (value, false)
    }

    /// Appends a `struct cmsghdr` that carries one descriptor and returns the descriptor's address.
    fn put_control_message(&mut self) -> u64 {
        let level_and_kind = u64::from(libc::SOL_SOCKET as u32) | u64::from(libc::SCM_RIGHTS as u32) << 32;
        self.data.put_words(&[CONTROL_LENGTH, level_and_kind, 0]) + 16
    }

    /// Appends a `struct msghdr` with one byte and the control message around the descriptor at `descriptor`.
    fn put_message(&mut self, descriptor: u64) -> u64 {
        let byte = self.data.put(&[0], 1);
        let vector = self.data.put_words(&[byte, 1]);
        self.data.put_words(&[0, 0, vector, 1, descriptor - 16, CONTROL_LENGTH, 0])
    }
}

/// The length of a control message with one descriptor: two words of header, then 4 bytes (cmsg(3), `CMSG_LEN`).
const CONTROL_LENGTH: u64 = 20;
