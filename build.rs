//! Builds what is embedded in tinydock: the freestanding programs, and the image that needs no network.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

// What makes the filter of system calls, of which the usual one is made here.
#[allow(dead_code)]
#[path = "src/isolation/seccomp/assemble.rs"]
mod assemble;
#[allow(dead_code)]
#[path = "src/isolation/seccomp/builtin.rs"]
mod builtin;
#[allow(dead_code)]
#[path = "src/isolation/seccomp/decision.rs"]
mod decision;
#[allow(dead_code)]
#[path = "src/program/flags.rs"]
mod flags;
use flags::capability;

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    freestanding("init", &out);
    freestanding("monitor", &out);
    busybox_image(&out);
    usual_filter(&out);
    pack_relocations();
    put_in_order();
    println!("cargo::rerun-if-changed=build.rs");
}

/// Has the executable's relocations packed (`DT_RELR`), so that it does not read 200 KB of them whenever it starts. A glibc that
/// is older than this knows no such relocations, nor the musl that an older Rust brings.
fn pack_relocations() {
    let is_glibc = env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|library| library == "gnu");
    let are_known = if is_glibc {
        version_of_glibc() >= (2, 36)
    } else {
        version_of_rust() >= (1, 93)
    };
    if are_known {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Of this machine's, which is the one that is linked.
#[cfg(target_env = "gnu")]
fn version_of_glibc() -> (u32, u32) {
    // SAFETY: it returns a string that lasts.
    let version = unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) };
    numbers(&version.to_string_lossy())
}

/// A machine that has none links none.
#[cfg(not(target_env = "gnu"))]
fn version_of_glibc() -> (u32, u32) {
    (0, 0)
}

fn version_of_rust() -> (u32, u32) {
    let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC");
    let told = Command::new(rustc).arg("--version").output().expect("run rustc");
    let told = String::from_utf8_lossy(&told.stdout);
    numbers(told.split(' ').nth(1).unwrap_or_default())
}

