//! What is left of a payment in the memory of the switch when it is over.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use tests::rig::process::not_run;
use tests::{Setup, purchase, with_check_digit};

/// As no other text here.
const DISCRETIONARY: &str = "3141592653589";
const PIN_BLOCK: &str = "C0FFEE0DDBA11BAD";

#[test]
fn s02_a_second_after_the_outcome_no_track_and_no_pin_block_is_in_memory() {
    if !rustix::process::geteuid().is_root() {
        return not_run("the superuser, who may look into the memory of a process");
    }
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    let track = format!("9999600000000019=4912201{DISCRETIONARY}");
    let icc = format!("5713{}F9F3602002A", track.replace('=', "D"));
    for stan in 1..=300 {
        let request = purchase(&format!("11={stan:06} 35={track} 52={PIN_BLOCK} 55={icc}"));
        north.ask(&request, "0110 39=00");
        // What is refused goes another way.
        let (other, stan) = (with_check_digit("999960000000002"), 1_000 + stan);
        let request = purchase(&format!("11={stan:06} 2={other} 35={track} 52={PIN_BLOCK} 55={icc}"));
        north.ask(&request, "0110 39=30");
    }
    // Its parts in the layouts of an element and of a value, of a PIN block as it is and as characters.
    let packed =
        |digits: &str| (0..digits.len() / 2).map(|at| hex(&digits[2 * at..2 * at + 2])).collect::<Vec<u8>>();
    let needles = [
        DISCRETIONARY.as_bytes().to_vec(),
        packed(&DISCRETIONARY[1..]),
        packed(&DISCRETIONARY[..12]),
        packed(PIN_BLOCK),
        PIN_BLOCK.as_bytes().to_vec(),
    ];
    std::thread::sleep(Duration::from_secs(1));
    let pid = rig.process().id();
    let mut looked_at = 0;
    for (from, bytes) in writable(pid) {
        looked_at += bytes.len();
        for needle in &needles {
            let found = bytes.windows(needle.len()).position(|window| window == needle);
            assert!(found.is_none(), "{needle:02X?} at {:x}", from + found.unwrap_or(0) as u64);
        }
    }
    assert!(looked_at > 1_000_000, "{looked_at} bytes looked at");
    // The search finds what is there: the card number is remembered.
    assert!(writable(pid).any(|(_, bytes)| bytes.windows(16).any(|window| window == b"9999600000000019")));
}

fn hex(pair: &str) -> u8 {
    u8::from_str_radix(pair, 16).expect("hexadecimal")
}

/// What a process may write to, with where it begins. What it never wrote to has nothing in it.
fn writable(pid: i32) -> impl Iterator<Item = (u64, Vec<u8>)> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("Linux");
    let mut memory = File::open(format!("/proc/{pid}/mem")).expect("the superuser's");
    let parts: Vec<(u64, u64)> = maps
        .lines()
        .filter(|line| line.split_whitespace().nth(1).is_some_and(|rights| rights.starts_with("rw")))
        .map(|line| {
            let (from, to) =
                line.split_whitespace().next().and_then(|range| range.split_once('-')).expect("a range");
            let number = |text| u64::from_str_radix(text, 16).expect("hexadecimal");
            (number(from), number(to))
        })
        .collect();
    parts.into_iter().filter_map(move |(from, to)| {
        let mut bytes = vec![0; usize::try_from(to - from).ok()?];
        memory.seek(SeekFrom::Start(from)).ok()?;
        memory.read_exact(&mut bytes).ok()?;
        Some((from, bytes))
    })
}
