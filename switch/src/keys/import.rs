//! Where an imported key comes from: a key block, components, or, for tests, its value.

use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use hsm::Secret;
use hsm::token::{Ceremony, CheckValue, KeySpec, Made, Usage};
use rustix::termios::{self, LocalModes, OptionalActions};
use zeroize::Zeroizing;

/// Exactly one of them.
#[derive(Args)]
#[group(required = true, multiple = true)]
pub struct Source {
    /// The file with a key block (ANSI X9.143, TR-31) of version B or D.
    #[arg(long, value_name = "FILE", requires_all = ["protection", "protection_check_value"],
          conflicts_with_all = ["component_file", "components", "danger_clear_file"])]
    key_block_file: Option<PathBuf>,
    /// The label of the key that protects the block.
    #[arg(long, value_name = "LABEL", requires = "key_block_file")]
    protection: Option<String>,
    /// Its check value.
    #[arg(long, value_name = "HEX", requires = "key_block_file", value_parser = check_value)]
    protection_check_value: Option<CheckValue>,
    /// The file with one custodian's component: its hexadecimal digits, a space, its check value. Two or three
    /// times.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["components", "danger_clear_file"])]
    component_file: Vec<PathBuf>,
    /// Ask for so many components, two or three, one custodian after the other, and for the check value of each.
    #[arg(long, value_name = "COUNT", conflicts_with = "danger_clear_file")]
    components: Option<u8>,
    /// The file with the value in hexadecimal digits: for tests, because whoever has seen it can make its codes.
    #[arg(long, value_name = "FILE")]
    danger_clear_file: Option<PathBuf>,
    /// The check value that the key must have; otherwise it is taken off the token again.
    #[arg(long, value_name = "HEX", value_parser = check_value)]
    check_value: Option<CheckValue>,
}

fn check_value(text: &str) -> Result<CheckValue, String> {
    let digits = hexadecimal(text.as_bytes()).and_then(|bytes| bytes.as_slice().try_into().ok());
    digits.map(CheckValue).ok_or_else(|| String::from("six hexadecimal digits"))
}

impl Source {
    /// Makes the key, and what belongs to it.
    pub(super) fn import(&self, ceremony: &Ceremony, label: &str, usage: Usage) -> Result<Vec<Made>, String> {
        let made = self.made(ceremony, label, usage)?;
        match (self.check_value, made.first()) {
            (Some(wanted), Some((_, found))) if wanted != *found => {
                for (label, _) in &made {
                    ceremony.remove(label).map_err(|why| why.to_string())?;
                }
                Err(format!("the key has the check value {found}, not {wanted}; nothing was kept"))
            }
            _ => Ok(made),
        }
    }

    fn made(&self, ceremony: &Ceremony, label: &str, usage: Usage) -> Result<Vec<Made>, String> {
        if let (Some(file), Some(protection), Some(check_value)) =
            (&self.key_block_file, &self.protection, self.protection_check_value)
        {
            let block = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
            let protection = KeySpec { label: protection.clone(), check_value, danger_modifiable: false };
            let made = ceremony.import_key_block(label, usage, &protection, block.trim());
            return made.map_err(|why| why.to_string());
        }
        if let Some(file) = &self.danger_clear_file {
            eprintln!("signalbox keys: this key's value was in the clear; use it for tests only");
            let value = from_file(file)?;
            let value = hexadecimal(value.trim_ascii())
                .ok_or_else(|| format!("{}: not hexadecimal digits", file.display()))?;
            let made = ceremony.danger_import_clear(label, usage, &Secret::new(value.to_vec()));
            return made.map_err(|why| why.to_string());
        }
        let components = match self.components {
            Some(count) => asked_for(ceremony, usage, count)?,
            None => self
                .component_file
                .iter()
                .map(|file| in_file(ceremony, usage, file))
                .collect::<Result<_, _>>()?,
        };
        ceremony.import_components(label, usage, &components).map_err(|why| why.to_string())
    }
}

fn from_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    fs::read(path).map(Zeroizing::new).map_err(|error| format!("{}: {error}", path.display()))
}

fn in_file(ceremony: &Ceremony, usage: Usage, path: &Path) -> Result<Secret, String> {
    let text = from_file(path)?;
    let mut words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let (Some(component), Some(check_value), None) = (words.next(), words.next(), words.next()) else {
        return Err(format!("{}: not a component and its check value", path.display()));
    };
    component_of(ceremony, usage, component, check_value).map_err(|why| format!("{}: {why}", path.display()))
}

/// From one custodian after the other, on the terminal; what is typed of a component is not shown.
fn asked_for(ceremony: &Ceremony, usage: Usage, count: u8) -> Result<Vec<Secret>, String> {
    if !(2..=3).contains(&count) {
        return Err(String::from("a key has two or three components"));
    }
    let one = |number: u8| {
        eprint!("component {number} of {count}: ");
        let component = without_echo(line)?;
        eprint!("\nits check value: ");
        let check_value = line()?;
        component_of(ceremony, usage, component.trim_ascii(), check_value.trim_ascii())
            .map_err(|why| format!("component {number}: {why}"))
    };
    (1..=count).map(one).collect()
}

fn component_of(ceremony: &Ceremony, usage: Usage, digits: &[u8], known: &[u8]) -> Result<Secret, String> {
    let component = hexadecimal(digits).ok_or("not hexadecimal digits")?;
    let component = Secret::new(component.to_vec());
    let found = ceremony.component_check_value(usage, &component).map_err(|why| why.to_string())?;
    if known.eq_ignore_ascii_case(found.to_string().as_bytes()) {
        return Ok(component);
    }
    Err(format!("its check value is {found}, not {}", String::from_utf8_lossy(known)))
}

fn line() -> Result<Zeroizing<Vec<u8>>, String> {
    io::stderr().flush().map_err(|error| error.to_string())?;
    let mut line = Zeroizing::new(Vec::with_capacity(256));
    io::stdin().lock().read_until(b'\n', &mut line).map_err(|error| format!("standard input: {error}"))?;
    if line.is_empty() { Err(String::from("standard input ended")) } else { Ok(line) }
}

fn without_echo<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let input = io::stdin();
    if !input.is_terminal() {
        return read();
    }
    let before = termios::tcgetattr(&input).map_err(|error| error.to_string())?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    termios::tcsetattr(&input, OptionalActions::Flush, &silent).map_err(|error| error.to_string())?;
    let outcome = read();
    termios::tcsetattr(&input, OptionalActions::Flush, &before).map_err(|error| error.to_string())?;
    outcome
}

fn hexadecimal(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    let bytes: Option<Vec<u8>> = pairs.collect();
    bytes.filter(|bytes| !bytes.is_empty()).map(Zeroizing::new)
}
