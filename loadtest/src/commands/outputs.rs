//! The files of a run: opened before it starts, so that a path that cannot be written costs no run.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::cli::RunArgs;
use crate::clock::Clock;
use crate::report::hdr::HdrLog;
use crate::report::{Report, html, junit, series};
use crate::second::Second;

/// The files that were asked for.
pub(super) struct Outputs {
    json: Option<Target>,
    html: Option<Target>,
    csv: Option<Target>,
    junit: Option<Target>,
    hdr: Option<(PathBuf, HdrLog<Out>)>,
    /// The log failed in the middle of a run; said at its end.
    hdr_failed: Option<io::Error>,
}

/// A file, or standard output.
type Out = BufWriter<Box<dyn Write>>;
/// One of them and where it is.
type Target = (PathBuf, Out);

/// Opens what `path` names; `-` is standard output.
fn open(path: &Option<PathBuf>) -> Result<Option<Target>, String> {
    let Some(path) = path else { return Ok(None) };
    let out: Box<dyn Write> = if is_stdout(path) {
        Box::new(io::stdout())
    } else {
        Box::new(File::create(path).map_err(|error| named(path, &error))?)
    };
    Ok(Some((path.clone(), BufWriter::new(out))))
}

fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

fn named(path: &Path, error: &dyn Display) -> String {
    format!("{}: {error}", path.display())
}

impl Outputs {
    /// Opens every file. The error names the one that cannot be.
    pub(super) fn open(args: &RunArgs) -> Result<Outputs, String> {
        let started = Clock::starting_at(Instant::now()).unix_second(0);
        Ok(Outputs {
            json: open(&args.json)?,
            html: open(&args.html)?,
            csv: open(&args.csv)?,
            junit: open(&args.junit)?,
            hdr: open(&args.hdr)?.map(|(path, out)| (path, HdrLog::new(out, started))),
            hdr_failed: None,
        })
    }

    /// Whether a file is standard output, which must then be alone there.
    pub(super) fn take_stdout(&self) -> bool {
        let targets = [&self.json, &self.html, &self.csv, &self.junit];
        let paths = targets.into_iter().flatten().map(|(path, _)| path);
        paths.chain(self.hdr.iter().map(|(path, _)| path)).any(|path| is_stdout(path))
    }

    /// Writes what is not kept until the end.
    pub(super) fn second(&mut self, second: &Second) {
        if let Some((_, log)) = &mut self.hdr
            && self.hdr_failed.is_none()
        {
            self.hdr_failed = log.add(second).err();
        }
    }

    /// Writes everything else. The error names the file.
    pub(super) fn finish(mut self, report: &Report) -> Result<(), String> {
        write(&mut self.json, |out| {
            serde_json::to_writer_pretty(&mut *out, report)?;
            writeln!(out)
        })?;
        write(&mut self.html, |out| out.write_all(html::render(report)?.as_bytes()))?;
        write(&mut self.csv, |out| {
            series::write_csv(&report.seconds, report.generator.generator_bound, out)
        })?;
        write(&mut self.junit, |out| out.write_all(junit::render(report).as_bytes()))?;
        if let Some((path, mut log)) = self.hdr {
            let failed = self.hdr_failed.map_or_else(|| log.finish(&report.generator), Err);
            failed.map_err(|error| named(&path, &error))?;
        }
        Ok(())
    }
}

/// Writes one file, if it was asked for.
fn write(
    target: &mut Option<Target>,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), String> {
    let Some((path, out)) = target else { return Ok(()) };
    content(out).and_then(|()| out.flush()).map_err(|error| named(path, &error))
}
