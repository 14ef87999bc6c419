//! Does one step of the path so many times: `instructions STEP COUNT`. Without arguments it is the gate (`gate.rs`), which
//! runs it twice with different counts for each step, under a tool that counts instructions; the difference is what one
//! step takes, without what the start takes.

mod gate;

use std::hint::black_box;
use std::process::ExitCode;

use authorizer::cards::Funding;
use authorizer::decision::{Outcome, Verdict};
use authorizer::event::{AcquirerId, AcquirerLink, ShardId, Ticket};
use authorizer::request::Class;
use benches::path::Path;
use benches::{APPROVAL, AUTHORIZATION, message, tables};
use codecs::iso8583::{Dialect, Index, Message, Mti, Plans, Weaves, built_in};
use codecs::value::{Amount, ApprovalCode, Currency, Expiry, Pan, ResponseCode, Stan};
use switch::acquirer::translate::{Answered, Received};
use switch::homes::Homes;
use switch::issuer::translate::{Onward, Passing};
use switch::metrics::bench::BenchCounts;
use switch::programs::Programs;
use switch::{acquirer, issuer};

/// What is put together for one step.
const BATCH: usize = 8;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [step, count] = match &arguments[..] {
        [] => return gate::check(),
        [step, count] => [step, count],
        _ => return usage(),
    };
    let Ok(count) = count.parse() else { return usage() };
    match step.as_str() {
        "parse_0100_ascii" => parse(count, "iso87-ascii", b"0100", &AUTHORIZATION),
        "parse_0100_binary" => parse(count, "iso87-binary", b"0100", &AUTHORIZATION),
        "parse_0110_ascii" => parse(count, "iso87-ascii", b"0110", &APPROVAL),
        "request" => request(count),
        "answer" => answer(count),
        "forward" => forward(count, None),
        "forward_funded" => forward(count, Some(funding())),
        "reply" => reply(count),
        "route" => route(count),
        "whole_path" => whole_path(count),
        "counting" => counting(count),
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("instructions [STEP COUNT]");
    ExitCode::from(64)
}

/// A sample in a dialect, with its index.
struct Sample {
    dialect: &'static Dialect,
    bytes: Vec<u8>,
    index: Index,
}

impl Sample {
    fn new(dialect: &str, mti: &[u8; 4], elements: &[(u8, &[u8])]) -> Self {
        let dialect = built_in(dialect).expect("built in");
        let bytes = message(dialect, mti, elements);
        let mut index = Index::new();
        dialect.parse(&bytes, &mut index).expect("sound");
        Self { dialect, bytes, index }
    }

    fn message(&self) -> Message<'_> {
        Message::new(self.dialect, &self.bytes, &self.index)
    }

    fn mti(&self) -> Mti {
        self.index.mti().expect("sound")
    }
}

fn authorization() -> Sample {
    Sample::new("iso87-ascii", b"0100", &AUTHORIZATION)
}

fn approval() -> Sample {
    Sample::new("iso87-ascii", b"0110", &APPROVAL)
}

fn parse(count: u64, dialect: &str, mti: &[u8; 4], elements: &[(u8, &[u8])]) {
    let mut sample = Sample::new(dialect, mti, elements);
    let mut plans = Plans::new();
    for _ in 0..count {
        let _ = black_box(plans.parse(sample.dialect, black_box(&sample.bytes), &mut sample.index));
    }
}

fn request(count: u64) {
    let sample = authorization();
    let homes = Homes::new(1, *b"a key of a bench", &["bench"]);
    let programs = Programs::default();
    let link = AcquirerLink { shard: ShardId(0), slot: 0, generation: 0 };
    let received = Received { ticket: Ticket(0), link, acquirer: AcquirerId(0) };
    for _ in 0..count {
        let message = black_box(sample.message());
        let kind = (sample.mti(), Class::Authorization);
        let _ = black_box(acquirer::translate::request(
            &message,
            kind,
            received,
            &homes,
            &programs,
            |_, _, _| None,
        ));
    }
}

fn answer(count: u64) {
    let sample = approval();
    for _ in 0..count {
        let message = black_box(sample.message());
        black_box(issuer::translate::answer(&message, sample.mti(), benches::path::ISSUER, Ticket(0)));
    }
}

fn forward(count: u64, funding: Option<Funding>) {
    let sample = authorization();
    let stan = Stan::new(123_456).expect("six digits");
    let mut weaves = Weaves::new();
    let mut out = vec![0; 1_024];
    for _ in 0..count {
        let message = black_box(sample.message());
        let onward = Onward { mti: sample.mti(), stan, passing: Passing::Restamped, funding };
        let forwarded = issuer::translate::forward(&message, &onward, sample.dialect, &mut weaves, &mut out);
        let _ = black_box(forwarded);
    }
}

fn funding() -> Funding {
    let pan = Pan::parse(b"9999600000000019").expect("a number");
    Funding { pan, expiry: Expiry::parse(b"3011").expect("a month") }
}

fn approved() -> Outcome {
    Outcome {
        verdict: Verdict::Approved,
        response_code: ResponseCode::of(b"00"),
        approval_code: ApprovalCode::parse(b"A12345"),
        approved_minor: None,
    }
}

fn reply(count: u64) {
    let (request, answer) = (authorization(), approval());
    let outcome = approved();
    let mut out = vec![0; 1_024];
    let mut weaves = Weaves::new();
    for _ in 0..count {
        let answered = Answered { message: &answer.message(), funding: None };
        let _ = black_box(acquirer::translate::reply(
            &black_box(request.message()),
            request.dialect,
            *b"0110",
            &outcome,
            Some(answered),
            &mut weaves,
            &mut out,
        ));
    }
}

fn route(count: u64) {
    let table = tables(1_000).iins;
    let pan = Pan::parse(b"9999600000000019").expect("digits");
    for _ in 0..count {
        black_box(table.route(black_box(&pan)));
    }
}

/// All that is counted of one payment, on its way and at its end.
fn counting(count: u64) {
    let mut counts = BenchCounts::default();
    let (outcome, amount) = (approved(), Amount::new(1_000, Currency::new(978).expect("three digits")));
    for _ in 0..count {
        let (outcome, amount) = (black_box(&outcome), black_box(amount));
        black_box(counts.approved(outcome, amount, black_box(2_400), black_box(2_310)));
    }
}

fn whole_path(count: u64) {
    let mut path = Path::new(BATCH);
    for _ in 0..count / BATCH as u64 {
        path.turns(BATCH);
    }
}
