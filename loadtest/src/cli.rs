//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::compare::FailOn;
use crate::issuer::behaviour::{Declines, LateAnswers, Latency, Stalls, share_of_one};
use crate::pace::Arrivals;
use crate::report::threshold::Threshold;

/// Load generator and model issuer for any ISO 8583 host.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version = crate::report::conditions::VERSION.as_str(), after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  A model issuer, and a fleet that asks it, in two terminals:
    loadtest issuer --listen 127.0.0.1:7101 --latency 'exponential 2ms' --decline '51=0.04,05=0.02'
    loadtest run baseline --connect 127.0.0.1:7101 --rate 5000 --seconds 30

  A promise with an exit code:
    loadtest run demo --threshold 'p99(response)<50ms' --threshold 'missing=0' --json report.json

  What a client asked once, sent again ten times as fast, with the same answers:
    loadtest record --listen 127.0.0.1:7100 --connect 127.0.0.1:7101 --out day.jsonl
    loadtest run --replay day.jsonl --speed 10 --connect 127.0.0.1:7101 --threshold 'unexpected=0'

  A profile of your own:
    loadtest profiles baseline > mine.toml
    loadtest run ./mine.toml --connect 127.0.0.1:7101 --html report.html

Exit codes: 0 done, 64 usage, 70 could not run, 78 profile, 99 a threshold failed, 130 interrupted.
Where the generator fell behind, promises about times and rates fail, whatever was measured.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send the messages of a profile to a host, on schedule and not on reply
    Run(Box<RunArgs>),
    /// Show by how much two runs differ, from their JSON reports
    Compare(CompareArgs),
    /// Alternate between two hosts and show by how much they differ, round by round
    Ab(AbArgs),
    /// Do a share of the runs of a controller (`run --agents`)
    Agent(AgentArgs),
    /// Answer as a card issuer would
    Issuer(IssuerArgs),
    /// Stand between a client and a host, and write down what passes, to be sent again by `run --replay`
    Record(RecordArgs),
    /// List the built-in profiles, or print one: a profile of your own begins as a copy
    Profiles(ProfilesArgs),
}

/// Arguments of `run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Name of a built-in profile (see `loadtest profiles`) or path of a TOML file; a replay needs none
    #[arg(required_unless_present = "replay")]
    pub profile: Option<String>,
    /// Address of the host; several are taken in turn by the links
    #[arg(long, value_name = "ADDR", num_args = 1.., value_delimiter = ',')]
    pub connect: Vec<String>,
    /// Instead of connecting, wait at this address for the host to connect, once for each link
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["connect", "agents"])]
    pub listen: Option<String>,
    /// Send the requests of this recording again, under keys of this run, and compare the answers
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rate", "arrivals", "shape", "closed", "workers",
        "seconds", "agents", "find_capacity", "provision"])]
    pub replay: Option<PathBuf>,
    /// How many times as fast as it was recorded [default: 1]
    #[arg(long, value_name = "N")]
    pub speed: Option<f64>,
    /// How much of what, and how
    #[command(flatten)]
    pub load: LoadArgs,
    /// Enrol the cards of the profile's programs at the switch with this admin address (http://HOST:PORT), and give
    /// them as many codes as the run needs
    #[arg(long, value_name = "URL", requires = "token_file")]
    pub provision: Option<String>,
    /// File whose first line is the switch's access token
    #[arg(long, value_name = "FILE", requires = "provision")]
    pub token_file: Option<PathBuf>,
    /// Let these agents send, each its share, and only add up here
    #[arg(long, value_name = "ADDR", num_args = 1.., value_delimiter = ',')]
    pub agents: Vec<String>,
    /// A promise, for example 'p99(response)<50ms', 'approved>=90%', 'missing=0'; may be given again
    #[arg(long, value_name = "PROMISE")]
    pub threshold: Vec<Threshold>,
    /// Find the highest rate at which every threshold holds, by runs of --seconds each; N searches show how far
    /// the answers lie apart
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "3", requires = "threshold",
        conflicts_with_all = ["closed", "hdr", "agents"], value_parser = clap::value_parser!(u8).range(1..))]
    pub find_capacity: Option<u8>,
    /// Write the report as JSON too; - writes it to standard output and everything else to standard error
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the report as one HTML page that opens without a network
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write a row per second as CSV
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Write the histograms of each second as an HDR interval log
    #[arg(long, value_name = "FILE")]
    pub hdr: Option<PathBuf>,
    /// Write the thresholds as JUnit test cases
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Serve the figures at http://ADDR/metrics while the run lasts
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<String>,
    /// On a terminal, a line a second instead of the view
    #[arg(long)]
    pub plain: bool,
    /// No line a second, only the report
    #[arg(long)]
    pub quiet: bool,
}

