//! Templates, and what comes out of them; the results are those of Docker's command line.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Serialize;

use super::*;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    id: String,
    path: String,
    args: Vec<String>,
    restart_count: u64,
    cpus: f64,
    running: bool,
    health: Option<u8>,
    #[serde(skip_serializing_if = "String::is_empty")]
    mac_address: String,
    labels: BTreeMap<String, String>,
    state: State,
    mounts: Vec<State>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: String,
    pid: i64,
}

fn state(status: &str, pid: i64) -> State {
    let status = status.into();
    State { status, pid }
}

fn value() -> Value {
    let labels = [("a-b", "c"), ("com.x", "y <&> z"), ("owner", "me")];
    let labels = labels.map(|(name, value)| (name.to_string(), value.to_string())).into();
    let container = Container {
        id: "0123456789ab".into(),
        path: "sh".into(),
        args: ["-c", "sleep 1", "é"].map(String::from).into(),
        restart_count: 2,
        cpus: 0.5,
        running: true,
        health: None,
        mac_address: String::new(),
        labels,
        state: state("running", 42),
        mounts: vec![state("one", 1), state("two", 2)],
    };
    Value::of(&container).expect("a value")
}

fn shown(template: &str) -> Result<String> {
    Template::parse(template)?.execute(&value())
}

