//! Who we are: what is sent in the header `Authorization`, and the tokens that are issued for it.
//!
//! ```text
//!   us                         registry                    token server (realm)
//!   ──                         ────────                    ────────────────────
//!   GET …         ───────────▶
//!                 ◀─────────── 401, Bearer realm, service
//!   GET realm?service=…&scope=…, with our password ──────▶
//!                 ◀─────────────────────────────────────── a token, for a while
//!   GET …, token  ───────────▶
//! ```
//!
//! The password goes to the registry that it is for, or to the token server that this registry names, and to nobody else. A
//! registry that is spoken to in secret cannot name a server that is not.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use ureq::http::Uri;
use ureq::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};

use super::challenge::Challenge;
use super::refusal::{Answer, Failure, is_passing, refusal, retry_after};
use super::web::{Origin, Web};
use crate::error::Error;
use crate::image::credentials::Login;

/// How long a token is good for if its server does not say (distribution's token specification).
const USUAL: u64 = 60;
/// A token is not used in its last moments.
const MARGIN: u64 = 5;
/// More than any token server answers.
const LARGEST: u64 = 1 << 20;

/// What authorizes requests to one registry.
pub struct Authorization {
    login: Option<Login>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    challenge: Option<Challenge>,
    /// By their scopes.
    tokens: BTreeMap<String, Token>,
}

struct Token {
    text: String,
    until: Instant,
}

impl Authorization {
    pub fn new(login: Option<Login>) -> Authorization {
        Authorization {
            login,
            state: Mutex::default(),
        }
    }

    /// The header for what `scope` names, as far as it is known that one is needed. A token is fetched once for all threads.
    pub fn header(&self, web: &Web, secure: bool, scope: &str) -> Result<Option<String>, Failure> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (realm, service) = match &state.challenge {
            None => return Ok(None),
            Some(Challenge::Basic) => return Ok(self.basic()),
            Some(Challenge::Bearer { realm, service }) => (realm.clone(), service.clone()),
        };
        if let Some(token) = state.tokens.get(scope).filter(|token| token.until > Instant::now()) {
            return Ok(Some(format!("Bearer {}", token.text)));
        }
        let token = self.fetch(web, secure, &realm, service.as_deref(), scope)?;
        let header = format!("Bearer {}", token.text);
        state.tokens.insert(scope.into(), token);
        Ok(Some(header))
    }

    /// Learns from an answer of 401 what is wanted. Returns whether asking again can help.
    pub fn learn(&self, answer: &Answer, scope: &str) -> bool {
        let offered = answer.headers().get_all(WWW_AUTHENTICATE);
        let Some(challenge) = Challenge::choose(offered.iter().filter_map(|value| value.to_str().ok())) else {
            return false;
        };
        let can_help = challenge != Challenge::Basic || self.basic().is_some();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tokens.remove(scope);
        state.challenge = Some(challenge);
        can_help
    }

    /// Whether there is something to log in with.
    pub fn has_login(&self) -> bool {
        self.login.is_some()
    }

    fn basic(&self) -> Option<String> {
        match &self.login {
            Some(Login::Password { user, password }) => Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))),
            _ => None,
        }
    }

    fn fetch(&self, web: &Web, secure: bool, realm: &str, service: Option<&str>, scope: &str) -> Result<Token, Failure> {
        let doing = |error: Error| error.doing(format!("token server `{}`", realm.escape_debug()));
        let (origin, answer) = self
            .ask(web, secure, realm, service, scope)
            .map_err(|failure| match failure {
                Failure::Lasting(error) => Failure::Lasting(doing(error)),
                Failure::Passing(error, when) => Failure::Passing(doing(error), when),
            })?;
        if is_passing(answer.status()) {
            let when = retry_after(&answer);
            return Err(Failure::Passing(doing(refusal(answer)), when));
        }
        if !answer.status().is_success() {
            return Err(doing(refusal(answer)).into());
        }
        let mut body = Vec::new();
        answer
            .into_body()
            .into_reader()
            .take(LARGEST)
            .read_to_end(&mut body)
            .map_err(|error| doing(error.into()))?;
        read_token(&body).ok_or_else(|| doing(Error::system(format!("`{}` issues no token", origin.authority))).into())
    }

    /// Asks the token server: with a password by GET, with a refresh token by POST (OAuth 2, RFC 6749, section 6).
    fn ask(&self, web: &Web, secure: bool, realm: &str, service: Option<&str>, scope: &str) -> Result<(Origin, Answer), Failure> {
        let url: Uri = realm.parse().map_err(|_| Error::system("not a URL"))?;
        let origin = Origin::of(&url, true).ok_or_else(|| Error::system("not a URL of the web"))?;
        if secure && !origin.secure {
            return Err(Error::system("is not asked, since it does not use https").into());
        }
        let agent = web.agent(&origin)?;
        let mut fields: Vec<(&str, &str)> = service.map(|service| ("service", service)).into_iter().collect();
        fields.extend(Some(("scope", scope)).filter(|(_, scope)| !scope.is_empty()));
        let answer = match &self.login {
            Some(Login::Token(token)) => {
                fields.extend([
                    ("grant_type", "refresh_token"),
                    ("refresh_token", token),
                    ("client_id", "tinydock"),
                ]);
                agent.post(url).send_form(fields)?
            }
            Some(Login::Password { user, .. }) => {
                fields.extend([("account", user.as_str()), ("client_id", "tinydock")]);
                let request = agent.get(url).query_pairs(fields);
                request.header(AUTHORIZATION, self.basic().unwrap_or_default()).call()?
            }
            None => agent.get(url).query_pairs(fields).call()?,
        };
        Ok((origin, answer))
    }
}

fn read_token(body: &[u8]) -> Option<Token> {
    #[derive(Deserialize)]
    struct Issued {
        token: Option<String>,
        access_token: Option<String>,
        expires_in: Option<u64>,
    }
    let issued: Issued = serde_json::from_slice(body).ok()?;
    let text = issued.token.or(issued.access_token).filter(|text| !text.is_empty())?;
    let seconds = issued.expires_in.unwrap_or(USUAL).clamp(MARGIN + 1, 24 * 3600) - MARGIN;
    Some(Token {
        text,
        until: Instant::now() + Duration::from_secs(seconds),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_two_names() {
        for (body, text) in [
            (r#"{"token":"a","expires_in":300}"#, Some("a")),
            (r#"{"access_token":"b"}"#, Some("b")),
            (r#"{"token":""}"#, None),
            ("{}", None),
            ("", None),
        ] {
            assert_eq!(read_token(body.as_bytes()).map(|token| token.text).as_deref(), text, "{body}");
        }
    }

    #[test]
    fn a_token_is_good_for_a_moment_at_least_and_a_day_at_most() {
        for seconds in ["0", "18446744073709551615"] {
            let token = read_token(format!("{{\"token\":\"x\",\"expires_in\":{seconds}}}").as_bytes()).unwrap();
            let left = token.until - Instant::now();
            assert!(left <= Duration::from_secs(24 * 3600) && !left.is_zero());
        }
    }
}
