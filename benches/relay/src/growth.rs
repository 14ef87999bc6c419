//! What a transaction costs as work grows: routing at 8 x 64, each dimension by itself, rounds interleaved.

use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::client::{self, Load};
use crate::configuration::Shape;
use crate::requests::Requests;
use crate::rounds::{Plan, insist_on_approvals};
use crate::subject::{Stand, Subject};
use crate::system::{self, Cpu};
use crate::table::{median, print_row};

/// So much work.
#[derive(Clone, Copy)]
struct Work {
    name: &'static str,
    cards: u64,
    issuers: usize,
    rows: usize,
    connections: usize,
    /// The place among all of what it is compared with.
    than: usize,
}

const SMALL: Work =
    Work { name: "all of it small", cards: 10_000, issuers: 2, rows: 10, connections: 8, than: 0 };
const MANY_CARDS: Work = Work { name: "cards 10^4 to 10^7", cards: 10_000_000, ..SMALL };
const ALL: [Work; 5] = [
    SMALL,
    MANY_CARDS,
    Work { name: "issuers 2 to 200, two with the load", issuers: 200, ..SMALL },
    // Cards enough to meet every row.
    Work { name: "card ranges 10 to 100,000, cards 10^7", rows: 100_000, than: 1, ..MANY_CARDS },
    Work { name: "connections 8 to 10,000, eight with the load", connections: 10_000, ..SMALL },
];

/// What one run showed.
struct Cost {
    cpu_ns: f64,
    idle_bytes: f64,
}

/// Runs all of it and prints a table.
pub fn run(plan: Plan) -> Result<(), Box<dyn Error>> {
    system::many_files()?;
    let load = Load::parse("8x64", plan.seconds)?;
    let mut stand = plan.stand;
    let mut costs: Vec<Vec<Cost>> = ALL.iter().map(|_| Vec::new()).collect();
    for round in 0..plan.rounds {
        for turn in 0..ALL.len() {
            let place = (round + turn) % ALL.len();
            costs[place].push(once(&mut stand, &ALL[place], &load)?);
        }
    }
    println!("{} rounds of {} s, interleaved; medians\n", plan.rounds, plan.seconds);
    print_row("", ["CPU ns each", "of the smaller", "KiB an idle connection"].map(str::to_owned).into_iter());
    print_row("---", std::iter::repeat_n("---".to_owned(), 3));
    let cpu = |place: usize| median(costs[place].iter().map(|cost| cost.cpu_ns).collect());
    for (place, work) in ALL.iter().enumerate() {
        let idle_bytes = median(costs[place].iter().map(|cost| cost.idle_bytes).collect());
        let idle = if work.connections > load.connections {
            format!("{:.1}", idle_bytes / 1_024.0)
        } else {
            "-".to_owned()
        };
        let ratio = format!("{:.2}", cpu(place) / cpu(work.than));
        print_row(work.name, [format!("{:.0}", cpu(place)), ratio, idle].into_iter());
    }
    Ok(())
}

fn once(stand: &mut Stand, work: &Work, load: &Load) -> io::Result<Cost> {
    stand.shape = Shape { shards: 1, issuers: work.issuers, rows: work.rows };
    let requests = Requests::of_cards(work.cards);
    stand.with(Subject::Routing(None), &requests, |process, at| {
        let before = system::resident_bytes(process);
        let idle = connect(at, work.connections - load.connections)?;
        let idle_bytes =
            system::resident_bytes(process).saturating_sub(before) as f64 / idle.len().max(1) as f64;
        let mut cpu = Vec::new();
        let seen = client::run(at, load, &requests, &mut || cpu.push(Cpu::of(process).all_ns))?;
        insist_on_approvals(&seen)?;
        // One that was closed meanwhile would make the others look cheap.
        if idle.iter().any(|stream| system::read(stream, &mut [0]).is_err()) {
            return Err(io::Error::other("an idle connection was closed"));
        }
        Ok(Cost { cpu_ns: (cpu[1] - cpu[0]) as f64 / seen.answers as f64, idle_bytes })
    })
}

fn connect(to: SocketAddr, count: usize) -> io::Result<Vec<TcpStream>> {
    let idle = (0..count).map(|_| system::connect(to)).collect::<io::Result<Vec<_>>>()?;
    if count > 0 {
        // What the kernel took the subject takes a little later.
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(idle)
}
