//! `--filter KEY=VALUE`, as all commands have it.
//!
//! Filters with different keys must all be met. Of several with the same key one is enough, except where the meaning is that something
//! has what they name, such as labels.

use crate::error::{Error, Result};
use crate::flags::Parsed;
use crate::store::{clock, parse_moment};

/// The filters of a command line.
#[derive(Debug, Default)]
pub struct Filters {
    pairs: Vec<(String, String)>,
}

impl Filters {
    /// Reads the filters, whose keys must be known.
    pub fn parse(parsed: &Parsed, known: &[&str]) -> Result<Filters> {
        let mut pairs = Vec::new();
        for text in parsed.all("filter") {
            let text = text.display().to_string();
            let wrong = |what: &str| Error::invalid(what).doing(format!("filter `{text}`"));
            let Some((key, value)) = text.split_once('=') else {
                return Err(wrong("it has no `=`").hint("write it like `name=web`"));
            };
            let key = key.trim().to_ascii_lowercase();
            if !known.contains(&key.as_str()) {
                return Err(wrong(&format!("invalid filter `{key}`")).hint(format!("there are {}", known.join(", "))));
            }
            pairs.push((key, value.trim().to_string()));
        }
        Ok(Filters { pairs })
    }

    /// The values of a key.
    pub fn all<'f>(&'f self, key: &'f str) -> impl Iterator<Item = &'f str> {
        self.pairs
            .iter()
            .filter(move |(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }

    pub fn has(&self, key: &str) -> bool {
        self.all(key).next().is_some()
    }

    /// Whether a key was not given, or one of its values is what is meant.
    pub fn any(&self, key: &str, is_meant: impl FnMut(&str) -> bool) -> bool {
        !self.has(key) || self.all(key).any(is_meant)
    }

    /// Reads each value of a key.
    pub fn read<T>(&self, key: &str, read: impl Fn(&str) -> Result<T>) -> Result<Vec<T>> {
        let values = self.all(key);
        values
            .map(|value| read(value).map_err(|error| error.doing(format!("filter `{key}={value}`"))))
            .collect()
    }

    /// A key that is true or false.
    pub fn truth(&self, key: &str) -> Result<Option<bool>> {
        let read = |value: &str| match value {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(Error::invalid("it must be `true` or `false`")),
        };
        Ok(self.read(key, read)?.pop())
    }

    /// The values of a key that are moments, in seconds since 1970: dates, or how long ago.
    pub fn moments(&self, key: &str) -> Result<Vec<u64>> {
        let now = clock::since_1970();
        self.read(key, |text| parse_moment(text, now).map(|moment| moment.as_secs()))
    }

    /// Whether what has these labels has all that `label` names, and none that `label!` names.
    pub fn labels<'l>(&self, find: impl Fn(&str) -> Option<&'l String>) -> bool {
        let has = |wanted: &str| {
            let (name, value) = wanted
                .split_once('=')
                .map_or((wanted, None), |(name, value)| (name, Some(value)));
            find(name).is_some_and(|found| value.is_none_or(|value| value == found))
        };
        self.all("label").all(has) && !self.all("label!").any(has)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::flags::{Order, option, parse};

    fn filters(words: &[&str]) -> Result<Filters> {
        let flags = [option("filter", Some(b'f'), "", "")];
        let parsed = parse(&flags, Order::Mixed, words.iter().map(Into::into))?;
        Filters::parse(&parsed, &["name", "label", "label!", "dangling"])
    }

    #[test]
    fn filters_are_read_and_met() {
        let read = filters(&["-f", "name=a", "--filter", "Name = b", "-f", "label=x=1", "-f", "label!=y"]).unwrap();
        assert_eq!(read.all("name").collect::<Vec<_>>(), ["a", "b"]);
        assert!(read.any("name", |name| name == "b") && !read.any("name", |name| name == "c") && read.any("dangling", |_| false));
        for (labels, expected) in [
            (vec![("x", "1")], true),
            (vec![("x", "2")], false),
            (vec![], false),
            (vec![("x", "1"), ("y", "2")], false),
        ] {
            let labels: BTreeMap<String, String> = labels
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect();
            assert_eq!(read.labels(|name| labels.get(name)), expected, "{labels:?}");
        }
    }

    #[test]
    fn wrong_filters_are_named() {
        for (words, wrong) in [
            (["-f", "name"], "filter `name`: it has no `=`"),
            (["-f", "color=red"], "filter `color=red`: invalid filter `color`"),
        ] {
            let error = filters(&words).unwrap_err().to_string();
            assert_eq!(error.lines().next(), Some(wrong));
        }
        let error = filters(&["-f", "dangling=perhaps"]).unwrap().truth("dangling").unwrap_err();
        assert_eq!(error.to_string(), "filter `dangling=perhaps`: it must be `true` or `false`");
    }
}
