//! An agent: does its share of one run after the other, for one controller at a time.

use std::io::{self, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{LEAD, Order, Word, receive, send};
use crate::acquirer::Ready;
use crate::profile::{Overrides, Profile, Share};
use crate::proof::Program;
use crate::proof::supply::Grant;
use crate::report::conditions::Conditions;

/// Between two looks for a controller.
const LOOK: Duration = Duration::from_millis(20);

/// Serves controllers until `stop` is set.
pub fn serve(listener: &TcpListener, stop: &Arc<AtomicBool>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => {
                // Whatever becomes of one controller, the next one is served.
                if let Err(error) = stream.set_nonblocking(false).and_then(|()| take_orders(&stream)) {
                    eprintln!("loadtest: controller: {error}");
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(LOOK),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// One run for one controller.
fn take_orders(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut from, mut to) = (BufReader::new(stream.try_clone()?), stream.try_clone()?);
    let order = receive(&mut from)?;
    let Some(Order::Prepare { profile, overrides, share, grants }) = order else { return Ok(()) };
    let stop = Arc::new(AtomicBool::new(false));
    let ready = match prepare((&profile, &overrides), share, grants, &stop) {
        Ok(ready) => ready,
        Err(error) => return send(&mut to, &Word::Failed(error)),
    };
    send(&mut to, &Word::Ready(Box::new(Conditions::here())))?;
    let Some(Order::Start(first_key)) = receive(&mut from)? else { return Ok(()) };
    // A controller that says stop, or goes away, ends the run.
    let theirs = Arc::clone(&stop);
    std::thread::Builder::new().name("orders".to_string()).spawn(move || {
        let _ = receive::<Order>(&mut from);
        theirs.store(true, Ordering::Relaxed);
    })?;
    let mut broken = None;
    let outcome = ready.start(LEAD, Some(first_key), |second| {
        if broken.is_none() {
            broken = send(&mut to, &Word::Second(Box::new(second.clone()))).err();
        }
    });
    if let Some(error) = broken {
        return Err(error);
    }
    match outcome {
        Ok(outcome) => send(&mut to, &Word::Done(Box::new(outcome.tally))),
        Err(error) => send(&mut to, &Word::Failed(error.to_string())),
    }
}

fn prepare(
    (text, overrides): (&str, &Overrides),
    share: Share,
    grants: Vec<Option<Vec<Grant>>>,
    stop: &Arc<AtomicBool>,
) -> Result<Ready, String> {
    let mut profile = Profile::parse(text, overrides).map_err(|error| error.to_string())?;
    profile.load.share = share;
    for (program, grants) in profile.programs.iter_mut().zip(grants) {
        if let Some(grants) = grants {
            *program = Arc::new(Program { grants: Some(Arc::new(grants)), ..(**program).clone() });
        }
    }
    Ready::prepare(&profile, stop).map_err(|error| error.to_string())
}
