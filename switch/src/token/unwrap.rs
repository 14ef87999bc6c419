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

use super::launcher::{ATTEMPT_WAIT, ATTEMPTS, OPEN_WAIT, child, may_pass, run_tied};
use crate::config::Hsm;
use crate::journal::Wrapper;
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
const REFUSED: u8 = 2;

/// The key that the token makes of a salt.
pub(crate) fn unwrap(hsm: &Hsm, wrapper: &Wrapper, salt: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, String> {
    let Hsm { module, token, pin_file, .. } = hsm.clone();
    let asked = Asked { module, token, pin_file, wrapper: wrapper.clone(), salt: *salt };
    let mut attempts = 0;
    loop {
        attempts += 1;
        match ask(&asked).map_err(|error| format!("the process that asks it failed: {error}"))? {
            Ok(key) => return Ok(key),
            Err(why) if attempts < ATTEMPTS && may_pass(&why) => std::thread::sleep(ATTEMPT_WAIT),
            Err(why) => return Err(why),
        }
    }
}

fn ask(asked: &Asked) -> io::Result<Result<Zeroizing<[u8; 32]>, String>> {
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
        Some((&REFUSED, why)) => Err(String::from_utf8_lossy(why).into_owned()),
        _ => Err("the process that asks the token ended without an answer".to_owned()),
    })
}

/// The life of that process. `parent` is the switch.
#[must_use]
pub fn answer_unwrap(parent: u32) -> ExitCode {
    run_tied(parent, |socket| {
        let mut socket = UnixStream::from(socket);
        let mut text = Vec::new();
        socket.read_to_end(&mut text)?;
        let Asked { module, token, pin_file, wrapper, salt } = serde_json::from_slice(&text)?;
        let made =
            keys::vault(&TokenArguments { module, token, pin_file }, &wrapper).and_then(|vault| vault(&salt));
        match made {
            Ok(key) => {
                socket.write_all(&[MADE])?;
                socket.write_all(&*key)
            }
            Err(why) => socket.write_all(&[&[REFUSED], why.as_bytes()].concat()),
        }
    })
}
