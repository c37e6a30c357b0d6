//! Profiles in Docker's form.

use serde_json::{Value, json};

use super::super::docker::{Place, resolve};
use super::*;

const PLACE: Place = Place {
    capabilities: 1 << capability::CHOWN | 1 << capability::KILL,
    release: (6, 1),
};

#[test]
fn rules_count_where_their_circumstances_are_given() {
    for (limits, counts) in [
        (json!({}), true),
        (json!({"includes": {}, "excludes": {}, "comment": "both empty"}), true),
        (json!({"includes": null, "excludes": {"caps": null}}), true),
        (json!({"includes": {"caps": ["CAP_CHOWN", "CAP_KILL"]}}), true),
        (json!({"includes": {"caps": ["CAP_CHOWN", "CAP_SYS_ADMIN"]}}), false),
        (json!({"includes": {"caps": ["CAP_OF_THE_FUTURE"]}}), false),
        (json!({"excludes": {"caps": ["CAP_SYS_ADMIN", "CAP_KILL"]}}), false),
        (json!({"excludes": {"caps": ["CAP_SYS_ADMIN"]}}), true),
        (json!({"includes": {"arches": ["arm64", "amd64"]}}), true),
        (json!({"includes": {"arches": ["s390x"]}}), false),
        (json!({"excludes": {"arches": ["amd64"]}}), false),
        (json!({"includes": {"minKernel": "4.8"}}), true),
        (json!({"includes": {"minKernel": "6.1"}}), true),
        (json!({"includes": {"minKernel": "6.10"}}), false),
        (json!({"excludes": {"minKernel": "6.1"}}), false),
        (json!({"excludes": {"minKernel": "6.2"}}), true),
        (
            json!({"includes": {"caps": ["CAP_KILL"]}, "excludes": {"caps": ["CAP_CHOWN"]}}),
            false,
        ),
    ] {
        let mut rule = json!({"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": null});
        rule.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
        let text = json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule]}).to_string();
        assert_eq!(resolve(&text, PLACE).unwrap().syscalls.len(), usize::from(counts), "{limits}");
    }
}

#[test]
fn the_machines_ways_are_found_in_the_map() {
    let map = json!([
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
    ]);
    let text = json!({"defaultAction": "SCMP_ACT_ALLOW", "archMap": map, "syscalls": []}).to_string();
    assert_eq!(
        resolve(&text, PLACE).unwrap().architectures,
        ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    );
    let old = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "read", "action": "SCMP_ACT_TRAP", "args": []}]});
    assert_eq!(resolve(&old.to_string(), PLACE).unwrap().syscalls[0].names, ["read"]);
    assert!(resolve("{}", PLACE).unwrap().is_empty());
}

#[test]
fn errors_name_the_field_of_the_file() {
    let skipped = json!({"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm"]}});
    let text = |rule: Value| json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [skipped, rule]}).to_string();
    for (text, expected) in [
        (
            text(json!({"names": ["read"], "action": "SCMP_ACT_BAN"})),
            "`syscalls[1].action`: unknown action `SCMP_ACT_BAN`",
        ),
        (
            text(json!({"name": "a", "names": ["b"], "action": "SCMP_ACT_LOG"})),
            "`syscalls[1].name`: `names` is there, too",
        ),
        (
            text(json!({"names": ["a"], "action": "SCMP_ACT_LOG", "excludes": {"minKernel": "6"}})),
            "`syscalls[1].excludes.minKernel`: `6` is not VERSION.REVISION",
        ),
        (
            json!({"defaultAction": "SCMP_ACT_LOG", "architectures": ["SCMP_ARCH_X86"],
                "archMap": [{"architecture": "SCMP_ARCH_X86_64"}]})
            .to_string(),
            "`archMap`: `architectures` is there, too",
        ),
        (
            "{\"defaultAction\": 1}".into(),
            "invalid type: integer `1`, expected a string at line 1 column 19",
        ),
    ] {
        assert_eq!(resolve(&text, PLACE).unwrap_err().to_string(), expected);
    }
}
