//! What `-v`, `--mount` and `--tmpfs` mean.

use std::path::Path;

use super::*;

fn short(text: &str) -> Result<Mount> {
    Mount::parse_short(text.as_bytes(), Path::new("/work"))
}

fn long(text: &str) -> Result<Mount> {
    Mount::parse_long(text, Path::new("/work"))
}

fn bind(mount: &Mount) -> &HostPath {
    match &mount.source {
        Source::Bind(host) => host,
        other => panic!("{other:?}"),
    }
}

#[test]
fn paths_of_the_host_are_read_as_docker_reads_them() {
    for (text, source, target, access) in [
        ("/a:/b", "/a", "/b", Access::Writable),
        ("/a:/b:ro", "/a", "/b", Access::ReadOnly),
        ("/a:/b:ro,z", "/a", "/b", Access::ReadOnly),
        ("/a:/b:ro-non-recursive", "/a", "/b", Access::ReadOnlyTop),
        ("/a b:/c d:rw", "/a b", "/c d", Access::Writable),
        ("./x:/b//c/../d/", "/work/./x", "/b/d", Access::Writable),
        ("../x:/b:cached", "/work/../x", "/b", Access::Writable),
    ] {
        let mount = short(text).unwrap();
        assert!(bind(&mount).create, "{text}");
        assert_eq!(bind(&mount).path, source.into(), "{text}");
        assert_eq!((mount.target, mount.access), (target.into(), access), "{text}");
    }
    assert_eq!(bind(&short("/a:/b:rslave,ro").unwrap()).propagation, Propagation::RSlave);
}

#[test]
fn a_source_that_is_no_path_is_a_volume() {
    let volume = |name: &str, no_copy| {
        Source::Volume(VolumeUse {
            name: name.into(),
            anonymous: name.is_empty(),
            no_copy,
            ..VolumeUse::default()
        })
    };
    for (text, source) in [
        ("data:/b", volume("data", false)),
        ("data:/b:nocopy,ro", volume("data", true)),
        ("/b", volume("", false)),
    ] {
        assert_eq!(short(text).unwrap().source, source, "{text}");
    }
}

#[test]
fn a_bad_volume_is_named() {
    for text in [
        "",
        ":/b",
        "/a:",
        "/a:b",
        "/a:/",
        "/a:/./",
        "/a:/b/..",
        "/a:/b:x",
        "/a:/b:",
        "/a:/b:ro:x",
        "b",
        "x:/b",
        "da/ta:/b",
        "data:/b:rslave",
        "/a:/b:nocopy",
        "data:/b:idmap",
    ] {
        let error = short(text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("volume `{text}`: ")), "{error}");
    }
}

#[test]
fn mounts_say_everything() {
    let mount = long("type=bind,src=./x,dst=/b,ro,bind-propagation=rslave,bind-recursive=writable,consistency=cached").unwrap();
    assert_eq!(mount.access, Access::ReadOnlyTop);
    assert_eq!(bind(&mount).path, "/work/./x".into());
    assert!(!bind(&mount).create && bind(&mount).propagation == Propagation::RSlave);
    assert!(bind(&long("type=bind,source=/a,target=/b,bind-create-src").unwrap()).create);
    assert!(bind(&long("type=bind,source=/a,target=/b,bind-recursive=disabled").unwrap()).alone);
    assert_eq!(
        long("type=bind,source=/a,target=/b,readonly=false").unwrap().access,
        Access::Writable
    );

    let mount =
        long("src=data,destination=/b,volume-nocopy,volume-label=a=b,\"volume-opt=o=uid=1,gid=2\",volume-subpath=x/y").unwrap();
    let volume = mount.volume().unwrap();
    assert!(volume.no_copy && !volume.anonymous);
    assert_eq!((volume.name.as_str(), &volume.subpath), ("data", &"x/y".into()));
    assert_eq!(
        (volume.labels["a"].as_str(), volume.options["o"].as_str()),
        ("b", "uid=1,gid=2")
    );

    let mount = long("type=tmpfs,target=/b,tmpfs-size=1m,tmpfs-mode=0700").unwrap();
    let Source::Tmpfs(tmpfs) = mount.source else {
        panic!("{mount:?}")
    };
    let data = [("size".into(), "1048576".into()), ("mode".into(), "700".into())];
    assert_eq!(tmpfs.data, data);

    let mount = long("TYPE=image,Source=tools,TARGET=/b,image-subpath=bin").unwrap();
    assert!(matches!(mount.source, Source::Image(image) if image.name == "tools" && image.subpath == "bin".into()));
}

#[test]
fn a_bad_mount_is_named() {
    for (text, part) in [
        ("", "`` : unknown key"),
        ("type=bind,source=/a", "the target is missing"),
        ("type=bind,target=/b", "the source is missing"),
        ("type=bind,source=a,target=/b", "the source is no path"),
        ("type=bind,source=/a,target=b", "no absolute path"),
        ("type=disk,source=/a,target=/b", "unknown type `disk`"),
        ("type=bind,source=/a,target=/b,readonly=maybe", "`readonly=maybe`: "),
        (
            "type=bind,source=/a,target=/b,volume-nocopy",
            "`volume-nocopy` is not for a mount of type `bind`",
        ),
        ("type=bind,source=/a,target=/b,bind-recursive=readonly", "`readonly` itself"),
        ("type=bind,source=/a,target=/b,bind-propagation=x", "unknown propagation"),
        ("type=bind,source=/a,target=/b,colour=red", "`colour=red`: unknown key"),
        ("type=bind,source,target=/b", "`source`: the field has no value"),
        ("source=data,target=/b,volume-driver=nfs", "unsupported volume driver: `nfs`"),
        ("source=data,target=/b,volume-subpath=../x", "no relative path without `..`"),
        ("source=data,target=/b,volume-subpath=/x", "no relative path without `..`"),
        ("type=tmpfs,source=x,target=/b", "has no source"),
        ("type=tmpfs,target=/b,tmpfs-mode=9", "invalid mode `9`"),
        ("type=bind,\"source=/a,target=/b", "is not closed"),
    ] {
        let error = long(text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("mount `{text}`: ")), "{error}");
        assert!(error.contains(part) || text.is_empty(), "{error}");
    }
}

#[test]
fn file_systems_in_memory_have_dockers_defaults() {
    use crate::program::flags::mount_attr as attr;
    const QUIET: u64 = attr::NOSUID | attr::NODEV | attr::NOEXEC;
    for (text, attributes, data, access) in [
        ("/t", QUIET, vec![], Access::Writable),
        ("/t:", QUIET, vec![], Access::Writable),
        ("/t:exec,ro", QUIET & !attr::NOEXEC, vec![], Access::ReadOnly),
        (
            "/t:rw,size=64k,mode=755,uid=5",
            QUIET,
            vec![("size", "65536"), ("mode", "755"), ("uid", "5")],
            Access::Writable,
        ),
        ("/t:size=50%,size=1g", QUIET, vec![("size", "1073741824")], Access::Writable),
    ] {
        let mount = Mount::parse_tmpfs(text).unwrap();
        let Source::Tmpfs(tmpfs) = mount.source else {
            panic!("{text}")
        };
        let found: Vec<(&str, &str)> = tmpfs
            .data
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!((tmpfs.attributes, found, mount.access), (attributes, data, access), "{text}");
    }
    for text in ["t", "/", "/t:size=x", "/t:mode=8", "/t:colour=red"] {
        let error = Mount::parse_tmpfs(text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("tmpfs `{text}`: ")), "{error}");
    }
}
