//! A process for a moment at the start: it opens the token, has it make the key that unwraps the journal's, says it, and
//! ends. Neither the module nor the PIN is ever in the switch; what the switch gets is good for one file.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::launcher::{ATTEMPT_WAIT, ATTEMPTS, OPEN_WAIT, child, run, tie_to, watched};
use crate::config::Hsm;
use crate::journal::{Fault, Wrapper};
use crate::keys::{self, TokenArguments};

/// What the process is told. None of it is secret.
#[derive(Serialize, Deserialize)]
struct Asked {
    module: PathBuf,
    token: String,
    pin_file: PathBuf,
    wrapper: Wrapper,
    salt: [u8; 32],
}

/// What the answer begins with.
const MADE: u8 = 1;
/// Not now, or not this key.
const REFUSED: u8 = 2;
/// Not as it was asked: trying again makes nothing better, and a PIN locks.
const MISTAKEN: u8 = 3;

/// The key that the token makes of a salt.
pub(crate) fn unwrap(hsm: &Hsm, wrapper: &Wrapper, salt: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, Fault> {
    let Hsm { module, token, pin_file, .. } = hsm.clone();
    let asked = Asked { module, token, pin_file, wrapper: wrapper.clone(), salt: *salt };
    let mut attempts = 0;
    loop {
        attempts += 1;
        match ask(&asked).map_err(|error| Fault::Key(format!("the process that asks it failed: {error}")))? {
            Ok(key) => return Ok(key),
            Err(Fault::Key(_)) if attempts < ATTEMPTS => std::thread::sleep(ATTEMPT_WAIT),
            Err(fault) => return Err(fault),
        }
    }
}

fn ask(asked: &Asked) -> io::Result<Result<Zeroizing<[u8; 32]>, Fault>> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let mut process = child("hsm-unwrap").stdin(Stdio::from(OwnedFd::from(theirs))).spawn()?;
    ours.write_all(&serde_json::to_vec(asked)?)?;
    ours.shutdown(Shutdown::Write)?;
    ours.set_read_timeout(Some(OPEN_WAIT))?;
    // As long as every answer that has a key, so that it is read into one place.
    let mut answer = Zeroizing::new(Vec::with_capacity(1_024));
    let heard = ours.take(1_024).read_to_end(&mut answer);
    let _ = process.kill();
    process.wait()?;
    heard?;
    Ok(match answer.split_first() {
        Some((&MADE, key)) if key.len() == 32 => {
            let mut made = Zeroizing::new([0; 32]);
            made.copy_from_slice(key);
            Ok(made)
        }
        Some((&REFUSED, why)) => Err(Fault::Key(String::from_utf8_lossy(why).into_owned())),
        Some((&MISTAKEN, why)) => Err(Fault::Config(String::from_utf8_lossy(why).into_owned())),
        _ => return Err(io::Error::other("it ended without an answer")),
    })
}

/// The life of that process. `parent` is the switch.
#[must_use]
pub fn answer_unwrap(parent: u32) -> ExitCode {
    run(|socket| {
        watched(parent)?;
        let mut socket = UnixStream::from(socket);
        let mut text = Vec::new();
        socket.read_to_end(&mut text)?;
        let Asked { module, token, pin_file, wrapper, salt } = serde_json::from_slice(&text)?;
        let made =
            keys::vault(&TokenArguments { module, token, pin_file }, &wrapper).and_then(|vault| vault(&salt));
        if !tie_to(parent)? {
            return Ok(());
        }
        match made {
            Ok(key) => {
                socket.write_all(&[MADE])?;
                socket.write_all(&*key)
            }
            Err(fault) => {
                let kind = if matches!(fault, Fault::Config(_)) { MISTAKEN } else { REFUSED };
                socket.write_all(&[&[kind], fault.to_string().as_bytes()].concat())
            }
        }
    })
}
