//! The default filter.

use super::super::builtin::{decisions, is_usual};
use super::*;
use crate::isolation::capabilities;

const DEFAULT: u64 = 0xa804_25fb;

fn made(capabilities: u64) -> Filter {
    let instructions = assemble::assemble(&super::super::builtin::ways(capabilities));
    Filter {
        instructions,
        flags: 0,
        notifies: false,
    }
}

#[test]
fn the_filter_decides_as_the_table_says() {
    for capabilities in [0, DEFAULT, u64::MAX] {
        let filter = made(capabilities);
        for (way, architecture) in [(0, WIDE), (1, assemble::NARROW)] {
            let decisions = decisions(way, capabilities);
            for number in (0..600).chain([0x4000_0000, 0x4000_0000 + 39, u32::MAX]) {
                for argument in [0, 1, 8, 38, 39, 40, 41, 0x11, 0x1000_0000, 0xffff_ffff, 0x1_0000_0026] {
                    let call = Call {
                        way: architecture,
                        number,
                        arguments: [argument; 6],
                    };
                    let decision = &decisions[decisions.len().min(number as usize + 1) - 1];
                    let fits = |rule: &&decision::Rule| rule.conditions.iter().all(|condition| holds_for(condition, argument));
                    let rule = decision.rules.iter().find(fits);
                    let expected = rule.map_or(decision.otherwise, |rule| rule.action);
                    assert_eq!(run(&filter, call), expected, "{call:?}");
                }
            }
        }
        let foreign = Call {
            way: 0xc000_00b7,
            number: 0,
            arguments: [0; 6],
        };
        assert_eq!(
            run(&filter, foreign),
            action::KILL_PROCESS,
            "a way that this machine does not have"
        );
    }
}

/// The conditions of the table, of which all are on a lower half.
fn holds_for(condition: &decision::Condition, argument: u64) -> bool {
    let argument = argument & 0xffff_ffff;
    match condition.test {
        decision::Test::Equal => argument == condition.value,
        decision::Test::Masked(mask) => argument & mask == condition.value,
        _ => panic!("{condition:?}"),
    }
}

#[test]
fn the_usual_filter_is_made_when_tinydock_is_built() {
    assert!(is_usual(DEFAULT) && is_usual(DEFAULT & !1));
    assert_eq!(capabilities::set_of(&capabilities::DEFAULT), DEFAULT);
    assert!(!is_usual(0) && !is_usual(DEFAULT | 1 << capability::SYS_ADMIN));
    assert_eq!(super::super::builtin(DEFAULT), made(DEFAULT));
    assert_eq!(super::super::builtin(0), made(0));
}

/// Each instruction costs a microsecond or two when the filter is installed.
#[test]
fn the_filter_is_short() {
    let lengths = [DEFAULT, 0, u64::MAX].map(|capabilities| made(capabilities).instructions.len());
    assert_eq!(lengths, [119, 120, 72]);
}

#[test]
fn numbers_are_those_of_the_calls_that_are_meant() {
    let filter = made(DEFAULT);
    let errno = |number: i64, argument: u32| run(&filter, Call::wide(number as u32, [argument.into(); 6])) & 0xffff;
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
