//! Descriptors: handing them to other processes, and to the program that this one becomes.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

/// Lets a descriptor stay open when this process or a child executes another program. Returns its number.
pub fn keep_on_exec(fd: impl AsFd) -> io::Result<i32> {
    // It is the only flag that there is.
    fcntl_setfd(&fd, FdFlags::empty())?;
    Ok(fd.as_fd().as_raw_fd())
}

/// The descriptor that this process was started with under a number. What this process executes does not inherit it again.
pub fn inherited(number: i32) -> io::Result<OwnedFd> {
    // SAFETY: only borrowed to find out whether it is open.
    fcntl_setfd(unsafe { BorrowedFd::borrow_raw(number) }, FdFlags::CLOEXEC)?;
    // SAFETY: it is open, and whoever started us left it to us.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Opens `/dev/null` for each of the standard streams that is closed, so that nothing else gets its number.
pub fn open_standard() {
    let closed = |fd| {
        // SAFETY: only asks about a number.
        unsafe { libc::fcntl(fd, libc::F_GETFD) == -1 }
    };
    for _ in (0..=2).filter(|fd| closed(*fd)) {
        // SAFETY: the path is a string. The lowest number that is free is given, which is the one that was closed.
        unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
    }
}

/// Closes all descriptors from 3 on but those in `keep`. Nobody may use any other from then on.
pub fn close_all_but(keep: &[i32]) {
    let mut keep: Vec<u32> = keep
        .iter()
        .filter_map(|fd| u32::try_from(*fd).ok())
        .filter(|fd| *fd >= 3)
        .collect();
    keep.sort_unstable();
    let mut first = 3;
    for fd in keep {
        close_range(first, fd);
        first = fd + 1;
    }
    close_range(first, u32::MAX);
}

/// Closes descriptors that another process has opened which had ours.
pub fn close_all(numbers: &[i32]) {
    for number in numbers {
        // SAFETY: nobody here has used them.
        unsafe { libc::close(*number) };
    }
}

/// Closes the descriptors from `first` on and before `end`.
fn close_range(first: u32, end: u32) {
    if first < end {
        // SAFETY: the caller of `close_all_but` has no more use for them. Where the kernel lacks the call (before 5.9) they
        // stay open, and close when the next program is executed.
        unsafe { libc::syscall(libc::SYS_close_range, first, end - u32::from(end != u32::MAX), 0) };
    }
}

/// Sends a message with a descriptor.
pub fn send(socket: impl AsFd, message: &[u8], fd: BorrowedFd) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    assert!(
        control.push(SendAncillaryMessage::ScmRights(&fds)),
        "there is space for one descriptor"
    );
    sendmsg(socket, &[IoSlice::new(message)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Sends all of a message on a stream, and descriptors with its first byte.
pub fn send_all(socket: impl AsFd, parts: &[&[u8]], fds: &[BorrowedFd]) -> io::Result<()> {
    let rights = SendAncillaryMessage::ScmRights(fds);
    let mut space = vec![MaybeUninit::uninit(); rights.size()];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(fds.is_empty() || control.push(rights), "there is space for all of them");
    let vectors: Vec<IoSlice> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let mut sent = sendmsg(&socket, &vectors, &mut control, SendFlags::NOSIGNAL)?;
    for part in parts {
        while sent < part.len() {
            let more = rustix::net::send(&socket, &part[sent..], SendFlags::NOSIGNAL)?;
            sent += more;
        }
        sent -= part.len();
    }
    Ok(())
}

/// Receives a message, and the descriptor with it if there is one. No bytes mean that the other end is closed.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received =
        rustix::io::retry_on_intr(|| recvmsg(&socket, &mut [IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC))?;
    if received.flags.contains(ReturnFlags::TRUNC) {
        return Err(io::Error::other("a message is too long"));
    }
    let mut fd = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut fds) = message {
            fd = fds.next();
        }
    }
    Ok((received.bytes, fd))
}

/// Which of several descriptors are ready to be read. Those that are none are not waited for.
pub fn wait_for<const N: usize>(fds: [Option<BorrowedFd>; N]) -> io::Result<[bool; N]> {
    let ready = wait_to(fds.map(|fd| fd.map(|fd| (fd, PollFlags::IN))))?;
    Ok(ready.map(|ready| !ready.is_empty()))
}

/// For what a descriptor is ready now of what is wanted of it.
pub fn ready(fd: impl AsFd, wanted: PollFlags) -> io::Result<PollFlags> {
    let mut set = [PollFd::new(&fd, wanted)];
    poll(&mut set, Some(&Timespec::default()))?;
    Ok(set[0].revents())
}

/// For what several descriptors are ready of what is wanted of them. Those that are none are not waited for.
pub fn wait_to<const N: usize>(fds: [Option<(BorrowedFd, PollFlags)>; N]) -> io::Result<[PollFlags; N]> {
    let mut set: Vec<PollFd> = fds
        .iter()
        .flatten()
        .map(|(fd, wanted)| PollFd::from_borrowed_fd(*fd, *wanted))
        .collect();
    rustix::io::retry_on_intr(|| poll(&mut set, None))?;
    let mut ready = set.iter().map(PollFd::revents);
    Ok(fds.map(|fd| fd.and_then(|_| ready.next()).unwrap_or(PollFlags::empty())))
}
