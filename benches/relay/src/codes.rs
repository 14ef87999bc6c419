//! Cards with codes, made before anything is measured: a token of SoftHSM2 with the master key, a journal that knows
//! the cards and their bundles, and a track with a code of its own for each request of a run. Each run has a copy of the journal,
//! so that the same codes are good again.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use rustix::process::Signal;

use crate::configuration::{self, Shape};
use crate::subject::{self, free_address, write_secret};
use crate::{frame, system};

const CARDS: u64 = 4_000;
/// Public ATCs of each card, from 0 on. With this many cards more than any run of three seconds can use.
const CODES_PER_CARD: u64 = 250;
const BUNDLE: u32 = 1;
const SEQUENCE_NUMBER: u8 = 1;
/// Neighbours in time are not neighbours in number; prime, so that every card has its turn.
const STRIDE: u64 = 2_309;

/// The master key of the test vectors.
const MASTER: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// The exposures, and what a key is called and for in each.
const EXPOSURES: [(&str, &str, &str); 2] =
    [("none", "counters", "rotating-atc"), ("session", "counters-session", "rotating-atc-session")];
/// The numbers of shards for which there is a journal.
const SHARDS: [usize; 2] = [1, 2];

const MODULES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
];

/// What was prepared.
pub struct Codes {
    folder: PathBuf,
    module: &'static str,
    /// One for both exposures: it is the same key.
    check_value: String,
    /// One after the other.
    pub tracks: Vec<u8>,
}

/// Makes all of it in a folder, which it empties before. Without SoftHSM2 it makes nothing.
pub fn prepare(folder: &Path, switch: &Path) -> io::Result<()> {
    let _ = fs::remove_dir_all(folder);
    let Some(module) = MODULES.into_iter().find(|module| Path::new(module).exists()) else {
        println!("without SoftHSM2 (hsm/setup.sh) there are no rows with codes");
        return Ok(());
    };
    fs::create_dir_all(folder.join("tokens"))?;
    let folder = folder.canonicalize()?;
    let tokens = folder.join("tokens");
    let text = format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display());
    fs::write(folder.join("softhsm2.conf"), text)?;
    let mut codes = Codes { folder, module, check_value: String::new(), tracks: Vec::new() };
    codes.check_value = codes.make_token(switch)?;
    fs::write(codes.folder.join("check_value"), &codes.check_value)?;
    for shards in SHARDS {
        codes.enrol(switch, shards)?;
    }
    fs::write(codes.folder.join("tracks"), tracks())
}

impl Codes {
    /// What was prepared in a folder; nothing where there was no SoftHSM2.
    pub fn open(folder: &Path) -> io::Result<Option<Self>> {
        let Some(module) = MODULES.into_iter().find(|module| Path::new(module).exists()) else {
            return Ok(None);
        };
        let folder = folder.canonicalize()?;
        let check_value = fs::read_to_string(folder.join("check_value"))?;
        let tracks = fs::read(folder.join("tracks"))?;
        Ok(Some(Self { folder, module, check_value, tracks }))
    }

    /// Where the module finds its token.
    pub fn environment(&self) -> (&'static str, PathBuf) {
        ("SOFTHSM2_CONF", self.folder.join("softhsm2.conf"))
    }

    /// The token and the program, for the switch.
    pub fn configuration(&self, exposure: &str, placement: &str) -> String {
        let key = EXPOSURES.into_iter().find(|(name, ..)| *name == exposure).map_or("", |(_, key, _)| key);
        format!(
            r#"[hsm]
module = "{}"
token = "relay"
pin_file = "{}"
placement = "{placement}"
[[program]]
name = "wallet"
kind = "rotating_atc"
iins = ["999910"]
key = "{key}"
check_value = "{}"
exposure = "{exposure}"
[[route]]
iin = "99996"
issuer = "maple-0"
"#,
            self.module,
            self.folder.join("pin").display(),
            self.check_value
        )
    }

    /// The journal that knows the cards, for so many shards, into a folder.
    pub fn copy_journal(&self, shards: usize, to: &Path) -> io::Result<()> {
        copy(&self.enrolled(shards).join("journal"), &to.join("journal"))?;
        let mark = "journal.mark";
        fs::copy(self.enrolled(shards).join(mark), to.join(mark)).map(drop)
    }

    fn enrolled(&self, shards: usize) -> PathBuf {
        self.folder.join(format!("enrolled-{shards}"))
    }

    fn make_token(&self, switch: &Path) -> io::Result<String> {
        let in_folder = |name: &str, content: &str| {
            let path = self.folder.join(name);
            write_secret(&path, content).map(|()| path.display().to_string())
        };
        let (pin, officer) = (in_folder("pin", "4711-0815")?, in_folder("officer", "9999-9999")?);
        let master: String = MASTER.iter().map(|byte| format!("{byte:02x}")).collect();
        let master = in_folder("master", &master)?;
        let keys = |command: &str, arguments: &[&str]| {
            let fixed = ["keys", command, "--token", "relay", "--module", self.module, "--pin-file", &pin];
            said(Command::new(switch).args(fixed).args(arguments).envs([self.environment()]))
        };
        keys("init", &["--officer-pin-file", &officer])?;
        let mut check_value = String::new();
        for (_, label, usage) in EXPOSURES {
            let import = ["--label", label, "--usage", usage, "--danger-clear-file", &master];
            let told = keys("import", &import)?;
            check_value = told.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        }
        Ok(check_value)
    }