#[test]
fn templates_print_what_docker_prints() {
    for (template, expected) in [
        // Fields, and how values are spelled.
        ("plain", "plain"),
        ("{{.Id}} {{ .State.Status }}", "0123456789ab running"),
        (
            "{{.Args}} {{.RestartCount}} {{.Cpus}} {{.Running}}",
            "[-c sleep 1 é] 2 0.5 true",
        ),
        ("{{.State}}", "{running 42}"),
        ("{{.Labels}}", "map[a-b:c com.x:y <&> z owner:me]"),
        ("{{.Labels.owner}} {{.Labels.nobody}}", "me <no value>"),
        ("{{.Labels.nobody.name}}", "<no value>"),
        ("[{{.MacAddress}}]", "[]"),
        ("{{$.Id}}", "0123456789ab"),
        // Space, comments, literals.
        ("a {{- .Path -}} b", "ashb"),
        ("a {{/* a comment */}} b", "a  b"),
        ("a {{- /* a comment */ -}} b", "ab"),
        (
            r#"{{"a\tb\x41\u00e9"}}{{`raw\t`}}{{'a'}} {{0x10}} {{1_000}} {{1.5}} {{-3}} {{true}}"#,
            "a\tbAéraw\\t97 16 1000 1.5 -3 true",
        ),
        ("{{\"}}\"}}", "}}"),
        // Pipelines, parentheses, variables.
        ("{{.Path | upper | printf \"%s-%s\" \"x\"}}", "x-SH"),
        ("{{(index .Mounts 1).Status}} {{(.State).Pid}}", "two 42"),
        ("{{$x := .Path}}{{$x}}{{$x = \"y\"}}{{$x}}", "shy"),
        ("{{$s := .State}}{{$s.Status}}", "running"),
        ("{{$x := 1}}{{if true}}{{$x = 2}}{{$x := 3}}{{$x}}{{end}}{{$x}}", "32"),
        // Decisions.
        ("{{if .Running}}yes{{else}}no{{end}}", "yes"),
        ("{{if .Health}}yes{{else if eq .Path \"sh\"}}sh{{else}}no{{end}}", "sh"),
        (
            "{{with .State}}{{.Status}}{{end}}{{with .Health}}x{{else}}none{{end}}",
            "runningnone",
        ),
        ("{{with $p := .Path}}{{$p}}{{.}}{{end}}", "shsh"),
        ("{{with .Health}}{{else with .Path}}{{.}}{{end}}", "sh"),
        (
            "{{if and .Running (gt .RestartCount 1)}}a{{end}}{{if or .Health .Path}}b{{end}}{{if not .Health}}c{{end}}",
            "abc",
        ),
        ("{{and 1 0 x}}", "error"),
        ("{{and 1 0}} {{and 1 2}} {{or 0 \"x\"}} {{or 0 \"\"}}", "0 2 x "),
        ("{{or true .Nothing}}", "true"),
        (
            "{{eq 1 2 1}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt \"b\" \"a\"}} {{ge 1.5 2.5}}",
            "true true true true true false",
        ),
        // Ranges.
        ("{{range .Args}}<{{.}}>{{end}}", "<-c><sleep 1><é>"),
        ("{{range $n, $x := .Args}}{{$n}}={{$x}} {{end}}", "0=-c 1=sleep 1 2=é "),
        (
            "{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}",
            "a-b=c;com.x=y <&> z;owner=me;",
        ),
        ("{{range $x := .Mounts}}{{$x.Pid}}{{$.Path}}{{end}}", "1sh2sh"),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("{{range .MacAddress}}x{{else}}none{{end}}", "none"),
        ("{{range .Args}}{{if eq . \"sleep 1\"}}{{continue}}{{end}}{{.}}{{end}}", "-cé"),
        ("{{range .Args}}{{.}}{{break}}{{end}}", "-c"),
        // Functions.
        ("{{len .Args}} {{len .Labels}} {{len \"é\"}}", "3 3 2"),
        (
            "{{index .Args 1}} {{index .Labels \"com.x\"}} [{{index .Labels \"no\"}}]",
            "sleep 1 y <&> z []",
        ),
        (
            "{{slice .Id 0 4}} {{slice .Args 1}} {{slice \"abc\" 1 2}}",
            "0123 [sleep 1 é] b",
        ),
        (
            "{{json .Args}} {{json .State}}",
            "[\"-c\",\"sleep 1\",\"é\"] {\"Status\":\"running\",\"Pid\":42}",
        ),
        ("{{json .Labels}}", "{\"a-b\":\"c\",\"com.x\":\"y <&> z\",\"owner\":\"me\"}"),
        ("{{json .Health}} {{json .Cpus}} {{json .Path}}", "null 0.5 \"sh\""),
        (
            "{{join .Args \", \"}} {{join (split \"a:b\" \":\") \"+\"}}",
            "-c, sleep 1, é a+b",
        ),
        (
            "{{lower \"ÄB\"}} {{upper \"é\"}} {{title \"hello wide world\"}}",
            "äb É Hello Wide World",
        ),
        ("{{truncate .Id 4}} {{truncate \"ab\" 5}}", "0123 ab"),
        ("[{{pad .Path 1 3}}] [{{pad \"\" 1 3}}]", "[ sh   ] []"),
        ("{{print 1 2 \"a\" 3}} {{print \"a\" \"b\"}}", "1 2a3 ab"),
        ("{{println .Path 1}}", "sh 1\n"),
        (
            "{{printf \"%5s|%-5s|%.2s|%q|%v|%d|%05d|%+d|%x|%X|%t|%c|%%\" \"ab\" \"cd\" \"efg\" \"h\" .Args 7 42 7 255 255 true 'z'}}",
            "   ab|cd   |ef|\"h\"|[-c sleep 1 é]|7|00042|+7|ff|FF|true|z|%",
        ),
        (
            "{{printf \"%.2f %6.1f %e %g\" 1.555 2.25 1234.5 0.25}}",
            "1.55    2.2 1.234500e+03 0.25",
        ),
        ("{{printf \"%d %s\" \"x\" 1}}", "%!d(string=x) %!s(int=1)"),
        (
            "{{printf \"%s %s\" \"x\"}} {{printf \"x\" 1}}",
            "x %!s(MISSING) x%!(EXTRA int=1)",
        ),
        ("{{printf \"%*d|%-*d|\" 4 1 3 2}}", "   1|2  |"),
    ] {
        match shown(template) {
            Ok(text) => assert_eq!(text, expected, "{template}"),
            Err(wrong) => assert_eq!("error", expected, "{template}: {wrong}"),
        }
    }
}

