//! The user's command: what is executed, with which arguments and environment.

/// Where commands are looked for if the environment does not say.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command as execve(2) takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The command's name or path, then its arguments. Not empty.
    pub arguments: Vec<Vec<u8>>,
    /// Lines `NAME=VALUE`.
    pub environment: Vec<Vec<u8>>,
}

impl Command {
    /// The files that may be meant: a name with a slash is a path, another one is looked for along the container's PATH.
    pub fn candidates(&self) -> Vec<Vec<u8>> {
        let name = &self.arguments[0];
        if name.contains(&b'/') || name.is_empty() {
            return vec![name.clone()];
        }
        let path = self
            .environment
            .iter()
            .find_map(|line| line.strip_prefix(b"PATH="))
            .unwrap_or(PATH.as_bytes());
        let directories = path
            .split(|c| *c == b':')
            .map(|directory| if directory.is_empty() { &b"."[..] } else { directory });
        directories.map(|directory| [directory, b"/", name].concat()).collect()
    }
}

/// The environment of a command: what every container has, then what the user set, name by name.
///
/// Each line of `set` is `NAME=VALUE`; one without `=` removes the name.
pub fn environment(set: &[Vec<u8>], hostname: &str, home: &[u8], terminal: bool) -> Vec<Vec<u8>> {
    let mut lines = vec![
        format!("PATH={PATH}").into_bytes(),
        format!("HOSTNAME={hostname}").into_bytes(),
    ];
    if terminal {
        lines.push(b"TERM=xterm".to_vec());
    }
    let name_of = |line: &[u8]| line.split(|c| *c == b'=').next().unwrap_or_default().to_vec();
    for line in set {
        let name = name_of(line);
        let same = |other: &Vec<u8>| name_of(other) == name;
        match (line.contains(&b'='), lines.iter().position(same)) {
            (true, Some(place)) => lines[place].clone_from(line),
            (true, None) => lines.push(line.clone()),
            (false, _) => lines.retain(|other| !same(other)),
        }
    }
    if !set.iter().any(|line| name_of(line) == b"HOME") {
        lines.push([b"HOME=", home].concat());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(list: &[&str]) -> Vec<Vec<u8>> {
        list.iter().map(|text| text.as_bytes().to_vec()).collect()
    }

    #[test]
    fn commands_are_looked_for_along_the_containers_path() {
        for (name, environment, candidates) in [
            ("/bin/true", vec!["PATH=/x"], vec!["/bin/true"]),
            ("./run", vec![], vec!["./run"]),
            ("true", vec!["A=b", "PATH=/x:/y"], vec!["/x/true", "/y/true"]),
            ("true", vec!["PATH=:/y"], vec!["./true", "/y/true"]),
        ] {
            let command = Command {
                arguments: bytes(&[name]),
                environment: bytes(&environment),
            };
            assert_eq!(command.candidates(), bytes(&candidates), "{name} {environment:?}");
        }
        let command = Command {
            arguments: bytes(&["true"]),
            environment: vec![],
        };
        assert_eq!(command.candidates().len(), 6);
    }

    #[test]
    fn the_users_lines_replace_add_and_remove() {
        let set = bytes(&["PATH=/bin", "A=1", "A=2=3", "EMPTY=", "HOME"]);
        let lines = environment(&set, "web", b"/root", true);
        assert_eq!(lines, bytes(&["PATH=/bin", "HOSTNAME=web", "TERM=xterm", "A=2=3", "EMPTY="]));
        assert_eq!(environment(&[], "web", b"/root", false)[2], b"HOME=/root");
    }
}
