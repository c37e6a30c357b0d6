//! `images`: all images, as lists and filters see them.

use super::{Container, Engine};
use crate::error::{Error, Result};
use crate::image::{Catalog, Image, Layout, Reference};
use crate::layer::Form;
use crate::store::{Digest, clock};

/// One line of a list.
#[derive(Clone, Debug)]
pub struct ListedImage {
    pub repository: Option<String>,
    pub tag: Option<String>,
    /// The digest of the manifest.
    pub digest: Option<Digest>,
    /// In seconds since 1970; 0 is built in.
    pub created: u64,
    /// In bytes, as it is transferred.
    pub size: u64,
    /// What is known of it: nothing while it is a tarball that was not unpacked.
    pub image: Option<Image>,
}

/// What an image is called.
#[derive(Clone, Debug, Default)]
pub struct ImageNames {
    pub tags: Vec<String>,
    /// Where it can be pulled again, at which digest.
    pub digests: Vec<String>,
}

/// Which images are meant.
#[derive(Clone, Debug, Default)]
pub struct ImageFilter {
    pub dangling: Option<bool>,
    /// Names, or names and values: all must be there.
    pub labels: Vec<String>,
    /// Those made before this one, those made after this one.
    pub before: Option<u64>,
    pub since: Option<u64>,
    /// Patterns of names: one must match.
    pub references: Vec<String>,
}

impl ListedImage {
    pub fn is_dangling(&self) -> bool {
        self.tag.is_none()
    }

    /// The name as users write it.
    pub fn name(&self) -> Option<String> {
        Some(format!("{}:{}", self.repository.as_ref()?, self.tag.as_ref()?))
    }
}

impl Engine {
    /// All images that are meant, youngest first, the built-in one last. What cannot be read is passed to `unreadable`.
    pub fn images(&self, filter: &ImageFilter, mut unreadable: impl FnMut(Error)) -> Result<Vec<ListedImage>> {
        let mut images = Vec::new();
        for entry in Layout::new(&self.store).entries()? {
            let image = match Image::read(&self.store, &entry) {
                Ok(image) => image,
                Err(error) => {
                    let name = entry.name().map_or(entry.manifest.digest.to_string(), |name| name.familiar());
                    unreadable(error.doing(format!("image `{name}`")));
                    continue;
                }
            };
            let name = entry.name();
            let source = entry.sources().first().map(Reference::familiar_repository);
            images.push(ListedImage {
                repository: name.as_ref().map(Reference::familiar_repository).or(source),
                tag: name.and_then(|name| name.tag().map(str::to_string)),
                digest: Some(entry.manifest.digest.clone()),
                created: image.created,
                size: image.size(),
                image: Some(image),
            });
        }
        for listed in Catalog::new(&self.store).list()? {
            let is_hidden = listed.created == 0
                && images
                    .iter()
                    .any(|other| other.name() == Some(format!("{}:latest", listed.name)));
            if !is_hidden {
                images.push(ListedImage {
                    repository: Some(listed.name),
                    tag: Some("latest".into()),
                    digest: None,
                    created: listed.created,
                    size: listed.size,
                    image: listed.record.as_ref().map(Image::of_record).transpose()?,
                });
            }
        }
        images.retain(|image| filter.means(image));
        images.sort_by_key(|image| (std::cmp::Reverse(image.created), image.name()));
        Ok(images)
    }

    /// The names that the layout has in the repository of a name, sorted.
    pub fn tags_of(&self, repository: &Reference) -> Result<Vec<Reference>> {
        let names = Layout::new(&self.store)
            .entries()?
            .into_iter()
            .filter_map(|entry| entry.name());
        let is_meant = |name: &Reference| name.tag().is_some() && name.digest().is_none() && name.is_of_repository_of(repository);
        let mut names: Vec<Reference> = names.filter(is_meant).collect();
        names.sort();
        Ok(names)
    }

    /// When an image was made, for filters that compare with it.
    pub fn image_created(&self, text: &str) -> Result<u64> {
        let image = self.image_if_unpacked(text)?;
        Ok(image.map_or_else(clock::seconds, |image| image.created))
    }

