//! Listings whose look the user may choose: a table with Docker's columns, a template for each line, or JSON.
//!
//! A command describes its rows once, by the names of their fields, their headings, and which of them a table has that nobody asked for.
//! What a format does not mention need not be found out: [`Format::mentions`].

use super::table::tabbed;
use super::template::{Template, Value};
use crate::error::Result;
use crate::flags::{Flag, Parsed, option, switch};

pub const FORMAT: Flag = option(
    "format",
    None,
    "TEMPLATE",
    "`table`, `json`, or a Go template of fields, such as `{{.ID}}`",
);
pub const QUIET: Flag = switch("quiet", Some(b'q'), "Only print ids");
pub const NO_TRUNC: Flag = switch("no-trunc", None, "Print everything in full");

/// What a command lists.
pub struct Listing {
    /// The columns of the table that is printed if nothing else is asked for, as a template.
    pub table: &'static str,
    /// What `--quiet` prints of each.
    pub quiet: &'static str,
    /// The heading of each field.
    pub headings: &'static [(&'static str, &'static str)],
}

/// How a listing is to be printed.
pub struct Format {
    template: Template,
    /// The headings of a table, if it is one.
    headings: Option<Value>,
}

impl Listing {
    /// The format that `--quiet` and `--format` ask for, or the usual table.
    pub fn format(&self, parsed: &Parsed) -> Result<Format> {
        self.format_or(parsed, self.table)
    }

    /// The format that `--quiet` and `--format` ask for, or this usual table. `--quiet` is about tables.
    pub fn format_or(&self, parsed: &Parsed, table: &str) -> Result<Format> {
        let format = parsed.text("format")?.unwrap_or_default();
        if parsed.is_set("quiet") && (format.is_empty() || format.starts_with("table")) {
            return self.lines(self.quiet);
        }
        match format {
            "" | "table" => self.table(table),
            "json" => self.lines("{{json .}}"),
            text => match text.strip_prefix("table ") {
                Some(columns) => self.table(&escapes(columns.trim_start())),
                None => self.lines(&escapes(text)),
            },
        }
    }

    fn lines(&self, template: &str) -> Result<Format> {
        Ok(Format {
            template: Template::parse(template)?,
            headings: None,
        })
    }

    fn table(&self, template: &str) -> Result<Format> {
        let headings = self.headings.iter().map(|(field, heading)| (*field, Value::from(*heading)));
        let labels = [("Label", Value::LookupHeading)];
        Ok(Format {
            template: Template::parse(template)?,
            headings: Some(Value::Object(headings.chain(labels).collect())),
        })
    }
}

/// Replaces the escapes that shells leave in a format.
fn escapes(format: &str) -> String {
    format.replace("\\t", "\t").replace("\\n", "\n")
}

impl Format {
    /// Whether anything is printed that depends on a field.
    pub fn mentions(&self, field: &str) -> bool {
        self.template.mentions(field)
    }

    /// Prints rows into a text.
    pub fn show(&self, rows: impl IntoIterator<Item = Value>) -> Result<String> {
        let lines = rows.into_iter().map(|row| self.line(&row));
        self.around(&lines.collect::<Result<String>>()?)
    }

    /// What is printed of one row, before columns are aligned.
    pub fn line(&self, row: &Value) -> Result<String> {
        Ok(self.template.execute(row)? + "\n")
    }

    /// The whole listing that has these lines.
    pub fn around(&self, lines: &str) -> Result<String> {
        match &self.headings {
            Some(headings) => Ok(tabbed(&(self.template.headings(headings)? + "\n" + lines))),
            None => Ok(lines.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{Order, parse};

    const LISTING: Listing = Listing {
        table: "{{.ID}}\t{{.Name}}",
        quiet: "{{.ID}}",
        headings: &[("ID", "THE ID"), ("Name", "NAME"), ("Size", "SIZE")],
    };

    fn shown(words: &[&str]) -> Result<String> {
        let parsed = parse(&[FORMAT, QUIET], Order::Mixed, words.iter().map(Into::into))?;
        let row = |id: &str, name: &str| Value::Object(vec![("ID", id.into()), ("Name", name.into()), ("Size", 3i64.into())]);
        LISTING
            .format_or(&parsed, LISTING.table)?
            .show([row("1", "one"), row("23", "a longer name")])
    }

    #[test]
    fn listings_look_as_the_user_likes() {
        for (words, expected) in [
            (vec![], "THE ID    NAME\n1         one\n23        a longer name\n"),
            (vec!["-q"], "1\n23\n"),
            (vec!["-q", "--format", "{{.Name}}"], "one\na longer name\n"),
            (vec!["-q", "--format", "table {{.Name}}"], "1\n23\n"),
            (
                vec!["--format", "table"],
                "THE ID    NAME\n1         one\n23        a longer name\n",
            ),
            (
                vec!["--format", "table {{.Name}}\\t{{.Size}}"],
                "NAME            SIZE\none             3\na longer name   3\n",
            ),
            (vec!["--format", "{{.ID}}\\t{{upper .Name}}"], "1\tONE\n23\tA LONGER NAME\n"),
            (
                vec!["--format", "json"],
                "{\"ID\":\"1\",\"Name\":\"one\",\"Size\":3}\n{\"ID\":\"23\",\"Name\":\"a longer name\",\"Size\":3}\n",
            ),
        ] {
            assert_eq!(shown(&words).unwrap(), expected, "{words:?}");
        }
        let wrong = shown(&["--format", "{{.Foo}}"]).unwrap_err().to_string();
        assert!(wrong.ends_with("hint: the fields are ID, Name, Size"), "{wrong}");
    }
}
