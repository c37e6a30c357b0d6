//! Who the command runs as: `-u` by name or number, as the image's own `/etc/passwd` and `/etc/group` know it.

use crate::error::{Error, Result};

/// A user as the kernel knows one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub user: u32,
    pub group: u32,
    /// All groups, in ascending order. The first one is among them: a file that it may not read is not for whoever has left it
    /// (CVE-2022-2989).
    pub groups: Vec<u32>,
    pub home: Vec<u8>,
}

/// The image's user database (passwd(5), group(5)).
#[derive(Clone, Debug, Default)]
pub struct Users {
    pub passwd: Vec<u8>,
    pub group: Vec<u8>,
}

impl Users {
    /// Finds who `NAME|UID[:GROUP|GID]` means. No user is root, no group is the user's own.
    pub fn find(&self, text: &str) -> Result<Identity> {
        let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
        let user = if user.is_empty() { "0" } else { user };
        let number = number(user);
        let entry = records(&self.passwd)
            .find(|fields| fields.len() >= 6 && (fields[0] == user.as_bytes() || (number.is_some() && parse(fields[2]) == number)));
        let mut identity = match (&entry, number) {
            (Some(fields), _) => {
                let (Some(user), Some(group)) = (parse(fields[2]), parse(fields[3])) else {
                    return Err(Error::invalid(format!(
                        "the image's passwd file has no valid numbers for user `{user}`"
                    )));
                };
                Identity {
                    user,
                    group,
                    groups: self.memberships(fields[0]),
                    home: fields[5].to_vec(),
                }
            }
            (None, Some(user)) => Identity {
                user,
                group: 0,
                groups: Vec::new(),
                home: b"/".to_vec(),
            },
            (None, None) => return Err(Error::not_found(format!("no user `{user}` in the image's passwd file"))),
        };
        if entry.is_none() && identity.user == 0 {
            identity.home = b"/root".to_vec();
        }
        if let Some(group) = group.filter(|group| !group.is_empty()) {
            identity.group = self.find_group(group)?;
            identity.groups.clear();
        }
        identity.groups.push(identity.group);
        identity.groups.sort_unstable();
        identity.groups.dedup();
        if identity.home.is_empty() {
            identity.home = b"/".to_vec();
        }
        Ok(identity)
    }

    /// Adds further groups to a user's, by name or number.
    pub fn add_groups(&self, identity: &mut Identity, groups: &[String]) -> Result<()> {
        for group in groups {
            identity.groups.push(self.find_group(group)?);
        }
        identity.groups.sort_unstable();
        identity.groups.dedup();
        Ok(())
    }

    fn find_group(&self, text: &str) -> Result<u32> {
        let found = records(&self.group).find(|fields| fields.len() >= 3 && fields[0] == text.as_bytes());
        let number = found.and_then(|fields| parse(fields[2])).or_else(|| number(text));
        number.ok_or_else(|| Error::not_found(format!("no group `{text}` in the image's group file")))
    }

    /// The groups that list `user` as a member.
    fn memberships(&self, user: &[u8]) -> Vec<u32> {
        let member = |fields: &Vec<&[u8]>| fields.len() >= 4 && fields[3].split(|c| *c == b',').any(|name| name == user);
        let mut groups: Vec<u32> = records(&self.group)
            .filter(member)
            .filter_map(|fields| parse(fields[2]))
            .collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }
}

/// The fields of each line.
fn records(text: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    text.split(|c| *c == b'\n').map(|line| line.split(|c| *c == b':').collect())
}

fn parse(field: &[u8]) -> Option<u32> {
    number(std::str::from_utf8(field).ok()?)
}

/// A number of a user or group. The largest is none: setresuid(2) takes it for "as it is", which is root.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Users {
        Users {
            passwd: b"root:x:0:0:root:/root:/bin/sh\nwww:x:33:34:www:/var/www:/bin/false\nbroken\n1000:x:7:8::/seven:\n".to_vec(),
            group: b"root:x:0:\nwheel:x:10:root,www\nwww:x:34:\nmail:x:8:www\n".to_vec(),
        }
    }

    #[test]
    fn users_are_found_by_name_and_number() {
        for (text, user, group, groups, home) in [
            ("", 0, 0, vec![0, 10], "/root"),
            ("root", 0, 0, vec![0, 10], "/root"),
            ("www", 33, 34, vec![8, 10, 34], "/var/www"),
            ("33", 33, 34, vec![8, 10, 34], "/var/www"),
            ("www:mail", 33, 8, vec![8], "/var/www"),
            ("www:", 33, 34, vec![8, 10, 34], "/var/www"),
            (":99", 0, 99, vec![99], "/root"),
            ("www:99", 33, 99, vec![99], "/var/www"),
            ("4242", 4242, 0, vec![0], "/"),
            ("4242:www", 4242, 34, vec![34], "/"),
            ("1000", 7, 8, vec![8], "/seven"),
        ] {
            let found = users().find(text).unwrap();
            let expected = Identity {
                user,
                group,
                groups,
                home: home.as_bytes().to_vec(),
            };
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn groups_are_added_by_name_and_number() {
        let mut identity = users().find("www").unwrap();
        users()
            .add_groups(&mut identity, &["mail".into(), "7".into(), "www".into()])
            .unwrap();
        assert_eq!(identity.groups, [7, 8, 10, 34]);
        let error = users().add_groups(&mut identity, &["staff".into()]).unwrap_err().to_string();
        assert!(error.contains("`staff`"), "{error}");
    }

    #[test]
    fn an_image_without_users_still_has_root() {
        let found = Users::default().find("").unwrap();
        assert_eq!((found.user, found.home.as_slice()), (0, &b"/root"[..]));
    }

    #[test]
    fn unknown_users_and_groups_are_named() {
        assert!(users().find("4294967295").is_err() && users().find("www:4294967295").is_err());
        assert!(users().find("nobody").unwrap_err().to_string().contains("`nobody`"));
        assert!(users().find("www:staff").unwrap_err().to_string().contains("`staff`"));
    }
}
