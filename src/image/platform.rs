//! Platforms: which processor and which system an image is for.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A platform, in Go's words: `linux/arm64/v8`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// Where this program runs.
    pub fn host() -> Platform {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", None),
            "aarch64" => ("arm64", Some("v8")),
            "arm" => ("arm", Some("v7")),
            "x86" => ("386", None),
            "powerpc64" => ("ppc64le", None),
            other => (other, None),
        };
        Platform {
            os: "linux".into(),
            architecture: architecture.into(),
            variant: variant.map(Into::into),
        }
    }

    /// Reads `OS/ARCHITECTURE[/VARIANT]`, or an architecture alone. Other names of architectures are understood.
    pub fn parse(text: &str) -> Result<Platform> {
        let wrong = || {
            Error::invalid(format!("invalid platform `{}`", text.escape_debug()))
                .hint("name it as `linux/amd64`, `linux/arm64` or `linux/arm/v7`")
        };
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            ["linux"] => return Ok(Platform::host()),
            [architecture] if is_known(architecture) => ("linux", architecture, None),
            [_] => return Err(wrong()),
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return Err(wrong()),
        };
        let valid = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
        if !valid(os) || !valid(architecture) || !variant.is_none_or(valid) {
            return Err(wrong());
        }
        let (architecture, implied) = match architecture.to_ascii_lowercase().as_str() {
            "x86_64" | "x86-64" => ("amd64".to_string(), None),
            "aarch64" => ("arm64".into(), None),
            "armhf" => ("arm".into(), Some("v7")),
            "armel" => ("arm".into(), Some("v6")),
            "i386" | "x86" => ("386".into(), None),
            other => (other.into(), None),
        };
        Ok(Platform {
            os: os.to_ascii_lowercase(),
            architecture,
            variant: variant.or(implied).map(str::to_ascii_lowercase),
        })
    }

    /// How well an image for this platform suits one who wants `wanted`: the higher the better, or not at all.
    pub fn suits(&self, wanted: &Platform) -> Option<u32> {
        if self.os != wanted.os || self.architecture != wanted.architecture {
            return None;
        }
        let (own, wanted) = (self.level(), wanted.level());
        match (self.architecture.as_str(), own <= wanted) {
            _ if own == wanted => Some(1000),
            // A newer processor runs what was made for an older one, never the other way round.
            ("arm" | "amd64", true) => Some(own),
            _ => None,
        }
    }

    /// Which generation of its architecture this is; without a word about it, the one that is usual.
    fn level(&self) -> u32 {
        let usual = match self.architecture.as_str() {
            "arm64" => 8,
            "arm" => 7,
            "amd64" => 1,
            _ => 0,
        };
        let number = self
            .variant
            .as_deref()
            .and_then(|variant| variant.trim_start_matches('v').parse().ok());
        number.unwrap_or(usual)
    }
}

/// Whether a word alone is an architecture, in Go's words or in others'. After a system's name it may be any.
fn is_known(word: &str) -> bool {
    const KNOWN: [&str; 21] = [
        "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64", "s390x",
        "wasm", "x86_64", "x86-64", "aarch64", "armhf", "armel", "i386", "x86",
    ];
    KNOWN.contains(&word.to_ascii_lowercase().as_str())
}

impl Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_have_several_spellings() {
        for (text, shown) in [
            ("linux/amd64", "linux/amd64"),
            ("x86_64", "linux/amd64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm/v7", "linux/arm/v7"),
            ("armhf", "linux/arm/v7"),
        ] {
            assert_eq!(Platform::parse(text).unwrap().to_string(), shown);
        }
        assert_eq!(Platform::parse("linux/new").unwrap().to_string(), "linux/new");
        for text in ["", "a/b/c/d", "linux/", "/amd64", "linux/am d", "potato", "windows"] {
            assert!(Platform::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_older_variant_will_do_and_a_newer_one_will_not() {
        let suits = |image: &str, wanted: &str| {
            let platform = |text| Platform::parse(text).unwrap();
            platform(image).suits(&platform(wanted))
        };
        assert!(suits("linux/arm/v6", "linux/arm/v7") < suits("linux/arm/v7", "linux/arm/v7"));
        assert!(suits("linux/arm/v6", "linux/arm/v7").is_some());
        assert_eq!(suits("linux/arm/v7", "linux/arm/v6"), None);
        assert_eq!(suits("linux/amd64/v3", "linux/amd64"), None);
        assert!(suits("linux/arm64", "linux/arm64/v8").is_some());
        assert_eq!(suits("windows/amd64", "linux/amd64"), None);
    }
}