#[test]
fn wrong_templates_say_where_and_what() {
    for (template, wrong) in [
        (
            "{{.Foo}}",
            "template: 1:2: executing \"\" at <.Foo>: can't evaluate field Foo",
        ),
        (
            "x\n{{ .State.Foo }}",
            "template: 2:9: executing \"\" at <.State.Foo>: can't evaluate field Foo",
        ),
        (
            "{{.Id.Foo}}",
            "template: 1:5: executing \"\" at <.Id.Foo>: can't evaluate field Foo in a text",
        ),
        (
            "{{.MacAddress.Foo}}",
            "template: 1:13: executing \"\" at <.MacAddress.Foo>: nil pointer evaluating field Foo",
        ),
        ("{{foo .Id}}", "template: 1:2: function `foo` not defined"),
        ("{{.Id", "template: 1:0: unclosed action"),
        ("{{/* x", "template: 1:0: unclosed comment"),
        ("{{\"x}}", "template: 1:2: unterminated quoted string"),
        ("{{}}", "template: 1:0: missing value for command"),
        ("{{.Id | }}", "template: 1:2: missing value for command"),
        ("{{(.Id}}", "template: 1:2: unclosed left paren"),
        ("{{.Id)}}", "template: 1:5: unexpected `)`"),
        ("{{if .Id}}x", "template: 1:0: {{if}} without {{end}}"),
        ("{{end}}", "template: 1:0: unexpected {{end}}"),
        ("{{else}}", "template: 1:0: unexpected {{else}}"),
        (
            "{{if 1}}{{else}}{{else}}{{end}}",
            "template: 1:16: expected {{end}}, found {{else}}",
        ),
        ("{{break}}", "template: 1:0: {{break}} outside {{range}}"),
        ("{{$x}}", "template: 1:2: undefined variable `$x`"),
        (
            "{{if true}}{{$x := 1}}{{end}}{{$x}}",
            "template: 1:31: undefined variable `$x`",
        ),
        (
            "{{define \"x\"}}{{end}}",
            "template: 1:0: {{define}} is not supported: a format is one template",
        ),
        ("{{\"x\" 1}}", "template: 1:2: can't give argument to non-function `\"x\"`"),
        (
            "{{.Id 1}}",
            "template: 1:2: executing \"\" at <.Id>: it has arguments but takes none",
        ),
        ("{{1 | 2}}", "template: 1:6: `2` cannot take what is piped to it"),
        ("{{12x}}", "template: 1:2: bad number syntax: \"12x\""),
        ("{{#}}", "template: 1:2: unexpected `#`"),
        ("{{range .Id}}{{end}}", "template: 1:8: range can't iterate over a text"),
        (
            "{{index .Args 3}}",
            "template: 1:2: executing \"\" at <index>: error calling index: index out of range: 3",
        ),
        (
            "{{eq 1 \"x\"}}",
            "template: 1:2: executing \"\" at <eq>: error calling eq: incompatible types for comparison",
        ),
        (
            "{{truncate .Id}}",
            "template: 1:2: executing \"\" at <truncate>: wrong number of args for truncate: want 2 got 1",
        ),
        (
            "{{lower .Args}}",
            "template: 1:2: executing \"\" at <lower>: error calling lower: expected a text, found a list",
        ),
    ] {
        let found = shown(template).expect_err(template).to_string();
        assert_eq!(found.lines().next(), Some(wrong), "{template}");
    }
    let deep = format!("{{{{{}1{}}}}}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(shown(&deep).expect_err("too deep").to_string().contains("more than 100"));
    let deep = "{{if 1}}".repeat(100_000) + &"{{end}}".repeat(100_000);
    assert!(shown(&deep).expect_err("too deep").to_string().contains("more than 100"));
}

#[test]
fn headings_are_not_changed_by_functions() {
    let headings = Value::Object(vec![("Names", "NAMES".into()), ("Label", Value::LookupHeading)]);
    for (template, expected) in [
        ("{{lower .Names}}", "NAMES"),
        ("{{json .Names}}", "NAMES"),
        ("{{truncate .Names 3}}", "NAMES"),
        ("{{.Label \"com.my-label\"}}", "my label"),
    ] {
        match Template::parse(template).and_then(|template| template.headings(&headings)) {
            Ok(text) => assert_eq!(text, expected, "{template}"),
            Err(wrong) => assert_eq!("error", expected, "{template}: {wrong}"),
        }
    }
    let labels = Value::Object(vec![("Label", Value::Lookup([("a".to_string(), "b".to_string())].into()))]);
    let template = Template::parse("{{.Label \"a\"}}{{.Label \"c\"}}").unwrap();
    assert_eq!(template.execute(&labels).unwrap(), "b");
}

#[test]
fn templates_know_what_they_mention() {
    for (template, field, expected) in [
        ("{{.Size}}", "Size", true),
        ("{{.ID}}", "Size", false),
        ("{{json .}}", "Size", true),
        ("{{if (eq .ID (lower .Size))}}{{end}}", "Size", true),
        ("{{with .Names}}{{else}}{{.Size}}{{end}}", "Size", true),
        ("{{$}}", "Size", true),
        ("text", "Size", false),
    ] {
        let mentions = Template::parse(template).unwrap().mentions(field);
        assert_eq!(mentions, expected, "{template}");
    }
}

/// Words that templates are made of, so that more than their scanner is tried.
fn fragments() -> impl Strategy<Value = String> {
    const FRAGMENTS: &[&str] = &[
        "{{",
        "}}",
        "{{-",
        "-}}",
        " ",
        ".",
        ".Id",
        ".State",
        ".Args",
        ".Labels",
        ".Mounts",
        "$",
        "$x",
        ":=",
        "=",
        ",",
        "|",
        "(",
        ")",
        "if",
        "else",
        "end",
        "range",
        "with",
        "break",
        "continue",
        "index",
        "slice",
        "printf",
        "print",
        "json",
        "join",
        "split",
        "len",
        "and",
        "or",
        "not",
        "eq",
        "lt",
        "truncate",
        "pad",
        "title",
        "nil",
        "true",
        "\"a\"",
        "\"%*.*d|%q|%x|%v\"",
        "`b`",
        "'c'",
        "0",
        "1",
        "-1",
        "99999999999",
        "0x7f",
        "1e9",
        ".5",
        "/*",
        "*/",
        "é",
        "\\",
        "\"",
        "\n",
        "{{end}}",
        "{{range .Args}}",
        "{{if .Id}}",
        "{{else}}",
        "{{.}}",
        "{{printf \"%99999d\" 1}}",
        "{{slice .Id 1 3}}",
        "{{range $n, $x := .Mounts}}",
    ];
    prop::collection::vec(prop::sample::select(FRAGMENTS), 0..24).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_template_is_a_panic(template in prop_oneof![fragments(), ".{0,60}", r#"\{\{[ -~]{0,40}\}\}"#]) {
        if let Ok(template) = Template::parse(&template) {
            let _ = template.execute(&value());
            let _ = template.headings(&value());
            let _ = template.mentions("Id");
        }
    }

    #[test]
    fn no_format_of_printf_is_a_panic(format in "(%[-+# 0]{0,3}[0-9*]{0,3}(\\.[0-9*]{0,3})?[a-zA-Z%é]?|x){0,4}") {
        let values = [Value::Int(-3), "é".into(), Value::Float(1e300), value(), Value::Nil];
        for n in 0..values.len() {
            printf::printf(&format, &values[n..]);
        }
    }
}
