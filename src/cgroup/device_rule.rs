//! Rules about devices as users write them.

use super::DeviceRule;
use crate::error::{Error, Result};

impl DeviceRule {
    /// A rule that allows everything.
    pub fn everything() -> DeviceRule {
        DeviceRule {
            allow: true,
            ..DeviceRule::default()
        }
    }

    /// A rule that allows some access to one device.
    pub fn one(is_block: bool, major: u32, minor: u32, access: &str) -> DeviceRule {
        DeviceRule {
            allow: true,
            kind: Some(if is_block { "b" } else { "c" }.into()),
            major: Some(major.into()),
            minor: Some(minor.into()),
            access: Some(access.into()),
        }
    }

    /// Reads a rule that allows something, as version 1 and Docker write it: `c 1:3 rwm`, where `*` is any number.
    pub fn parse(text: &str) -> Result<DeviceRule> {
        let wrong = || {
            Error::invalid("it is not of the form `c 1:3 rwm`")
                .doing(format!("device rule `{text}`"))
                .hint("the kind is `a`, `b` or `c`, a number may be `*`, the access is of `r`, `w` and `m`")
        };
        let number = |text: &str| match text {
            "*" => Ok(None),
            text => text.parse::<u32>().map(|number| Some(number.into())).map_err(|_| wrong()),
        };
        let parts: Vec<&str> = text.split(' ').collect();
        let [kind @ ("a" | "b" | "c"), numbers, access] = parts[..] else {
            return Err(wrong());
        };
        let (major, minor) = numbers.split_once(':').ok_or_else(wrong)?;
        if !(1..=3).contains(&access.len()) || !access.bytes().all(|letter| b"rwm".contains(&letter)) {
            return Err(wrong());
        }
        Ok(DeviceRule {
            allow: true,
            kind: (kind != "a").then(|| kind.into()),
            major: number(major)?,
            minor: number(minor)?,
            access: Some(access.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_version_1_writes_them() {
        for (text, kind, major, minor, access) in [
            ("c 1:3 rwm", Some("c"), Some(1), Some(3), "rwm"),
            ("b 8:* r", Some("b"), Some(8), None, "r"),
            ("a *:* rw", None, None, None, "rw"),
        ] {
            let rule = DeviceRule::parse(text).unwrap();
            let expected = (kind, major, minor, Some(access));
            assert_eq!(
                (rule.kind.as_deref(), rule.major, rule.minor, rule.access.as_deref()),
                expected,
                "{text}"
            );
        }
        for text in [
            "",
            "c",
            "c 1:3",
            "c 1 rwm",
            "d 1:3 rwm",
            "c 1:3 x",
            "c -1:3 r",
            "c 1:3 rwmm",
            "c 1:3  r",
        ] {
            let error = DeviceRule::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("device rule `{text}`: ")), "{error}");
        }
    }
}
