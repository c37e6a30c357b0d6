//! Fetching a blob: a stream that goes on after every break, and through several runs of tinydock.
//!
//! ```text
//!   the part that is on disk ──▶┐
//!                               ├──▶ whoever reads, such as the unpacking of a layer
//!   registry ──▶ disk, hash  ──▶┘
//! ```
//!
//! What is read here is not verified yet: that is said by [`Download::finish`] at the end, before which nobody may rely on it.

use std::fs::File;
use std::io::{self, Read, Write};

use super::refusal::Failure;
use super::repository::{Received, Repository};
use crate::error::{Error, Result};
use crate::image::{Descriptor, Ingest};

/// How much must have come since the last break for the next one to be seen as the first.
const HEADWAY: u64 = 1 << 20;

/// A blob on its way.
pub struct Download<'a> {
    /// Where to ask, in order. The first is asked until it fails for good.
    sources: &'a [Repository<'a>],
    descriptor: &'a Descriptor,
    ingest: Ingest<'a>,
    /// The part that was there already, as far as it was not read yet.
    kept: Option<File>,
    resumed: bool,
    body: Option<Box<dyn Read + Send>>,
    attempt: u32,
    /// How much there was at the last break.
    broke_at: u64,
    received: &'a (dyn Fn(u64) + Sync),
    failure: Option<Error>,
}

impl<'a> Download<'a> {
    /// Goes on with a blob. How much of it is there is told to `received`.
    pub fn new(
        sources: &'a [Repository<'a>],
        descriptor: &'a Descriptor,
        ingest: Ingest<'a>,
        received: &'a (dyn Fn(u64) + Sync),
    ) -> Result<Download<'a>> {
        let resumed = ingest.written() > 0;
        Ok(Download {
            kept: if resumed { Some(ingest.reopen()?) } else { None },
            broke_at: ingest.written(),
            sources,
            descriptor,
            ingest,
            resumed,
            body: None,
            attempt: 1,
            received,
            failure: None,
        })
    }

    /// Whether a part of it is from an earlier run.
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Takes the reason why reading failed, if it was not the reader's.
    pub fn failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    /// Reads what nobody has read yet, and verifies the whole. If it is what it should be it is a blob from now on, and
    /// otherwise it is thrown away.
    pub fn finish(mut self) -> Result<()> {
        self.kept = None;
        if let Err(error) = io::copy(&mut self, &mut io::sink()) {
            return Err(self.failure.unwrap_or_else(|| error.into()));
        }
        let (home, descriptor) = (self.sources.first(), self.descriptor);
        self.ingest
            .finish(&descriptor.media_type)
            .map(|_| ())
            .map_err(|error| match home {
                Some(home) => error.doing(format!("registry `{}`", home.registry())),
                None => error,
            })
    }

    /// Asks for what is missing, until there is an answer or no hope.
    fn connect(&mut self) -> Result<()> {
        loop {
            let Some(source) = self.sources.first() else {
                return Err(Error::system("there is nowhere to fetch it from"));
            };
            let doing = |error| source.doing(error, &format!("blob `{}`", self.descriptor.digest));
            let failure = match source.blob(&self.descriptor.digest, self.ingest.written()) {
                Ok(received) => match self.accept(received) {
                    Ok(()) => return Ok(()),
                    Err(failure) => failure,
                },
                Err(failure) => failure,
            };
            let paused = match failure {
                Failure::Lasting(error) => Err(error),
                Failure::Passing(error, when) => source.endpoint.pause(self.attempt, error, when),
            };
            match paused {
                Ok(()) => self.attempt += 1,
                // A mirror that has not got it may not be the only place.
                Err(_) if self.sources.len() > 1 && !source.endpoint.web.is_stopped() => {
                    self.sources = &self.sources[1..];
                    self.attempt = 1;
                }
                Err(error) => return Err(doing(error)),
            }
        }
    }

    /// Takes an answer that begins where we are. One that begins before is read up to there.
    fn accept(&mut self, received: Received) -> std::result::Result<(), Failure> {
        let written = self.ingest.written();
        if let Some(size) = received.size.filter(|size| *size != self.descriptor.size) {
            let wrong = format!("has {size} bytes instead of {}", self.descriptor.size);
            return Err(Failure::Lasting(Error::invalid(wrong)));
        }
        if received.from > written {
            return Err(Failure::Lasting(Error::system(
                "sends another part than the one that was asked for",
            )));
        }
        let mut body = received.body;
        let before = written - received.from;
        match io::copy(&mut body.by_ref().take(before), &mut io::sink()) {
            Ok(length) if length == before => {
                self.body = Some(body);
                Ok(())
            }
            Ok(_) => Err(Failure::Passing(Error::system("ends too early"), None)),
            Err(error) => Err(Failure::Passing(broken(error), None)),
        }
    }

    /// Reads from the connection. Nothing means that it broke.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>> {
        let Some(body) = &mut self.body else { return Ok(None) };
        let missing = self.descriptor.size - self.ingest.written();
        let most = usize::try_from(missing).unwrap_or(usize::MAX).min(buffer.len());
        let error = match body.read(&mut buffer[..most]) {
            Ok(0) => Error::system("ends too early"),
            Ok(length) => {
                self.ingest.write_all(&buffer[..length])?;
                (self.received)(self.ingest.written());
                return Ok(Some(length));
            }
            Err(error) => broken(error),
        };
        self.body = None;
        if self.ingest.written() - self.broke_at >= HEADWAY {
            self.attempt = 1;
        }
        self.broke_at = self.ingest.written();
        if let Some(source) = self.sources.first() {
            let paused = source.endpoint.pause(self.attempt, error, None);
            paused.map_err(|error| source.doing(error, &format!("blob `{}`", self.descriptor.digest)))?;
        }
        self.attempt += 1;
        Ok(None)
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if let Some(kept) = &mut self.kept {
            let length = kept.read(buffer)?;
            if length > 0 {
                return Ok(length);
            }
            self.kept = None;
        }
        while self.ingest.written() < self.descriptor.size && !buffer.is_empty() {
            if self.body.is_none() {
                self.connect()?;
            }
            if let Some(length) = self.receive(buffer)? {
                return Ok(length);
            }
        }
        Ok(0)
    }
}

impl Read for Download<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failure.is_some() {
            return Err(io::Error::other("the download has failed"));
        }
        self.next(buffer).map_err(|error| {
            let told = io::Error::other(error.to_string());
            self.failure = Some(error);
            told
        })
    }
}

/// The error of a connection.
fn broken(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::system("ends too early"),
        io::ErrorKind::TimedOut => Error::system("no answer in time"),
        _ => error.into(),
    }
}