    /// Tells a switch of all cards and lets it end; its journal stays.
    fn enrol(&self, switch: &Path, shards: usize) -> io::Result<()> {
        let folder = self.enrolled(shards);
        fs::create_dir_all(&folder)?;
        let (listen, issuer, admin) = (free_address()?, free_address()?, free_address()?);
        let text = configuration::switch(listen, issuer, admin, Shape::with_shards(shards))
            + &self.configuration("session", "inline")
            + &configuration::journal("written", "8MiB");
        let mut command = subject::serve(switch, &folder, &text)?;
        let running = command.envs([self.environment()]).stdout(Stdio::null()).spawn()?;
        let running = Provisioned(running);
        drop(system::connect(listen)?);
        let of_all = |line: fn(u64) -> String| (1..=CARDS).map(line).collect::<String>();
        let changes =
            [("enrol", of_all(enrolment)), ("issue", of_all(bundle)), ("confirm", of_all(confirmation))];
        for (action, lines) in changes {
            let path = folder.join(format!("{action}.jsonl"));
            fs::write(&path, lines)?;
            let mut command = Command::new(switch);
            command.args(["cards", action, "--admin", &admin.to_string(), "--token-file"]);
            said(command.arg(folder.join("access.token")).arg(&path))?;
        }
        running.end()
    }
}

fn pan(number: u64) -> String {
    String::from_utf8_lossy(&frame::pan(b"999910", number)).into_owned()
}

fn enrolment(number: u64) -> String {
    let pan = pan(number);
    let funding = frame::pan(b"99996", number);
    let funding = String::from_utf8_lossy(&funding);
    format!(
        "{{\"pan\":\"{pan}\",\"psn\":{SEQUENCE_NUMBER},\"funding\":{{\"pan\":\"{funding}\",\"expiry\":\"4912\"}}}}\n"
    )
}

fn bundle(number: u64) -> String {
    let pan = pan(number);
    format!(
        "{{\"pan\":\"{pan}\",\"id\":{BUNDLE},\"first\":0,\"count\":{CODES_PER_CARD},\"ttl_ms\":604800000}}\n"
    )
}

fn confirmation(number: u64) -> String {
    format!("{{\"pan\":\"{}\",\"id\":{BUNDLE}}}\n", pan(number))
}

/// Every track of every card, cards in turn.
fn tracks() -> Vec<u8> {
    let master = Aes128::new(&MASTER.into());
    let pans: Vec<String> = (1..=CARDS).map(pan).collect();
    let mut tracks = Vec::with_capacity((CARDS * CODES_PER_CARD) as usize * frame::TRACK_BYTES);
    for atc in 0..CODES_PER_CARD {
        for turn in 0..CARDS {
            let pan = &pans[(turn * STRIDE % CARDS) as usize];
            let number = turn * 7 % 1_000;
            let code = code(&master, account(pan), atc, number) % 10_000;
            // Layout "R": its format, public ATC, the terminal's number, code, how many digits the number has.
            tracks.extend_from_slice(format!("{pan}=49122017{atc:04}{number:03}{code:04}3").as_bytes());
        }
    }
    tracks
}

/// The rightmost 16 digits of card number and sequence number, two to a byte.
fn account(pan: &str) -> u64 {
    let digits = format!("{pan}{SEQUENCE_NUMBER:02}");
    u64::from_str_radix(&digits[digits.len() - 16..], 16).expect("digits")
}

/// The number whose low digits are the code: AES under the private counter, which is AES under the master key.
fn code(master: &Aes128, account: u64, atc: u64, number: u64) -> u64 {
    let mut private = [0; 16];
    private[..8].copy_from_slice(&account.to_be_bytes());
    private[8..12].copy_from_slice(&BUNDLE.to_be_bytes());
    private[12..].copy_from_slice(&(atc as u32).to_be_bytes());
    master.encrypt_block((&mut private).into());
    let mut purchase = *b"RATC\0\0\0\0\0\0\0\0\0\0\0\0";
    let packed = u32::from_str_radix(&format!("{number:08}"), 16).expect("digits");
    purchase[12..].copy_from_slice(&packed.to_be_bytes());
    Aes128::new(&private.into()).encrypt_block((&mut purchase).into());
    u64::from_be_bytes(purchase[..8].try_into().expect("eight bytes"))
}

/// Runs a command that must succeed and gives what it says.
fn said(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(io::Error::other(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))))
}

/// Copies a folder and who may enter it.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// The switch that is told of cards; killed where it is not asked to end.
struct Provisioned(Child);

impl Provisioned {
    /// Asks it to end and waits until it has.
    fn end(mut self) -> io::Result<()> {
        system::signal(self.0.id(), Signal::TERM);
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until {
            if let Some(status) = self.0.try_wait()? {
                return if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) };
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err(ErrorKind::TimedOut.into())
    }
}

impl Drop for Provisioned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_worked_example() {
        let master = Aes128::new(&MASTER.into());
        let account = account("9999100000000010");
        assert_eq!(account, 0x9910_0000_0000_1001);
        for (atc, number, expected) in [(42, 731, 4785), (42, 732, 1598), (43, 731, 5080), (7, 5, 4422)] {
            assert_eq!(code(&master, account, atc, number) % 10_000, expected);
        }
    }

    #[test]
    fn every_card_has_every_turn_once() {
        let all: std::collections::BTreeSet<u64> = (0..CARDS).map(|turn| turn * STRIDE % CARDS).collect();
        assert_eq!(all.len() as u64, CARDS);
    }
}
