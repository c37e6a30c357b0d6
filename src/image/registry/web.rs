//! Connections to web servers: which certificates they are checked by, which proxy they go through, how long they may be silent.
//! Nothing here is set up before the first request, since most commands make none.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use ureq::http::Uri;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Proxy};

use super::resolver::Names;
use crate::error::{Doing, Error, Result};

/// Where certificates for single registries are: `HOST:PORT/*.crt`, and `*.cert` with `*.key` to show who we are.
const CERTIFICATES: [&str; 2] = ["/etc/docker/certs.d", "/etc/containers/certs.d"];

const CONNECT: Duration = Duration::from_secs(30);
/// How long a server may think about an answer.
const ANSWER: Duration = Duration::from_secs(120);
/// How long a connection may stand still.
const SILENCE: Duration = Duration::from_secs(60);

/// Whom a connection leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// Whether it is encrypted: https.
    pub secure: bool,
    /// The host and the port.
    pub authority: String,
    /// Whether the server must prove who it is.
    pub verified: bool,
}

impl Origin {
    /// Whom a URL leads to, unless it is one of the sort that is never followed: with a user in it, or without a host.
    pub fn of(url: &Uri, verified: bool) -> Option<Origin> {
        let authority = url.authority().filter(|authority| !authority.as_str().contains('@'))?;
        let secure = match url.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        Some(Origin {
            secure,
            authority: authority.as_str().to_ascii_lowercase(),
            verified,
        })
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", if self.secure { "https" } else { "http" }, self.authority)
    }

    /// Whether it is this host itself.
    pub fn is_local(authority: &str) -> bool {
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|c| c.is_ascii_digit()) => host,
            _ => authority,
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare == "localhost" || bare.ends_with(".localhost") || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// All connections of one command, which can be ended at once.
#[derive(Default)]
pub struct Web {
    agents: Mutex<BTreeMap<Origin, Agent>>,
    roots: OnceLock<Vec<Certificate<'static>>>,
    stopped: Mutex<bool>,
    stopping: Condvar,
}

impl Web {
    /// What makes requests to an origin. Its connections are used again.
    pub fn agent(&self, origin: &Origin) -> Result<Agent> {
        if *lock(&self.stopped) {
            return Err(stopped());
        }
        let mut agents = lock(&self.agents);
        if let Some(agent) = agents.get(origin) {
            return Ok(agent.clone());
        }
        let agent = self.connect(origin)?;
        agents.insert(origin.clone(), agent.clone());
        Ok(agent)
    }

    fn connect(&self, origin: &Origin) -> Result<Agent> {
        let mut config = Agent::config_builder()
            // Statuses and redirects are looked at by those who asked.
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("tinydock/", env!("CARGO_PKG_VERSION")))
            .proxy(if Origin::is_local(&origin.authority) {
                None
            } else {
                Proxy::try_from_env()
            })
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .timeout_per_read(Some(SILENCE))
            .timeout_per_write(Some(SILENCE))
            .max_idle_connections_per_host(16)
            .max_idle_connections(32);
        if origin.secure {
            config = config.tls_config(self.tls(origin)?);
        }
        Ok(Agent::with_parts(config.build(), DefaultConnector::new(), Names))
    }

