//! What an image is called: tags, and the digests at which it was pulled or pushed. Each is a reference of its own, as with Docker,
//! and the image stays while there is one. The digests of a repository are no reason to keep what has lost its last tag there: nobody
//! asked for them.

use crate::error::{Error, Result};
use crate::image::{Entry, Reference};
use crate::store::Digest;

/// All references of one image, sorted as users read them.
pub struct References(Vec<Reference>);

impl References {
    /// Those of the entries that lead to the image.
    pub fn of(entries: &[Entry]) -> References {
        References::new(entries.iter().flat_map(Entry::references).collect())
    }

    fn new(mut references: Vec<Reference>) -> References {
        references.sort_by_key(Reference::familiar);
        references.dedup();
        References(references)
    }

    pub fn all(&self) -> Vec<Reference> {
        self.0.clone()
    }

    /// Those that are taken away with the image, which are all. Of several repositories they only go together if that is forced.
    pub fn gone_at_once(&self, id: &Digest, force: bool) -> Result<Vec<Reference>> {
        let is_scattered = |first: &Reference| self.0.iter().any(|other| !other.is_of_repository_of(first));
        if !force && self.0.first().is_some_and(is_scattered) {
            let many = format!("image `{id}` has names in several repositories");
            return Err(Error::conflict(many).hint("remove its names one by one, or all of them with `-f`"));
        }
        Ok(self.all())
    }

    /// Those that are taken away when a user takes one away.
    pub fn gone_with(&self, asked: &Reference) -> Result<Vec<Reference>> {
        let asked = asked.essential();
        if !self.0.contains(&asked) {
            let missing = Error::not_found(format!("no such reference of an image: `{}`", asked.familiar()));
            return Err(missing.hint("the image has this digest, but was never pulled or pushed there; name its tag or its id"));
        }
        let of_repository = || self.0.iter().filter(|other| other.is_of_repository_of(&asked));
        let tags = of_repository().filter(|other| other.digest().is_none()).count();
        let is_last_tag = asked.digest().is_none() && tags == 1;
        let is_gone = |other: &&Reference| **other == asked || (is_last_tag && other.digest().is_some());
        Ok(of_repository().filter(is_gone).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn parse(text: &str) -> Reference {
        Reference::parse(&text.replace('#', &format!("sha256:{HEX}"))).unwrap()
    }

    #[test]
    fn what_goes_is_what_docker_takes_away() {
        for (all, asked, expected) in [
            ("a:1 a@#", "a:1", Some("a:1 a@#")),
            ("a:1 a@#", "a@#", Some("a@#")),
            ("a:1 a@#", "a:1@#", Some("a@#")),
            ("a:1 a@#", "a:other@#", Some("a@#")),
            ("a@#", "a:1@#", Some("a@#")),
            ("a:1 a:2 a@#", "a:1", Some("a:1")),
            ("a:1 a@# b:1", "a:1", Some("a:1 a@#")),
            ("a:1 a@# b:1 b@#", "b:1", Some("b:1 b@#")),
            ("a@# b:1", "b:1", Some("b:1")),
            ("a:1", "a@#", None),
        ] {
            let references = References::new(all.split(' ').map(parse).collect());
            let gone = references.gone_with(&parse(asked)).ok();
            let expected = expected.map(|text| text.split(' ').map(parse).collect::<Vec<_>>());
            assert_eq!(gone, expected, "{asked} of {all}");
        }
    }

    #[test]
    fn what_others_may_need_is_not_removed_by_an_id() {
        let id = Digest::parse(&format!("sha256:{HEX}")).unwrap();
        for (all, together) in [("a:1 a:2 a@#", true), ("a@#", true), ("a:1 b:1", false), ("a@# b:1", false)] {
            let references = References::new(all.split(' ').map(parse).collect());
            assert_eq!(references.gone_at_once(&id, false).is_ok(), together, "{all}");
            assert_eq!(references.gone_at_once(&id, true), Ok(references.all()), "{all}");
        }
    }
}
