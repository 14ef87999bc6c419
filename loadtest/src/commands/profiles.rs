//! `loadtest profiles`: what comes with the program, to be run or to begin a profile of one's own with.

use std::io::{self, Write};
use std::process::ExitCode;

use super::{exit, fail};
use crate::cli::ProfilesArgs;
use crate::profile::{BUILT_IN, Overrides, Profile};

/// `loadtest profiles`.
pub fn profiles(args: &ProfilesArgs) -> ExitCode {
    let mut out = String::new();
    match &args.profile {
        Some(name) => match BUILT_IN.iter().find(|(built_in, _)| built_in == name) {
            Some((_, text)) => out.push_str(text),
            None => return fail(exit::CONFIG, &format!("no built-in profile is called `{name}`")),
        },
        None => {
            for (name, text) in BUILT_IN {
                // They are sound, or the tests would not have passed.
                let about = Profile::parse(text, &Overrides::default()).map(|profile| profile.description);
                out.push_str(&format!("{name:<14} {}\n", about.unwrap_or_default()));
            }
        }
    }
    let _ = io::stdout().write_all(out.as_bytes());
    ExitCode::from(exit::CLEAN)
}
