//! Which tags a repository has (OCI distribution specification, "Listing Tags"). A registry may list them in several answers, each of
//! which names the next one in a header: `Link: </v2/x/tags/list?last=b&n=2>; rel="next"`.

use serde::Deserialize;
use ureq::http::header::LINK;
use ureq::http::{Method, StatusCode, Uri};

use super::endpoint::Request;
use super::repository::{Repository, read};
use super::url::join;
use crate::error::{Error, Result};
use crate::image::reference::is_tag;
use crate::image::{LARGEST_DOCUMENT, parse_object};

/// More tags than any repository has, and more answers than any registry needs to list them.
const MOST_TAGS: usize = 100_000;
const MOST_ANSWERS: usize = 1000;

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl Repository<'_> {
    /// The tags of the repository, in the registry's order.
    pub fn tags(&self) -> Result<Vec<String>> {
        let mut tags = Vec::new();
        let mut target = Some(format!("/v2/{}/tags/list", self.name()));
        let list = || -> Result<Vec<String>> {
            for _ in 0..MOST_ANSWERS {
                let Some(asked) = target.take() else { return Ok(tags) };
                let (listed, next) = self.some_tags(&asked)?;
                // The others cannot be asked for, and may be of any length.
                tags.extend(listed.into_iter().filter(|tag| is_tag(tag)));
                if tags.len() > MOST_TAGS {
                    return Err(Error::invalid(format!("there are more than {MOST_TAGS}")));
                }
                target = next;
            }
            Err(Error::invalid(format!("they are in more than {MOST_ANSWERS} answers")))
        };
        list().map_err(|error| self.doing(error, "tags"))
    }

    /// The tags of one answer, and where there are more.
    fn some_tags(&self, target: &str) -> Result<(Vec<String>, Option<String>)> {
        let answer = self.endpoint.send(&Request::new(Method::GET, target, &self.scope))?;
        let answer = self.expect(answer, StatusCode::OK)?;
        let links = answer.headers().get_all(LINK).iter().filter_map(|link| link.to_str().ok());
        let next = next(&links.collect::<Vec<_>>().join(", "))?;
        let next = next.map(|next| self.absolute(target, &next)).transpose()?;
        let listed: Listed = parse_object(&read(answer, LARGEST_DOCUMENT)?, "list of tags")?;
        Ok((listed.tags.unwrap_or_default(), next))
    }

    /// The URL that an answer to a request of `target` names.
    fn absolute(&self, target: &str, location: &str) -> Result<String> {
        let base = match target.starts_with('/') {
            true => self.endpoint.origin().map_err(Error::from)?.url(target),
            false => target.to_string(),
        };
        let base: Option<Uri> = base.parse().ok();
        let joined = base.and_then(|base| join(&base, location));
        joined
            .map(|url| url.to_string())
            .ok_or_else(|| Error::invalid(format!("`{}` is not a URL", location.escape_debug())))
    }
}

/// The URL of headers `Link` that is about what comes next (RFC 8288, section 3). If one says that there is more, it must say where.
fn next(header: &str) -> Result<Option<String>> {
    let is_next = |text: &str| text.contains("rel=\"next\"") || text.contains("rel=next");
    let mut links = header.split('<').skip(1).filter_map(|link| link.split_once('>'));
    let next = links.find(|(_, parameters)| is_next(parameters));
    match next {
        None if is_next(header) => Err(Error::invalid(format!(
            "header `Link`: `{}` leads nowhere",
            header.escape_debug()
        ))),
        next => Ok(next.map(|(url, _)| url.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_more() {
        for (header, url) in [
            (
                "</v2/x/tags/list?last=b&n=2>; rel=\"next\"",
                Some("/v2/x/tags/list?last=b&n=2"),
            ),
            ("<https://a.test/x>; rel=next", Some("https://a.test/x")),
            ("</first>; rel=\"first\", </more>; rel=\"next\"", Some("/more")),
            ("</first>; rel=\"first\"", None),
            ("</page?token=a,b>; rel=\"next\"", Some("/page?token=a,b")),
            ("", None),
        ] {
            assert_eq!(next(header).unwrap().as_deref(), url, "{header}");
        }
        assert!(next("/more; rel=\"next\"").is_err());
    }
}
