//! Standard output of commands. Whoever reads it may have read enough, as `head` has: that is no fault. A command ends then
//! as if by SIGPIPE, which this process ignores because a socket whose peer is gone must not end a switch.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

/// What a shell says of a program that SIGPIPE ended.
const UNREAD: u8 = 141;
/// It cannot be written, as to a full disk.
const STORE: u8 = 4;

/// Says a line, and how the command ends: with this code, if it could be said.
#[must_use]
pub fn say(line: impl Display, code: ExitCode) -> ExitCode {
    ended(writeln!(io::stdout(), "{line}"), code)
}

/// How a command ends that has written its output: with this code, if it could be written.
#[must_use]
pub fn ended(written: io::Result<()>, code: ExitCode) -> ExitCode {
    match written {
        Ok(()) => code,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => UNREAD.into(),
        Err(error) => {
            let _ = writeln!(io::stderr(), "cannot write: {error}");
            STORE.into()
        }
    }
}