    fn tls(&self, origin: &Origin) -> Result<TlsConfig> {
        let own = own_certificates(&origin.authority)?;
        let roots = self.roots.get_or_init(system_certificates);
        let roots: Vec<_> = roots.iter().chain(&own.authorities).cloned().collect();
        if roots.is_empty() && origin.verified {
            return Err(
                Error::system("this host has no certificates to check servers by").hint("install the package `ca-certificates`")
            );
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(provider)
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .client_cert(own.client)
            .disable_verification(!origin.verified);
        Ok(config.build())
    }

    /// Ends all connections, and all waiting. Requests fail from now on.
    pub fn stop(&self) {
        *lock(&self.stopped) = true;
        self.stopping.notify_all();
        let agents = std::mem::take(&mut *lock(&self.agents));
        agents.into_values().for_each(Agent::shutdown);
    }

    /// Waits before something is tried again.
    pub fn pause(&self, time: Duration) -> Result<()> {
        let deadline = Instant::now() + time;
        let mut stop = lock(&self.stopped);
        loop {
            if *stop {
                return Err(stopped());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            stop = self
                .stopping
                .wait_timeout(stop, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    pub fn is_stopped(&self) -> bool {
        *lock(&self.stopped)
    }
}

/// The error of what is not done because something else failed, which is the error to report.
fn stopped() -> Error {
    Error::system("interrupted")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn system_certificates() -> Vec<Certificate<'static>> {
    let found = rustls_native_certs::load_native_certs().certs;
    found.iter().map(|der| Certificate::from_der(der).to_owned()).collect()
}

/// The certificates for one registry.
#[derive(Default)]
struct Own {
    authorities: Vec<Certificate<'static>>,
    client: Option<ClientCert>,
}

/// Whether somebody has put certificates there for a registry.
pub fn has_certificates(authority: &str) -> bool {
    CERTIFICATES.iter().any(|folder| Path::new(folder).join(authority).is_dir())
}

fn own_certificates(authority: &str) -> Result<Own> {
    let mut own = Own::default();
    for folder in CERTIFICATES {
        let entries = fs::read_dir(Path::new(folder).join(authority))
            .into_iter()
            .flatten()
            .flatten();
        for path in entries.map(|entry| entry.path()) {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => own.authorities.extend(certificates(&path)?),
                Some("cert") => own.client = Some(client(&path)?),
                _ => {}
            }
        }
    }
    Ok(own)
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let doing = || format!("certificate `{}`", path.display());
    let pem = fs::read(path).doing(doing)?;
    let items = parse_pem(&pem).collect::<std::result::Result<Vec<_>, _>>();
    let found: Vec<_> = items
        .map_err(Error::invalid)
        .doing(doing)?
        .into_iter()
        .filter_map(|item| {
            if let PemItem::Certificate(found) = item {
                Some(found)
            } else {
                None
            }
        })
        .collect();
    if found.is_empty() {
        return Err(Error::invalid("has no certificate in PEM").doing(doing()));
    }
    Ok(found)
}

fn client(path: &Path) -> Result<ClientCert> {
    let key: PathBuf = path.with_extension("key");
    let doing = || format!("key `{}`", key.display());
    let pem = fs::read(&key).doing(doing)?;
    let private = PrivateKey::from_pem(&pem).map_err(Error::invalid).doing(doing)?;
    Ok(ClientCert::new_with_certs(&certificates(path)?, private))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_has_many_names() {
        for (authority, local) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.9:5000", true),
            ("[::1]:5000", true),
            ("[::1]", true),
            ("registry.localhost:1", true),
            ("localhost.test", false),
            ("10.0.0.1:5000", false),
            ("registry.test", false),
        ] {
            assert_eq!(Origin::is_local(authority), local, "{authority}");
        }
    }

    #[test]
    fn urls_that_are_never_followed() {
        for url in ["https://user:secret@a.test/x", "ftp://a.test/", "/path"] {
            assert_eq!(Origin::of(&url.parse().unwrap(), true), None, "{url}");
        }
        let origin = Origin::of(&"HTTPS://A.test:444/x?y".parse().unwrap(), true).unwrap();
        assert_eq!(origin.url("/v2/"), "https://a.test:444/v2/");
    }

    #[test]
    fn who_is_stopped_does_not_wait() {
        let web = Web::default();
        assert!(web.pause(Duration::from_millis(1)).is_ok());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| web.pause(Duration::from_secs(60)));
            web.stop();
            assert!(waiting.join().unwrap().is_err());
        });
    }
}
