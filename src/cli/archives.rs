//! `tinydock load`, `save` and `import`

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::PathBuf;

use super::{Command, MANY, print, tidy};
use crate::engine::{Engine, Import};
use crate::error::{Doing, Error, Result};
use crate::flags::{Flag, Order, Parsed, option, switch};
use crate::image::registry::{is_url, open_url};
use crate::image::{Platform, Reference, SaveFormat};

const LOAD_FLAGS: [Flag; 3] = [
    option("input", Some(b'i'), "FILE", "Read this file instead of the standard input"),
    option(
        "platform",
        None,
        "PLATFORM",
        "Of an image for several platforms, load this one",
    ),
    switch("quiet", Some(b'q'), "Print no progress (the same as without: there is none)"),
];

pub const LOAD: Command = Command {
    name: "load",
    usage: "[-i FILE] [--platform PLATFORM]",
    summary: "Load images from an archive, as `save`, Docker, Podman and skopeo write it",
    flags: &LOAD_FLAGS,
    order: Order::Mixed,
    arguments: (0, 0),
    failure: 1,
    run: load,
};

const SAVE_FLAGS: [Flag; 3] = [
    option("output", Some(b'o'), "FILE", "Write this file instead of the standard output"),
    option(
        "format",
        None,
        "FORMAT",
        "`docker-archive`, which is an OCI archive as well, or `oci-archive` (default: docker-archive)",
    ),
    option("compress", None, "KIND", "Compress the archive, with `gzip` or `zstd`"),
];

pub const SAVE: Command = Command {
    name: "save",
    usage: "[-o FILE] [--format FORMAT] [--compress KIND] IMAGE...",
    summary: "Save images to an archive",
    flags: &SAVE_FLAGS,
    order: Order::Mixed,
    arguments: (1, MANY),
    failure: 1,
    run: save,
};

const IMPORT_FLAGS: [Flag; 3] = [
    option(
        "change",
        Some(b'c'),
        "LINE",
        "Change the configuration, such as `CMD [\"sh\"]` or `ENV A=b`",
    ),
    option("message", Some(b'm'), "TEXT", "What this is"),
    option(
        "platform",
        None,
        "PLATFORM",
        "For which platform it is (default: this host's)",
    ),
];

pub const IMPORT: Command = Command {
    name: "import",
    usage: "[-c LINE] [-m TEXT] FILE|URL|- [NAME[:TAG]]",
    summary: "Make an image of the tarball of a file system",
    flags: &IMPORT_FLAGS,
    order: Order::Mixed,
    arguments: (1, 2),
    failure: 1,
    run: import,
};

/// Opens a file, or the standard input.
fn open(path: Option<PathBuf>) -> Result<Box<dyn Read + Send>> {
    match path {
        Some(path) => {
            let file = File::open(&path).doing(|| format!("open `{}`", path.display()))?;
            Ok(Box::new(file))
        }
        None if io::stdin().is_terminal() => Err(Error::invalid("there is no archive on the standard input")
            .hint("name a file, or let a program write to the standard input")),
        None => Ok(Box::new(io::stdin())),
    }
}

fn platform(parsed: &Parsed) -> Result<Option<Platform>> {
    parsed.text("platform")?.map(Platform::parse).transpose()
}

fn load(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let source = open(parsed.last("input").map(PathBuf::from))?;
    let platform = platform(&parsed)?.unwrap_or_else(Platform::host);
    for image in engine.load(source, &platform).doing(|| "load")? {
        for name in &image.names {
            print(format!("Loaded image: {}\n", name.familiar()))?;
        }
        if image.names.is_empty() {
            print(format!("Loaded image ID: {}\n", image.id))?;
        }
    }
    Ok(0)
}

fn save(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let format = match parsed.text("format")? {
        None | Some("docker-archive" | "docker") => SaveFormat::Docker,
        Some("oci-archive" | "oci") => SaveFormat::Oci,
        Some(other) => {
            return Err(Error::invalid(format!(
                "`--format {other}`: it is `docker-archive` or `oci-archive`"
            )));
        }
    };
    let compress = parsed.text("compress")?;
    let texts: Vec<String> = parsed.arguments.iter().map(|text| text.display().to_string()).collect();
    let path = parsed.last("output").map(PathBuf::from);
    write_to(path, |into| write(engine, &texts, format, compress, into)).map(|()| 0)
}

/// Has an archive written to a file, or to the standard output.
pub fn write_to(path: Option<PathBuf>, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let Some(path) = path else {
        if io::stdout().is_terminal() {
            return Err(
                Error::invalid("an archive is not written to a terminal").hint("name a file with `-o`, or redirect the output")
            );
        }
        return write(&mut io::stdout().lock());
    };
    let doing = || format!("write `{}`", path.display());
    if fs::metadata(&path).is_ok_and(|there| !there.is_file()) {
        // A pipe or a device takes it as it comes.
        return write(&mut File::options().write(true).open(&path).doing(doing)?);
    }
    // What was there before stays until the archive is whole.
    let name = path
        .file_name()
        .ok_or_else(|| Error::invalid("it names no file"))
        .doing(doing)?;
    let beside = path.with_file_name(format!(".{}.{}", name.display(), std::process::id()));
    let mut file = File::create(&beside).doing(doing)?;
    let written = write(&mut file).and_then(|()| file.sync_all().doing(doing));
    if let Err(error) = written {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    fs::rename(&beside, &path).doing(doing)
}

fn write(engine: &Engine, texts: &[String], format: SaveFormat, compress: Option<&str>, into: impl Write) -> Result<()> {
    let doing = || "write the archive";
    let mut into = BufWriter::with_capacity(256 << 10, into);
    match compress {
        None => engine.save(texts, format, &mut into)?,
        Some("gzip") => {
            let mut gzip = flate2::write::GzEncoder::new(&mut into, flate2::Compression::default());
            engine.save(texts, format, &mut gzip)?;
            gzip.finish().doing(doing)?;
        }
        Some("zstd") => {
            let mut zstd = zstd::Encoder::new(&mut into, 0).doing(doing)?;
            engine.save(texts, format, &mut zstd)?;
            zstd.finish().doing(doing)?;
        }
        Some(other) => return Err(Error::invalid(format!("`--compress {other}`: it is `gzip` or `zstd`"))),
    }
    into.flush().doing(doing)
}

fn import(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let path = &parsed.arguments[0];
    let url = path.to_str().filter(|text| is_url(text));
    let name = parsed
        .arguments
        .get(1)
        .map(|name| Reference::parse(&name.display().to_string()));
    let import = Import {
        message: parsed.text("message")?.map(str::to_string),
        changes: parsed.all("change").map(|change| change.display().to_string()).collect(),
        platform: platform(&parsed)?,
    };
    let name = name.transpose()?;
    let source = || match url {
        Some(url) => open_url(url),
        None => open(Some(path.into()).filter(|_| path != "-")),
    };
    let id = engine.import(source, name.as_ref(), &import)?;
    print(format!("{id}\n")).map(|()| 0)
}
