//! Registries that are found by name, and that prove who they are.

use std::fs;
use std::net::UdpSocket;
use std::thread;

use super::image::Image;
use super::real::Registry;
use crate::host::Host;

/// A name server that knows one name, `registry.test`, and says that it is this host.
fn name_server() {
    let socket = UdpSocket::bind("127.0.0.1:53").expect("listen");
    thread::spawn(move || {
        let mut message = [0; 512];
        while let Ok((length, who)) = socket.recv_from(&mut message) {
            let question = &message[12..length];
            let is_known = question.starts_with(b"\x08registry\x04test\0");
            let wants_v4 = question[length - 12 - 4..length - 12 - 2] == [0, 1];
            let mut reply = message[..length].to_vec();
            reply[2] |= 0x80;
            if !is_known {
                reply[3] |= 3;
            } else if wants_v4 {
                reply[7] = 1;
                reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 127, 0, 0, 1]);
            }
            let _ = socket.send_to(&reply, who);
        }
    });
}

const CERTIFICATES: &str = "
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=registry.test -keyout tls.key -out tls.csr
printf 'subjectAltName=DNS:registry.test\\n' > names
openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out tls.crt
";

#[test]
fn a_registry_is_found_by_name_and_proves_who_it_is() {
    let host = Host::new();
    // An /etc of this host's own.
    host.sh("mkdir etc && cp -a /etc/. etc/ && mount --bind etc /etc && rm -rf /etc/docker/certs.d && rm -f /etc/resolv.conf")
        .ok();
    host.sh("echo nameserver 127.0.0.1 > /etc/resolv.conf; echo 127.0.0.1 localhost > /etc/hosts")
        .ok();
    name_server();
    host.sh(CERTIFICATES).ok();
    let tls = format!(
        "  tls: {{certificate: {}, key: {}}}\n",
        host.path("tls.crt").display(),
        host.path("tls.key").display()
    );
    let registry = Registry::start(&host, "127.0.0.1:5000", &tls);
    registry.fill(&host, &Image::new("proved", 0, 0), "app:1", "");
    let message = host.run("pull registry.test:5000/app:1").fails(1);
    assert!(message.contains("certificate"), "{message}");
    host.sh("mkdir -p /etc/docker/certs.d/registry.test:5000 && cp ca.crt /etc/docker/certs.d/registry.test:5000/")
        .ok();
    assert_eq!(host.inside(&["-q"], "registry.test:5000/app:1", &[]).ok(), "proved\n");
    let message = host.run("pull unknown.test/app").fails(1);
    assert!(message.contains("no such host"), "{message}");
    // The file comes before the server, and what is not insisted on need not be proved.
    fs::write("/etc/hosts", "127.0.0.1 other.test\n").expect("write");
    let message = host.run("pull other.test:5000/app:1").fails(1);
    assert!(message.contains("certificate"), "{message}");
    fs::write(
        host.path("registries.conf"),
        "[[registry]]\nlocation = 'other.test:5000'\ninsecure = true\n",
    )
    .expect("write");
    assert_eq!(host.inside(&["-q"], "other.test:5000/app:1", &[]).ok(), "proved\n");
    // On this host itself, both ways are tried.
    assert_eq!(host.inside(&["-q"], "127.0.0.1:5000/app:1", &[]).ok(), "proved\n");
    drop(registry);
    host.sh("umount /etc").ok();
}