/// The first two numbers of a version.
fn numbers(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Puts the functions together that the usual commands run (`bench/order.py`). Who debugs does not wait for that.
fn put_in_order() {
    let script = fs::canonicalize("order.ld").expect("order.ld");
    println!("cargo::rerun-if-changed=order.ld");
    if env::var("PROFILE").expect("cargo sets PROFILE") == "release" {
        println!("cargo::rustc-link-arg-bins=-T{}", script.display());
    }
    println!("cargo::rerun-if-env-changed=TINYDOCK_MAP");
    if let Ok(map) = env::var("TINYDOCK_MAP") {
        println!("cargo::rustc-link-arg-bins=-Wl,-Map={map}");
    }
}

/// Compiles `NAME/main.rs` without the standard library into a static executable at a fixed address.
fn freestanding(name: &str, out: &Path) {
    let script = fs::canonicalize("init/image.ld").expect("init/image.ld");
    let mut rustc = Command::new(env::var_os("RUSTC").expect("cargo sets RUSTC"));
    rustc.args([
        "--edition=2024",
        "--crate-type=bin",
        "--target",
        &env::var("TARGET").expect("cargo sets TARGET"),
    ]);
    rustc.args([
        "-Cpanic=abort",
        "-Copt-level=s",
        "-Clto=fat",
        "-Ccodegen-units=1",
        "-Cstrip=symbols",
        "-Dwarnings",
    ]);
    rustc.args([
        "-Crelocation-model=static",
        "-Ctarget-feature=-crt-static",
        "-Cforce-unwind-tables=no",
    ]);
    let link = [
        "-nostdlib",
        "-nostartfiles",
        "-static",
        "-no-pie",
        "-Wl,--build-id=none",
        "-Wl,-z,max-page-size=4096",
    ];
    rustc.args(link.map(|argument| format!("-Clink-arg={argument}")));
    rustc.arg(format!("-Clink-arg=-Wl,-T,{}", script.display()));
    rustc
        .args(["--crate-name", name, &format!("{name}/main.rs"), "-o"])
        .arg(out.join(name));
    let status = rustc.status().unwrap_or_else(|error| panic!("run {rustc:?}: {error}"));
    assert!(status.success(), "cannot compile {name}: {rustc:?}");
    let size = fs::metadata(out.join(name)).expect("what was compiled").len();
    assert!(
        size <= 32 << 10,
        "{name} has {size} bytes: state that is not zero at the start is in the file, and in memory for each container"
    );
    println!("cargo::rerun-if-changed=init");
    println!("cargo::rerun-if-changed={name}");
}

/// Makes the filter of system calls for containers with the usual capabilities: `filter`, as the kernel takes it.
fn usual_filter(out: &Path) {
    let filter = assemble::assemble(&builtin::ways(builtin::USUAL));
    let bytes: Vec<u8> = filter.into_iter().flat_map(|instruction| instruction.bytes()).collect();
    fs::write(out.join("filter"), bytes).expect("write to OUT_DIR");
    println!("cargo::rerun-if-changed=src/isolation/seccomp");
    println!("cargo::rerun-if-changed=src/program/flags.rs");
}

/// Packs this machine's static busybox as the image `busybox`: `busybox.tar.gz`, and `busybox.digest` of the tarball.
fn busybox_image(out: &Path) {
    println!("cargo::rerun-if-env-changed=TINYDOCK_BUSYBOX");
    let path = env::var_os("TINYDOCK_BUSYBOX").map_or_else(|| "/bin/busybox".into(), PathBuf::from);
    println!("cargo::rerun-if-changed={}", path.display());
    let hint = "install the package busybox-static, or name a static busybox in TINYDOCK_BUSYBOX";
    let binary = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}\n  hint: {hint}", path.display()));
    // A dynamic executable names its linker in a segment of type 3 (elf(5), PT_INTERP).
    assert!(!has_segment(&binary, 3), "{}: is not static\n  hint: {hint}", path.display());
    let applets = Command::new(&path)
        .arg("--list-full")
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let applets = String::from_utf8(applets.stdout).expect("busybox lists its applets");

    let mut tar = Builder::new(Vec::new());
    for directory in [
        "bin", "dev", "etc", "proc", "sbin", "sys", "usr", "usr/bin", "usr/sbin", "var",
    ] {
        append(&mut tar, directory, EntryType::Directory, 0o755, &[]);
    }
    append(&mut tar, "root", EntryType::Directory, 0o700, &[]);
    append(&mut tar, "tmp", EntryType::Directory, 0o1777, &[]);
    append(
        &mut tar,
        "etc/passwd",
        EntryType::Regular,
        0o644,
        b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    );
    append(
        &mut tar,
        "etc/group",
        EntryType::Regular,
        0o644,
        b"root:x:0:\nnogroup:x:65534:\n",
    );
    // Each container's own are mounted here. Where an image does not have them, each container has to make them.
    for file in ["etc/hostname", "etc/hosts", "etc/resolv.conf"] {
        append(&mut tar, file, EntryType::Regular, 0o644, &[]);
    }
    append(&mut tar, "bin/busybox", EntryType::Regular, 0o755, &binary);
    for applet in applets.lines().filter(|applet| *applet != "bin/busybox") {
        let mut header = header(EntryType::Link, 0o755);
        tar.append_link(&mut header, applet, "bin/busybox").expect("append to memory");
    }
    let tar = tar.into_inner().expect("append to memory");
    let digest: String = Sha256::digest(&tar).iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(out.join("busybox.digest"), format!("sha256:{digest}")).expect("write to OUT_DIR");
    // Not with zstd, which older engines cannot pull and older tools cannot unpack.
    let mut compressed = GzEncoder::new(Vec::new(), Compression::best());
    compressed.write_all(&tar).expect("compress to memory");
    fs::write(out.join("busybox.tar.gz"), compressed.finish().expect("compress to memory")).expect("write to OUT_DIR");
}

fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header
}

fn append(tar: &mut Builder<Vec<u8>>, path: &str, kind: EntryType, mode: u32, data: &[u8]) {
    let mut header = header(kind, mode);
    header.set_size(data.len() as u64);
    tar.append_data(&mut header, path, data).expect("append to memory");
}

/// Whether a 64-bit ELF file has a segment of a type (elf(5)).
fn has_segment(elf: &[u8], kind: u32) -> bool {
    let number = |at: usize, length: usize| {
        elf[at..at + length]
            .iter()
            .rev()
            .fold(0usize, |n, byte| n << 8 | usize::from(*byte))
    };
    assert!(elf.len() > 64 && elf.starts_with(b"\x7fELF\x02"), "not a 64-bit executable");
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    (0..count).any(|n| number(table + n * size, 4) == kind as usize)
}