    /// All names of an image.
    pub fn names_of(&self, image: &Image) -> Result<ImageNames> {
        let mut names = ImageNames::default();
        for entry in Layout::new(&self.store).entries()? {
            let same = Image::read(&self.store, &entry).is_ok_and(|other| other.id == image.id);
            if same {
                names
                    .tags
                    .extend(entry.name().filter(|name| name.tag().is_some()).map(|name| name.familiar()));
                names.digests.extend(entry.sources().iter().map(Reference::familiar));
            }
        }
        for listed in Catalog::new(&self.store).list()? {
            if listed
                .record
                .is_some_and(|record| Image::of_record(&record).is_ok_and(|other| other.id == image.id))
            {
                names.tags.push(format!("{}:latest", listed.name));
            }
        }
        names.digests.dedup();
        Ok(names)
    }

    /// Where a layer is.
    pub fn layer_path(&self, diff_id: &Digest) -> std::path::PathBuf {
        crate::layer::path(&self.store, diff_id)
    }

    /// Which form new layers get, and why.
    pub fn form_of_layers(&self) -> Result<Form> {
        crate::layer::form(&self.store.directory("layer/draft")?)
    }

    /// How many bytes the files of a layer have.
    pub fn layer_size(&self, diff_id: &Digest) -> u64 {
        crate::layer::size(&self.store, diff_id).unwrap_or(0)
    }

    /// How many bytes the files of several layers have.
    pub fn layers_size(&self, diff_ids: &[Digest]) -> u64 {
        diff_ids.iter().map(|id| self.layer_size(id)).sum()
    }

    /// The containers whose layers are those of an image or begin with them.
    pub fn users_of(&self, image: &Image) -> Result<Vec<Container>> {
        let mut users = Vec::new();
        for id in Container::ids(&self.store)? {
            if let Some(container) = Container::load(&self.store, &id)? {
                let spec = &container.spec;
                let same = match &spec.image_id {
                    Some(id) => *id == image.id,
                    None => spec.layers == image.layers(),
                };
                if same {
                    users.push(container);
                }
            }
        }
        Ok(users)
    }
}

impl ImageFilter {
    pub fn means(&self, image: &ListedImage) -> bool {
        let labels = image.image.as_ref().map(|image| &image.config.config.labels);
        let has = |wanted: &String| {
            let (name, value) = wanted
                .split_once('=')
                .map_or((wanted.as_str(), None), |(name, value)| (name, Some(value)));
            let found = labels.and_then(|labels| labels.get(name));
            found.is_some_and(|found| value.is_none_or(|value| value == found))
        };
        let named = |pattern: &String| {
            let names = [image.name(), image.repository.clone()];
            names.iter().flatten().any(|name| matches(pattern, name))
        };
        self.dangling.is_none_or(|dangling| dangling == image.is_dangling())
            && self.labels.iter().all(has)
            && self.before.is_none_or(|time| image.created < time)
            && self.since.is_none_or(|time| image.created > time)
            && (self.references.is_empty() || self.references.iter().any(named))
    }
}

/// Whether a name matches a pattern, in which `*` is any run of characters but `/`, and `?` any one of them.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // Where the last star was, and how much of the name it has taken so far.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some('?') if name[n] != '/' => (p, n) = (p + 1, n + 1),
            Some(letter) if *letter == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, taken)) if name[taken] != '/' => {
                    star = Some((at, taken + 1));
                    (p, n) = (at + 1, taken + 1);
                }
                _ => return false,
            },
        }
    }
    pattern[p..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stay_within_a_part_of_a_name() {
        for (pattern, name, expected) in [
            ("busybox", "busybox", true),
            ("busy*", "busybox:latest", true),
            ("*:latest", "busybox:latest", true),
            ("b?sybox", "busybox", true),
            ("*", "a/b", false),
            ("*/*", "a/b", true),
            ("a*c*e", "abcde", true),
            ("a*c", "abcde", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
