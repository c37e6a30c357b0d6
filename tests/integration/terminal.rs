//! A user at a terminal.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::host::{Host, PATIENCE};

/// A terminal whose keys the test presses.
pub struct Terminal {
    keyboard: File,
    screen: String,
    child: Child,
    /// Its modes before the command could change them.
    modes: Termios,
}

impl Terminal {
    /// Starts a command on a terminal of its own, as its session's leader.
    pub fn run(mut command: Command) -> Terminal {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&keyboard).and_then(|()| unlockpt(&keyboard)).expect("unlock it");
        rustix::io::ioctl_fionbio(&keyboard, true).expect("read without waiting");
        let path = ptsname(&keyboard, Vec::new()).expect("its name").into_string().expect("text");
        let line = || OpenOptions::new().read(true).write(true).open(&path).expect("open it");
        command.stdin(line()).stdout(line()).stderr(line());
        // SAFETY: the closure makes two system calls.
        unsafe {
            command.pre_exec(|| {
                rustix::process::setsid()?;
                rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
                Ok(())
            })
        };
        let modes = tcgetattr(&keyboard).expect("the modes");
        let child = command.spawn().expect("start tinydock");
        Terminal {
            keyboard: File::from(keyboard),
            screen: String::new(),
            child,
            modes,
        }
    }

    pub fn child(&self) -> &Child {
        &self.child
    }

    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("press keys");
    }

    /// Waits until the screen shows something, and forgets what was there up to it.
    #[track_caller]
    pub fn shows(&mut self, text: &str) {
        while !self.screen.contains(text) {
            assert!(self.read(), "no {text:?} on the screen at the end:\n{}", self.screen);
        }
        let (_, rest) = self.screen.split_once(text).expect("it is there");
        self.screen = rest.to_string();
    }

    /// Everything that was shown until the command ended, with plain line ends, and its exit code.
    #[track_caller]
    pub fn end(mut self) -> (String, Option<i32>) {
        while self.read() {}
        let code = self.child.wait().expect("its end").code();
        (self.screen.replace('\r', ""), code)
    }

    /// Reads what is shown next; false once nobody has the terminal open.
    #[track_caller]
    fn read(&mut self) -> bool {
        let start = Instant::now();
        let mut buffer = [0; 4096];
        loop {
            assert!(
                start.elapsed() < PATIENCE,
                "nothing more on the screen after:\n{}",
                self.screen
            );
            match self.keyboard.read(&mut buffer) {
                Ok(length) => {
                    self.screen += &String::from_utf8_lossy(&buffer[..length]);
                    return length > 0;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(Duration::from_millis(5)),
                Err(error) if error.raw_os_error() == Some(libc::EIO) => return false,
                Err(error) => panic!("{error}, on the screen:\n{}", self.screen),
            }
        }
    }

    pub fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.keyboard, size).expect("resize the terminal");
    }
}

/// What shows that a command runs and the shell's line editor has left the keys to the terminal.
const WAIT: &str = "echo rea''dy; exec sleep 1000";

fn use_shell(host: &Host, arguments: &[&str]) {
    let mut terminal = Terminal::run(host.command(arguments));
    // Keys pressed before there is a shell wait for it.
    terminal.press("echo ear''ly\r");
    terminal.shows("\r\nearly\r\n");
    terminal.resize(33, 77);
    // The size travels beside the keys, so it is asked for until it has arrived.
    terminal.press("until stty size | grep '33 77'; do sleep 0.1; done\r");
    terminal.shows("\r\n33 77\r\n");
    terminal.press(&format!("sh -c \"{WAIT}\"\r"));
    terminal.shows("\r\nready\r\n");
    terminal.press("\x03");
    terminal.shows("# ");
    terminal.press("echo sta''tus $?\r");
    terminal.shows("\r\nstatus 130\r\n");
    terminal.press(&format!("sh -c \"{WAIT}\"\r"));
    terminal.shows("\r\nready\r\n");
    terminal.press("\x1a");
    terminal.shows("Stopped");
    terminal.press("jobs | wc -l; kill %1; bg\r");
    terminal.shows("\r\n1\r\n");
    terminal.press("echo not a secr''et; exit 9\r");
    terminal.shows("\r\nnot a secret\r\n");
    assert_eq!(terminal.child.wait().expect("its end").code(), Some(9));
    let after = tcgetattr(&terminal.keyboard).expect("the modes");
    assert_eq!(after.local_modes, terminal.modes.local_modes, "the terminal is as it was");
    assert_eq!(after.input_modes, terminal.modes.input_modes, "the terminal is as it was");
}

#[test]
fn a_shell_in_a_new_container() {
    let host = Host::new();
    use_shell(&host, &["run", "-it", "--rm", "--network", "none", "busybox", "sh"]);
}

#[test]
fn a_shell_in_a_running_container() {
    let host = Host::new();
    host.start(&["--name", "there", "--network", "none", "busybox", "sleep", "1000"]);
    use_shell(&host, &["exec", "-it", "there", "sh"]);
}
