//! `loadtest issuer`: a model issuer until a signal or its time ends it.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{exit, fail, stop_on_signals};
use crate::cli::IssuerArgs;
use crate::issuer::behaviour::Faults;
use crate::issuer::{Issuer, IssuerConfig};
use crate::{profile, units};

/// `loadtest issuer`.
pub fn issuer(args: &IssuerArgs) -> ExitCode {
    let config = match issuer_config(args) {
        Ok(config) => config,
        Err(error) => return fail(exit::USAGE, &error),
    };
    let signals = match stop_on_signals() {
        Ok(signals) => signals,
        Err(error) => return fail(exit::FAILED, &error),
    };
    let issuer = match Issuer::start(config) {
        Ok(issuer) => issuer,
        Err(error) => return fail(exit::FAILED, &error),
    };
    for address in issuer.addresses() {
        let _ = writeln!(io::stdout(), "issuer {} listens on {address}", args.name);
    }
    for address in &args.connect {
        let _ = writeln!(io::stdout(), "issuer {} connects to {address}", args.name);
    }
    let stop = issuer.stop_flag();
    while !signals.load(Ordering::Relaxed) && !issuer.is_over() {
        std::thread::sleep(Duration::from_millis(20));
    }
    stop.store(true, Ordering::Relaxed);
    match issuer.wait() {
        Ok(summary) => {
            let _ = writeln!(io::stdout(), "{summary}");
            ExitCode::from(exit::CLEAN)
        }
        Err(error) => fail(exit::FAILED, &error),
    }
}

fn issuer_config(args: &IssuerArgs) -> Result<IssuerConfig, String> {
    let length = args.seconds.map(Duration::try_from_secs_f64).transpose();
    Ok(IssuerConfig {
        name: args.name.clone(),
        listen: args.listen.clone(),
        connect: args.connect.clone(),
        dialect: profile::dialect(&args.dialect)?,
        framing: units::framing(&args.framing)?,
        latency: args.latency,
        declines: args.decline.clone(),
        faults: Faults {
            silent: args.silent,
            late: args.late,
            double: args.double,
            wrong_key: args.wrong_key,
        },
        stalls: args.stall,
        outages: args.outage,
        seed: args.seed,
        length: length.map_err(|error| format!("--seconds: {error}"))?,
    })
}
