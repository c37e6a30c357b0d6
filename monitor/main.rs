//! The monitor: one small process per container, and the only thing of tinydock that is resident.
//!
//! It is the parent of the container's init and outlives the command that started it. It holds the container's lock,
//! writes what the container writes to the log and to whoever is attached, passes on what they type, and records how the
//! container ended. Then it becomes the ordinary tinydock, which cleans up, unless somebody else does.
//!
//! ```text
//!                      ┌─────────┐  log (json lines)
//!   init ──stdout────▶ │         │ ──────────────────▶ container/<id>/log
//!        ──stderr────▶ │ monitor │
//!        ◀──stdin───── │         │ ◀─── messages ───▶ clients (run, attach, wait)
//!        ──pidfd─────▶ └─────────┘
//! ```
//!
//! A host runs hundreds of these, so it is freestanding: no allocator, no C library, a few pages of memory that are only
//! touched when something is to be carried.

#![no_std]
#![no_main]

#[cfg_attr(target_arch = "x86_64", path = "../init/arch/x86_64.rs")]
mod arch;
mod clients;
mod clock;
mod exit;
mod leave;
mod line;
mod log;
mod protocol;
mod streams;
mod sys;

use clients::{CLIENTS, Clients};
use protocol::Given;
use streams::{Input, Output};
use sys::{POLLIN, POLLOUT, Poll};

/// Where the kernel maps what the monitor is given (init/image.ld).
const GIVEN: usize = 0x1000_0000;

/// Signals that end a process but not this one: whoever stops the host stops the containers themselves.
const IGNORED: [u64; 7] = [1, 2, 3, 10, 12, 13, 15];

struct Monitor {
    output: Output,
    input: Input,
    clients: Clients,
}

/// Zero until it is used, so that its pages cost nothing until then.
static mut MONITOR: Monitor = Monitor { output: Output::new(), input: Input::new(), clients: Clients::new() };

#[unsafe(no_mangle)]
extern "C" fn enter() -> ! {
    // SAFETY: the kernel mapped it there; this is the only thread, and takes the only reference to the state.
    let (given, monitor) = unsafe { (&*(GIVEN as *const Given), &mut *(&raw mut MONITOR)) };
    IGNORED.into_iter().for_each(sys::ignore);
    monitor.output.open(given);
    monitor.input.open(given);
    monitor.clients.open(given);
    while !monitor.turn(given) {}
    monitor.output.drain(&mut monitor.clients);
    let code = exit::record(given);
    // Whoever has connected is told the end. Whoever comes later finds the record of it.
    sys::refuse(given.listener);
    while monitor.clients.accept(given.listener) {}
    monitor.output.deliver(&mut monitor.clients);
    monitor.clients.tell_exit(code);
    // The kernel may have left whoever was told on this processor's queue, and nobody waits for what is done now.
    sys::step_back();
    leave::to_client(given, &monitor.clients);
    leave::to_remover(given);
    sys::become_program(given.program, given.arguments, given.environment);
    sys::exit(1)
}

/// Places in the poll set. Those of the clients follow.
const INIT: usize = 0;
const LISTENER: usize = 1;
const STDIN: usize = 2;
const OUTPUT: usize = 3;
const CLIENT: usize = 5;

impl Monitor {
    /// Waits until there is something to do and does it. Returns whether the container has ended.
    fn turn(&mut self, given: &Given) -> bool {
        let mut set = [Poll { fd: -1, events: POLLIN, ready: 0 }; CLIENT + CLIENTS];
        set[INIT].fd = given.init;
        set[LISTENER].fd = given.listener;
        if self.input.is_waiting() {
            set[STDIN] = Poll { fd: self.input.fd(), events: POLLOUT, ready: 0 };
        }
        // While a client has not taken what the container wrote, no more of it is read: the container waits, as it would
        // for a terminal.
        if !self.clients.any_behind() {
            set[OUTPUT].fd = self.output.sources[0].fd;
            set[OUTPUT + 1].fd = self.output.sources[1].fd;
        }
        for (place, client) in set[CLIENT..].iter_mut().zip(&self.clients.all) {
            let (read, write) = (client.is_new() || !self.input.is_waiting(), client.is_behind());
            place.fd = if read || write { client.fd } else { -1 };
            place.events = if read { POLLIN } else { 0 } | if write { POLLOUT } else { 0 };
        }
        sys::poll(&mut set);
        self.serve(given, &set);
        set[INIT].ready != 0
    }

    fn serve(&mut self, given: &Given, set: &[Poll]) {
        for (n, place) in set[CLIENT..].iter().enumerate() {
            if place.ready & POLLOUT != 0 {
                self.clients.send_again(n, self.output.message());
            }
            if place.ready & !POLLOUT == 0 {
            } else if self.clients.is_new(n) {
                self.clients.meet(n);
            } else {
                self.input.take(given, &mut self.clients, n);
            }
        }
        if self.clients.end_input() {
            self.input.end();
        }
        if set[STDIN].ready != 0 {
            self.input.pass_on();
        }
        for n in 0..2 {
            if set[OUTPUT + n].ready != 0 && !self.clients.any_behind() {
                self.output.carry(n, &mut self.clients);
            }
        }
        if set[LISTENER].ready != 0 {
            self.clients.accept(given.listener);
        }
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    sys::exit(1)
}
