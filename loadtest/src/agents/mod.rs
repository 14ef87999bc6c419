//! More than one generator: a controller that reports, and agents that send.
//!
//! They talk in lines of JSON over TCP. The controller sends each agent the profile and its share; an agent opens its
//! links and says that it is ready; when all are, the controller says start to all of them, and each starts
//! [`LEAD`] later, so that starts differ by no more than the network's own delays. Seconds and tallies come back with
//! whole histograms and are added up as those of workers are: nothing is averaged.
//!
//! What is absent: any proof of who the controller is. An agent does what it is told, and belongs on a network whose
//! members are trusted.

pub mod agent;
pub mod controller;

use std::io::{self, BufRead, Write};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::acquirer::FirstKey;
use crate::profile::{Overrides, Share};
use crate::proof::supply::Grant;
use crate::report::conditions::Conditions;
use crate::second::Second;
use crate::tally::Tally;

/// From the word to start to the start.
pub const LEAD: Duration = Duration::from_millis(200);
/// The longest line that is taken: a tally of many cases.
const LINE_BYTES_MAX: u64 = 256 << 20;

/// What a controller says.
#[derive(Debug, Deserialize, Serialize)]
enum Order {
    /// Do this part of a run.
    Prepare {
        profile: String,
        overrides: Box<Overrides>,
        share: Share,
        /// Of each program, what its cards were given where somebody said so.
        grants: Vec<Option<Vec<Grant>>>,
    },
    /// Everybody is ready; the keys of all begin here.
    Start(FirstKey),
    /// Plan nothing more.
    Stop,
}

/// What an agent says.
#[derive(Debug, Deserialize, Serialize)]
enum Word {
    /// The links are up.
    Ready(Box<Conditions>),
    /// A second is over.
    Second(Box<Second>),
    /// The run is over.
    Done(Box<Tally>),
    /// It cannot be done.
    Failed(String),
}

fn send(to: &mut impl Write, what: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    to.write_all(&line)
}

/// The next line; nothing when the other side has gone.
fn receive<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    io::Read::take(&mut *from, LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    // The line itself is not quoted: it may be long.
    serde_json::from_slice(&line).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
