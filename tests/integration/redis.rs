//! The README's example: a Redis with a network, a port and a volume.

use std::fs;

use crate::host::{Host, until};

#[test]
fn redis_keeps_its_greeting() {
    let host = Host::new();
    let registry = host.root().join("image/registry");
    fs::create_dir_all(&registry).expect("make the registry");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/redis-image.sh");
    host.sh(&format!("{script} {}/redis.tar.gz", registry.display())).ok();
    host.run("network create -driver bridge -subnet 172.27.0.0/16 mynet").ok();
    let volume = format!("{}:/data", host.path("data").display());
    let start = [
        "-rm",
        "-network",
        "mynet",
        "--name",
        "redis",
        "-v",
        &volume,
        "-p",
        "6379:6379",
        "redis",
    ];
    let server = [
        "redis-server",
        "--dir",
        "/data",
        "--appendonly",
        "yes",
        "--bind",
        "0.0.0.0",
        "--protected-mode",
        "no",
    ];
    for round in 0..2 {
        host.start(&[&start[..], &server[..]].concat());
        assert!(host.run("ls").ok().contains("172.27.0.2"));
        until("an answer", || host.run("exec redis redis-cli ping").stdout == "PONG\n");
        if round == 0 {
            assert_eq!(host.run("exec redis redis-cli set greeting hello").ok(), "OK\n");
        }
        assert_eq!(host.run("exec redis redis-cli get greeting").ok(), "hello\n");
        assert_eq!(host.sh("redis-cli -h 172.27.0.2 get greeting").ok(), "hello\n");
        assert_eq!(host.sh("redis-cli -h 127.0.0.1 get greeting").ok(), "hello\n");
        assert!(host.path("data/appendonlydir").is_dir());
        host.run("stop redis").ok();
        until("it is removed", || host.run("ls -aq").stdout.is_empty());
    }
    host.run("network rm mynet").ok();
}
