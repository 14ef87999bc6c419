//! `loadtest record`: a tap between a client and a host.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::time::Duration;

use super::{exit, fail, stop_on_signals};
use crate::cli::RecordArgs;
use crate::framing::FrameCodec;
use crate::profile;
use crate::tap::{Seen, Tap};
use crate::units;

/// `loadtest record`.
pub fn record(args: &RecordArgs) -> ExitCode {
    match tap(args) {
        Ok(seen) => {
            let _ = write!(io::stdout(), "{seen}");
            ExitCode::from(exit::CLEAN)
        }
        Err((code, error)) => fail(code, &error),
    }
}

fn tap(args: &RecordArgs) -> Result<Seen, (u8, String)> {
    let usage = |error: String| (exit::USAGE, error);
    let failed = |error: &dyn std::fmt::Display| (exit::FAILED, error.to_string());
    let dialect = profile::dialect(&args.dialect).map_err(usage)?;
    let framing = units::framing(&args.framing).map_err(usage)?;
    let length = args.seconds.map(Duration::try_from_secs_f64).transpose();
    let length = length.map_err(|error| usage(format!("--seconds: {error}")))?;
    let stop = stop_on_signals().map_err(|error| failed(&error))?;
    let named = |error: io::Error| failed(&format!("{}: {error}", args.out.display()));
    let file = BufWriter::new(File::create(&args.out).map_err(named)?);
    let tap = Tap::listen(&args.listen, &args.connect, (dialect, FrameCodec::new(framing)), file);
    let tap = tap.map_err(|error| failed(&format!("{}: {error}", args.listen)))?;
    println!("recording what passes {}", tap.address());
    tap.run(length, &stop).map_err(named)
}
