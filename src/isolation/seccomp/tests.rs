//! The filter, run as the kernel runs it.

use super::*;

/// What the kernel would return for a call: it runs the filter as `filter.rst` says.
fn run(filter: &[Instruction], way: u32, number: u32, argument: u32) -> u32 {
    let mut at = 0;
    let mut loaded = 0;
    loop {
        let Instruction { code, skip, value } = filter[at];
        let taken = match code {
            LOAD => {
                loaded = match value {
                    NUMBER => number,
                    WAY => way,
                    ARGUMENT => argument,
                    _ => panic!("nothing to load at {value}"),
                };
                at += 1;
                continue;
            }
            JUMP => {
                at += 1 + value as usize;
                continue;
            }
            RETURN => return value,
            IF_EQUAL => loaded == value,
            IF_AT_LEAST => loaded >= value,
            IF_ANY => loaded & value != 0,
            _ => panic!("no instruction {code:#x}"),
        };
        at += 1 + usize::from(skip[usize::from(!taken)]);
    }
}

const DEFAULT: u64 = 0xa804_25fb;

#[test]
fn the_filter_decides_as_the_table_says() {
    for capabilities in [0, DEFAULT, u64::MAX] {
        let filter = filter(capabilities);
        let verdicts = [0, 1].map(|way| verdicts(way, capabilities));
        for (way, number, argument) in (0..2).flat_map(|way| {
            let numbers = (0..600).chain([0x4000_0000, 0x4000_0000 + 39, u32::MAX]);
            numbers.flat_map(move |number| {
                [0, 1, 8, 38, 39, 40, 41, 0x11, 0x1000_0000, u32::MAX].map(|argument| (way, number, argument))
            })
        }) {
            let expected = match verdicts[way][number.min(NEWEST + 1) as usize] {
                Verdict::Allow => RETURN_ALLOW,
                Verdict::Refuse(errno) => RETURN_ERRNO | errno as u32,
                Verdict::Without(bits) if argument & bits == 0 => RETURN_ALLOW,
                Verdict::Except(values) if !values.contains(&argument) => RETURN_ALLOW,
                Verdict::Only(values) if values.contains(&argument) => RETURN_ALLOW,
                _ => RETURN_ERRNO | libc::EPERM as u32,
            };
            assert_eq!(
                run(&filter.instructions, WAYS[way], number, argument),
                expected,
                "{way} {number} {argument:#x}"
            );
        }
        assert_eq!(
            run(&filter.instructions, 0xc000_00b7, 0, 0),
            RETURN_KILL,
            "a way that this machine does not have"
        );
    }
}

#[test]
fn numbers_are_those_of_the_calls_that_are_meant() {
    let errno = |number: i64, argument| run(&filter(DEFAULT).instructions, WAYS[0], number as u32, argument) & 0xffff;
    for number in [
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_sethostname,
        libc::SYS_setdomainname,
        libc::SYS_quotactl,
        libc::SYS_fanotify_init,
        libc::SYS_open_tree,
        libc::SYS_move_mount,
        libc::SYS_fsopen,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_fspick,
        libc::SYS_mount_setattr,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_syslog,
        libc::SYS_open_by_handle_at,
        libc::SYS_reboot,
        libc::SYS_init_module,
        libc::SYS_delete_module,
        libc::SYS_finit_module,
        libc::SYS_acct,
        libc::SYS_kcmp,
        libc::SYS_pidfd_getfd,
        libc::SYS_process_madvise,
        libc::SYS_iopl,
        libc::SYS_ioperm,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_vhangup,
        libc::SYS_mbind,
        libc::SYS_set_mempolicy,
        libc::SYS_get_mempolicy,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_keyctl,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_userfaultfd,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_kexec_load,
        libc::SYS_kexec_file_load,
        libc::SYS_pivot_root,
        libc::SYS_migrate_pages,
        libc::SYS_move_pages,
    ] {
        assert_eq!(errno(number, 0), libc::EPERM as u32, "{number}");
    }
    for number in [
        libc::SYS_read,
        libc::SYS_execve,
        libc::SYS_chroot,
        libc::SYS_ptrace,
        libc::SYS_seccomp,
        libc::SYS_mknodat,
    ] {
        assert_eq!(errno(number, 0), 0, "{number}");
    }
    assert_eq!(errno(libc::SYS_clone3, 0), libc::ENOSYS as u32);
    assert_eq!(errno(libc::SYS_clone, libc::CLONE_NEWUSER as u32), libc::EPERM as u32);
    assert_eq!(errno(libc::SYS_clone, libc::CLONE_VM as u32), 0);
    assert_eq!(errno(libc::SYS_socket, libc::AF_VSOCK as u32), libc::EPERM as u32);
    assert_eq!(errno(libc::SYS_socket, libc::AF_ALG as u32), libc::EPERM as u32);
    assert_eq!(errno(libc::SYS_socket, libc::AF_INET as u32), 0);
    assert_eq!(
        errno(libc::SYS_personality, 0x4_0000),
        libc::EPERM as u32,
        "ADDR_NO_RANDOMIZE"
    );
}