/// Settings of a run. Each goes before the profile's.
#[derive(Args, Debug)]
pub struct LoadArgs {
    /// Messages a second, over all links
    #[arg(long, value_name = "N")]
    pub rate: Option<f64>,
    /// Length of the run
    #[arg(long, value_name = "S")]
    pub seconds: Option<f64>,
    /// How messages follow each other
    #[arg(long)]
    pub arrivals: Option<Arrivals>,
    /// How the rate changes: constant, 'ramp 10%..100%', 'steps 25%,50%,100%', 'spike 500% at 10s for 2s',
    /// 'soak 30s' (up and down), 'curve 0s=20%,30s=100%'; percentages are of the rate
    #[arg(long, value_name = "SHAPE", value_parser = shape)]
    pub shape: Option<String>,
    /// Time at the beginning that is sent and drawn, and is not in the figures
    #[arg(long, value_name = "TIME")]
    pub warm_up: Option<String>,
    /// The same at the end
    #[arg(long, value_name = "TIME")]
    pub cool_down: Option<String>,
    /// Closed loop instead of a rate: so many in flight on each link
    #[arg(long, value_name = "N", conflicts_with_all = ["rate", "arrivals", "shape"])]
    pub closed: Option<usize>,
    /// Persistent links
    #[arg(long, value_name = "N")]
    pub connections: Option<usize>,
    /// Threads that send and receive
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// An answer later than this is late, for example 10s
    #[arg(long, value_name = "TIME")]
    pub patience: Option<String>,
    /// How much of each wait is spun away instead of slept; 100us is exact and takes up a core [default: 5us]
    #[arg(long, value_name = "TIME")]
    pub spin: Option<String>,
    /// Seed of everything that is drawn
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Dialect, for example iso87-binary
    #[arg(long, value_name = "NAME")]
    pub dialect: Option<String>,
    /// Framing, for example ascii4,inclusive,header=5
    #[arg(long, value_name = "FRAMING")]
    pub framing: Option<String>,
}

/// Arguments of `compare`.
#[derive(Args, Debug)]
pub struct CompareArgs {
    /// JSON report of the run before
    pub a: PathBuf,
    /// JSON report of the run after
    pub b: PathBuf,
    /// When to end with code 99, for example 'p99>5%' or 'rate<-5%'; a change within noise never does
    #[arg(long, value_name = "LIMIT")]
    pub fail_on: Vec<FailOn>,
}

/// Arguments of `ab`.
#[derive(Args, Debug)]
pub struct AbArgs {
    /// Name of a built-in profile or path of a TOML file
    pub profile: String,
    /// Addresses of the first host
    #[arg(long, value_name = "ADDR", num_args = 1.., value_delimiter = ',', required = true)]
    pub a: Vec<String>,
    /// Addresses of the second host
    #[arg(long, value_name = "ADDR", num_args = 1.., value_delimiter = ',', required = true)]
    pub b: Vec<String>,
    /// Runs against each host; --seconds is the length of one
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..=1000))]
    pub rounds: u16,
    /// How much of what, and how
    #[command(flatten)]
    pub load: LoadArgs,
    /// When to end with code 99, for example 'p99>5%'; a difference within noise never does
    #[arg(long, value_name = "LIMIT")]
    pub fail_on: Vec<FailOn>,
    /// Write every round and the differences as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Arguments of `profiles`.
#[derive(Args, Debug)]
pub struct ProfilesArgs {
    /// The one to print
    pub profile: Option<String>,
}

/// Arguments of `agent`.
#[derive(Args, Debug)]
pub struct AgentArgs {
    /// Address to wait for controllers on; whoever reaches it can make this machine send
    #[arg(long, value_name = "ADDR")]
    pub listen: String,
}

