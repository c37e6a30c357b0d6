//! As whom a thread makes files (credentials(7), setfsuid(2)).

use std::io;

/// What a change of the user does not decide about then: capabilities (capabilities(7), `SECBIT_NO_SETUID_FIXUP`).
const NO_SETUID_FIXUP: libc::c_ulong = 1 << 2;

/// Has the calling thread make files as somebody else, with the power that it has.
pub fn make_files_as(user: u32, group: u32) -> io::Result<()> {
    // SAFETY: none of these touches memory, and all concern the calling thread only.
    let now = unsafe {
        let bits = libc::prctl(libc::PR_GET_SECUREBITS);
        if bits < 0 || libc::prctl(libc::PR_SET_SECUREBITS, bits as libc::c_ulong | NO_SETUID_FIXUP) != 0 {
            return Err(io::Error::last_os_error());
        }
        libc::syscall(libc::SYS_setfsgid, group);
        libc::syscall(libc::SYS_setfsuid, user);
        // It does not tell whether it has done it; asked for nobody it tells who it is.
        (
            libc::syscall(libc::SYS_setfsuid, u32::MAX),
            libc::syscall(libc::SYS_setfsgid, u32::MAX),
        )
    };
    if now == (user.into(), group.into()) {
        Ok(())
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}
