//! Logins go to whom they are for, and to nobody else.

use std::fs;

use super::hostile::{is_layer, twisted};
use super::image::Image;
use super::server::{Answer, Server};
use crate::host::Host;

/// Keeps a login for a server without asking it.
fn log_in(host: &Host, server: &Server) {
    let config = format!(r#"{{"auths":{{"{}":{{"auth":"bWU6c2VjcmV0"}}}}}}"#, server.address);
    fs::create_dir_all(host.path("docker")).expect("make the folder");
    fs::write(host.path("docker/config.json"), config).expect("write logins");
}

fn pull_as(host: &Host, image: &str) -> crate::host::Done {
    let mut command = host.command(&["pull", "-q", image]);
    command.env("DOCKER_CONFIG", host.path("docker"));
    command.output().expect("run tinydock").into()
}

const BASIC: &str = "Basic bWU6c2VjcmV0";

#[test]
fn credentials_go_to_their_registry_and_to_nobody_else() {
    let host = Host::new();
    let image = Image::new("x", 0, 0);
    let layer = image.layers[0].clone();
    let store = Server::start("127.0.0.1", move |_| Answer::new(200, layer.clone()));
    let place = store.address;
    let server = twisted(image, move |image, asked| {
        if asked.headers.get("authorization").is_none_or(|header| header != BASIC) {
            return Some(Answer::new(401, "{}").header("WWW-Authenticate", "Basic realm=\"x\""));
        }
        is_layer(image, asked).then(|| Answer::new(307, "").header("Location", format!("http://{place}/layer?signed")))
    });
    log_in(&host, &server);
    pull_as(&host, &server.image("x:1")).ok();
    let asked = store.asked();
    assert_eq!(asked.len(), 1);
    assert!(!asked[0].headers.contains_key("authorization"), "{asked:#?}");
    assert!(
        server
            .asked_for("/blobs/")
            .iter()
            .any(|asked| asked.headers.contains_key("authorization"))
    );
}

#[test]
fn a_token_is_fetched_once_and_used() {
    let host = Host::new();
    let tokens = Server::start("127.0.0.1", |asked| match asked.headers.get("authorization") {
        Some(header) if header == BASIC => Answer::new(200, r#"{"token":"the-token","expires_in":300}"#),
        _ => Answer::new(401, r#"{"details":"incorrect username or password"}"#),
    });
    let realm = tokens.address;
    let server = twisted(Image::new("x", 3, 1000), move |_, asked| {
        if asked.path == "/v2/"
            || asked
                .headers
                .get("authorization")
                .is_some_and(|header| header == "Bearer the-token")
        {
            return None;
        }
        let challenge = format!("Bearer realm=\"http://{realm}/token\",service=\"here\"");
        Some(Answer::new(401, "{}").header("WWW-Authenticate", challenge))
    });
    let message = pull_as(&host, &server.image("me/x:1")).fails(1);
    assert!(
        message.contains("401 Unauthorized: incorrect username or password"),
        "{message}"
    );
    let before = tokens.asked().len();
    log_in(&host, &server);
    pull_as(&host, &server.image("me/x:1")).ok();
    let asked = tokens.asked().split_off(before);
    assert_eq!(asked.len(), 1, "{asked:#?}");
    for field in ["service=here", "scope=repository%3Ame%2Fx%3Apull", "account=me"] {
        assert!(
            asked[0].path.contains(field) || asked[0].path.contains(&field.replace("%3A", ":").replace("%2F", "/")),
            "{asked:#?}"
        );
    }
    assert!(
        server
            .asked()
            .iter()
            .all(|asked| asked.headers.get("authorization").is_none_or(|header| header != BASIC))
    );
}