/// Arguments of `issuer`.
#[derive(Args, Debug)]
pub struct IssuerArgs {
    /// Address to listen on; may be given again
    #[arg(long, value_name = "ADDR", num_args = 1.., value_delimiter = ',', required_unless_present = "connect")]
    pub listen: Vec<String>,
    /// Address to connect to; may be given again
    #[arg(long, value_name = "ADDR", num_args = 1.., value_delimiter = ',')]
    pub connect: Vec<String>,
    /// Dialect
    #[arg(long, value_name = "NAME", default_value = "iso87-ascii")]
    pub dialect: String,
    /// binary2, binary4, bcd2 or ascii4, then ,inclusive ,header=N ,max=N ,keep_alive
    #[arg(long, value_name = "FRAMING", default_value = "binary2")]
    pub framing: String,
    /// Name, for the summary
    #[arg(long, default_value = "maple")]
    pub name: String,
    /// none, 'fixed 1ms', 'exponential 2ms' or 'lognormal p50=2ms p99=20ms'
    #[arg(long, default_value = "none")]
    pub latency: Latency,
    /// Shares to decline by code, for example '51=0.04,05=0.02'; card and amount decide
    #[arg(long, value_name = "MIX", default_value = "")]
    pub decline: Declines,
    /// Share of requests that is never answered
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share_of_one)]
    pub silent: f64,
    /// Share that is answered late, and how late: '0.001 12s'
    #[arg(long, value_name = "SHARE TIME")]
    pub late: Option<LateAnswers>,
    /// Share that is answered twice
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share_of_one)]
    pub double: f64,
    /// Share whose answer carries another STAN
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share_of_one)]
    pub wrong_key: f64,
    /// Stand still: '1s 100ms' does so every second for a tenth of it
    #[arg(long, value_name = "EVERY LENGTH")]
    pub stall: Option<Stalls>,
    /// Be gone: '20s 8s' drops every link each 20 s and takes none for 8 s
    #[arg(long, value_name = "EVERY LENGTH")]
    pub outage: Option<Stalls>,
    /// Seed of everything that is drawn
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// End after this time
    #[arg(long, value_name = "S")]
    pub seconds: Option<f64>,
}

/// Arguments of `record`.
#[derive(Args, Debug)]
pub struct RecordArgs {
    /// Address that the client connects to
    #[arg(long, value_name = "ADDR")]
    pub listen: String,
    /// Address of the host
    #[arg(long, value_name = "ADDR")]
    pub connect: String,
    /// The recording, a line of JSON for each message
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Dialect
    #[arg(long, value_name = "NAME", default_value = "iso87-ascii")]
    pub dialect: String,
    /// Framing, as `issuer` takes it
    #[arg(long, value_name = "FRAMING", default_value = "binary2")]
    pub framing: String,
    /// End after this time
    #[arg(long, value_name = "S")]
    pub seconds: Option<f64>,
}

/// Refuses what is no shape; the profile reads it again.
fn shape(text: &str) -> Result<String, String> {
    text.parse::<crate::shape::Shape>().map(|_| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_examples_work() {
        for line in [
            "loadtest|issuer|--listen|127.0.0.1:7101|--latency|exponential 2ms|--decline|51=0.04,05=0.02",
            "loadtest|issuer|--listen|127.0.0.1:1,127.0.0.1:2|--late|0.001 12s|--stall|1s 100ms",
            "loadtest|run|baseline|--connect|127.0.0.1:7101|--rate|5000|--seconds|30",
            "loadtest|record|--listen|127.0.0.1:7100|--connect|127.0.0.1:7101|--out|day.jsonl",
            "loadtest|run|--replay|day.jsonl|--speed|10|--connect|127.0.0.1:7101|--threshold|unexpected=0",
            "loadtest|ab|baseline|--a|127.0.0.1:1|--b|127.0.0.1:2|--rounds|9|--rate|500|--fail-on|p99>5%",
            "loadtest|run|demo|--threshold|p99(response)<50ms|--threshold|missing=0|--json|report.json",
        ] {
            Cli::try_parse_from(line.split('|')).unwrap();
        }
        assert!(Cli::try_parse_from(["loadtest", "run", "demo", "--threshold", "happiness>1"]).is_err());
        assert!(Cli::try_parse_from(["loadtest", "issuer"]).is_err());
    }
}
